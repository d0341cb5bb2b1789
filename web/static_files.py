"""The few files that pages refer to, under names that change with their content."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import Response, abort, request

KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}  # nothing else is served
IMPORT: Final = re.compile(rb'(?<= from ")\./([\w-]+\.js)(?=";$)', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    packed: bytes  # a third of it: the editor is large, and some candidates' lines are slow
    mimetype: str
    digest: str


class StaticFiles:
    """Holds a folder in memory. An address is looked up, and never becomes a path that could leave it."""

    def __init__(self, folder: Path) -> None:
        self._addresses: dict[str, str] = {}
        self._files: dict[str, _File] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix in KINDS:
                self._take(path)

    def _take(self, path: Path) -> str:
        """Its address. A module that imports another has the other's in it, so that no page mixes old and new ones."""
        if path.name not in self._addresses:
            content = path.read_bytes()
            if path.suffix == ".js":
                content = IMPORT.sub(lambda found: self._take(path.with_name(found[1].decode())).encode(), content)
            digest = hashlib.sha256(content).hexdigest()[:16]
            hashed = f"{path.stem}.{digest}{path.suffix}"
            self._addresses[path.name] = f"/static/{hashed}"
            self._files[hashed] = _File(content, gzip.compress(content, mtime=0), KINDS[path.suffix], digest)
        return self._addresses[path.name]

    def address(self, name: str) -> str:
        """Where a page finds the file `name`."""
        return self._addresses[name]

    def answer(self, name: str) -> Response:
        if name not in self._files:
            abort(404)
        found = self._files[name]
        packed = request.accept_encodings.quality("gzip") > 0
        response = Response(found.packed if packed else found.content, mimetype=found.mimetype)
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
        response.set_etag(f"{found.digest}-gzip" if packed else found.digest)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        # A sandboxed page, as the preview of a stranger's file is, has no origin of its own that could be the same.
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.make_conditional(request)
        return response
