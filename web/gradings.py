"""What the portal decides about a grading: that it is wanted, what became of it, and which one counts.

    accept ──► waiting ──► sent ──► record ──► graded
                  ▲         │          └─────► failed, and a person is told ──► retry: a new one beside it
                  └─────────┘ our own fault, at most so many times

A grading is never overwritten. What a candidate's program did is a finding; whatever else goes wrong is the fault of
the challenge's author or of the operator, and never a score. web.relay sends what waits, and looks after what was sent.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from graders.contract import Fault, GradingReport
from graders.rubric import Judge, Manifest, Rubric
from web import audit
from web.database import now
from web.errors import Refused, SubmissionRejected
from web.models import (
    Attempt,
    ChallengeVersion,
    Decision,
    Finding,
    Grading,
    GradingState,
    Origin,
    Purpose,
    Regrade,
    Snapshot,
    Submission,
    Urgency,
    new_id,
)
from web.settings import GradingSettings

__all__ = [
    "Outcome",
    "Recorded",
    "Work",
    "accept",
    "best_of",
    "effective",
    "give_back",
    "give_up",
    "needing_a_person",
    "new_grading",
    "pause_after",
    "read_manifest",
    "read_rubric",
    "record",
    "retry",
]

PAUSES: Final = (timedelta(seconds=2), timedelta(seconds=10))  # after the first try that ended badly, and the others
RECORDER: Final = "recording worker"


# ------------------------------------------------------------------------------------------------------- accepting


@dataclass(frozen=True, slots=True)
class Work:
    """A tree that the store keeps already: bytes are made safe before anything speaks of them."""

    tree: str
    files: int
    bytes: int
    origin: Origin


def accept(session: Session, attempt_id: str, work: Work, key: str, *, urgency: Urgency = Urgency.NORMAL) -> Submission:
    """Take what was handed in, once for each `key`; when this is committed it will be graded, whatever dies.

    The key is the sender's. Whoever got no answer sends the same again, and gets what became of it the first time.
    """
    if not 1 <= len(key) <= 100 or not key.isprintable():
        raise SubmissionRejected("The key of a submission is 1 to 100 printable characters.")
    # Held until the end: two submissions of one attempt would both be number 3.
    attempt = session.get(Attempt, attempt_id, with_for_update=True)
    if attempt is None:
        raise SubmissionRejected("There is no such attempt.")
    known = session.scalar(select(Submission).where(Submission.attempt_id == attempt.id, Submission.key == key))
    if known is not None:
        if known.tree != work.tree:
            raise SubmissionRejected("Another submission was sent under this key. Send this one under a new key.")
        return known
    at = now(session)
    submission = Submission(
        attempt_id=attempt.id,
        snapshot_id=_snapshot(session, attempt, work, at).id,
        tree=work.tree,
        number=1 + (session.scalar(_last_number(attempt)) or 0),
        key=key,
        received_at=at,
    )
    session.add(submission)
    session.flush()
    version = session.get_one(ChallengeVersion, attempt.challenge_digest)
    grading = new_grading(submission, attempt, version, Purpose.FIRST, urgency, at)
    session.add(grading)
    audit.note(
        session, f"attempt {attempt.id}", "submission.accepted", "submission", submission.id,
        tree=work.tree, number=submission.number, grading=grading.id,
    )  # fmt: skip
    return submission


def _last_number(attempt: Attempt) -> Select[int]:
    return select(func.max(Submission.number)).where(Submission.attempt_id == attempt.id)


def _snapshot(session: Session, attempt: Attempt, work: Work, at: datetime) -> Snapshot:
    taken = select(Snapshot).where(Snapshot.attempt_id == attempt.id, Snapshot.tree == work.tree)
    known = session.scalar(taken.order_by(Snapshot.taken_at.desc()).limit(1))
    if known is not None:
        return known
    last = session.scalar(select(func.max(Snapshot.number)).where(Snapshot.attempt_id == attempt.id))
    snapshot = Snapshot(
        attempt_id=attempt.id,
        number=1 + (last or 0),
        tree=work.tree,
        files=work.files,
        bytes=work.bytes,
        origin=work.origin,
        taken_at=at,
    )
    session.add(snapshot)
    session.flush()
    return snapshot


def new_grading(
    submission: Submission,
    attempt: Attempt,
    version: ChallengeVersion,
    purpose: Purpose,
    urgency: Urgency,
    at: datetime,
    *,
    regrade_id: str | None = None,
    repeats_id: str | None = None,
) -> Grading:
    """One that waits; the session still has to be told."""
    return Grading(
        id=new_id(),
        submission_id=submission.id,
        challenge_digest=version.digest,
        purpose=purpose,
        regrade_id=regrade_id,
        repeats_id=repeats_id,
        candidate=attempt.candidate,
        grading_seconds=_seconds(attempt, version),
        urgency=urgency,
        created_at=at,
    )


def _seconds(attempt: Attempt, version: ChallengeVersion) -> int:
    """What the manifest allows the grader, and the worker if it has to calibrate the form of another version anew."""
    seconds: int = version.manifest["grading_seconds"]
    if attempt.challenge_digest != version.digest:
        seconds += read_manifest(version).calibration_seconds
    return seconds


# ------------------------------------------------------------------------------------------------------- recording


class Outcome(StrEnum):
    GRADED = "graded"
    DONE = "done"  # not a grading: a check has run, a form is made
    FAILED = "failed"
    AGAIN = "again"  # our own fault: it waits for another try
    LATE = "late"  # another try is under way, or has been recorded


@dataclass(frozen=True, slots=True)
class Recorded:
    outcome: Outcome
    sentence: str  # for the log; when it failed, for a person


def record(session: Session, report: GradingReport, settings: GradingSettings) -> Recorded:
    """Write down what a worker reported, if it is the try that we wait for. Twice is as good as once."""
    # Held until the end: the clock may be giving this try up at this very moment, and only one of us may.
    grading = session.get(Grading, report.grading, with_for_update=True, populate_existing=True)
    if grading is None:
        return Recorded(Outcome.LATE, f"grading {report.grading}: there is none; its report is dropped")
    if grading.state is not GradingState.SENT or grading.fence != report.fence:
        grading.late_reports += 1
        what = f"try {report.fence} reports, and it is {grading.state} at try {grading.fence}"
        return Recorded(Outcome.LATE, f"grading {grading.id}: {what}; the report is dropped")
    at = now(session)
    grading.provenance = report.provenance.model_dump(mode="json") if report.provenance else None
    if report.failure is not None and report.failure.fault_of is Fault.AUTHOR:
        return Recorded(Outcome.FAILED, give_up(session, grading, Fault.AUTHOR, report.failure.message, at, RECORDER))
    version = session.get_one(ChallengeVersion, grading.challenge_digest)
    why = report.failure.message if report.failure is not None else _mistake(report, version)
    if why:
        pause = pause_after(grading.tries, settings)
        if pause is None:
            return Recorded(Outcome.FAILED, give_up(session, grading, Fault.OPERATOR, why, at, RECORDER))
        return Recorded(Outcome.AGAIN, give_back(grading, why, at + pause))
    for position, finding in enumerate(report.findings, 1):
        session.add(
            Finding(
                grading_id=grading.id,
                position=position,
                criterion=finding.criterion,
                credit=finding.credit,
                reason=_storable(finding.reason),
                evidence=[piece.model_dump(mode="json") for piece in finding.evidence],
            )
        )
    grading.failure = None
    _leave(grading, GradingState.GRADED, at)
    audit.note(session, RECORDER, "grading.graded", "grading", grading.id, fence=grading.fence, digest=version.digest)
    return Recorded(Outcome.GRADED, f"grading {grading.id}: recorded {len(report.findings)} findings")


def _mistake(report: GradingReport, version: ChallengeVersion) -> str:
    """Why these findings cannot be those of this version. A worker of another version, or no worker of ours."""
    if report.provenance is None:
        return "the report does not say how it was graded"
    if report.provenance.challenge_digest != version.digest:
        return f"graded against {report.provenance.challenge_digest[:12]}, not {version.digest[:12]} as it was asked"
    due = {key for key, one in read_rubric(version).criteria.items() if one.judged_by is Judge.TESTS}
    told = Counter(finding.criterion for finding in report.findings)
    mistakes = {
        "missing": sorted(due - told.keys()),
        "not asked for": sorted(told.keys() - due),
        "told twice": sorted(key for key, times in told.items() if times > 1),
    }
    words = [f"{mistake}: {', '.join(keys)[:200]}" for mistake, keys in mistakes.items() if keys]
    return f"the findings are not those of {version.slug} {version.version}: {'; '.join(words)}" if words else ""


def _storable(sentence: str) -> str:
    return sentence.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL has no text with a NUL in it


# ---------------------------------------------------------------------------------------------- tries that end badly


def pause_after(tries: int, settings: GradingSettings) -> timedelta | None:
    """How long to wait after one more bad try than `tries`; None when that was the last."""
    return PAUSES[min(tries, len(PAUSES) - 1)] if tries + 1 < settings.tries else None


def give_back(grading: Grading, why: str, not_before: datetime, *, counted: bool = True) -> str:
    """It waits again. Not counted: nobody has begun it, its bell was lost."""
    grading.tries += counted
    grading.failure = _storable(why)
    grading.not_before = not_before
    grading.state = GradingState.WAITING
    grading.lease_until = grading.alive_at = None
    return f"grading {grading.id}: try {grading.fence}: {grading.failure}; it is sent again"


def give_up(session: Session, grading: Grading, fault: Fault, why: str, at: datetime, actor: str) -> str:
    """No score comes of it. Gives the sentence that a person has to be told."""
    grading.tries += fault is Fault.OPERATOR
    grading.failure = _storable(why)
    grading.fault_of = fault
    _leave(grading, GradingState.FAILED, at)
    audit.note(
        session, actor, "grading.needs_a_person", "grading", grading.id,
        fault_of=fault.value, message=grading.failure, tries=grading.tries, fence=grading.fence,
    )  # fmt: skip
    mend = "the challenge's author has to mend it" if fault is Fault.AUTHOR else f"given up after {grading.tries} tries"
    return f"grading {grading.id} needs a person: {mend}: {grading.failure}"


def _leave(grading: Grading, state: GradingState, at: datetime) -> None:
    grading.state = state
    grading.finished_at = at
    grading.lease_until = grading.not_before = None


# ------------------------------------------------------------------------------------------- what counts, what waits


def best_of(wanted: ColumnElement[bool], *, beside: str | None = None) -> Select[Grading]:
    """For each submission of the gradings that are `wanted`, the one that counts: what was decided last.

    A regrade is decided when somebody applies it, any other grading when it ends. `beside`: a regrade to leave out.
    """
    decided = func.coalesce(Regrade.decided_at, Grading.finished_at)
    place = func.row_number().over(
        partition_by=Grading.submission_id, order_by=(decided.desc(), Grading.finished_at.desc(), Grading.id)
    )
    counts = or_(Grading.regrade_id.is_(None), Regrade.decision == Decision.APPLIED)
    ranked = select(Grading.id, place.label("place")).outerjoin(Regrade, Regrade.id == Grading.regrade_id)
    ranked = ranked.where(wanted, counts, Grading.state == GradingState.GRADED)
    if beside is not None:
        ranked = ranked.where(Grading.regrade_id.is_distinct_from(beside))
    best = ranked.subquery()
    return select(Grading).join(best, best.c.id == Grading.id).where(best.c.place == 1)


def effective(session: Session, submission_id: str) -> Grading | None:
    """The grading that counts for this submission; None while there is none."""
    return session.scalar(best_of(Grading.submission_id == submission_id))


def needing_a_person(session: Session, most: int = 1000) -> list[Grading]:
    """Failed, and nobody has done anything about it yet; the oldest first."""
    again = aliased(Grading)
    other = aliased(Grading)
    repeated = select(again.id).where(again.repeats_id == Grading.id).exists()
    decided = (
        select(Regrade.id).where(Regrade.id == Grading.regrade_id, Regrade.decision != Decision.UNDECIDED).exists()
    )
    replaced = (
        select(other.id)
        .join(Regrade, Regrade.id == other.regrade_id)
        .where(
            other.submission_id == Grading.submission_id,
            other.state == GradingState.GRADED,
            Regrade.decision == Decision.APPLIED,
            Regrade.decided_at > Grading.finished_at,
        )
        .exists()
    )
    failed = select(Grading).where(Grading.fault_of.is_not(None), ~repeated, ~decided, ~replaced)
    return list(session.scalars(failed.order_by(Grading.finished_at, Grading.id).limit(most)))


def retry(session: Session, grading_id: str, actor: str, *, urgency: Urgency = Urgency.NORMAL) -> Grading:
    """A person has it graded again, after mending what was broken: a new grading beside the failed one."""
    failed = session.get(Grading, grading_id, with_for_update=True, populate_existing=True)
    if failed is None:
        raise Refused(f"grading {grading_id}: there is none")
    if failed.state is not GradingState.FAILED:
        raise Refused(f"grading {grading_id}: is {failed.state}: only a failed one can be sent again")
    if session.scalar(select(Grading.id).where(Grading.repeats_id == failed.id)):
        raise Refused(f"grading {grading_id}: has been sent again already")
    if failed.regrade_id is not None:
        regrade = session.get_one(Regrade, failed.regrade_id, with_for_update=True, populate_existing=True)
        if regrade.decision is not Decision.UNDECIDED:
            raise Refused(f"grading {grading_id}: its regrade was {regrade.decision}: start a new one")
    submission = session.get_one(Submission, failed.submission_id)
    grading = new_grading(
        submission,
        session.get_one(Attempt, submission.attempt_id),
        session.get_one(ChallengeVersion, failed.challenge_digest),
        Purpose.AGAIN,
        urgency,
        now(session),
        regrade_id=failed.regrade_id,
        repeats_id=failed.id,
    )
    session.add(grading)
    audit.note(session, actor, "grading.sent_again", "grading", grading.id, repeats=failed.id)
    return grading


def read_manifest(version: ChallengeVersion) -> Manifest:
    return Manifest.model_validate_json(json.dumps(version.manifest))


def read_rubric(version: ChallengeVersion) -> Rubric:
    return Rubric.model_validate_json(json.dumps(version.rubric))
