"""Lets a candidate's browser see its own attempts, and nobody else's: to all others they are not there.

One's own is what one was invited to, and the same candidate's practice.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from flask import Response, abort
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session, aliased

from web import access, cookies
from web.database import clock, dialect_of
from web.models import Attempt, BrowserSession
from web.portal import here
from web.speech import speak

__all__ = ["COOKIE", "Visit", "let_in", "let_out", "visit", "visitor"]

COOKIE: Final = cookies.CANDIDATE
ID: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Visit:
    attempt: Attempt
    session_id: str  # of the browser
    at: datetime  # the database's time, when we looked


def visit(session: Session, attempt_id: str) -> Visit:
    """The visit of this request to this attempt. Anything else is a page that does not exist.

    One statement, since every save and every look at the clock begins with it.
    """
    token = cookies.read(COOKIE)
    if not token or not ID.fullmatch(attempt_id):
        abort(404)
    known = {"attempt": attempt_id, "token": here().sealed("session", token)}
    found = session.execute(_visits(dialect_of(session)), known).one_or_none()
    if found is None:
        abort(404)
    attempt, invited_id, application_id, session_id, ended_at, expires_at, at = found
    is_own = attempt.id == invited_id or (application_id is not None and attempt.application_id == application_id)
    if not is_own or ended_at is not None or at > expires_at:
        abort(404)
    speak(attempt.locale)
    return Visit(attempt, session_id, at)


@cache
def _visits(dialect: str) -> Select[*tuple[Any, ...]]:
    """The attempt that is asked for, beside whoever asks."""
    invited, browser = aliased(Attempt), BrowserSession
    return (
        select(
            Attempt, invited.id, invited.application_id, browser.id, browser.ended_at, browser.expires_at,
            clock(dialect),
        )
        .select_from(browser)
        .join(invited, invited.id == browser.attempt_id)
        .join(Attempt, Attempt.id == bindparam("attempt"))
        .where(browser.token_hash == bindparam("token"))
    )  # fmt: skip


def visitor(session: Session) -> tuple[Attempt, str] | None:
    """The attempt that this browser came in for, and its session."""
    found = access.session_of(session, here(), cookies.read(COOKIE))
    if found is None or found.attempt_id is None:
        return None
    return session.get_one(Attempt, found.attempt_id), found.id


def let_in(response: Response, token: str) -> None:
    cookies.write(response, COOKIE, token, access.SESSION_DAYS * 86400)


def let_out(response: Response) -> None:
    cookies.forget(response, COOKIE)
