"""Mail: written in the transaction that is the reason for it, and sent by the clock when that is committed.

So nobody gets a letter about something that did not happen, and none is lost because a mail server was away.

    write ──► take ──► settle(SENT)                       web.postman carries what is taken
                 ▲        ├─► settle(LATER): after a while
                 └────────┘   settle(NEVER), or a day of trying: given up, and the log says so

To take a letter keeps everybody else from it for some minutes. Whoever dies meanwhile may have sent it: then it is
sent again, under the same Message-ID, by which mail programs know it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from web.database import now
from web.models import Letter

__all__ = ["Outcome", "Way", "are_due", "give_back", "settle", "take", "write"]

LEASE: Final = timedelta(minutes=5)
# Codes are good for a quarter of an hour, so the first tries follow soon.
PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300, 900, 3600))
PATIENCE: Final = timedelta(days=1)
LONGEST_FAILURE: Final = 1000


class Way(StrEnum):
    """What became of a try."""

    SENT = "sent"
    LATER = "later"  # the server, or we, could not do it now
    NEVER = "never"  # it was refused for good


@dataclass(frozen=True, slots=True)
class Outcome:
    way: Way
    why: str = ""  # may quote a server, and with it an address: for the database, and not for a log
    cause: str = ""  # the same, for a log


def write(
    session: Session, recipient: str, subject: str, body: str, attachment: tuple[str, str] | None = None
) -> Letter:
    """`attachment` is a name and its text."""
    name, content = attachment or (None, None)
    letter = Letter(
        recipient=recipient,
        subject=" ".join(subject.split())[:300],  # a line break would write headers of its own
        body=body,
        attachment_name=name,
        attachment=content,
        created_at=now(session),
    )
    session.add(letter)
    session.flush()
    return letter


def are_due(session: Session) -> bool:
    return session.scalar(_due(now(session)).with_only_columns(Letter.id).limit(1)) is not None


def take(session: Session, most: int) -> list[Letter]:
    """Some that wait, the oldest first. When this is committed they are the caller's, for as long as a lease lasts."""
    at = now(session)
    waiting = _due(at).order_by(Letter.created_at).limit(most).with_for_update(skip_locked=True)
    taken = list(session.scalars(waiting))
    for letter in taken:
        letter.tries += 1
        letter.not_before = at + LEASE
    return taken


def _due(at: datetime) -> Select[Letter]:
    waiting = select(Letter).where(Letter.sent_at.is_(None), Letter.given_up_at.is_(None))
    return waiting.where(or_(Letter.not_before.is_(None), Letter.not_before <= at))


def give_back(session: Session, letter_id: str) -> None:
    """It was not tried."""
    letter = session.get_one(Letter, letter_id, with_for_update=True)
    letter.tries, letter.not_before = max(0, letter.tries - 1), None


def settle(session: Session, letter_id: str, outcome: Outcome) -> str:
    """Write down what became of it. Gives a sentence for the log when nobody will get this letter.

    What is over loses its text: links and codes in it are keys, and the database keeps none.
    """
    letter = session.get_one(Letter, letter_id, with_for_update=True)
    at = now(session)
    letter.failure = outcome.why[:LONGEST_FAILURE] or None
    if outcome.way is Way.SENT:
        letter.sent_at, letter.not_before = at, None
        _forget(letter)
        return ""
    if outcome.way is Way.LATER and at < letter.created_at + PATIENCE:
        letter.not_before = at + PAUSES[min(letter.tries, len(PAUSES)) - 1]
        return ""
    letter.given_up_at, letter.not_before = at, None
    _forget(letter)
    why = "it was refused for good" if outcome.way is Way.NEVER else "a day of trying is over"
    return f"letter {letter.id}: given up after {letter.tries} tries: {why}: {outcome.cause}"


def _forget(letter: Letter) -> None:
    letter.body, letter.attachment = "", None
