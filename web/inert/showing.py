"""A stranger's file, shown as what its name and its beginning say that it is."""

import posixpath
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from markupsafe import Markup

from web.inert.listing import source
from web.inert.notebooks import notebook
from web.inert.pictures import Album, measure
from web.inert.prose import MOST_PROSE, markdown
from web.inert.signs import legible
from web.inert.texts import text_of

__all__ = ["show"]

PROSE: Final = (".md", ".markdown")
MOST_BESIDE: Final = 20  # pictures that a text may have from files beside it


def show(name: str, content: bytes, beside: Callable[[str], bytes | None] = lambda _name: None) -> Markup:
    """For a document of its own (`web.preview`). `beside` gives the content of another file of the same work."""
    ending = posixpath.splitext(name)[1].lower()
    if ending == ".ipynb":
        return notebook(content, name)
    if ending in PROSE and len(content) <= 4 * MOST_PROSE and (text := text_of(content)):
        shown = markdown(text, remarks=True, pictures=_Beside(name, beside).get)
        return Markup('<div class="prose">{}</div>').format(shown)
    if measure(content) is not None:
        return Markup('<p class="picture">{}</p>').format(Album().show(content, legible(name)))
    return source(content, name)


class _Beside:
    """Finds what a text calls `plots/loss.png`, from where the text lies. Nothing outside the work has such a name."""

    def __init__(self, name: str, beside: Callable[[str], bytes | None]) -> None:
        self._folder = posixpath.dirname(name)
        self._beside = beside
        self._left = MOST_BESIDE

    def get(self, address: str) -> bytes | None:
        if ":" in address or not self._left:
            return None
        self._left -= 1
        return self._beside(posixpath.normpath(posixpath.join(self._folder, unquote(address))))
