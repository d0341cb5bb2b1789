"""Another look for the same repository: names of parts, of modules, and the order of functions.

    skin = Skin.draw(chance, versions)       versions: every text that a file of the repository may have in a form
    skin.dressed(tree)                       behaves as the tree does
    skin.location("ragdesk/chunk.py:prefix_of")     where that is now

Comparing a starter with the published repository line by line then shows differences everywhere, few of which are
faults. A renaming holds for all trees of a form alike, so that those of its history differ only in what was changed.

A name is renamed wherever it stands as a name. That is safe as long as it is nobody else's: it is no text, no argument
of a function from outside, and its new name is not there yet. Which names those are is read out of the versions.
"""

import ast
import hashlib
import io
import random
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

from .wording import MODULES, NAMES

__all__ = ["Skin"]

PACKAGE: Final = "ragdesk"
RENAMED_MODULES: Final = (3, 4)
RENAMED: Final = 60  # names, as far as there are so many
WORD: Final = re.compile(r"[^\W\d]\w*")
TEXTS: Final = frozenset((".md", ".toml", ".txt", ".cfg", ".ini", ".yaml", ".yml", ""))  # a Makefile has no suffix
STRUCTURED: Final = re.compile(r"\w_\w|[a-z][A-Z]|^[A-Z][A-Z_]+$")  # no word of a sentence looks like this


@dataclass(frozen=True)
class Skin:
    names: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)  # dotted, from the package on
    salt: bytes = b""  # of the order of functions; empty: they stay where they are

    @classmethod
    def draw(cls, chance: random.Random, versions: Iterable[Mapping[str, bytes]]) -> "Skin":
        sources: dict[str, set[str]] = {}
        for version in versions:
            for path, content in version.items():
                if path.endswith(".py"):
                    sources.setdefault(path, set()).add(content.decode())
        known = _Known.of([text for path in sorted(sources) for text in sorted(sources[path])])
        names: dict[str, str] = {}
        candidates = sorted(NAMES)
        for name in chance.sample(candidates, len(candidates)):
            new = chance.choice(NAMES[name])
            if len(names) < RENAMED and known.may_rename(name, new) and new not in names.values():
                names[name] = new
        modules: dict[str, str] = {}
        wanted = chance.randint(*RENAMED_MODULES)
        for place in chance.sample(sorted(MODULES), len(MODULES)):
            old, new = PurePosixPath(PACKAGE, place), chance.choice(MODULES[place])
            sibling = old.with_name(new)
            there = f"{old}.py" in sources and not {f"{sibling}.py", f"{sibling}/__init__.py"} & sources.keys()
            if len(modules) < wanted and there and old.name not in known.imported:
                modules[_dotted(old)] = _dotted(sibling)
        return cls(names, modules, chance.randbytes(16))

    def dressed(self, tree: Mapping[str, bytes]) -> dict[str, bytes]:
        dressed = {}
        for path, content in tree.items():
            if path.endswith(".py"):
                dressed[self.path(path)] = self._code(path, content.decode()).encode()
            elif PurePosixPath(path).suffix in TEXTS:
                dressed[path] = self._prose(content.decode()).encode()
            else:
                dressed[path] = content
        return dressed

    def path(self, path: str) -> str:
        """Of a file."""
        if not path.endswith(".py"):
            return path
        dotted = _dotted(PurePosixPath(path.removesuffix(".py")))
        return f"{self.modules[dotted].replace('.', '/')}.py" if dotted in self.modules else path

    def location(self, location: str) -> str:
        """Of what an incident entry may name: a path, a path with a function in it, or words, which stay."""
        path, colon, what = location.partition(":")
        if not path.endswith(".py"):
            return location
        return f"{self.path(path)}{colon}{WORD.sub(lambda found: self._name(found[0]), what)}"

    def _name(self, name: str) -> str:
        return self.names.get(name, name)

    # ------------------------------------------------------------------------------------------------------- code

    def _code(self, path: str, text: str) -> str:
        ordered = _reordered(text, path, self.salt) if self.salt else text
        lines = ordered.splitlines(keepends=True)
        changes: list[tuple[int, int, int, int, str]] = []
        for token in self._tokens(path, ordered):
            (first, start), (last, end), new = token
            changes.append((first, start, last, end, new))
        for first, start, last, end, new in reversed(changes):
            before, after = lines[first - 1][:start], lines[last - 1][end:]
            lines[first - 1 : last] = [f"{before}{new}{after}"]
        return "".join(lines)

    def _tokens(self, path: str, text: str) -> Iterator[tuple[tuple[int, int], tuple[int, int], str]]:
        """What changes, by where it begins and ends."""
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        docstrings = _docstrings(text)
        for place, token in enumerate(tokens):
            new = token.string
            if token.type == tokenize.NAME:
                if token.string == "from" and _begins(tokens, place):
                    yield from self._import(path, tokens, place)
                new = self._name(token.string)
                if _in_import_path(tokens, place):
                    continue
            elif token.type == tokenize.COMMENT or token.start in docstrings:
                new = self._prose(token.string)
            elif token.type == tokenize.STRING and "f" in token.string[: token.string.index(token.string[-1])].lower():
                new = self._formatted(token.string)
            if new != token.string:
                yield token.start, token.end, new

    def _import(
        self, path: str, tokens: list[tokenize.TokenInfo], place: int
    ) -> Iterator[tuple[tuple[int, int], tuple[int, int], str]]:
        """from .chunk import ...: what stands between."""
        parts = []
        for token in tokens[place + 1 :]:
            if token.string == "import":
                break
            parts.append(token)
        spelled = "".join(token.string for token in parts)
        dots = len(spelled) - len(spelled.lstrip("."))
        package = path.split("/")[:-1]
        within = package[: len(package) - dots + 1] if dots else []
        named = spelled.lstrip(".")
        dotted = ".".join([*within, named])
        if named and dotted in self.modules:
            new = self.modules[dotted].split(".")[len(within) :]
            yield parts[0].start, parts[-1].end, "." * dots + ".".join(new)

    def _formatted(self, string: str) -> str:
        """The names in the fields of an f-string, which is one token here."""
        found, depth, start = [], 0, 0
        place = 0
        while place < len(string):
            sign = string[place]
            if sign in "{}" and string[place : place + 2] == 2 * sign and depth == 0:
                place += 2
                continue
            if sign == "{":
                if depth == 0:
                    found.append(string[start : place + 1])
                    start = place + 1
                depth += 1
            elif sign == "}" and depth:
                depth -= 1
                if depth == 0:
                    found.append(WORD.sub(lambda word: self._name(word[0]), string[start:place]))
                    start = place
            place += 1
        return "".join([*found, string[start:]])

    def _prose(self, text: str) -> str:
        """Names of modules, and of what is plainly a name: in a sentence "kept" is a word."""
        for old, new in self.modules.items():
            before, after = old.rpartition(".")[2], new.rpartition(".")[2]
            text = text.replace(old.replace(".", "/") + ".py", new.replace(".", "/") + ".py")
            text = re.sub(rf"\b{re.escape(old)}\b(?!\.py)", new, text)
            text = re.sub(rf"(?<![\w/.]){before}\.py\b", f"{after}.py", text)

        def renamed(found: re.Match[str]) -> str:
            called = text[found.end() : found.end() + 1] == "("
            plain = STRUCTURED.search(found[0]) or called
            return self._name(found[0]) if plain else found[0]

        return WORD.sub(renamed, text)


# ---------------------------------------------------------------------------------------------------- what is there


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known about the names of a repository, in all its versions."""

    used: frozenset[str]  # as names, anywhere
    owned: frozenset[str]  # that are given here
    spoken: frozenset[str]  # that also stand in texts
    foreign: frozenset[str]  # attributes and arguments that nothing here has
    imported: frozenset[str]  # modules that are imported as a whole, and so are names

    @classmethod
    def of(cls, sources: Iterable[str]) -> "_Known":
        used: set[str] = set()
        owned: set[str] = set()
        spoken: set[str] = set()
        asked: set[str] = set()
        imported: set[str] = set()
        for source in sources:
            tree = ast.parse(source)
            texts = _docstring_nodes(tree)
            for node in ast.walk(tree):
                match node:
                    case ast.Name(id=name, ctx=context):
                        used.add(name)
                        if isinstance(context, ast.Store):
                            owned.add(name)
                    case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                        owned.add(name)
                    case ast.arg(arg=name):
                        owned.add(name)
                    case ast.keyword(arg=str(name)):
                        asked.add(name)
                    case ast.Attribute(attr=name, ctx=context):
                        (owned if isinstance(context, ast.Store) else asked).add(name)
                    case ast.ImportFrom(module=module, names=names, level=level):
                        within = level > 0 or (module or "").split(".")[0] == PACKAGE
                        if not within:
                            spoken.update(alias.name for alias in names)
                        if module is None or module == PACKAGE:
                            imported.update(alias.name for alias in names)
                        used.update(alias.asname or alias.name for alias in names)
                    case ast.Import(names=names):
                        spoken.update(part for alias in names for part in alias.name.split("."))
                    case ast.Constant(value=str(value)) if id(node) not in texts:
                        spoken.update(WORD.findall(value))
                    case _:
                        pass
        return cls(
            frozenset(used | owned | asked), frozenset(owned), frozenset(spoken), frozenset(asked - owned),
            frozenset(imported),
        )  # fmt: skip

    def may_rename(self, name: str, new: str) -> bool:
        mine = name in self.owned and name not in self.spoken | self.foreign
        return mine and new not in self.used | self.spoken


def _dotted(path: PurePosixPath) -> str:
    return ".".join(path.parts)


def _begins(tokens: list[tokenize.TokenInfo], place: int) -> bool:
    """Whether a token is the first of its statement."""
    silent = (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENCODING)
    return place == 0 or tokens[place - 1].type in silent


def _in_import_path(tokens: list[tokenize.TokenInfo], place: int) -> bool:
    """Whether a name stands between `from` and `import`."""
    for before in range(place - 1, -1, -1):
        token = tokens[before]
        if token.string == "from":
            return _begins(tokens, before)
        if not (token.type == tokenize.NAME or token.string in (".", "...")) or token.string == "import":
            return False
    return False


def _docstring_nodes(tree: ast.AST) -> frozenset[int]:
    """Ids of the constants that are docstrings."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            match node.body[0]:
                case ast.Expr(value=ast.Constant(value=str()) as constant):
                    found.append(id(constant))
                case _:
                    pass
    return frozenset(found)


def _docstrings(text: str) -> frozenset[tuple[int, int]]:
    tree = ast.parse(text)
    known = _docstring_nodes(tree)
    return frozenset((node.lineno, node.col_offset) for node in ast.walk(tree) if id(node) in known)  # type: ignore[attr-defined]


def _reordered(text: str, path: str, salt: bytes) -> str:
    """Functions that stand side by side at the top level, in another order. It depends on their names alone, so that
    one that is new leaves the others where they are."""
    lines = text.splitlines(keepends=True)
    body = ast.parse(text).body
    runs: list[list[ast.FunctionDef]] = [[]]
    for before, node in zip([None, *body], body, strict=False):
        between = lines[before.end_lineno or 0 : _first_line(node) - 1] if before else []
        apart = any(line.strip() for line in between)  # a comment that stands between belongs to what follows
        if not isinstance(node, ast.FunctionDef) or apart:
            runs.append([])
        if isinstance(node, ast.FunctionDef):
            runs[-1].append(node)
    for run in runs:
        names = {node.name for node in run}
        if len(run) < 2 or len(names) < len(run) or any(_needs(node) & names for node in run):
            continue
        pieces = [lines[_first_line(node) - 1 : node.end_lineno] for node in run]
        order = sorted(range(len(run)), key=lambda one: _lot(salt, path, run[one].name))
        gaps = [lines[one.end_lineno : _first_line(other) - 1] for one, other in pairwise(run)]
        mixed = [[*pieces[one], *gap] for one, gap in zip(order, [*gaps, []], strict=True)]
        lines[_first_line(run[0]) - 1 : run[-1].end_lineno] = [line for part in mixed for line in part]
    return "".join(lines)


def _lot(salt: bytes, path: str, name: str) -> bytes:
    return hashlib.sha256(salt + f"{path}|{name}".encode()).digest()


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def _needs(node: ast.FunctionDef) -> set[str]:
    """Names that are looked up when the function is made, and not when it is called."""
    outside = [*node.decorator_list, *node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)]
    return {one.id for part in outside for one in ast.walk(part) if isinstance(one, ast.Name)}
