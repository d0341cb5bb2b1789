"""A notebook as HTML: what we know of its format, and nothing else of it.

    bytes ──bounded──► JSON ──an allow-list of fields and kinds──► markup

The notebook's own HTML, scripts and widgets are what attacks on notebook viewers are made of; of those only a note is
shown, that they were there. Jupyter's reader is not asked: it takes any size and depth, and what a reader calls valid
is no promise about what a browser makes of it.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from markupsafe import Markup

from graders import strict
from web.inert.listing import coloured, language_of, source
from web.inert.pictures import Album, left_out
from web.inert.prose import markdown
from web.inert.signs import legible, visible, without_escapes
from web.speech import gettext as _
from web.speech import ngettext

__all__ = ["notebook"]

MOST_BYTES: Final = 10 << 20
MOST_DEPTH: Final = 60
MOST_ITEMS: Final = 200_000
MOST_CELLS: Final = 400
MOST_OUTPUTS: Final = 40  # of one cell
LONGEST_SOURCE: Final = 50_000  # characters of one cell
LONGEST_OUTPUT: Final = 20_000
MOST_CHARACTERS: Final = 200_000  # of all that is shown

PICTURES: Final = ("image/png", "image/jpeg")


class _NoNotebook(Exception):
    """The sentence says why."""


def notebook(content: bytes, name: str = "notebook.ipynb") -> Markup:
    """What it says and what it showed. A file that is none is shown as the text that it is, and why."""
    try:
        cells, language = _read(content)
    except _NoNotebook as error:
        return Markup('<p class="left-out">{}</p>{}').format(str(error), source(content, name))
    page = _Page(language)
    return Markup('<div class="notebook">{}</div>').format(Markup("").join(page.show(cells)))


def _read(content: bytes) -> tuple[list[Any], str]:
    if len(content) > MOST_BYTES:
        raise _NoNotebook(
            _(
                "This notebook is too large to be shown: %(kb)s kB, and %(most)s are the most. It begins like this.",
                kb=f"{len(content) >> 10:,}",
                most=f"{MOST_BYTES >> 10:,}",
            )
        )
    try:
        bounded = strict.bounded(content, most_bytes=MOST_BYTES, most_depth=MOST_DEPTH, most_items=MOST_ITEMS)
        said = json.loads(bounded, parse_constant=lambda _constant: None)  # Jupyter itself writes NaN
    except (strict.NotStrict, ValueError, RecursionError):
        raise _NoNotebook(
            _("This notebook is damaged, or has more parts than can be shown. This is the file as it is.")
        ) from None
    if not isinstance(said, dict) or said.get("nbformat") != 4 or not isinstance(said.get("cells"), list):
        raise _NoNotebook(_("This is no notebook in format 4, which Jupyter saves. This is the file as it is."))
    return said["cells"], _language(said.get("metadata"))


def _language(metadata: Any) -> str:
    place = _dictionary(_dictionary(metadata).get("language_info"))
    return language_of(_text(place.get("name"))[:40]) or "python"


@dataclass
class _Page:
    """What was shown so far, and the space that is left."""

    language: str
    album: Album = field(default_factory=Album)
    left: int = MOST_CHARACTERS

    def show(self, cells: list[Any]) -> Iterator[Markup]:
        for at, cell in enumerate(cells):
            if at == MOST_CELLS or self.left <= 0:
                more = len(cells) - at
                note = ngettext("%(num)s more cell was left out.", "%(num)s more cells were left out.", more)
                yield Markup('<p class="left-out">{}</p>').format(note)
                return
            yield self._cell(_dictionary(cell))

    def _cell(self, cell: dict[str, Any]) -> Markup:
        said = self._cut(_text(cell.get("source")), LONGEST_SOURCE)
        match cell.get("cell_type"):
            case "markdown":
                shown = markdown(said, remarks=True, pictures=_Attachments(cell).get, album=self.album)
                return Markup('<section class="cell prose">{}</section>').format(shown)
            case "code":
                return self._code(cell, said)
            case "raw":
                return Markup('<section class="cell"><pre class="code">{}</pre></section>').format(visible(said))
            case _:
                note = _("A cell of an unknown kind was left out.")
                return Markup('<section class="cell"><p class="left-out">{}</p></section>').format(note)

    def _code(self, cell: dict[str, Any], said: str) -> Markup:
        lines = Markup("\n").join(coloured(said, self.language))
        return Markup(
            '<section class="cell"><p class="count">{}</p><pre class="code"><code>{}</code></pre>{}</section>'
        ).format(_count(cell), lines, Markup("").join(self._outputs(cell.get("outputs"))))

    def _outputs(self, outputs: Any) -> Iterator[Markup]:
        listed = outputs if isinstance(outputs, list) else []
        for at, output in enumerate(listed):
            if at == MOST_OUTPUTS:
                more = len(listed) - at
                note = ngettext("%(num)s more output was left out.", "%(num)s more outputs were left out.", more)
                yield Markup('<p class="output left-out">{}</p>').format(note)
                return
            yield from self._output(_dictionary(output))

    def _output(self, output: dict[str, Any]) -> Iterator[Markup]:
        match output.get("output_type"):
            case "stream":
                yield self._printed(_text(output.get("text")), "stderr" if output.get("name") == "stderr" else "")
            case "error":
                yield self._printed(_traceback(output), "failed")
            case "execute_result" | "display_data":
                yield from self._bundle(_dictionary(output.get("data")))
            case _:
                yield _note(_("An output of an unknown kind was left out."))

    def _bundle(self, bundle: dict[str, Any]) -> Iterator[Markup]:
        """The best of what a value was shown as, that we show; and what was left out beside it."""
        shown = {"text/plain"}
        if (kind := next((kind for kind in PICTURES if kind in bundle), None)) is not None:
            shown |= {kind}
            yield Markup('<div class="output">{}</div>').format(self._picture(bundle[kind]))
        elif "text/markdown" in bundle:
            shown |= {"text/markdown"}
            said = self._cut(_text(bundle["text/markdown"]), LONGEST_OUTPUT)
            made = markdown(said, remarks=True, album=self.album)
            yield Markup('<div class="output prose">{}</div>').format(made)
        elif "text/plain" in bundle:
            yield self._printed(_text(bundle["text/plain"]), "value")
        if foreign := sorted(legible(kind)[:60] for kind in bundle.keys() - shown)[:8]:
            yield _note(_("Left out here: %(kinds)s", kinds=", ".join(foreign)))

    def _picture(self, encoded: Any) -> Markup:
        return self.album.show(_decoded(encoded), _("A picture that this cell showed"))

    def _printed(self, said: str, kind: str) -> Markup:
        shown = visible(self._cut(without_escapes(said[: 4 * LONGEST_OUTPUT]), LONGEST_OUTPUT, len(said)))
        tab = Markup(' tabindex="0"') if kind == "value" else ""  # a wide table scrolls, also by keyboard
        return Markup('<pre class="output {}"{}>{}</pre>').format(kind, tab, shown)

    def _cut(self, said: str, longest: int, length: int = 0) -> str:
        """As much of it as there is space for."""
        kept = said[: max(0, min(longest, self.left))]
        self.left -= len(kept)
        if len(kept) == len(said) and length <= 4 * LONGEST_OUTPUT:
            return kept
        return f"{kept}\n{_('(the rest was left out)')}"


class _Attachments:
    """Pictures that were pasted into a cell."""

    def __init__(self, cell: dict[str, Any]) -> None:
        self._files = _dictionary(cell.get("attachments"))

    def get(self, address: str) -> bytes | None:
        kind, _colon, name = unquote(address).partition(":")
        bundle = _dictionary(self._files.get(name)) if kind == "attachment" else {}
        return next((_decoded(bundle[kind]) for kind in PICTURES if kind in bundle), None)


def _count(cell: dict[str, Any]) -> str:
    number = cell.get("execution_count")
    return f"[{number}]" if type(number) is int and 0 <= number < 10**6 else "[ ]"


def _traceback(output: dict[str, Any]) -> str:
    lines = output.get("traceback")
    told = [_text(line) for line in lines[:200]] if isinstance(lines, list) else []
    return "\n".join(told) or f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"


def _decoded(encoded: Any) -> bytes:
    """Empty, which is no picture, for what is no base64."""
    try:
        return base64.b64decode("".join(_text(encoded).split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _text(said: Any) -> str:
    """Notebooks keep texts whole or as a list of lines."""
    if isinstance(said, list):
        return "".join(line for line in said if isinstance(line, str))
    return said if isinstance(said, str) else ""


def _dictionary(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}


def _note(sentence: str) -> Markup:
    return Markup('<p class="output">{}</p>').format(left_out(sentence))
