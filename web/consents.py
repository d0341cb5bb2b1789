"""What a candidate agrees to before the start: the words, their version, and who accepted them when.

    statement() ──► shown on the page, with the hash of its words ──► accept ──► accepted, and Start is free

The hash that comes back says which words were on the page. Whoever changes a word raises VERSION (a test sees to that),
and then everybody who has not started is asked again: nobody has agreed to what they never saw.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from web import audit
from web.database import now
from web.errors import Refused
from web.models import Attempt, Consent
from web.speech import gettext

__all__ = ["VERSION", "Section", "Statement", "accept", "accepted", "demand", "statement"]

VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title: str
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    version: str
    sections: tuple[Section, ...]

    @property
    def hash(self) -> str:
        """Of every word, in the language in which it is shown."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def statement() -> Statement:
    """In the language of this request."""
    return Statement(VERSION, (_tools(), _work(), _kept(), _agreed()))


def _tools() -> Section:
    return Section(
        "tools",
        gettext("Tools, and AI"),
        (
            gettext("Use whatever you would use at work: search, documentation, libraries, AI assistants."),
            gettext(
                "You answer for what you hand in: in a conversation later you will be asked how it works, and why you "
                "chose it."
            ),
            gettext(
                "The work is yours alone: please get no help from other people, and publish neither the challenge nor "
                "your solution."
            ),
        ),
    )


def _work() -> Section:
    return Section(
        "work",
        gettext("Your work stays yours"),
        (
            gettext("You keep all rights to what you write here."),
            gettext(
                "The employer who invited you may run it, read it and keep it for one purpose: to decide about your "
                "application, and to show how that was decided. It is not used in a product, and no model is trained "
                "with it."
            ),
        ),
    )


def _kept() -> Section:
    return Section(
        "kept",
        gettext("What is kept, and who sees it"),
        (
            gettext(
                "Kept are your name and e-mail address, what you save and hand in and when, the name that your browser "
                "gives itself, your time zone, and what your work earned and why."
            ),
            gettext(
                "There is no camera, no recording of your screen, and nothing that watches your keys or your clipboard."
            ),
            gettext(
                "People who take part in this hiring see it, and each look at your work is written down. Where the "
                "employer has a language model read a written answer, that answer is sent there without your name."
            ),
            gettext(
                "Ask the person named on this page what is kept about you, how long, and to have it corrected or "
                "deleted. You may take this agreement back at any time: what was done until then stays lawful."
            ),
        ),
    )


def _agreed() -> Section:
    return Section(
        "agreed",
        gettext("What you agree to"),
        (
            gettext(
                "You agree that your work is graded by programs and read by people as described here. Nobody is turned "
                "away by a program: a named person decides, and gives the reason."
            ),
            gettext("You may withdraw whenever you like, before the start and after it, without giving a reason."),
        ),
    )


def accepted(session: Session, attempt: Attempt) -> Consent | None:
    """The agreement that covers this attempt; None while somebody still has to be asked.

    One's practice is covered by what was agreed to for the real attempt, and the other way round.
    """
    mine = Consent.attempt_id == attempt.id
    if attempt.application_id is not None:
        mine = Consent.attempt_id.in_(select(Attempt.id).where(Attempt.application_id == attempt.application_id))
    newest = select(Consent).where(mine, Consent.version == VERSION).order_by(Consent.at.desc())
    return session.scalar(newest.limit(1))


def accept(session: Session, attempt: Attempt, text_hash: str, browser: str) -> Consent:
    """`text_hash` is of the words that were on the page. Accepted twice it is accepted once."""
    shown = statement()
    if text_hash != shown.hash:
        raise Refused(gettext("These words have changed since you opened the page. Please read them once more."))
    session.get_one(Attempt, attempt.id, with_for_update=True)  # two presses in one moment make one row
    known = accepted(session, attempt)
    if known is not None:
        return known
    consent = Consent(
        attempt_id=attempt.id,
        version=shown.version,
        text_hash=shown.hash,
        locale=attempt.locale,
        browser=browser[:300],
        at=now(session),
    )
    session.add(consent)
    session.flush()
    audit.note(
        session, f"attempt {attempt.id}", "consent.accepted", "attempt", attempt.id,
        version=shown.version, text_hash=shown.hash,
    )  # fmt: skip
    return consent


def demand(session: Session, attempt: Attempt) -> None:
    """Nothing begins before somebody has agreed."""
    if accepted(session, attempt) is None:
        raise Refused(gettext("Please read what you agree to first, and say that you do. Your clock has not started."))
