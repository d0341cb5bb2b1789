"""Source text with colours: words of Pygments as classes, never a style of its own.

Only lexers that are named here are used. Each was tried with texts that make a regular expression go back and forth;
what is longer than those, or has long stretches of blanks, is shown without colours.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Final

from markupsafe import Markup
from pygments.lexer import Lexer
from pygments.lexers.configs import IniLexer, TOMLLexer
from pygments.lexers.data import JsonLexer, YamlLexer
from pygments.lexers.python import PythonLexer
from pygments.lexers.shell import BashLexer
from pygments.lexers.sql import SqlLexer
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType

from web.inert.signs import lines, visible
from web.inert.texts import beginning, text_of
from web.speech import gettext as _

__all__ = ["CLASSES", "coloured", "language_of", "source"]

MOST_SHOWN: Final = 400_000  # bytes of a file
MOST_LINES: Final = 5_000
LONGEST_LINE: Final = 4_000  # characters that are shown

MOST_COLOURED: Final = 40_000  # characters
LONGEST_COLOURED: Final = 1_000  # characters of one line

BLANK: Final = re.compile(r"\s{150}")  # Python's lexer looks from each blank for the end of all of them

LEXERS: Final[dict[str, type[Lexer]]] = {
    "bash": BashLexer,
    "ini": IniLexer,
    "json": JsonLexer,
    "python": PythonLexer,
    "sql": SqlLexer,
    "toml": TOMLLexer,
    "yaml": YamlLexer,
}
ALIASES: Final = {
    word: language
    for language, words in {
        "bash": "sh shell zsh",
        "ini": "cfg",
        "json": "jsonl ipynb",
        "python": "py pyi python3 ipython ipython3",
        "yaml": "yml",
    }.items()
    for word in words.split()
}

KINDS: Final[tuple[tuple[_TokenType, str], ...]] = (
    (Comment, "comment"),
    (Keyword.Constant, "number"),
    (Keyword, "keyword"),
    (String, "string"),
    (Number, "number"),
    (Name.Function, "defined"),
    (Name.Class, "defined"),
    (Name.Tag, "keyword"),
    (Name.Decorator, "builtin"),
    (Name.Builtin, "builtin"),
    (Name.Exception, "builtin"),
)
CLASSES: Final = frozenset(word for _, word in KINDS)


def language_of(name: str) -> str:
    """What a file is written in, by its name or by the word behind the fence of a block; empty when we have no colours
    for it."""
    word = name.rpartition("/")[2].rpartition(".")[2].lower()
    word = ALIASES.get(word, word)
    return word if word in LEXERS else ""


def source(content: bytes, name: str) -> Markup:
    """A file as it is, its lines numbered. What is not a text is only said to be there."""
    if not content:
        return _note(_("The file is empty."))
    size = f"{len(content):,}"
    text = text_of(beginning(content, MOST_SHOWN))
    if text is None:
        return _note(_("Binary, %(bytes)s bytes.", bytes=size))
    whole = lines(text)
    shown = coloured("\n".join(map(_cut, whole[:MOST_LINES])), language_of(name))
    listed = Markup("").join(Markup('<span class="line">{}\n</span>').format(line) for line in shown)
    goes_on = len(content) > MOST_SHOWN or len(whole) > MOST_LINES
    rest = _note(_("The file goes on: this is the beginning of %(bytes)s bytes.", bytes=size)) if goes_on else ""
    return Markup('<pre class="listing"><code>{}</code></pre>{}').format(listed, rest)


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}\N{HORIZONTAL ELLIPSIS}"


def _note(sentence: str) -> Markup:
    return Markup('<p class="left-out">{}</p>').format(sentence)


def coloured(text: str, language: str) -> list[Markup]:
    """The lines of a text, each complete in itself."""
    plain = lines(text)
    too_long = len(text) > MOST_COLOURED or any(len(line) > LONGEST_COLOURED for line in plain)
    if too_long or language not in LEXERS or BLANK.search(text):
        return [visible(line) for line in plain]
    return list(_coloured("\n".join(plain), language))


def _coloured(text: str, language: str) -> Iterator[Markup]:
    line: list[Markup] = []
    for word, said in _pieces(text, language):
        first, *following = said.split("\n")
        line.append(_piece(word, first))
        for piece in following:
            yield Markup("").join(line)
            line = [_piece(word, piece)]


def _pieces(text: str, language: str) -> Iterator[tuple[str, str]]:
    """What stands side by side in one colour, together."""
    tokens = _lexer(language).get_tokens(text)
    for word, said in groupby(((_class_of(kind), said) for kind, said in tokens), key=itemgetter(0)):
        yield word, "".join(piece for _, piece in said)


def _piece(word: str, said: str) -> Markup:
    return Markup('<span class="{}">{}</span>').format(word, visible(said)) if word and said else visible(said)


@cache
def _class_of(kind: _TokenType) -> str:
    return next((word for known, word in KINDS if kind in known), "")  # type: ignore[comparison-overlap]


@cache
def _lexer(language: str) -> Lexer:
    return LEXERS[language](stripnl=False, ensurenl=True)
