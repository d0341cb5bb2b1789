"""A candidate's clock: when it may start, when it ends, and what is added to it.

    early ──► ready ──► running ──► ended          (ready and nobody starts: missed; a candidate may withdraw)

All time is the database's. A clock is two moments, so neither a reload nor our own restart can lose it; what is added
to it is a row with a reason, and never taken back. *A request that reached us in time counts*, however long it then
waited for one of our threads, so whatever asks about the clock says when its request arrived.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Final

from sqlalchemy import Executable, bindparam, func, select, update
from sqlalchemy.orm import Session

from web import audit
from web.database import now
from web.errors import Refused, SubmissionRejected
from web.gradings import read_manifest
from web.models import AddedTime, Application, Attempt, AttemptKind, ChallengeVersion, Form, FormState, new_id
from web.speech import gettext

__all__ = [
    "ARRIVING",
    "Phase",
    "Standing",
    "TooLate",
    "add_time",
    "added",
    "change_multiplier",
    "invite",
    "may_write",
    "open_practice",
    "overdue",
    "phase",
    "practise",
    "speak_to",
    "standing",
    "start",
    "withdraw",
]

# Requests that arrived before a clock ended may still be at work, an upload for instance. Until then nobody takes the
# last saved state for the last.
ARRIVING: Final = timedelta(seconds=35)
MOST_MULTIPLIER: Final = 4.0
MOST_PRACTICES: Final = 30  # of one application
MOST_ADDED: Final = timedelta(days=2)


class TooLate(SubmissionRejected):
    """The time was over when the request arrived. What was saved before stays, and is handed in."""


class Phase(StrEnum):
    EARLY = "early"  # its window has not opened
    READY = "ready"
    RUNNING = "running"
    CLOSING = "closing"  # its time is over, and what arrived before is still being taken in
    ENDED = "ended"
    MISSED = "missed"  # its window closed before it was started
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Standing:
    """How an attempt stands at one moment."""

    phase: Phase
    at: datetime
    ends_at: datetime | None
    length: timedelta  # all the time that there is, with what was added

    @property
    def seconds_left(self) -> float:
        if self.ends_at is None:
            return self.length.total_seconds()
        return max(0.0, (self.ends_at - self.at).total_seconds())


def standing(session: Session, attempt: Attempt, at: datetime) -> Standing:
    length = timedelta(minutes=attempt.minutes * attempt.multiplier, seconds=added(session, attempt.id))
    return Standing(phase(attempt, at), at, attempt.ends_at, length)


def phase(attempt: Attempt, at: datetime) -> Phase:
    if attempt.withdrawn_at is not None:
        return Phase.WITHDRAWN
    if attempt.ended_at is not None:
        return Phase.ENDED
    if attempt.ends_at is not None:
        return Phase.RUNNING if at <= attempt.ends_at else Phase.CLOSING
    if attempt.opens_at is not None and at < attempt.opens_at:
        return Phase.EARLY
    if attempt.closes_at is not None and at > attempt.closes_at:
        return Phase.MISSED
    return Phase.READY


def added(session: Session, attempt_id: str) -> float:
    """Seconds."""
    total = select(func.sum(AddedTime.seconds)).where(AddedTime.attempt_id == attempt_id)
    return float(session.scalar(total) or 0)


# ------------------------------------------------------------------------------------------------------- beginning


def invite(
    session: Session,
    application: Application,
    version: ChallengeVersion,
    actor: str,
    *,
    multiplier: float = 1.0,
    opens_at: datetime | None = None,
    closes_at: datetime | None = None,
    feedback: bool = True,
    contact: str = "",
    locale: str = "en",
) -> Attempt:
    """A candidate's attempt at this version. It has a form as soon as there is one."""
    _check_multiplier(multiplier)
    if opens_at is not None and closes_at is not None and closes_at <= opens_at:
        raise Refused("attempt: the window closes before it opens")
    attempt = _new_attempt(session, version, AttemptKind.TAKE_HOME, application)
    attempt.multiplier, attempt.feedback, attempt.contact = multiplier, feedback, contact
    attempt.opens_at, attempt.closes_at, attempt.locale = opens_at, closes_at, locale
    session.flush()
    audit.note(session, actor, "attempt.invited", "attempt", attempt.id, challenge=version.slug, digest=version.digest)
    return attempt


def practise(session: Session, like: Attempt, version: ChallengeVersion) -> Attempt:
    """A go at a challenge that counts for nothing, with the same accommodation; as often as somebody likes.

    While one is open it is that one, however often the button is pressed: each has a form that a worker had to make.
    """
    application = session.get(Application, like.application_id, with_for_update=True) if like.application_id else None
    if (open_one := open_practice(session, like)) is not None:
        return open_one
    mine = select(func.count()).where(
        Attempt.application_id == like.application_id, Attempt.kind == AttemptKind.PRACTICE
    )
    if (session.scalar(mine) or 0) >= MOST_PRACTICES:
        raise Refused(gettext("You have practised %(most)s times, which has to be enough.", most=MOST_PRACTICES))
    attempt = _new_attempt(session, version, AttemptKind.PRACTICE, application)
    attempt.multiplier, attempt.locale, attempt.time_zone = like.multiplier, like.locale, like.time_zone
    attempt.feedback, attempt.contact = True, like.contact
    session.flush()
    audit.note(session, f"attempt {like.id}", "attempt.practised", "attempt", attempt.id, challenge=version.slug)
    return attempt


def open_practice(session: Session, like: Attempt) -> Attempt | None:
    """A practice of the same candidate's that has not ended."""
    if like.application_id is None:
        return None
    mine = select(Attempt).where(
        Attempt.application_id == like.application_id,
        Attempt.kind == AttemptKind.PRACTICE,
        Attempt.ended_at.is_(None),
    )
    return session.scalar(mine.order_by(Attempt.created_at.desc()).limit(1))


def speak_to(session: Session, attempt: Attempt, locale: str) -> None:
    """Speak to this candidate in that language, in their practice as in what counts."""
    mine = Attempt.id == attempt.id
    if attempt.application_id is not None:
        mine = Attempt.application_id == attempt.application_id
    session.execute(update(Attempt).where(mine).values(locale=locale))


def _new_attempt(
    session: Session, version: ChallengeVersion, kind: AttemptKind, application: Application | None
) -> Attempt:
    at = now(session)
    attempt = Attempt(
        id=new_id(),
        application_id=application.id if application else None,
        kind=kind,
        challenge_digest=version.digest,
        form_id=_take_form(session, version, at).id,
        minutes=read_manifest(version).minutes,
        created_at=at,
    )
    session.add(attempt)
    return attempt


def _take_form(session: Session, version: ChallengeVersion, at: datetime) -> Form:
    """One that is made already, else one that a worker will be asked to make at the clock's next turn."""
    free = select(Form).where(Form.challenge_digest == version.digest, Form.state == FormState.POOL)
    form = session.scalar(free.order_by(Form.created_at).limit(1).with_for_update(skip_locked=True))
    if form is not None:
        form.state = FormState.ISSUED
        return form
    form = Form(challenge_digest=version.digest, reference=new_id(), state=FormState.MAKING, created_at=at)
    session.add(form)
    session.flush()
    return form


def start(session: Session, attempt_id: str, arrived_at: datetime) -> Attempt:
    """The clock runs from now on. Pressed twice it is started once; asked again it is what it was."""
    attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    if attempt.started_at is not None:
        return attempt
    match phase(attempt, arrived_at):
        case Phase.EARLY:
            raise Refused(gettext("It cannot be started yet: its window has not opened."))
        case Phase.MISSED:
            raise Refused(
                gettext("It can no longer be started: its window has closed. Write to the person named on this page.")
            )
        case Phase.WITHDRAWN:
            raise Refused(gettext("You have withdrawn. Write to the person named on this page if that was a mistake."))
    form = session.get_one(Form, attempt.form_id)
    if form.bundle is None:
        raise Refused(gettext("Your files are still being made. Your clock has not started; try again in a minute."))
    at = now(session)
    attempt.started_at = at
    attempt.ends_at = at + timedelta(minutes=attempt.minutes * attempt.multiplier, seconds=added(session, attempt.id))
    audit.note(session, f"attempt {attempt.id}", "attempt.started", "attempt", attempt.id)
    return attempt


def withdraw(session: Session, attempt_id: str) -> Attempt:
    """The candidate does not go on. Nothing is graded."""
    attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    if attempt.withdrawn_at is None and attempt.ended_at is None:
        attempt.withdrawn_at = attempt.ended_at = now(session)
        audit.note(session, f"attempt {attempt.id}", "attempt.withdrawn", "attempt", attempt.id)
    return attempt


# -------------------------------------------------------------------------------------------------------- the clock


def may_write(session: Session, attempt_id: str, arrived_at: datetime) -> Attempt:
    """The attempt, held until the end of the transaction, if what arrived then may still be kept."""
    attempt: Attempt = session.scalars(_held(), {"attempt": attempt_id}).one()
    match phase(attempt, arrived_at):
        case Phase.RUNNING:
            return attempt
        case Phase.CLOSING:
            raise TooLate(gettext("Your time was over when this reached us. What you had saved by then is handed in."))
        case Phase.ENDED:
            raise TooLate(
                gettext("You have handed in already. What you handed in counts, and nothing can be added to it.")
            )
        case Phase.WITHDRAWN:
            raise TooLate(gettext("You have withdrawn, so nothing more is kept."))
    raise SubmissionRejected(gettext("Your clock has not started yet. Start it first."))


@cache
def _held() -> Executable:
    """Built once, since every save begins with it."""
    mine = select(Attempt).where(Attempt.id == bindparam("attempt")).with_for_update()
    return mine.execution_options(populate_existing=True)


def add_time(session: Session, attempt_id: str, added_time: timedelta, cause: str, why: str, actor: str) -> bool:
    """Once for each cause; False when it was added before. It unlocks an attempt that the clock has not ended yet.

    Also one that the clock has ended: what was handed in then stays a submission, and another can follow.
    """
    seconds = added_time.total_seconds()
    if not 0 < seconds <= MOST_ADDED.total_seconds():
        raise Refused(f"time: {seconds:g} seconds: add more than none, and at most two days")
    attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    known = select(AddedTime.id).where(AddedTime.attempt_id == attempt.id, AddedTime.cause == cause)
    if session.scalar(known) is not None:
        return False
    if attempt.withdrawn_at is not None:
        raise Refused("time: the candidate has withdrawn")
    at = now(session)
    session.add(AddedTime(attempt_id=attempt.id, cause=cause, seconds=seconds, why=why, added_by=actor, at=at))
    if attempt.ends_at is not None:
        # Minutes that are given after the end count from the moment in which they are given.
        attempt.ends_at = max(attempt.ends_at, at if attempt.ended_at else attempt.ends_at) + added_time
        attempt.ended_at = None
    session.flush()
    audit.note(session, actor, "attempt.time_added", "attempt", attempt.id, seconds=seconds, cause=cause)
    return True


def change_multiplier(session: Session, attempt_id: str, multiplier: float, actor: str) -> None:
    """An accommodation. Only before the start: afterwards minutes are added."""
    _check_multiplier(multiplier)
    attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    if attempt.started_at is not None:
        raise Refused("multiplier: the clock runs already: add minutes instead")
    attempt.multiplier = multiplier
    audit.note(session, actor, "attempt.multiplier_changed", "attempt", attempt.id, multiplier=multiplier)


def move_window(session: Session, attempt_id: str, closes_at: datetime, actor: str) -> None:
    """Until when it may be started. Only before the start; a window that has closed opens again."""
    attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    if attempt.withdrawn_at is not None:
        raise Refused("window: the candidate has withdrawn")
    if attempt.started_at is not None:
        raise Refused("window: the clock runs already: add minutes instead")
    at = now(session)
    if closes_at <= max(at, attempt.opens_at or at):
        raise Refused("window: it would be closed before anybody can start: give more time")
    attempt.closes_at = closes_at
    audit.note(session, actor, "attempt.window_moved", "attempt", attempt.id, closes_at=closes_at.isoformat())


def _check_multiplier(multiplier: float) -> None:
    if not 1.0 <= multiplier <= MOST_MULTIPLIER:
        raise Refused(f"multiplier: {multiplier:g}: must be from 1 to {MOST_MULTIPLIER:g}")


def overdue(session: Session, at: datetime) -> list[str]:
    """Attempts whose time is over, and for which nothing that arrived in time can still be on its way."""
    running = select(Attempt.id).where(Attempt.ends_at.is_not(None), Attempt.ended_at.is_(None))
    return list(session.scalars(running.where(Attempt.ends_at <= at - ARRIVING).order_by(Attempt.ends_at).limit(100)))
