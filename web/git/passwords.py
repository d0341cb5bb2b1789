"""The password with which `git` reaches one attempt. It is shown once; the database has a hash of it."""

import hmac
import secrets
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from web import audit
from web.database import now
from web.errors import Refused
from web.models import Attempt, GitPassword
from web.portal import Portal

__all__ = ["NAME", "new_password", "opens"]

NAME: Final = "candidate"  # git asks for a name as well; which it is does not matter
LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another
LONGEST: Final = 100


def new_password(session: Session, portal: Portal, attempt_id: str) -> str:
    """A new one. The one before opens nothing any more."""
    attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    if attempt.started_at is None or attempt.withdrawn_at is not None:
        raise Refused("There is nothing to clone yet: start your clock first, then ask for a password.")
    password = "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(5))
    kept = session.scalar(select(GitPassword).where(GitPassword.attempt_id == attempt.id))
    if kept is None:
        kept = GitPassword(attempt_id=attempt.id)
        session.add(kept)
    kept.password_hash, kept.created_at = _sealed(portal, attempt.id, password), now(session)
    audit.note(session, f"attempt {attempt.id}", "git_password.made", "attempt", attempt.id)
    return password


def opens(session: Session, portal: Portal, attempt_id: str, password: str) -> Attempt | None:
    """The attempt that this password opens. An attempt that is not there takes as long as a wrong password."""
    kept = session.scalar(select(GitPassword.password_hash).where(GitPassword.attempt_id == attempt_id))
    shown = _sealed(portal, attempt_id, password[:LONGEST])
    if not hmac.compare_digest(kept or "", shown):
        return None
    return session.get(Attempt, attempt_id)


def _sealed(portal: Portal, attempt_id: str, password: str) -> str:
    return portal.sealed(f"git {attempt_id}", password)
