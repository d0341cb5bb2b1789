"""What a grading needs around it: a published challenge, people, attempts. The least of each."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from graders.contract import Failure, Fault, Finding, GradingReport, Provenance
from web import gradings
from web.database import Database, now
from web.models import (
    Application,
    Attempt,
    AttemptKind,
    ChallengeVersion,
    Form,
    FormState,
    Grading,
    Origin,
    Person,
    Role,
    Submission,
    Urgency,
    new_id,
)
from web.settings import GradingSettings

SETTINGS: Final = GradingSettings(_env_file=None, lease_seconds=30, tries=3, gradings_per_candidate=1)
TREE: Final = "7" * 64
MANIFEST: Final[dict[str, Any]] = {
    "title": "Windows",
    "summary": "Count what falls into a window.",
    "version": "1.0.0",
    "minutes": 10,
    "expert_minutes": [5, 10],
    "deliverables": ["windows.py"],
    "grading_seconds": 60,
    "parts": {"all": {"title": "All of it", "points": 100}},
}
RUBRIC: Final[dict[str, Any]] = {
    "criteria": {
        "counts": {"title": "It counts", "points": 60, "judged_by": "tests", "part": "all"},
        "edges": {"title": "It knows its edges", "points": 20, "judged_by": "tests", "part": "all"},
        "reasons": {"title": "It says why", "points": 20, "judged_by": "person", "part": "all"},
    }
}


def publish(session: Session, digest: str = "a" * 64, **changed: Any) -> ChallengeVersion:
    version = ChallengeVersion(
        digest=digest, slug="windows", version="1.0.0", manifest=MANIFEST, rubric=RUBRIC, brief="Count.",
        starter="5" * 64, published_at=now(session),
    )  # fmt: skip
    for name, value in changed.items():
        setattr(version, name, value)
    session.add(version)
    session.flush()
    return version


def apply_for_role(session: Session, email: str = "") -> Application:
    at = now(session)
    person = Person(name="Ada", email=email or f"{new_id()}@example.org", created_at=at)
    role = Role(title="Engineer", created_at=at)
    session.add_all([person, role])
    session.flush()
    application = Application(person_id=person.id, role_id=role.id, created_at=at)
    session.add(application)
    session.flush()
    return application


def begin(session: Session, digest: str = "a" * 64, application: Application | None = None) -> Attempt:
    """An attempt at a version that is published already; a rehearsal when it is nobody's."""
    at = now(session)
    form = Form(challenge_digest=digest, reference=new_id(), state=FormState.ISSUED, created_at=at)
    session.add(form)
    session.flush()
    kind = AttemptKind.REHEARSAL if application is None else AttemptKind.TAKE_HOME
    application_id = application.id if application else None
    attempt = Attempt(
        application_id=application_id, kind=kind, challenge_digest=digest, form_id=form.id, started_at=at, created_at=at
    )
    session.add(attempt)
    session.flush()
    return attempt


def work(tree: str = TREE) -> gradings.Work:
    return gradings.Work(tree=tree, files=1, bytes=100, origin=Origin.REHEARSAL)


def hand_in(
    database: Database, attempts: int = 1, *, each: int = 1, urgency: Urgency = Urgency.NORMAL, digest: str = "a" * 64
) -> list[str]:
    """So many attempts of different people, and the ids of their gradings."""
    made = []
    with database.transaction() as session:
        if session.get(ChallengeVersion, digest) is None:
            publish(session, digest)
        for _ in range(attempts):
            attempt = begin(session, digest)
            for number in range(each):
                submission = gradings.accept(session, attempt.id, work(), f"key-{number}", urgency=urgency)
                made.append(only_grading(session, submission).id)
    return made


def only_grading(session: Session, submission: Submission) -> Grading:
    return session.scalars(select(Grading).where(Grading.submission_id == submission.id)).one()


def grading(database: Database, grading_id: str) -> Grading:
    with database.reading() as session:
        return session.get_one(Grading, grading_id)


def findings(earned: Mapping[str, float | None] | None = None) -> tuple[Finding, ...]:
    wanted = {"counts": 1.0, "edges": 0.5} if earned is None else earned
    return tuple(Finding(criterion=key, credit=credit, reason=f"{key} was tried") for key, credit in wanted.items())


def provenance(digest: str = "a" * 64) -> Provenance:
    return Provenance(
        challenge_digest=digest, challenge_version="1.0.0", form="f", form_signature="", image="sha256:1", limits={},
        versions={}, host="build", seconds={"grader": 0.5},
    )  # fmt: skip


def report(
    grading_id: str, fence: int = 1, told: Iterable[Finding] | None = None, digest: str = "a" * 64
) -> GradingReport:
    return GradingReport(
        grading=grading_id,
        fence=fence,
        findings=tuple(findings() if told is None else told),
        provenance=provenance(digest),
    )


def failure(grading_id: str, fence: int = 1, fault: Fault = Fault.OPERATOR, message: str = "no disk") -> GradingReport:
    return GradingReport(grading=grading_id, fence=fence, failure=Failure(fault_of=fault, message=message))
