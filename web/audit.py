"""Who did what, in an order that nobody can change afterwards without being seen.

    audit.note(session, actor, "regrade.applied", "regrade", regrade.id, reason="...")

Each event carries the hash of the one before it, so a changed, inserted or removed row breaks the chain there; the
database refuses updates and deletions besides. Whoever owns the database can cut off the chain's end or make all of
it anew: keep the newest hash elsewhere to see that. Events name ids and never people, so that a person can be
forgotten and the chain stays whole.
"""

import hashlib
import json
from datetime import UTC
from typing import Any, Final, NamedTuple

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from web.database import lock, now
from web.models import AuditEvent

__all__ = ["note", "seal", "verify"]

FIRST: Final = "0" * 64
NOTED: Final = "audit: noted and not sealed"


class _Note(NamedTuple):
    actor: str
    action: str
    subject_kind: str
    subject_id: str
    details: dict[str, Any]


def note(session: Session, actor: str, action: str, subject_kind: str, subject_id: str, **details: Any) -> None:
    """Written when the transaction is committed, or not at all.

    That is its last step, because the chain has one end: who adds to it keeps everybody else waiting.
    """
    if NOTED not in session.info:
        session.info[NOTED] = []
        event.listen(session, "before_commit", seal)
        event.listen(session, "after_rollback", _forget)
    session.info[NOTED].append(_Note(actor, action, subject_kind, subject_id, details))


def _forget(session: Session) -> None:
    session.info[NOTED].clear()


def seal(session: Session) -> None:
    """Write down what was noted, as the last step before a commit."""
    notes: list[_Note] = session.info[NOTED]
    if not notes:
        return
    session.flush()
    lock(session, "audit")
    at = now(session)
    previous = session.scalar(select(AuditEvent.hash).order_by(AuditEvent.id.desc()).limit(1)) or FIRST
    for one in notes:
        added = AuditEvent(at=at, previous=previous, **one._asdict())
        added.hash = previous = _hash(added)
        session.add(added)
        session.flush()  # one by one: their numbers are the chain's order
    notes.clear()


def _hash(one: AuditEvent) -> str:
    said = {
        "at": one.at.astimezone(UTC).isoformat(),
        "actor": one.actor,
        "action": one.action,
        "subject_kind": one.subject_kind,
        "subject_id": one.subject_id,
        "details": one.details,
        "previous": one.previous,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(session: Session) -> int | None:
    """The number of the first event that does not follow from the one before it; None when the chain is whole."""
    previous = FIRST
    with session.scalars(select(AuditEvent).order_by(AuditEvent.id).execution_options(yield_per=500)) as events:
        for one in events:
            if one.previous != previous or one.hash != _hash(one):
                return one.id
            previous = one.hash
    return None
