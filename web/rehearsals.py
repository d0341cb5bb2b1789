"""Submissions that are nobody's: an author or an operator tries the whole way that a candidate's takes."""

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from graders.contract import Finding, GradingReport, Provenance
from graders.rubric import Judge
from web import audit, gradings
from web.challenges import newest
from web.database import Database, DatabaseUnavailable, now
from web.errors import Refused
from web.models import (
    Attempt,
    AttemptKind,
    ChallengeVersion,
    Form,
    FormState,
    Grading,
    GradingState,
    Origin,
    Urgency,
    new_id,
)
from web.settings import GradingSettings


@dataclass(frozen=True, slots=True)
class Rehearsal:
    submission_id: str
    grading_id: str
    version: ChallengeVersion


def published(session: Session, slug: str) -> ChallengeVersion:
    """The version that a rehearsal is graded by."""
    version = newest(session, slug)
    if version is None:
        known = ", ".join(session.scalars(select(ChallengeVersion.slug).distinct().order_by(ChallengeVersion.slug)))
        raise Refused(f"challenge: {slug}: is not published; {known or 'nothing'} is: run `assay publish`")
    return version


def rehearse(session: Session, slug: str, work: gradings.Work) -> Rehearsal:
    """Hand something in, on a form of its own. It is graded before those that nobody waits for."""
    version = published(session, slug)
    at = now(session)
    ready = _calibrated_form(session, version)
    form = ready or Form(challenge_digest=version.digest, reference=new_id(), created_at=at)
    form.state = FormState.ISSUED
    session.add(form)
    session.flush()
    attempt = Attempt(
        kind=AttemptKind.REHEARSAL, challenge_digest=version.digest, form_id=form.id, started_at=at, created_at=at
    )
    session.add(attempt)
    session.flush()
    submission = gradings.accept(session, attempt.id, work, new_id(), urgency=Urgency.AWAITED)
    grading = session.scalars(select(Grading).where(Grading.submission_id == submission.id)).one()
    if ready is None:  # then the grading worker calibrates the form, if there is anything to calibrate
        grading.grading_seconds += gradings.read_manifest(version).calibration_seconds
    return Rehearsal(submission.id, grading.id, version)


def _calibrated_form(session: Session, version: ChallengeVersion) -> Form | None:
    """One of the pool, if its challenge calibrates forms: it might refuse one that was made up here."""
    free = select(Form).where(
        Form.challenge_digest == version.digest, Form.state == FormState.POOL, Form.calibration.is_not(None)
    )
    return session.scalar(free.order_by(Form.created_at).limit(1).with_for_update(skip_locked=True))


class _TakenBack(Exception):
    """Ends a transaction that nobody shall ever see."""


def warm_up(database: Database, settings: GradingSettings) -> None:
    """Record what was never graded, and take all of it back.

    A recorder's horse lives for one report. Compiling its statements would take most of its time; it inherits those
    that its parent has compiled.
    """
    with suppress(_TakenBack, DatabaseUnavailable), database.transaction() as session:
        version = session.scalar(select(ChallengeVersion).limit(1))
        if version is None:
            return
        made_up = rehearse(session, version.slug, gradings.Work("0" * 64, 0, 0, Origin.REHEARSAL))
        grading = session.get_one(Grading, made_up.grading_id)
        grading.state, grading.fence, grading.lease_until = GradingState.SENT, 1, grading.created_at
        session.flush()
        gradings.record(session, _made_up_report(grading, made_up.version), settings)
        audit.seal(session)
        raise _TakenBack
    database.close()  # no horse shall inherit a connection


def _made_up_report(grading: Grading, version: ChallengeVersion) -> GradingReport:
    due = gradings.read_rubric(version).criteria.items()
    return GradingReport(
        grading=grading.id,
        fence=1,
        findings=tuple(
            Finding(criterion=key, credit=1.0, reason="made up") for key, one in due if one.judged_by is Judge.TESTS
        ),
        provenance=Provenance(
            challenge_digest=version.digest, challenge_version=version.version, form="none", form_signature="",
            image="", limits={}, versions={}, host="", seconds={},
        ),
    )  # fmt: skip
