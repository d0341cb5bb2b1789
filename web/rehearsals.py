"""Submissions that are nobody's: an author or an operator tries the whole way that a candidate's takes."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from web import gradings
from web.challenges import newest
from web.database import now
from web.errors import Refused
from web.models import Attempt, AttemptKind, ChallengeVersion, Form, FormState, Grading, Urgency, new_id


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
    form = Form(challenge_digest=version.digest, reference=new_id(), state=FormState.ISSUED, created_at=at)
    session.add(form)
    session.flush()
    attempt = Attempt(
        kind=AttemptKind.REHEARSAL, challenge_digest=version.digest, form_id=form.id, started_at=at, created_at=at
    )
    session.add(attempt)
    session.flush()
    submission = gradings.accept(session, attempt.id, work, new_id(), urgency=Urgency.AWAITED)
    grading = session.scalars(select(Grading.id).where(Grading.submission_id == submission.id)).one()
    return Rehearsal(submission.id, grading, version)
