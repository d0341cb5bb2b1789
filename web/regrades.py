"""Grades many submissions once more, shows who would change and by how much, and only then lets a person decide.

    start ──► gradings beside the old ones ──► preview ──► apply, or drop

Until it is applied no score changes. Afterwards nothing is lost either: the old gradings stay where they are.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum
from typing import Final

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, aliased

from graders import contract
from graders.rubric import Manifest, Rubric
from graders.scoring import CriterionScore, Score, score
from web import audit
from web.database import lock, now
from web.errors import Refused
from web.gradings import best_of, new_grading, read_manifest, read_rubric
from web.models import (
    Attempt,
    ChallengeVersion,
    Decision,
    Finding,
    Grading,
    GradingState,
    Purpose,
    Regrade,
    Submission,
    Urgency,
)

__all__ = [
    "Change",
    "Compared",
    "Preview",
    "State",
    "apply",
    "drop",
    "last_submissions",
    "preview",
    "start",
    "state_of",
]

AT_A_TIME: Final = 500  # ids in one statement


class State(StrEnum):
    RUNNING = "running"
    READY = "ready"  # for a person to decide
    APPLIED = "applied"
    DROPPED = "dropped"


# -------------------------------------------------------------------------------------------------------- starting


def last_submissions(session: Session, slug: str) -> list[str]:
    """What each attempt at this challenge handed in last: what one usually wants to grade again."""
    later = aliased(Submission)
    is_last = (
        ~select(later.id).where(later.attempt_id == Submission.attempt_id, later.number > Submission.number).exists()
    )
    of_slug = (
        select(Submission.id)
        .join(Attempt, Attempt.id == Submission.attempt_id)
        .join(ChallengeVersion, ChallengeVersion.digest == Attempt.challenge_digest)
        .where(ChallengeVersion.slug == slug, is_last)
    )
    return list(session.scalars(of_slug.order_by(Submission.received_at, Submission.id)))


def start(session: Session, slug: str, digest: str, submissions: Collection[str], reason: str, actor: str) -> Regrade:
    """Have these graded against the version `digest`, when nobody waits for anything more urgent."""
    chosen = list(dict.fromkeys(submissions))
    if not chosen:
        raise Refused(f"regrade: {slug}: no submission was chosen")
    if not reason.strip():
        raise Refused(f"regrade: {slug}: say why: whoever decides about it has to know")
    version = session.get(ChallengeVersion, digest)
    if version is None or version.slug != slug:
        raise Refused(f"regrade: {slug}: there is no published version {digest[:12]} of it")
    lock(session, f"regrade {slug}")  # a second click would start it twice
    found = _find(session, slug, chosen)
    _refuse_what_is_undecided(session, slug, chosen)
    at = now(session)
    regrade = Regrade(
        slug=slug, challenge_digest=digest, reason=reason.strip(), asked_by=actor, decision=Decision.UNDECIDED,
        created_at=at,
    )  # fmt: skip
    session.add(regrade)
    session.flush()
    session.add_all(
        new_grading(submission, attempt, version, Purpose.REGRADE, Urgency.BULK, at, regrade_id=regrade.id)
        for submission, attempt in found
    )
    audit.note(session, actor, "regrade.started", "regrade", regrade.id, digest=digest, submissions=len(chosen))
    return regrade


def _find(session: Session, slug: str, chosen: Sequence[str]) -> list[tuple[Submission, Attempt]]:
    found: dict[str, tuple[Submission, Attempt]] = {}
    for some in _some(chosen):
        rows = session.execute(
            select(Submission, Attempt)
            .join(Attempt, Attempt.id == Submission.attempt_id)
            .join(ChallengeVersion, ChallengeVersion.digest == Attempt.challenge_digest)
            .where(Submission.id.in_(some), ChallengeVersion.slug == slug)
        )
        found |= {submission.id: (submission, attempt) for submission, attempt in rows}
    missing = [one for one in chosen if one not in found]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise Refused(f"regrade: {slug}: {missing[0]}{more}: is no submission of this challenge")
    return [found[one] for one in chosen]


def _refuse_what_is_undecided(session: Session, slug: str, chosen: Sequence[str]) -> None:
    for some in _some(chosen):
        undecided = session.scalar(
            select(Regrade.id)
            .join(Grading, Grading.regrade_id == Regrade.id)
            .where(Regrade.decision == Decision.UNDECIDED, Grading.submission_id.in_(some))
            .limit(1)
        )
        if undecided is not None:
            raise Refused(f"regrade: {slug}: regrade {undecided} has some of these already: apply or drop it first")


def _some(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[place : place + AT_A_TIME] for place in range(0, len(ids), AT_A_TIME))


# ------------------------------------------------------------------------------------------------------ previewing


@dataclass(frozen=True, slots=True)
class Change:
    """One criterion, before and after. None: that version has no such criterion."""

    criterion: str
    old: CriterionScore | None
    new: CriterionScore | None


@dataclass(frozen=True, slots=True)
class Compared:
    submission: str
    attempt: str
    old: Score | None  # None: no grading of it ever came to a score
    new: Score
    changes: tuple[Change, ...]

    @property
    def moved(self) -> float:
        """By how many points, down if negative: at the end of the interval that moves more."""
        if self.old is None:
            return 0
        return max(self.new.low - self.old.low, self.new.high - self.old.high, key=abs)

    @property
    def changes_total(self) -> bool:
        return self.old is None or (self.old.low, self.old.high) != (self.new.low, self.new.high)

    @property
    def changes_band(self) -> bool:
        return self.old is None or self.old.bands != self.new.bands


@dataclass(frozen=True, slots=True)
class Preview:
    regrade: str
    state: State
    compared: tuple[Compared, ...]  # who moves most stands first
    running: int
    failed: int  # these keep the grading that they have

    @property
    def changed(self) -> tuple[Compared, ...]:
        return tuple(one for one in self.compared if one.changes_total)

    @property
    def changing_band(self) -> tuple[Compared, ...]:
        return tuple(one for one in self.compared if one.changes_band)

    @property
    def mean(self) -> float:
        """Points that those move who had a total and get another, up and down taken together."""
        moves = [one.moved for one in self.changed if one.old is not None]
        return fsum(moves) / len(moves) if moves else 0

    @property
    def largest(self) -> float:
        return max((one.moved for one in self.compared), key=abs, default=0)


def state_of(session: Session, regrade: Regrade) -> State:
    if regrade.decision is not Decision.UNDECIDED:
        return State(regrade.decision.value)
    return State.RUNNING if _open(session, regrade) else State.READY


def preview(session: Session, regrade_id: str) -> Preview:
    """What would change if it were applied now; when it was applied, what it changed compared to all others."""
    regrade = session.get(Regrade, regrade_id)
    if regrade is None:
        raise Refused(f"regrade {regrade_id}: there is none")
    mine = select(Grading.submission_id).where(Grading.regrade_id == regrade.id)
    new = {one.submission_id: one for one in session.scalars(_newest_of(regrade))}
    old = {
        one.submission_id: one for one in session.scalars(best_of(Grading.submission_id.in_(mine), beside=regrade.id))
    }
    attempts = dict(session.execute(select(Submission.id, Submission.attempt_id).where(Submission.id.in_(mine))).all())
    graded = {name: one for name, one in new.items() if one.state is GradingState.GRADED}
    scores = _Scores(session, [*graded.values(), *(old[name] for name in graded if name in old)])
    compared = [
        _compare(name, attempts[name], scores.of(old[name]) if name in old else None, scores.of(one))
        for name, one in graded.items()
    ]
    compared.sort(key=lambda one: (-abs(one.moved), one.submission))
    failed = sum(one.state is GradingState.FAILED for one in new.values())
    running = len(new) - len(graded) - failed
    state = State(regrade.decision.value) if regrade.decision is not Decision.UNDECIDED else None
    return Preview(regrade.id, state or (State.RUNNING if running else State.READY), tuple(compared), running, failed)


def _newest_of(regrade: Regrade) -> Select[Grading]:
    """One for each submission: where a failed one was sent again, the new one."""
    again = aliased(Grading)
    repeated = select(again.id).where(again.repeats_id == Grading.id).exists()
    return select(Grading).where(Grading.regrade_id == regrade.id, ~repeated)


def _compare(submission: str, attempt: str, old: Score | None, new: Score) -> Compared:
    before, after = _criteria(old), _criteria(new)
    changes = tuple(
        Change(key, before.get(key), after.get(key))
        for key in dict.fromkeys([*after, *before])
        if before.get(key) != after.get(key)
    )
    return Compared(submission, attempt, old, new, changes if old is not None else ())


def _criteria(total: Score | None) -> dict[str, CriterionScore]:
    return {one.key: one for part in total.parts for one in part.criteria} if total is not None else {}


class _Scores:
    """Totals of many gradings, each against the version that it was graded against."""

    def __init__(self, session: Session, gradings: Sequence[Grading]) -> None:
        digests = {one.challenge_digest for one in gradings}
        self._versions: dict[str, tuple[Manifest, Rubric]] = {}
        for version in session.scalars(select(ChallengeVersion).where(ChallengeVersion.digest.in_(digests))):
            self._versions[version.digest] = read_manifest(version), read_rubric(version)
        self._findings: dict[str, list[contract.Finding]] = defaultdict(list)
        for some in _some([one.id for one in gradings]):
            columns = select(Finding.grading_id, Finding.criterion, Finding.credit)
            for grading, criterion, credit in session.execute(columns.where(Finding.grading_id.in_(some))):
                # Only what counts is read: reasons and evidence are long, and a total does not look at them.
                self._findings[grading].append(
                    contract.Finding.model_construct(criterion=criterion, credit=credit, reason="")
                )

    def of(self, grading: Grading) -> Score:
        return score(*self._versions[grading.challenge_digest], self._findings[grading.id])


# -------------------------------------------------------------------------------------------------------- deciding


def apply(session: Session, regrade_id: str, actor: str) -> Regrade:
    """From now on its gradings are the ones that count."""
    return _decide(session, regrade_id, Decision.APPLIED, actor)


def drop(session: Session, regrade_id: str, actor: str) -> Regrade:
    """Its gradings never count. They are kept, to be looked at."""
    return _decide(session, regrade_id, Decision.DROPPED, actor)


def _decide(session: Session, regrade_id: str, decision: Decision, actor: str) -> Regrade:
    # Held until the end: of two people who decide at once, the second reads what the first decided.
    regrade = session.get(Regrade, regrade_id, with_for_update=True, populate_existing=True)
    if regrade is None:
        raise Refused(f"regrade {regrade_id}: there is none")
    if regrade.decision is not Decision.UNDECIDED:
        raise Refused(f"regrade {regrade_id}: was {regrade.decision} by {regrade.decided_by} already")
    running = _open(session, regrade)
    if running:
        raise Refused(f"regrade {regrade_id}: {running} of its gradings still run: decide when all have ended")
    graded = _count(session, regrade, Grading.state == GradingState.GRADED)
    if decision is Decision.APPLIED and not graded:
        raise Refused(f"regrade {regrade_id}: none of its gradings came to a score: there is nothing to apply")
    regrade.decision = decision
    regrade.decided_at = now(session)
    regrade.decided_by = actor
    audit.note(session, actor, f"regrade.{decision}", "regrade", regrade.id, gradings=graded)
    return regrade


def _open(session: Session, regrade: Regrade) -> int:
    return _count(session, regrade, Grading.finished_at.is_(None))


def _count(session: Session, regrade: Regrade, which: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count(Grading.id)).where(Grading.regrade_id == regrade.id, which)) or 0
