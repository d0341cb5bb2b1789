"""Handing in: once is once, nobody hands in what they have not seen, and at zero the clock does it."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.web.portal_world import begin, invited, make_form, make_portal, moment, move_clock, person_of, started
from web import attempts, receipts, submissions, work
from web.database import Database, now
from web.errors import SubmissionRejected
from web.models import (
    Attempt,
    AttemptKind,
    AuditEvent,
    ChallengeVersion,
    Grading,
    GradingState,
    Letter,
    Origin,
    Receipt,
    Submission,
)
from web.portal import Portal
from web.receipts import Signed
from web.submissions import Desk, MovedOn, desk_of

FILES: Mapping[str, bytes] = {"windows.py": b"def split(): ...\n", "answer.md": b"Because.\n"}


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path, public_url="https://assay.example.org")


@pytest.fixture
def desk(portal: Portal) -> Desk:
    return desk_of(portal)


def save(portal: Portal, attempt: Attempt, files: Mapping[str, bytes] = FILES) -> int:
    with portal.database.transaction() as session:
        return work.save(session, attempt.id, files, Origin.UPLOAD, now(session)).number


def hand_in(
    portal: Portal, desk: Desk, attempt: Attempt, snapshot: int, number: int = 1, arrived_at: datetime | None = None
) -> Submission:
    """As the page does."""
    with portal.database.reading() as session:
        kept = submissions.keep(session, desk, attempt.id, snapshot)
    with portal.database.transaction() as session:
        return submissions.hand_in(session, desk, kept, number, arrived_at or now(session))


def count(session: Session, table: type[Submission | Receipt | Letter | Grading]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def receipt(portal: Portal, submission: Submission) -> Signed:
    with portal.database.reading() as session:
        found = submissions.receipt_of(session, submission)
    assert found is not None
    return found


def test_what_is_handed_in_is_graded_ended_signed_and_told_at_once(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    submission = hand_in(portal, desk, attempt, save(portal, attempt))
    with portal.database.reading() as session:
        assert session.scalars(select(Grading)).one().state is GradingState.WAITING
        assert session.get_one(Attempt, attempt.id).ended_at == submission.received_at
        letter = session.scalars(select(Letter)).one()
        assert letter.recipient == person_of(session, attempt).email
        assert "attempt.handed_in" in session.scalars(select(AuditEvent.action)).all()
    assert portal.store.get(submission.tree) == FILES
    body = receipts.verify(letter.attachment or "", desk.signer.public_key)
    assert body == receipt(portal, submission).receipt
    assert body.content == submission.tree
    assert body.code in letter.body
    assert f"https://assay.example.org/receipts/{body.code}" in letter.body


def test_a_receipt_names_the_version_and_the_form_and_nobody(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    said = receipt(portal, hand_in(portal, desk, attempt, save(portal, attempt)))
    with portal.database.reading() as session:
        version = session.get_one(ChallengeVersion, attempt.challenge_digest)
        person = person_of(session, attempt)
    body = said.receipt
    assert (body.challenge, body.challenge_version, body.challenge_digest) == (
        version.slug, version.version, version.digest,
    )  # fmt: skip
    assert body.form is not None
    assert body.handed_in_by == "candidate"
    assert body.portal == "https://assay.example.org"
    assert body.files.keys() == FILES.keys()
    assert person.email not in said.document()
    assert person.name not in said.document()


def test_handed_in_twice_it_is_handed_in_once(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    snapshot = save(portal, attempt)
    first = hand_in(portal, desk, attempt, snapshot)
    again = hand_in(portal, desk, attempt, snapshot)
    assert again.id == first.id
    assert receipt(portal, again) == receipt(portal, first)
    with portal.database.reading() as session:
        assert [count(session, table) for table in (Submission, Grading, Receipt, Letter)] == [1, 1, 1, 1]


def test_two_tabs_at_the_same_moment_get_one_receipt(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    snapshot = save(portal, attempt)
    made: list[str] = []
    gate = threading.Barrier(4)

    def press() -> None:
        gate.wait()
        made.append(receipt(portal, hand_in(portal, desk, attempt, snapshot)).receipt.code)

    tabs = [threading.Thread(target=press) for _ in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_another_version_than_the_page_showed_is_never_handed_in(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    seen = save(portal, attempt)
    save(portal, attempt, {**FILES, "answer.md": b"On second thoughts.\n"})
    with pytest.raises(MovedOn):
        hand_in(portal, desk, attempt, seen)
    with portal.database.reading() as session:
        assert count(session, Submission) == 0
        assert session.get_one(Attempt, attempt.id).ended_at is None


def test_a_snapshot_that_is_not_there_is_refused_in_a_sentence(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    with pytest.raises(SubmissionRejected, match="no saved work of that number"):
        hand_in(portal, desk, attempt, 99)


def test_a_request_that_reached_us_in_time_counts_and_the_receipt_says_so(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    snapshot = save(portal, attempt)
    at = moment(portal)
    move_clock(portal, attempt, ends_at=at - timedelta(seconds=5))
    submission = hand_in(portal, desk, attempt, snapshot, arrived_at=at - timedelta(seconds=6))
    assert submission.received_at == at - timedelta(seconds=6)
    assert receipt(portal, submission).receipt.received_at == receipts.second(submission.received_at)


def test_a_request_a_second_late_is_not_taken(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    snapshot = save(portal, attempt)
    at = moment(portal)
    move_clock(portal, attempt, ends_at=at - timedelta(seconds=5))
    with pytest.raises(attempts.TooLate, match="What you had saved by then is handed in"):
        hand_in(portal, desk, attempt, snapshot, arrived_at=at - timedelta(seconds=4))


def test_nothing_is_handed_in_before_the_start(portal: Portal, desk: Desk) -> None:
    attempt = begin(portal, invited(portal))
    move_clock(portal, attempt, started_at=None, ends_at=None)
    with pytest.raises(SubmissionRejected, match="not started"):
        hand_in(portal, desk, attempt, 1)


def test_whoever_withdrew_hands_nothing_in(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    with portal.database.transaction() as session:
        attempts.withdraw(session, attempt.id)
    with pytest.raises(attempts.TooLate, match="withdrawn"):
        hand_in(portal, desk, attempt, 1)


# ------------------------------------------------------------------------------------------------------------- at zero


def test_at_zero_the_last_saved_state_is_handed_in_with_a_receipt(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    save(portal, attempt)
    ended = moment(portal) - attempts.ARRIVING - timedelta(seconds=1)
    move_clock(portal, attempt, ends_at=ended)
    submission = submissions.close(portal.database, desk, attempt.id)
    assert submission is not None
    said = receipt(portal, submission).receipt
    assert (said.handed_in_by, said.received_at) == ("clock", receipts.second(ended))
    assert said.files.keys() == FILES.keys()
    with portal.database.reading() as session:
        assert session.scalars(select(Letter.attachment)).one() == receipt(portal, submission).document()
        assert "handed in for you" in session.scalars(select(Letter.body)).one()
        assert session.get_one(Attempt, attempt.id).ended_at == ended


def test_the_clock_takes_nothing_while_a_request_may_still_be_on_its_way(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    move_clock(portal, attempt, ends_at=moment(portal) - timedelta(seconds=1))
    assert submissions.close(portal.database, desk, attempt.id) is None
    with portal.database.reading() as session:
        assert session.get_one(Attempt, attempt.id).ended_at is None


def test_two_clocks_hand_in_once(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    move_clock(portal, attempt, ends_at=moment(portal) - timedelta(minutes=2))
    assert submissions.close(portal.database, desk, attempt.id) is not None
    assert submissions.close(portal.database, desk, attempt.id) is None
    with portal.database.reading() as session:
        assert count(session, Submission) == 1


def test_whoever_asks_after_the_clock_has_taken_the_same_gets_its_receipt(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    snapshot = save(portal, attempt)
    move_clock(portal, attempt, ends_at=moment(portal) - timedelta(minutes=2))
    taken = submissions.close(portal.database, desk, attempt.id)
    assert taken is not None
    assert hand_in(portal, desk, attempt, snapshot).id == taken.id


def test_the_clock_ends_an_attempt_that_never_had_any_work(portal: Portal, desk: Desk) -> None:
    attempt = invited(portal)
    at = moment(portal)
    move_clock(portal, attempt, started_at=at - timedelta(hours=1), ends_at=at - timedelta(minutes=2))
    assert submissions.close(portal.database, desk, attempt.id) is None
    with portal.database.reading() as session:
        assert session.get_one(Attempt, attempt.id).ended_at == at - timedelta(minutes=2)


# ----------------------------------------------------------------------------------------------- once more, and others


def test_after_time_was_added_a_second_submission_has_a_receipt_of_its_own(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    snapshot = save(portal, attempt)
    first = hand_in(portal, desk, attempt, snapshot)
    with portal.database.transaction() as session:
        assert attempts.add_time(session, attempt.id, timedelta(minutes=10), "staff 1", "Our fault.", "staff")
    later = save(portal, attempt, {**FILES, "answer.md": b"More.\n"})
    second = hand_in(portal, desk, attempt, later, number=2)
    assert (first.number, second.number) == (1, 2)
    assert receipt(portal, second).receipt.code != receipt(portal, first).receipt.code
    with portal.database.reading() as session:
        assert [one.number for one in submissions.all_of(session, attempt.id)] == [2, 1]


def test_a_page_from_before_time_was_added_hands_in_nothing_new(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    snapshot = save(portal, attempt)
    hand_in(portal, desk, attempt, snapshot)
    with portal.database.transaction() as session:
        attempts.add_time(session, attempt.id, timedelta(minutes=10), "staff 1", "Our fault.", "staff")
    later = save(portal, attempt, {**FILES, "answer.md": b"More.\n"})
    with pytest.raises(MovedOn):
        hand_in(portal, desk, attempt, later, number=1)


def test_the_same_work_may_be_handed_in_again_after_time_was_added(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    snapshot = save(portal, attempt)
    hand_in(portal, desk, attempt, snapshot)
    with portal.database.transaction() as session:
        attempts.add_time(session, attempt.id, timedelta(minutes=10), "staff 1", "Our fault.", "staff")
    second = hand_in(portal, desk, attempt, snapshot, number=2)
    assert second.number == 2
    assert second.tree == receipt(portal, second).receipt.content


def test_practice_has_a_receipt_and_no_letter(portal: Portal, desk: Desk) -> None:
    like = invited(portal)
    with portal.database.transaction() as session:
        version = session.get_one(ChallengeVersion, like.challenge_digest)
        practice = attempts.practise(session, like, version)
        assert practice.kind is AttemptKind.PRACTICE
    make_form(portal, practice.form_id)
    begin(portal, practice)
    submission = hand_in(portal, desk, practice, 1)
    assert receipt(portal, submission).receipt.attempt == practice.id
    with portal.database.reading() as session:
        assert count(session, Letter) == 0


def test_a_receipt_is_found_by_its_code_however_it_is_typed(portal: Portal, desk: Desk) -> None:
    attempt = started(portal)
    said = receipt(portal, hand_in(portal, desk, attempt, save(portal, attempt)))
    with portal.database.reading() as session:
        assert submissions.by_code(session, said.receipt.code.lower().replace("-", " ")) == said
        assert submissions.by_code(session, "0000-0000-0000-0000") is None
