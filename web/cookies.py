"""Cookies of ours: only for the pages that set them, never for a script, and over TLS where there is TLS.

With the prefix __Host- a browser takes one from nobody but this very host, so that a neighbour under the same domain
cannot plant a session of its own. Over plain HTTP browsers refuse that prefix.
"""

from typing import Final

from flask import request
from werkzeug.wrappers import Response

from web.portal import here

__all__ = ["CANDIDATE", "STAFF", "forget", "name_of", "read", "write"]

CANDIDATE: Final = "assay_candidate"
STAFF: Final = "assay_staff"


def name_of(name: str, *, secure: bool) -> str:
    return f"__Host-{name}" if secure else name


def read(name: str) -> str:
    """What the browser sent; empty when it sent nothing."""
    return request.cookies.get(name_of(name, secure=_secure()), "")


def write(response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name_of(name, secure=_secure()),
        value,
        max_age=seconds,
        httponly=True,
        secure=_secure(),
        samesite="Lax",  # a link in a letter leads in; a form of another site does not
    )


def forget(response: Response, name: str) -> None:
    response.delete_cookie(
        name_of(name, secure=_secure()), httponly=True, secure=_secure(), samesite="Lax"
    )  # a browser takes no __Host- cookie without Secure, not even one to delete it


def _secure() -> bool:
    told = here().settings.public_url
    return told.startswith("https://") if told else request.is_secure
