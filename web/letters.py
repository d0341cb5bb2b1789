"""Mail: written in the transaction that is the reason for it, and sent by the clock when that is committed.

So nobody gets a letter about something that did not happen, and none is lost because a mail server was away.
"""

from sqlalchemy.orm import Session

from web.database import now
from web.models import Letter

__all__ = ["write"]


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
