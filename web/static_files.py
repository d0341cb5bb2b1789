"""The few files that pages refer to, under names that change with their content."""

import hashlib
import re
from pathlib import Path
from typing import Final

from flask import Response, abort, request

KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}  # nothing else is served
IMPORT: Final = re.compile(rb'(?<= from ")\./([\w-]+\.js)(?=";$)', re.MULTILINE)


class StaticFiles:
    """Holds a folder in memory. An address is looked up, and never becomes a path that could leave it."""

    def __init__(self, folder: Path) -> None:
        self._addresses: dict[str, str] = {}
        self._files: dict[str, tuple[bytes, str, str]] = {}
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
            self._files[hashed] = (content, KINDS[path.suffix], digest)
        return self._addresses[path.name]

    def address(self, name: str) -> str:
        """Where a page finds the file `name`."""
        return self._addresses[name]

    def answer(self, name: str) -> Response:
        if name not in self._files:
            abort(404)
        content, mimetype, digest = self._files[name]
        response = Response(content, mimetype=mimetype)
        response.set_etag(digest)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        # A sandboxed page, as the preview of a stranger's file is, has no origin of its own that could be the same.
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.make_conditional(request)
        return response
