"""Lets a candidate's browser see its own attempts, and nobody else's: to all others they are not there."""

from dataclasses import dataclass
from typing import Final

from flask import Response, abort
from sqlalchemy.orm import Session

from web import access, cookies
from web.models import Attempt
from web.portal import here
from web.speech import speak

__all__ = ["COOKIE", "Visit", "let_in", "let_out", "visit", "visitor"]

COOKIE: Final = cookies.CANDIDATE


@dataclass(frozen=True, slots=True)
class Visit:
    attempt: Attempt
    session_id: str  # of the browser


def visit(session: Session, attempt_id: str) -> Visit:
    """The visit of this request to this attempt. Anything else is a page that does not exist."""
    browser = visitor(session)
    if browser is None:
        abort(404)
    invited, session_id = browser
    attempt = session.get(Attempt, attempt_id)
    if attempt is None or not _may_see(invited, attempt):
        abort(404)
    speak(attempt.locale)
    return Visit(attempt, session_id)


def visitor(session: Session) -> tuple[Attempt, str] | None:
    """The attempt that this browser came in for, and its session."""
    found = access.session_of(session, here(), cookies.read(COOKIE))
    if found is None or found.attempt_id is None:
        return None
    return session.get_one(Attempt, found.attempt_id), found.id


def _may_see(invited: Attempt, attempt: Attempt) -> bool:
    """One's own: what one was invited to, and the same candidate's practice."""
    if attempt.id == invited.id:
        return True
    return attempt.application_id is not None and attempt.application_id == invited.application_id


def let_in(response: Response, token: str) -> None:
    cookies.write(response, COOKIE, token, access.SESSION_DAYS * 86400)


def let_out(response: Response) -> None:
    cookies.forget(response, COOKIE)
