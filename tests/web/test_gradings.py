"""What becomes of a submission: one grading, one outcome, and never our own fault as a score."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from graders.contract import Evidence, Exchange, Fault, Finding, GradingReport
from tests.web.world import (
    MANIFEST,
    SETTINGS,
    apply_for_role,
    begin,
    failure,
    findings,
    grading,
    hand_in,
    only_grading,
    publish,
    report,
    work,
)
from web import audit, gradings, models
from web.database import Database, now
from web.errors import Refused, SubmissionRejected
from web.gradings import Outcome
from web.models import AuditEvent, Decision, Grading, GradingState, Purpose, Regrade, Snapshot, Submission, Urgency


def send(database: Database, grading_id: str, fence: int = 1) -> None:
    """As the clock does."""
    with database.transaction() as session:
        session.execute(
            update(Grading)
            .where(Grading.id == grading_id)
            .values(state=GradingState.SENT, fence=fence, lease_until=now(session))
        )


def record(database: Database, *reports: GradingReport) -> list[Outcome]:
    outcomes = []
    for one in reports:
        with database.transaction() as session:
            outcomes.append(gradings.record(session, one, SETTINGS).outcome)
    return outcomes


def count(session: Session, table: type[models.Table]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


# ------------------------------------------------------------------------------------------------------- accepting


def test_a_submission_is_accepted_with_its_snapshot_grading_and_event(database: Database) -> None:
    with database.transaction() as session:
        version = publish(session)
        attempt = begin(session, application=apply_for_role(session))
        submission = gradings.accept(session, attempt.id, work(), "first")
    with database.reading() as session:
        made = only_grading(session, session.get_one(Submission, submission.id))
        assert (made.state, made.purpose, made.fence, made.tries) == (GradingState.WAITING, Purpose.FIRST, 0, 0)
        assert (made.challenge_digest, made.grading_seconds) == (version.digest, MANIFEST["grading_seconds"])
        assert made.candidate == attempt.application_id
        assert made.urgency == Urgency.NORMAL
        assert session.get_one(Snapshot, submission.snapshot_id).tree == work().tree
        event = session.scalars(select(AuditEvent)).one()
        assert (event.action, event.subject_id) == ("submission.accepted", submission.id)
        assert event.details["grading"] == made.id


def test_the_same_key_again_is_the_same_submission(database: Database) -> None:
    with database.transaction() as session:
        publish(session)
        attempt = begin(session)
    made = []
    for _ in range(3):
        with database.transaction() as session:
            made.append(gradings.accept(session, attempt.id, work(), "once").id)
    with database.reading() as session:
        assert len(set(made)) == 1
        assert (count(session, Submission), count(session, Grading), count(session, AuditEvent)) == (1, 1, 1)


def test_the_same_key_with_other_work_is_refused_and_nothing_is_stored(database: Database) -> None:
    with database.transaction() as session:
        publish(session)
        attempt = begin(session)
        gradings.accept(session, attempt.id, work(), "once")
    with (
        pytest.raises(SubmissionRejected, match="Another submission was sent under this key"),
        database.transaction() as session,
    ):
        gradings.accept(session, attempt.id, work("8" * 64), "once")
    with database.reading() as session:
        assert (count(session, Submission), count(session, Snapshot)) == (1, 1)


def test_submissions_are_numbered_within_their_attempt_and_share_a_snapshot_of_the_same_work(
    database: Database,
) -> None:
    with database.transaction() as session:
        publish(session)
        first, second = begin(session), begin(session)
        numbers = [gradings.accept(session, first.id, work(), key).number for key in ("a", "b", "c")]
        assert numbers == [1, 2, 3]
        assert gradings.accept(session, second.id, work(), "a").number == 1
        assert count(session, Snapshot) == 2


@pytest.mark.parametrize("key", ["", "x" * 101, "a\nb", "a\0b"])
def test_a_key_that_is_none_is_refused(key: str, database: Database) -> None:
    with database.transaction() as session:
        publish(session)
        attempt = begin(session)
        with pytest.raises(SubmissionRejected, match="1 to 100 printable characters"):
            gradings.accept(session, attempt.id, work(), key)


def test_an_attempt_that_is_not_there_takes_nothing(database: Database) -> None:
    with database.transaction() as session, pytest.raises(SubmissionRejected, match="There is no such attempt"):
        gradings.accept(session, "nobody", work(), "key")


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each gave or raised, when they ran side by side."""
    ready = threading.Barrier(len(calls))
    ended: list[object] = [None] * len(calls)

    def run(place: int, call: Callable[[], object]) -> None:
        ready.wait()
        try:
            ended[place] = call()
        except Refused as error:
            ended[place] = error

    threads = [threading.Thread(target=run, args=one) for one in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def test_a_submission_sent_ten_times_at_once_is_one(database: Database) -> None:
    with database.transaction() as session:
        publish(session)
        attempt = begin(session)

    def accept() -> str:
        with database.transaction() as session:
            return gradings.accept(session, attempt.id, work(), "once").id

    assert len(set(at_once(*[accept] * 10))) == 1
    with database.reading() as session:
        assert (count(session, Submission), count(session, Grading)) == (1, 1)
        assert audit.verify(session) is None


# ------------------------------------------------------------------------------------------------------- recording


def test_a_report_becomes_findings_and_an_open_one_stays_open(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)
    told = findings({"counts": 0.25, "edges": None})
    assert record(database, report(made, told=told)) == [Outcome.GRADED]
    done = grading(database, made)
    assert done.state is GradingState.GRADED
    assert done.finished_at is not None
    assert done.lease_until is None
    assert done.provenance is not None
    assert done.provenance["image"] == "sha256:1"
    with database.reading() as session:
        rows = session.scalars(select(models.Finding).order_by(models.Finding.position))
        assert [(row.criterion, row.credit) for row in rows] == [("counts", 0.25), ("edges", None)]


def test_a_report_that_comes_twice_is_recorded_once(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)
    outcomes = record(database, report(made), report(made), report(made, told=findings({"counts": 0.0, "edges": 0.0})))
    assert outcomes == [Outcome.GRADED, Outcome.LATE, Outcome.LATE]
    assert grading(database, made).late_reports == 2
    with database.reading() as session:
        assert {row.credit for row in session.scalars(select(models.Finding))} == {1.0, 0.5}


@pytest.mark.parametrize("fence", [1, 2, 4])
def test_only_the_report_of_the_newest_try_counts(fence: int, database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made, fence=3)
    assert record(database, report(made, fence)) == [Outcome.LATE]
    assert grading(database, made).state is GradingState.SENT
    assert record(database, report(made, 3)) == [Outcome.GRADED]


def test_a_report_of_a_try_that_was_given_back_is_late(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)
    assert record(database, failure(made), report(made)) == [Outcome.AGAIN, Outcome.LATE]
    assert grading(database, made).state is GradingState.WAITING


def test_a_report_of_a_grading_that_is_not_there_is_dropped(database: Database) -> None:
    assert record(database, report("nobody")) == [Outcome.LATE]


def test_reports_of_one_try_that_come_at_once_are_recorded_once(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)

    def say() -> Outcome:
        (outcome,) = record(database, report(made))
        return outcome

    assert sorted(map(str, at_once(*[say] * 6))) == ["graded"] + ["late"] * 5
    with database.reading() as session:
        assert count(session, models.Finding) == 2
        assert audit.verify(session) is None


def test_our_own_fault_is_tried_three_times_and_then_a_person_is_told(database: Database) -> None:
    (made,) = hand_in(database)
    pauses = []
    for fence in (1, 2):
        send(database, made, fence)
        assert record(database, failure(made, fence, message=f"no disk {fence}")) == [Outcome.AGAIN]
        waiting = grading(database, made)
        assert (waiting.state, waiting.tries, waiting.failure) == (GradingState.WAITING, fence, f"no disk {fence}")
        assert waiting.fault_of is None
        with database.reading() as session:
            assert waiting.not_before is not None
            pauses.append(round((waiting.not_before - now(session)).total_seconds()))
    assert pauses == [2, 10]
    send(database, made, 3)
    with database.transaction() as session:
        told = gradings.record(session, failure(made, 3, message="no disk 3"), SETTINGS)
    assert told.outcome is Outcome.FAILED
    assert told.sentence == f"grading {made} needs a person: given up after 3 tries: no disk 3"
    failed = grading(database, made)
    assert (failed.state, failed.fault_of, failed.tries) == (GradingState.FAILED, Fault.OPERATOR, 3)
    with database.reading() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "grading.needs_a_person")).one()
        assert event.details["message"] == "no disk 3"
        assert count(session, models.Finding) == 0


def test_the_authors_fault_is_not_tried_again(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)
    assert record(database, failure(made, fault=Fault.AUTHOR, message="grader.py: line 3")) == [Outcome.FAILED]
    failed = grading(database, made)
    assert (failed.state, failed.fault_of, failed.tries) == (GradingState.FAILED, Fault.AUTHOR, 0)
    assert failed.failure == "grader.py: line 3"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (findings({"counts": 1.0}), "missing: edges"),
        (findings({"counts": 1.0, "edges": 1.0, "reasons": 1.0}), "not asked for: reasons"),
        (findings({"counts": 1.0, "edges": 1.0, "invented": 1.0}), "not asked for: invented"),
        ((*findings(), *findings({"edges": 1.0})), "told twice: edges"),
        ((), "missing: counts, edges"),
    ],
)
def test_findings_that_are_not_those_of_the_rubric_are_no_score(
    told: tuple[Finding, ...], words: str, database: Database
) -> None:
    (made,) = hand_in(database)
    send(database, made)
    assert record(database, report(made, told=told)) == [Outcome.AGAIN]
    waiting = grading(database, made)
    assert waiting.tries == 1
    assert waiting.failure == f"the findings are not those of windows 1.0.0: {words}"
    with database.reading() as session:
        assert count(session, models.Finding) == 0


def test_a_report_about_another_version_is_no_score(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)
    assert record(database, report(made, digest="b" * 64)) == [Outcome.AGAIN]
    assert "graded against bbbbbbbbbbbb, not aaaaaaaaaaaa" in (grading(database, made).failure or "")


def test_findings_that_nobody_could_repeat_are_no_score(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)
    assert record(database, report(made).model_copy(update={"provenance": None})) == [Outcome.AGAIN]


def test_what_a_program_said_is_stored_whatever_bytes_it_holds(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)
    odd = "\0 \x1b[31m \u202e \U0001f600 ' \" \\ %s :name"
    told = (
        Finding(criterion="counts", credit=0.0, reason=odd, evidence=(Evidence(text=odd, file=odd),)),
        Finding(criterion="edges", credit=1.0, reason="well"),
    )
    full = report(made, told=told)
    assert full.provenance is not None
    said = full.provenance.model_copy(
        update={"printed": odd, "exchanges": (Exchange(kind="run", asked=odd, answer=odd, seconds=1e-9),)}
    )
    assert record(database, full.model_copy(update={"provenance": said})) == [Outcome.GRADED]
    with database.reading() as session:
        row = session.get_one(models.Finding, (made, "counts"))
        assert row.reason == odd.replace("\0", "\ufffd")
        assert row.evidence == [{"text": odd, "file": odd, "line": None, "source": ""}]
        provenance = session.get_one(Grading, made).provenance
        assert provenance is not None
        assert provenance["printed"] == odd


def test_a_failure_is_stored_whatever_bytes_it_holds(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)
    assert record(database, failure(made, fault=Fault.AUTHOR, message="a\0b")) == [Outcome.FAILED]
    assert grading(database, made).failure == "a\ufffdb"


# --------------------------------------------------------------------------------------------- a person, and again


def fail(database: Database, grading_id: str, fault: Fault = Fault.AUTHOR) -> None:
    send(database, grading_id)
    assert record(database, failure(grading_id, fault=fault)) in ([Outcome.FAILED], [Outcome.AGAIN])


def needing(database: Database) -> list[str]:
    with database.reading() as session:
        return [one.id for one in gradings.needing_a_person(session)]


def test_a_failed_grading_needs_a_person_until_it_is_sent_again(database: Database) -> None:
    first, second, well = hand_in(database, 3)
    fail(database, first)
    fail(database, second)
    send(database, well)
    record(database, report(well))
    assert needing(database) == [first, second]
    with database.transaction() as session:
        again = gradings.retry(session, first, "operator eve")
    assert needing(database) == [second]
    assert again.id != first
    assert (again.state, again.purpose, again.repeats_id) == (GradingState.WAITING, Purpose.AGAIN, first)
    assert grading(database, first).state is GradingState.FAILED
    fail(database, again.id)
    assert needing(database) == [second, again.id]


def test_a_failed_grading_is_sent_again_only_once(database: Database) -> None:
    (made,) = hand_in(database)
    fail(database, made)

    def again() -> str:
        with database.transaction() as session:
            return gradings.retry(session, made, "operator eve").id

    ended = at_once(again, again, again)
    refused = [str(one) for one in ended if isinstance(one, Refused)]
    assert refused == [f"grading {made}: has been sent again already"] * 2


def test_only_a_failed_grading_can_be_sent_again(database: Database) -> None:
    (made,) = hand_in(database)
    with database.transaction() as session:
        with pytest.raises(Refused, match="is waiting: only a failed one can be sent again"):
            gradings.retry(session, made, "operator eve")
        with pytest.raises(Refused, match="grading nobody: there is none"):
            gradings.retry(session, "nobody", "operator eve")


def test_a_submission_has_no_grading_that_counts_until_one_is_graded(database: Database) -> None:
    (made,) = hand_in(database)
    submission = grading(database, made).submission_id

    def counts() -> str | None:
        with database.reading() as session:
            found = gradings.effective(session, submission)
            return found.id if found else None

    assert counts() is None
    fail(database, made)
    assert counts() is None
    with database.transaction() as session:
        again = gradings.retry(session, made, "operator eve").id
    assert counts() is None
    send(database, again)
    record(database, report(again))
    assert counts() == again


def test_of_several_gradings_the_one_that_was_decided_last_counts(database: Database) -> None:
    (made,) = hand_in(database)
    send(database, made)
    record(database, report(made))
    submission = grading(database, made).submission_id
    regraded: dict[str, str] = {}
    for name in ("early", "late"):
        with database.transaction() as session:
            publish(session, name * 12 + "0000")
            regrade = Regrade(
                slug="windows", challenge_digest=name * 12 + "0000", reason="", asked_by="eve",
                decision=Decision.UNDECIDED, created_at=now(session),
            )  # fmt: skip
            session.add(regrade)
            session.flush()
            one = Grading(
                submission_id=submission, challenge_digest=regrade.challenge_digest, purpose=Purpose.REGRADE,
                regrade_id=regrade.id, candidate="c", grading_seconds=5, urgency=2, created_at=now(session),
                state=GradingState.GRADED, finished_at=now(session),
            )  # fmt: skip
            session.add(one)
            session.flush()
            regraded[regrade.id] = one.id

    def counts() -> str:
        with database.reading() as session:
            found = gradings.effective(session, submission)
            assert found is not None
            return found.id

    assert counts() == made
    for regrade_id, grading_id in reversed(regraded.items()):
        with database.transaction() as session:
            applied = session.get_one(Regrade, regrade_id)
            applied.decision, applied.decided_at, applied.decided_by = Decision.APPLIED, now(session), "eve"
        assert counts() == grading_id


def test_the_database_itself_refuses_a_grading_that_makes_no_sense(database: Database) -> None:
    (made,) = hand_in(database)
    for wrong in (
        {"state": GradingState.GRADED},
        {"state": GradingState.SENT},
        {"fault_of": Fault.OPERATOR},
    ):
        with pytest.raises(IntegrityError, match="ck_gradings_"), database.transaction() as session:
            session.execute(update(Grading).where(Grading.id == made).values(**wrong))
    first = grading(database, made)
    twin = Grading(submission_id=first.submission_id, challenge_digest=first.challenge_digest)
    twin.purpose, twin.candidate, twin.grading_seconds, twin.urgency = Purpose.FIRST, "c", 5, 1
    twin.created_at = first.created_at
    with pytest.raises(IntegrityError, match=r"(?i)unique"), database.transaction() as session:
        session.add(twin)
