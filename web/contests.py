"""A candidate says that a grading is wrong, and why. Once for each submission; a person reads it and answers."""

import re
from collections.abc import Collection
from email.utils import parseaddr
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from web import audit, letters
from web.database import now
from web.errors import SubmissionRejected
from web.gradings import read_manifest, read_rubric
from web.models import Attempt, ChallengeVersion, Contest, Submission
from web.speech import gettext

__all__ = ["LEAST", "MOST", "contest", "of"]

LEAST, MOST = 20, 4000  # characters of a reason
ADDRESS: Final = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")


def of(session: Session, submission: Submission) -> Contest | None:
    return session.scalar(select(Contest).where(Contest.submission_id == submission.id))


def contest(
    session: Session,
    attempt: Attempt,
    submission: Submission,
    reason: str,
    criterion: str = "",
    *,
    criteria: Collection[str] = (),
    address: str = "",
) -> Contest:
    """Written down, and the contact of the attempt is told. Said twice it is what was said first.

    `criterion` is one of `criteria`, which the candidate has read about, or empty; `address` is the portal's.
    """
    session.get_one(Attempt, attempt.id, with_for_update=True)  # two presses of one button
    known = of(session, submission)
    if known is not None:
        return known
    said = _clean(reason)
    version = session.get_one(ChallengeVersion, attempt.challenge_digest)
    if criterion and criterion not in criteria:
        raise SubmissionRejected(gettext("There is no such criterion. Choose one from the list, or all of it."))
    made = Contest(submission_id=submission.id, reason=said, criterion=criterion, at=now(session))
    session.add(made)
    session.flush()
    audit.note(session, f"attempt {attempt.id}", "grading.contested", "submission", submission.id, criterion=criterion)
    recipient = contact_address(attempt.contact)
    if recipient:
        letters.write(session, recipient, *_letter(attempt, submission, version, made, address))
    return made


def _clean(reason: str) -> str:
    said = reason.replace("\r\n", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
    if len(said) < LEAST:
        raise SubmissionRejected(
            gettext(
                "Say in a sentence or two what is wrong, so that somebody can look at it: %(least)s characters "
                "at least.",
                least=LEAST,
            )
        )
    if len(said) > MOST:
        raise SubmissionRejected(
            gettext("That is longer than %(most)s characters. Shorten it; what you wrote is still here.", most=MOST)
        )
    return said


def contact_address(contact: str) -> str:
    """The mail address in whom to ask, however it is written there; empty when there is none."""
    _, alone = parseaddr(contact)
    found = ADDRESS.fullmatch(alone) or ADDRESS.search(contact)
    return found[0] if found else ""


def _letter(
    attempt: Attempt, submission: Submission, version: ChallengeVersion, made: Contest, address: str
) -> tuple[str, str]:
    """For somebody of staff: in English, with what the candidate wrote marked as theirs."""
    title = read_manifest(version).title
    rubric = read_rubric(version)
    about = rubric.criteria[made.criterion].title if made.criterion else "all of it"
    quoted = "\n".join(f"> {line}" for line in made.reason.split("\n"))
    where = f"\n{address}/staff/attempts/{attempt.id}\n" if address else ""
    return f"A candidate contests a grading: {title}", (
        f"Attempt {attempt.id}, submission {submission.number}\nChallenge: {title} {version.version}\n"
        f"About: {about}\n\n{quoted}\n{where}\nThe candidate was told that a person reads this and answers.\n"
    )
