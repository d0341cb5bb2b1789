"""Answers that carry a stranger's file: as a small document of its own, or as a download. Nothing in between.

The document may run nothing and load nothing but our style, and a browser gives it an origin that nobody else has: a
hole in `web.inert` would meet a page that can do nothing and that no cookie goes with. Whoever asks for one has shown
before that they may see the file.
"""

from collections.abc import Callable
from typing import Final

from flask import Response, render_template

from web import inert

__all__ = ["attached", "framed"]

DOCUMENT: Final = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "style-src 'self'",
            "img-src data:",  # pictures within the file, counted by web.inert.pictures
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",  # the workspace shows it beside the editor
            "sandbox allow-popups allow-popups-to-escape-sandbox",  # a link opens a page of its own
        )
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}


def framed(name: str, content: bytes, beside: Callable[[str], bytes | None], *, as_text: bool = False) -> Response:
    """One file as a document; `as_text` shows also Markdown and notebooks as they were written."""
    body = inert.source(content, name) if as_text else inert.show(name, content, beside)
    return Response(render_template("preview.html", name=name, body=body), headers=DOCUMENT)


def attached(name: str, content: bytes) -> Response:
    """The very bytes, which no browser takes for a page, whatever they are and whatever it is asked to."""
    answer = Response(content, mimetype="application/octet-stream")
    answer.headers["Content-Disposition"] = inert.disposition(name)
    return answer
