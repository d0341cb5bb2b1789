"""The clock at zero, and what is given back when we were away: on both databases, with the real tables and store."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.web.portal_world import candidate_client, make_portal, move_clock, served_portal, started
from tests.web.worker_process import until
from web import attempts, outages, work
from web.attempts import ARRIVING, TooLate
from web.closing import Closing
from web.database import Database, now
from web.models import AddedTime, Attempt, AuditEvent, Receipt, SignOfLife, Submission
from web.portal import Portal
from web.receipts import Signer
from web.submissions import Desk

HOUR = timedelta(hours=1)


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path)


class Turns:
    """The clock's part, whose pauses are over whenever it is asked."""

    def __init__(self, portal: Portal) -> None:
        self.at = 0.0
        self.portal = portal
        self.watch = outages.Watch(portal.database, self._later)
        desk = Desk(portal.store, Signer(portal.receipt_key), "")
        self.closing = Closing(portal.database, desk, self.watch, self._later)

    def _later(self) -> float:
        self.at += 1000.0
        return self.at

    def turn(self, *, alive: bool = True) -> tuple[str, ...]:
        if alive:
            outages.beat(self.portal.database)
        return self.closing.turn().told


@pytest.fixture
def clock(portal: Portal) -> Turns:
    return Turns(portal)


def moment(portal: Portal) -> datetime:
    with portal.database.reading() as session:
        return now(session)


def end(portal: Portal, attempt: Attempt, ago: timedelta) -> None:
    move_clock(portal, attempt, ends_at=moment(portal) - ago)


def last_seen(portal: Portal, ago: timedelta) -> None:
    """As if everything had been away since."""
    with portal.database.transaction() as session:
        for sign in session.scalars(select(SignOfLife)):
            sign.at = now(session) - ago


def reread(portal: Portal, attempt: Attempt) -> Attempt:
    with portal.database.reading() as session:
        return session.get_one(Attempt, attempt.id)


def handed_in(portal: Portal, attempt: Attempt) -> list[Submission]:
    with portal.database.reading() as session:
        return list(session.scalars(select(Submission).where(Submission.attempt_id == attempt.id)))


def credits_of(portal: Portal, attempt: Attempt) -> list[AddedTime]:
    with portal.database.reading() as session:
        return list(session.scalars(select(AddedTime).where(AddedTime.attempt_id == attempt.id)))


# ---------------------------------------------------------------------------------------------------------- at zero


def test_at_zero_what_was_saved_last_is_handed_in_with_a_receipt(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    with portal.database.transaction() as session:
        work.change(session, attempt.id, 1, {"windows.py": b"the last word"}, now(session))
    end(portal, attempt, ARRIVING + timedelta(seconds=1))
    assert clock.turn() == ()
    (submission,) = handed_in(portal, attempt)
    assert portal.store.get(submission.tree)["windows.py"] == b"the last word"
    ended = reread(portal, attempt)
    assert ended.ended_at is not None
    assert ended.ended_at == ended.ends_at
    with portal.database.reading() as session:
        assert session.get(Receipt, submission.id) is not None


def test_what_was_never_changed_is_handed_in_all_the_same(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    end(portal, attempt, HOUR)
    clock.turn()
    assert len(handed_in(portal, attempt)) == 1


def test_the_clock_hands_in_once_however_often_it_turns(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    end(portal, attempt, HOUR)
    clock.turn()
    clock.turn()
    Turns(portal).turn()  # another clock that was started meanwhile
    assert len(handed_in(portal, attempt)) == 1


def test_nobody_is_ended_while_a_request_that_came_in_time_may_be_at_work(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    end(portal, attempt, ARRIVING - timedelta(seconds=10))
    clock.turn()
    assert handed_in(portal, attempt) == []
    assert reread(portal, attempt).ended_at is None


def test_a_save_that_reached_us_in_time_counts_however_late_it_is_read(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    end(portal, attempt, timedelta(seconds=20))
    with portal.database.transaction() as session:
        arrived = now(session) - timedelta(seconds=25)
        work.change(session, attempt.id, 1, {"windows.py": b"in time"}, arrived)
    with pytest.raises(TooLate), portal.database.transaction() as session:
        work.change(session, attempt.id, 2, {"windows.py": b"too late"}, now(session) - timedelta(seconds=15))
    end(portal, attempt, HOUR)
    clock.turn()
    (submission,) = handed_in(portal, attempt)
    assert portal.store.get(submission.tree)["windows.py"] == b"in time"


def test_a_page_learns_that_it_is_too_late(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    client = candidate_client(portal, attempt)
    end(portal, attempt, timedelta(seconds=1))
    late = {"base": 1, "changes": {"windows.py": {"text": "late"}}}
    answer = client.post(f"/attempts/{attempt.id}/save", json=late)
    assert answer.status_code == 410
    assert answer.json == {
        "sentence": "Your time was over when this reached us. What you had saved by then is handed in."
    }
    end(portal, attempt, HOUR)
    clock.turn()
    assert client.post(f"/attempts/{attempt.id}/save", json=late).status_code == 410
    with portal.database.reading() as session:
        head = work.head(session, attempt.id)
        assert head is not None
        assert head.number == 1


def test_one_that_cannot_be_handed_in_keeps_no_other_waiting(portal: Portal, clock: Turns) -> None:
    first, second = started(portal), started(portal)
    text = next(text for text in map(str, range(1000)) if not place_of(portal, text).exists())
    with portal.database.transaction() as session:
        work.change(session, first.id, 1, {"windows.py": text.encode()}, now(session))
    place_of(portal, text).touch()  # where the store would make a folder
    end(portal, first, 2 * HOUR)
    end(portal, second, HOUR)
    (sentence,) = clock.turn()
    assert sentence.startswith(f"attempt {first.id}: its time is over, and it cannot be handed in: ")
    assert len(handed_in(portal, second)) == 1
    place_of(portal, text).unlink()
    assert clock.turn() == ()
    assert len(handed_in(portal, first)) == 1


def place_of(portal: Portal, text: str) -> Path:
    return portal.store.folder / hashlib.sha256(text.encode()).hexdigest()[:2]


# ------------------------------------------------------------------------------------------------ time that was added


def test_time_that_is_added_in_the_middle_of_a_save_lets_the_next_one_in(portal: Portal) -> None:
    attempt = started(portal)
    end(portal, attempt, timedelta(seconds=5))
    client = candidate_client(portal, attempt)
    late = {"base": 1, "changes": {"windows.py": {"text": "more"}}}
    assert client.post(f"/attempts/{attempt.id}/save", json=late).status_code == 410
    with portal.database.transaction() as session:
        attempts.add_time(session, attempt.id, timedelta(minutes=5), "staff 1", "You asked for it.", "staff")
    assert client.post(f"/attempts/{attempt.id}/save", json=late).status_code == 200
    state = client.get(f"/attempts/{attempt.id}/state").json
    assert state is not None
    assert state["added"] == [{"why": "You asked for it.", "seconds": 300.0}]
    assert 200 < state["seconds_left"] <= 300


def test_time_that_is_added_after_zero_unlocks_what_the_clock_had_ended(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    end(portal, attempt, HOUR)
    clock.turn()
    with portal.database.transaction() as session:
        attempts.add_time(session, attempt.id, timedelta(minutes=5), "staff 1", "You asked for it.", "staff")
    client = candidate_client(portal, attempt)
    more = {"base": 1, "changes": {"windows.py": {"text": "more"}}}
    assert client.post(f"/attempts/{attempt.id}/save", json=more).status_code == 200
    end(portal, attempt, HOUR)
    clock.turn()
    assert [portal.store.get(one.tree)["windows.py"] == b"more" for one in handed_in(portal, attempt)] == [False, True]


# ---------------------------------------------------------------------------------------------------------- outages


def test_an_outage_is_given_back_to_all_who_were_running(portal: Portal, clock: Turns) -> None:
    running, waiting = started(portal), started(portal)
    move_clock(portal, waiting, started_at=None, ends_at=None)
    move_clock(portal, running, started_at=moment(portal) - HOUR)
    before = reread(portal, running).ends_at
    clock.turn()
    last_seen(portal, timedelta(minutes=7))
    clock.turn()
    (credit,) = credits_of(portal, running)
    assert 419 < credit.seconds < 450
    assert credit.why == "We were away for 7 minutes."
    after = reread(portal, running).ends_at
    assert before is not None
    assert after is not None
    assert after - before == timedelta(seconds=credit.seconds)
    assert credits_of(portal, waiting) == []


def test_an_outage_is_given_back_once(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    move_clock(portal, attempt, started_at=moment(portal) - HOUR)
    clock.turn()
    last_seen(portal, timedelta(minutes=7))
    clock.turn()
    clock.turn()
    Turns(portal).turn()
    assert len(credits_of(portal, attempt)) == 1


def test_an_attempt_whose_time_ran_out_while_we_were_away_goes_on(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    clock.turn()
    move_clock(portal, attempt, started_at=moment(portal) - 2 * HOUR, ends_at=moment(portal) - timedelta(minutes=50))
    last_seen(portal, HOUR)
    clock.turn()
    assert handed_in(portal, attempt) == []
    after = reread(portal, attempt)
    assert after.ends_at is not None
    left = after.ends_at - moment(portal)
    assert timedelta(minutes=9, seconds=30) < left <= timedelta(minutes=10, seconds=30)  # as when we went away


def test_what_was_over_before_we_went_away_stays_over(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    clock.turn()
    move_clock(portal, attempt, started_at=moment(portal) - 3 * HOUR, ends_at=moment(portal) - 2 * HOUR)
    last_seen(portal, HOUR)
    clock.turn()
    assert credits_of(portal, attempt) == []
    assert len(handed_in(portal, attempt)) == 1


def test_nobody_is_ended_while_no_portal_is_there(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    clock.turn()
    end(portal, attempt, HOUR)
    last_seen(portal, timedelta(minutes=1))
    for _ in range(3):
        clock.turn(alive=False)
    assert handed_in(portal, attempt) == []


def test_a_short_pause_is_no_outage(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    move_clock(portal, attempt, started_at=moment(portal) - HOUR)
    clock.turn()
    last_seen(portal, outages.LEAST - timedelta(seconds=5))
    clock.turn()
    assert credits_of(portal, attempt) == []


def test_an_outage_of_weeks_is_given_back_as_far_as_time_can_be_added(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    clock.turn()
    move_clock(portal, attempt, started_at=moment(portal) - timedelta(days=31), ends_at=moment(portal) + HOUR)
    last_seen(portal, timedelta(days=30))
    clock.turn()
    assert [credit.seconds for credit in credits_of(portal, attempt)] == [timedelta(days=2).total_seconds()]


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The clock dies when it has given back to one."""
    done: list[str] = []
    add_time = attempts.add_time

    def one(session: object, attempt_id: str, *rest: object) -> bool:
        if done:
            raise KeyboardInterrupt
        done.append(attempt_id)
        return add_time(session, attempt_id, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(outages, "add_time", one)
    yield done
    monkeypatch.setattr(outages, "add_time", add_time)


def test_a_clock_that_dies_while_it_gives_back_has_given_nothing_and_the_next_gives_all(
    portal: Portal, clock: Turns, dying: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [started(portal), started(portal)]
    for attempt in both:
        move_clock(portal, attempt, started_at=moment(portal) - HOUR)
    clock.turn()
    last_seen(portal, timedelta(minutes=7))
    with pytest.raises(KeyboardInterrupt):
        clock.turn()
    assert len(dying) == 1
    assert [credits_of(portal, attempt) for attempt in both] == [[], []]
    monkeypatch.undo()
    Turns(portal).turn()
    assert [len(credits_of(portal, attempt)) for attempt in both] == [1, 1]


def test_what_is_given_back_is_in_the_audit_trail(portal: Portal, clock: Turns) -> None:
    attempt = started(portal)
    move_clock(portal, attempt, started_at=moment(portal) - HOUR)
    clock.turn()
    last_seen(portal, timedelta(minutes=7))
    clock.turn()
    with portal.database.reading() as session:
        noted = select(AuditEvent).where(AuditEvent.subject_id == attempt.id, AuditEvent.actor == "clock")
        (one,) = session.scalars(noted)
    assert one.action == "attempt.time_added"
    assert one.details["cause"].startswith("outage ")


def test_each_process_that_serves_shows_itself(tmp_path: Path) -> None:
    with served_portal(tmp_path) as served:
        until(lambda: outages.Watch(served.portal.database).is_well())
