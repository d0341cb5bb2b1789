"""Keeps other sites from sending forms in somebody's name: each POST carries a token that only our pages know.

The token lives as long as the browser keeps our cookie, which is longer than any challenge takes: a page that stayed
open over night can still save.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_wtf import CSRFProtect
from itsdangerous import URLSafeTimedSerializer

__all__ = ["LastingSessions", "csrf", "typed"]

csrf: Final = CSRFProtect()  # web.create_app arms it; an address that proves itself in another way is exempted there

SESSION_DAYS: Final = 30  # as long as a candidate's browser is let in
SHORTEST_TYPED: Final = 20  # characters of a field that somebody would not like to type again


class LastingSessions(SecureCookieSessionInterface):
    """A cookie that ends with the browser's window would turn every page of a reopened window into a forgery."""

    def __init__(self) -> None:
        self._signer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Made once: a portal keeps its secret for as long as it runs."""
        if self._signer is None:
            self._signer = super().get_signing_serializer(app)
        return self._signer

    def get_expiration_time(self, app: Flask, session: SessionMixin) -> datetime:  # noqa: ARG002  as Flask calls it
        return datetime.now(UTC) + timedelta(days=SESSION_DAYS)


def typed() -> list[str]:
    """The longer texts of a form that is refused, to be copied from the page that refuses it.

    Only for what the browser says came from a page of ours: another site shall not choose what stands on our page.
    """
    if request.headers.get("Sec-Fetch-Site") != "same-origin" or not request.form:
        return []
    return [said for name, said in request.form.items() if name != "csrf_token" and len(said) >= SHORTEST_TYPED]
