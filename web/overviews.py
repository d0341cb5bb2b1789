"""What those who work here see of candidates' attempts: all of them in a list, and everything about one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from web import gradings
from web.attempts import Standing, standing
from web.database import now
from web.models import (
    AddedTime,
    Application,
    Attempt,
    AttemptKind,
    BrowserSession,
    ChallengeVersion,
    Contest,
    Grading,
    GradingState,
    Link,
    Person,
    Role,
    Snapshot,
    Submission,
)

__all__ = ["PAGE", "Overview", "Summary", "challenges", "listed", "overview", "roles"]

PAGE: Final = 50
GRADED: Final = {
    GradingState.WAITING: "waits for a grading worker",
    GradingState.SENT: "is being graded",
    GradingState.GRADED: "graded",
    GradingState.FAILED: "could not be graded: an operator is told",
}


@dataclass(frozen=True, slots=True)
class Summary:
    attempt: Attempt
    person: Person
    role: Role
    title: str
    standing: Standing
    contested: bool


@dataclass(frozen=True, slots=True)
class HandedIn:
    submission: Submission
    files: int
    bytes: int
    state: str  # in words
    contest: Contest | None
    about: str  # title of the criterion that is contested; empty: all of it


@dataclass(frozen=True, slots=True)
class WayIn:
    """A link, without its secret, which nobody has any more but who was sent it."""

    link: Link
    state: str


@dataclass(frozen=True, slots=True)
class Overview:
    summary: Summary
    version: ChallengeVersion
    links: list[WayIn]
    browsers: int  # that are in now
    added: list[AddedTime]
    saved: int
    last_saved_at: datetime | None
    submissions: list[HandedIn]


def listed(session: Session, find: str = "", page: int = 0) -> tuple[list[Summary], bool]:
    """The newest first, and whether there are more. `find` is a part of a name, an address or a role."""
    asked = _take_homes().order_by(Attempt.created_at.desc(), Attempt.id)
    if wanted := find.strip().lower():
        columns = (Person.name, Person.email, Role.title)
        asked = asked.where(or_(*(func.lower(column).contains(wanted, autoescape=True) for column in columns)))
    rows = session.execute(asked.offset(page * PAGE).limit(PAGE + 1)).all()
    at = now(session)
    return [_summary(session, *row, at) for row in rows[:PAGE]], len(rows) > PAGE


def _take_homes() -> Select[*tuple[Attempt, Person, Role, ChallengeVersion, bool]]:
    contests = select(Contest.id).join(Submission, Submission.id == Contest.submission_id)
    return (
        select(Attempt, Person, Role, ChallengeVersion, contests.where(Submission.attempt_id == Attempt.id).exists())
        .join(Application, Application.id == Attempt.application_id)
        .join(Person, Person.id == Application.person_id)
        .join(Role, Role.id == Application.role_id)
        .join(ChallengeVersion, ChallengeVersion.digest == Attempt.challenge_digest)
        .where(Attempt.kind == AttemptKind.TAKE_HOME)
    )


def _summary(
    session: Session,
    attempt: Attempt,
    person: Person,
    role: Role,
    version: ChallengeVersion,
    contested: bool,
    at: datetime,
) -> Summary:
    return Summary(attempt, person, role, str(version.manifest["title"]), standing(session, attempt, at), contested)


def overview(session: Session, attempt_id: str) -> Overview | None:
    """None when there is no such attempt, or when it is practice or nobody's."""
    row = session.execute(_take_homes().where(Attempt.id == attempt_id)).first()
    if row is None:
        return None
    attempt, _, _, version, _ = row
    at = now(session)
    mine = BrowserSession.attempt_id == attempt.id
    inside = select(func.count()).where(mine, BrowserSession.ended_at.is_(None), BrowserSession.expires_at > at)
    work = select(func.count(), func.max(Snapshot.taken_at)).where(Snapshot.attempt_id == attempt.id)
    saved, last_saved_at = session.execute(work).one()
    links = select(Link).where(Link.attempt_id == attempt.id).order_by(Link.created_at.desc())
    added = select(AddedTime).where(AddedTime.attempt_id == attempt.id).order_by(AddedTime.at)
    return Overview(
        summary=_summary(session, *row, at),
        version=version,
        links=[WayIn(link, _state_of(link, at)) for link in session.scalars(links)],
        browsers=session.scalar(inside) or 0,
        added=list(session.scalars(added)),
        saved=saved,
        last_saved_at=last_saved_at,
        submissions=_handed_in(session, attempt, version),
    )


def _state_of(link: Link, at: datetime) -> str:
    if link.revoked_at is not None:
        return "revoked"
    if at > link.expires_at:
        return "expired"
    return "opened" if link.claimed_at is not None else "not opened yet"


def _handed_in(session: Session, attempt: Attempt, version: ChallengeVersion) -> list[HandedIn]:
    asked = (
        select(Submission, Snapshot, Contest)
        .join(Snapshot, Snapshot.id == Submission.snapshot_id)
        .outerjoin(Contest, Contest.submission_id == Submission.id)
        .where(Submission.attempt_id == attempt.id)
        .order_by(Submission.number.desc())
    )
    titles = {name: criterion.title for name, criterion in gradings.read_rubric(version).criteria.items()}
    return [
        HandedIn(
            submission, snapshot.files, snapshot.bytes, _grading_state(session, submission.id), contest,
            titles.get(contest.criterion, contest.criterion) if contest else "",
        )
        for submission, snapshot, contest in session.execute(asked)
    ]  # fmt: skip


def _grading_state(session: Session, submission_id: str) -> str:
    counts = gradings.effective(session, submission_id)
    newest = select(Grading).where(Grading.submission_id == submission_id).order_by(Grading.created_at.desc()).limit(1)
    found = counts or session.scalar(newest)
    return GRADED[found.state] if found is not None else "waits for a grading worker"


def roles(session: Session) -> list[str]:
    """Titles, to choose from."""
    return list(session.scalars(select(Role.title).distinct().order_by(Role.title)))


def challenges(session: Session) -> list[tuple[str, str]]:
    """Slug and title of the newest version of each that is published."""
    newest = select(ChallengeVersion).order_by(ChallengeVersion.published_at)
    found = {version.slug: str(version.manifest["title"]) for version in session.scalars(newest)}
    return sorted(found.items())
