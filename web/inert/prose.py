"""Markdown as HTML in which nothing runs and which loads nothing.

    text ──markdown-it──► tokens ──our rules──► HTML ──nh3──► HTML of an allow-list

HTML within the text is recognized, so that it can be shown as text: none of it passes. An image is a link to an address
that learns who reads, so only pictures that the caller has in hand are shown, as `data:`. That the second step finds
anything is not expected; it is there for the day on which the first has a hole.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeAlias

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from web.inert.listing import CLASSES, coloured, language_of
from web.inert.pictures import Album, left_out
from web.inert.signs import plain, visible
from web.speech import gettext as _

__all__ = ["MOST_PROSE", "markdown"]

MOST_PROSE: Final = 60_000  # characters; what has more, or is nested deeper, is shown as it was written
MOST_LINES: Final = 3_000
MOST_WRITTEN: Final = 200_000
DEEPEST: Final = 20  # what lies deeper, the parser drops without a word

LINK: Final = re.compile(r"(?:https?://|mailto:)\S*", re.IGNORECASE)
SCHEME: Final = re.compile(r"(?!attachment:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # that one: pasted into a notebook
PICTURE: Final = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/]*={0,2}")

TAGS: Final = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "br", "blockquote", "pre", "ul", "ol", "li", "div"),
    *("table", "thead", "tbody", "tr", "th", "td", "a", "code", "em", "strong", "s", "span", "img", "bdi"),
}
ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}, "img": {"src", "alt"}}
FIXED: Final = {"div": {"tabindex": {"0"}}}
WORDS: Final = {
    "span": {*CLASSES, "odd", "left-out", "remark"},
    "p": {"left-out", "remark", "as-written"},
    "pre": {"code"},
    "div": {"wide-table"},
    "th": {"center", "right"},
    "td": {"center", "right"},
}

Pictures: TypeAlias = Callable[[str], bytes | None]


def no_pictures(_name: str) -> bytes | None:
    return None


def markdown(
    text: str,
    *,
    heading: int = 2,
    remarks: bool = False,
    pictures: Pictures = no_pictures,
    album: Album | None = None,
) -> Markup:
    """Prose of an author or a candidate, for a page whose own headings are above level `heading`.

    `remarks` shows HTML comments. An author's are for authors; what a stranger hides from people may be meant for a
    model that judges. `pictures` gives the content of an image by its address, as far as it is at hand, and `album`
    counts those of the whole page.
    """
    if len(text) > MOST_PROSE or text.count("\n") > MOST_LINES:
        return as_written(text)
    environment = {"heading": heading, "remarks": remarks, "pictures": pictures, "album": album or Album()}
    parser = _parser()
    tokens = parser.parse(plain(text.replace("\r\n", "\n")), environment)
    if any(token.level + max(0, token.nesting) >= DEEPEST for token in tokens):
        return as_written(text)
    return cleaned(str(parser.renderer.render(tokens, parser.options, environment)))


def as_written(text: str) -> Markup:
    note = _("This text is too long or too deeply nested to be set. This is how it was written.")
    shown = visible(text[:MOST_WRITTEN])
    return Markup('<p class="left-out">{}</p><p class="as-written">{}</p>').format(note, shown)


def cleaned(html: str) -> Markup:
    """What is left of HTML when only prose may be in it."""
    return Markup(  # noqa: S704  the one place where a text becomes HTML: behind the allow-list
        nh3.clean(
            html,
            tags=TAGS,
            attributes=ATTRIBUTES,
            tag_attribute_values=FIXED,
            allowed_classes=WORDS,
            attribute_filter=_attribute,
            url_schemes={"http", "https", "mailto", "data"},
            url_relative="deny",
            link_rel="noopener noreferrer nofollow ugc",
            set_tag_attribute_values={"a": {"target": "_blank"}},
        )
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "href":
        return value if LINK.fullmatch(value) else None
    if name == "src":
        return value if tag == "img" and PICTURE.fullmatch(value) else None
    return value


# ---------------------------------------------------------------------------------------------------- the first step


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": DEEPEST}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: bool(LINK.match(url)) or not SCHEME.match(url)  # type: ignore[method-assign]
    parser.core.ruler.push("fit", _fit)
    for kind, rule in RULES.items():
        parser.add_render_rule(kind, rule)
    return parser


def _fit(state: StateCore) -> None:
    """Headings below those of the page; the alignment of columns as a class, for no page of ours takes a style."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + state.env['heading'] - 1)}"
        elif token.type in ("th_open", "td_open"):
            side = str(token.attrs.pop("style", "")).removeprefix("text-align:")
            if side in ("center", "right"):
                token.attrs["class"] = side


Rule: TypeAlias = Callable[[RendererHTML, Sequence[Token], int, OptionsDict, Mapping[str, Any]], str]


def _html(
    _renderer: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, environment: Mapping[str, Any]
) -> str:
    said = tokens[at].content
    shown = (said if environment["remarks"] else _without_comments(said)).strip()
    if not shown:
        return ""
    return str(Markup("<{0} class='remark'>{1}</{0}>").format("p" if tokens[at].block else "span", shown))


def _without_comments(html: str) -> str:
    kept = []
    at = 0
    while (start := html.find("<!--", at)) >= 0 and (end := html.find("-->", start + 4)) >= 0:
        kept.append(html[at:start])
        at = end + 3
    return "".join((*kept, html[at:]))


def _image(
    _renderer: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, environment: Mapping[str, Any]
) -> str:
    address = str(tokens[at].attrs.get("src", ""))
    content = environment["pictures"](address)
    if content is not None:
        return str(environment["album"].show(content, tokens[at].content))
    what = tokens[at].content or address[:200]
    return str(left_out(_("An image from elsewhere was left out: %(what)s", what=what)))


def _code(
    _renderer: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, _environment: Mapping[str, Any]
) -> str:
    said = tokens[at].info.split(maxsplit=1)
    shown = coloured(tokens[at].content, language_of(said[0]) if said else "")
    return str(Markup('<pre class="code"><code>{}</code></pre>\n').format(Markup("\n").join(shown)))


def _table_opens(*_given: Any) -> str:
    return '<div class="wide-table" tabindex="0"><table>\n'  # who scrolls by keyboard must be able to get there


def _table_closes(*_given: Any) -> str:
    return "</table></div>\n"


RULES: Final[Mapping[str, Rule]] = {
    "html_block": _html,
    "html_inline": _html,
    "image": _image,
    "fence": _code,
    "code_block": _code,
    "table_open": _table_opens,
    "table_close": _table_closes,
}
