"""The clock: when it may start, when it ends, what is added to it, and what still counts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.web.portal_world import begin, invited, make_form, make_portal, moment, move_clock, started
from tests.web.world import apply_for_role
from web import attempts, work
from web.arrival import HEADER, arrived_at
from web.attempts import ARRIVING, Phase, TooLate
from web.challenges import newest
from web.database import Database, now
from web.errors import Refused, SubmissionRejected
from web.models import AddedTime, Attempt, AttemptKind, AuditEvent, Form, FormState, Origin, Snapshot
from web.portal import Portal

SECOND = timedelta(seconds=1)
TICK = timedelta(milliseconds=1)
MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path)


def row(portal: Portal, attempt: Attempt) -> Attempt:
    with portal.database.reading() as session:
        return session.get_one(Attempt, attempt.id)


def start(portal: Portal, attempt: Attempt, arrived: datetime | None = None) -> Attempt:
    with portal.database.transaction() as session:
        return attempts.start(session, attempt.id, arrived or now(session))


def add(portal: Portal, attempt: Attempt, more: timedelta, cause: str = "staff 1") -> bool:
    with portal.database.transaction() as session:
        return attempts.add_time(session, attempt.id, more, cause, "The sandbox was slow.", "staff")


def save(portal: Portal, attempt: Attempt, arrived: datetime, text: str = "x = 1\n") -> Snapshot:
    with portal.database.transaction() as session:
        return work.save(session, attempt.id, {"windows.py": text.encode()}, Origin.UPLOAD, arrived)


def phase(portal: Portal, attempt: Attempt, at: datetime) -> Phase:
    with portal.database.reading() as session:
        return attempts.standing(session, session.get_one(Attempt, attempt.id), at).phase


# ---------------------------------------------------------------------------------------------------------- starting


def test_the_clock_of_a_new_attempt_does_not_run(portal: Portal) -> None:
    attempt = invited(portal)
    with portal.database.reading() as session:
        stands = attempts.standing(session, attempt, now(session) + timedelta(days=400))
    assert stands.phase is Phase.READY
    assert stands.ends_at is None
    assert stands.seconds_left == 600


def test_start_is_from_now_on_and_takes_the_accommodation(portal: Portal) -> None:
    before = moment(portal)
    running = start(portal, invited(portal, multiplier=1.5))
    assert running.started_at is not None
    assert running.ends_at is not None
    assert before <= running.started_at <= moment(portal)
    assert running.ends_at - running.started_at == timedelta(minutes=15)


def test_start_pressed_twice_starts_once(portal: Portal) -> None:
    attempt = invited(portal)
    first, second = begin(portal, attempt), begin(portal, attempt)
    assert (first.started_at, first.ends_at) == (second.started_at, second.ends_at)
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).where(Snapshot.attempt_id == attempt.id)) == 1
        events = select(func.count()).where(AuditEvent.subject_id == attempt.id, AuditEvent.action == "attempt.started")
        assert session.scalar(events) == 1


def test_start_pressed_in_two_windows_at_once_starts_once(portal: Portal) -> None:
    attempt = invited(portal)
    together, seen = Barrier(4), []

    def press() -> None:
        together.wait()
        seen.append(begin(portal, attempt).ends_at)

    presses = [Thread(target=press) for _ in range(4)]
    for one in presses:
        one.start()
    for one in presses:
        one.join()
    assert len(seen) == 4
    assert len(set(seen)) == 1
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).where(Snapshot.attempt_id == attempt.id)) == 1


def test_without_its_files_no_clock_starts(portal: Portal) -> None:
    attempt = invited(portal, made=False)
    with pytest.raises(Refused, match="clock has not started"):
        start(portal, attempt)
    assert row(portal, attempt).started_at is None
    make_form(portal, attempt.form_id)
    assert start(portal, attempt).started_at is not None


@pytest.mark.parametrize(
    ("arrives", "expected"),
    [
        (-TICK, Phase.EARLY),
        (timedelta(0), Phase.READY),
        (timedelta(days=1), Phase.READY),
        (timedelta(days=1) + TICK, Phase.MISSED),
    ],
)
def test_the_window_opens_and_closes_to_the_moment(portal: Portal, arrives: timedelta, expected: Phase) -> None:
    opens = moment(portal).replace(microsecond=0)
    attempt = invited(portal, opens_at=opens, closes_at=opens + timedelta(days=1))
    assert phase(portal, attempt, opens + arrives) is expected
    if expected is Phase.READY:
        assert start(portal, attempt, opens + arrives).started_at is not None
    else:
        with pytest.raises(Refused, match="window"):
            start(portal, attempt, opens + arrives)
        assert row(portal, attempt).started_at is None


def test_who_starts_in_the_last_moment_has_all_of_the_time(portal: Portal) -> None:
    closes = moment(portal) + SECOND
    running = start(portal, invited(portal, closes_at=closes), closes)
    assert running.ends_at is not None
    assert running.ends_at > closes + timedelta(minutes=9)
    assert phase(portal, running, closes + timedelta(minutes=5)) is Phase.RUNNING


def test_a_window_that_closes_before_it_opens_is_refused(portal: Portal) -> None:
    at = moment(portal)
    with pytest.raises(Refused, match="closes before it opens"):
        invited(portal, opens_at=at, closes_at=at)


@pytest.mark.parametrize("multiplier", [0, 0.99, 4.01, -1, float("nan"), float("inf")])
def test_a_multiplier_that_takes_time_or_gives_it_without_end_is_refused(portal: Portal, multiplier: float) -> None:
    attempt = invited(portal)
    with pytest.raises(Refused, match="multiplier"), portal.database.transaction() as session:
        attempts.change_multiplier(session, attempt.id, multiplier, "staff")
    with pytest.raises(Refused, match="multiplier"):
        invited(portal, multiplier=multiplier)


def test_a_window_that_has_closed_opens_again_and_only_before_the_start(portal: Portal) -> None:
    attempt = invited(portal)
    with portal.database.transaction() as session:
        at = now(session)
        missed = session.get_one(Attempt, attempt.id)
        missed.closes_at = at - timedelta(days=1)
        assert attempts.phase(missed, at) is attempts.Phase.MISSED
        attempts.move_window(session, attempt.id, at + timedelta(days=3), "staff grace")
        assert attempts.phase(missed, at) is attempts.Phase.READY
        with pytest.raises(Refused, match="closed before anybody can start"):
            attempts.move_window(session, attempt.id, at, "staff grace")
    running = start(portal, attempt)
    with pytest.raises(Refused, match="add minutes"), portal.database.transaction() as session:
        attempts.move_window(session, running.id, now(session) + timedelta(days=3), "staff grace")


def test_an_accommodation_is_changed_before_the_start_only(portal: Portal) -> None:
    attempt = invited(portal)
    with portal.database.transaction() as session:
        attempts.change_multiplier(session, attempt.id, 2, "staff")
    running = start(portal, attempt)
    assert running.started_at is not None
    assert running.ends_at == running.started_at + timedelta(minutes=20)
    with pytest.raises(Refused, match="add minutes"), portal.database.transaction() as session:
        attempts.change_multiplier(session, attempt.id, 3, "staff")


# ------------------------------------------------------------------------------------------------------------- late


@pytest.mark.parametrize(
    ("arrives", "kept"),
    [(-SECOND, True), (-TICK, True), (timedelta(0), True), (TICK, False), (SECOND, False), (ARRIVING * 2, False)],
)
def test_late_is_told_by_the_moment_of_arrival(portal: Portal, arrives: timedelta, kept: bool) -> None:
    """However long the request then waited: the database's time is long past the end in each of these cases."""
    attempt = started(portal)
    ends = moment(portal).replace(microsecond=0) - timedelta(seconds=20)
    move_clock(portal, attempt, started_at=ends - timedelta(minutes=10), ends_at=ends)
    if kept:
        assert save(portal, attempt, ends + arrives).number == 2
        return
    with pytest.raises(TooLate, match="Your time was over"):
        save(portal, attempt, ends + arrives)
    with portal.database.reading() as session:
        head = work.head(session, attempt.id)
        assert head is not None
        assert head.number == 1  # what was saved in time is untouched


def test_before_the_start_nothing_is_saved(portal: Portal) -> None:
    attempt = invited(portal)
    with pytest.raises(SubmissionRejected, match="has not started"):
        save(portal, attempt, moment(portal))


def test_an_attempt_is_overdue_when_nothing_that_was_in_time_can_still_arrive(portal: Portal) -> None:
    attempt = started(portal)
    ends = row(portal, attempt).ends_at
    assert ends is not None
    with portal.database.reading() as session:
        assert attempts.overdue(session, ends + ARRIVING - TICK) == []
        assert attempts.overdue(session, ends + ARRIVING) == [attempt.id]
    move_clock(portal, attempt, ended_at=ends)
    with portal.database.reading() as session:
        assert attempts.overdue(session, ends + ARRIVING) == []


def test_after_handing_in_and_after_withdrawing_nothing_is_saved(portal: Portal) -> None:
    handed_in, withdrawn = started(portal), started(portal)
    move_clock(portal, handed_in, ended_at=moment(portal))
    with portal.database.transaction() as session:
        attempts.withdraw(session, withdrawn.id)
    with pytest.raises(TooLate, match="handed in already"):
        save(portal, handed_in, moment(portal))
    with pytest.raises(TooLate, match="withdrawn"):
        save(portal, withdrawn, moment(portal))


def test_withdrawing_twice_is_one_withdrawal_and_what_was_handed_in_stays(portal: Portal) -> None:
    attempt, handed_in = invited(portal), started(portal)
    move_clock(portal, handed_in, ended_at=moment(portal))
    for _ in range(2):
        with portal.database.transaction() as session:
            first = attempts.withdraw(session, attempt.id).withdrawn_at
            attempts.withdraw(session, handed_in.id)
    assert row(portal, attempt).withdrawn_at == first
    assert row(portal, handed_in).withdrawn_at is None
    with pytest.raises(Refused, match="withdrawn"):
        start(portal, attempt)


# ---------------------------------------------------------------------------------------------------------- more time


def test_minutes_before_the_start_are_in_the_clock_when_it_starts(portal: Portal) -> None:
    attempt = invited(portal, multiplier=1.5)
    assert add(portal, attempt, timedelta(minutes=5))
    with portal.database.reading() as session:
        assert attempts.standing(session, row(portal, attempt), now(session)).seconds_left == 20 * 60
    running = start(portal, attempt)
    assert running.started_at is not None
    assert running.ends_at == running.started_at + timedelta(minutes=20)


def test_the_same_cause_adds_once(portal: Portal) -> None:
    attempt = started(portal)
    assert add(portal, attempt, timedelta(minutes=5), "check 1")
    assert not add(portal, attempt, timedelta(minutes=5), "check 1")
    assert add(portal, attempt, timedelta(minutes=5), "check 2")
    running = row(portal, attempt)
    assert running.started_at is not None
    assert running.ends_at == running.started_at + timedelta(minutes=20)


def test_minutes_unlock_an_attempt_whose_time_is_over(portal: Portal) -> None:
    attempt = started(portal)
    ends = moment(portal) - timedelta(seconds=10)
    move_clock(portal, attempt, ends_at=ends)
    with pytest.raises(TooLate):
        save(portal, attempt, moment(portal))
    assert add(portal, attempt, timedelta(minutes=5))
    assert row(portal, attempt).ends_at == ends + timedelta(minutes=5)
    assert save(portal, attempt, moment(portal)).number == 2


def test_minutes_unlock_what_the_clock_has_handed_in_and_count_from_then(portal: Portal) -> None:
    attempt = started(portal)
    ended = moment(portal) - timedelta(hours=3)
    move_clock(portal, attempt, ends_at=ended, ended_at=ended)
    before = moment(portal)
    assert add(portal, attempt, timedelta(minutes=5))
    again = row(portal, attempt)
    assert again.ended_at is None
    assert again.ends_at is not None
    assert before + timedelta(minutes=5) <= again.ends_at <= moment(portal) + timedelta(minutes=5)
    assert phase(portal, attempt, moment(portal)) is Phase.RUNNING
    assert save(portal, attempt, moment(portal)).number == 2


@pytest.mark.parametrize("seconds", [0, -1, 2 * 86400 + 1])
def test_time_is_never_taken_and_not_given_without_end(portal: Portal, seconds: float) -> None:
    attempt = started(portal)
    ends = row(portal, attempt).ends_at
    with pytest.raises(Refused, match="time"):
        add(portal, attempt, timedelta(seconds=seconds))
    assert row(portal, attempt).ends_at == ends


def test_who_has_withdrawn_gets_no_time(portal: Portal) -> None:
    attempt = invited(portal)
    with portal.database.transaction() as session:
        attempts.withdraw(session, attempt.id)
    with pytest.raises(Refused, match="withdrawn"):
        add(portal, attempt, timedelta(minutes=5))


LENGTHS = st.lists(st.integers(1, 7200), max_size=4)


@MANY
@given(multiplier=st.floats(1, 4), before=LENGTHS, after=LENGTHS, arrives=st.integers(-90_000, 90_000))
@example(multiplier=1.0, before=[], after=[], arrives=0)
@example(multiplier=1.5, before=[300], after=[60, 60], arrives=1)
def test_all_time_that_was_given_is_there_and_not_a_moment_more(
    portal: Portal, multiplier: float, before: list[int], after: list[int], arrives: int
) -> None:
    attempt = invited(portal, multiplier=multiplier)
    for number, seconds in enumerate(before):
        add(portal, attempt, timedelta(seconds=seconds), f"before {number}")
    start(portal, attempt)
    for number, seconds in enumerate(after):
        add(portal, attempt, timedelta(seconds=seconds), f"after {number}")
    running = row(portal, attempt)
    assert running.started_at is not None
    assert running.ends_at is not None
    whole = timedelta(minutes=10 * multiplier, seconds=sum(before) + sum(after))
    assert abs(running.ends_at - running.started_at - whole) < TICK
    arrived = running.ends_at + arrives * TICK
    with portal.database.reading() as session:
        stands = attempts.standing(session, running, arrived)
        assert abs(stands.length - whole) < TICK
        # What the candidate reads and what the server does agree: time is left, or it was over.
        assert (stands.phase is Phase.RUNNING) == (arrives <= 0)
        assert (stands.seconds_left > 0) == (arrives < 0)
    if arrives <= 0:
        assert save(portal, attempt, arrived).number >= 1
    else:
        with pytest.raises(TooLate):
            save(portal, attempt, arrived)


# ---------------------------------------------------------------------------------------- zones, skew, and arrivals

CHANGES = [  # moments at which clocks on walls were, or will be, set to another hour
    *(datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),  # Berlin
    *(datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)),  # New York
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # Lord Howe Island, by half an hour
]


@MANY
@given(
    change=st.sampled_from(CHANGES), minutes_before=st.integers(-30, 30), multiplier=st.sampled_from([1.0, 1.5, 4.0])
)
def test_no_change_of_clocks_on_walls_makes_an_attempt_longer_or_shorter(
    portal: Portal, change: datetime, minutes_before: int, multiplier: float
) -> None:
    attempt = invited(portal, multiplier=multiplier)
    at = change - timedelta(minutes=minutes_before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempts, "now", lambda _: at)
        start(portal, attempt, at)
    running = row(portal, attempt)
    assert running.started_at == at
    assert running.ends_at == at + timedelta(minutes=10 * multiplier)
    assert running.ends_at.utcoffset() == timedelta(0)
    for zone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"):
        wall = ZoneInfo(zone)
        assert phase(portal, attempt, (running.ends_at - SECOND).astimezone(wall)) is Phase.RUNNING
        assert phase(portal, attempt, (running.ends_at + SECOND).astimezone(wall)) is Phase.CLOSING


def told(portal: Portal, app: Flask, header: str | None) -> tuple[datetime, datetime, datetime]:
    """Just before, when the request is said to have arrived, and just after."""
    headers = {} if header is None else {HEADER: header}
    with app.test_request_context("/", headers=headers):
        before = moment(portal)
        with portal.database.reading() as session:
            arrived = arrived_at(session)
        return before, arrived, moment(portal)


def test_a_request_that_waited_for_us_has_arrived_when_it_came(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.arrival.time.monotonic", lambda: 1000.0)
    before, arrived, after = told(portal, Flask("x"), "975.5")
    assert before - timedelta(seconds=24.5) <= arrived <= after - timedelta(seconds=24.5)


@pytest.mark.parametrize("header", [None, "", "tomorrow", "1e999", "nan", "1000000", "0x10"])
def test_what_says_nothing_of_an_arrival_is_now(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, header: str | None
) -> None:
    monkeypatch.setattr("web.arrival.time.monotonic", lambda: 1000.0)
    before, arrived, after = told(portal, Flask("x"), header)
    assert before <= arrived <= after


def test_no_request_is_older_than_ten_minutes(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.arrival.time.monotonic", lambda: 1e6)
    before, arrived, after = told(portal, Flask("x"), "-1e300")
    assert before - timedelta(minutes=10) <= arrived <= after - timedelta(minutes=10)


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_a_portal_whose_own_clock_is_wrong_changes_nothing(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, skew: int
) -> None:
    """Time is asked of the database: what this machine takes for the time is never read."""
    true = moment(portal)
    monkeypatch.setattr("time.time", lambda: true.timestamp() + skew)
    running = started(portal)
    assert running.started_at is not None
    assert abs(running.started_at - true) < timedelta(minutes=1)
    before, arrived, after = told(portal, Flask("x"), None)
    assert before <= arrived <= after
    assert abs(arrived - true) < timedelta(minutes=1)


# ---------------------------------------------------------------------------------------------------------- practice


def practise(portal: Portal, attempt: Attempt) -> Attempt:
    with portal.database.transaction() as session:
        warm_up = newest(session, "warm-up")
        assert warm_up is not None
        return attempts.practise(session, session.get_one(Attempt, attempt.id), warm_up)


def test_practice_has_the_same_accommodation_and_is_one_while_it_is_open(portal: Portal) -> None:
    attempt = invited(portal, multiplier=2, locale="de")
    first, second = practise(portal, attempt), practise(portal, attempt)
    assert first.id == second.id != attempt.id
    assert (first.kind, first.multiplier, first.locale) == (AttemptKind.PRACTICE, 2, "de")
    move_clock(portal, first, ended_at=moment(portal))
    assert practise(portal, attempt).id != first.id


def test_practice_of_one_is_not_that_of_another(portal: Portal) -> None:
    assert practise(portal, invited(portal)).id != practise(portal, invited(portal)).id


def test_nobody_has_forms_made_without_end(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_PRACTICES", 2)
    attempt = invited(portal)
    for _ in range(2):
        move_clock(portal, practise(portal, attempt), ended_at=moment(portal))
    with pytest.raises(Refused, match="2 times"):
        practise(portal, attempt)


def test_a_form_that_was_made_beforehand_is_given_once(portal: Portal) -> None:
    ready = make_form(portal, invited(portal, made=False).form_id)
    with portal.database.transaction() as session:
        session.get_one(Form, ready.id).state = FormState.POOL
    first, second = invited(portal, made=False), invited(portal, made=False)
    assert first.form_id == ready.id
    assert second.form_id != ready.id
    with portal.database.reading() as session:
        assert session.get_one(Form, first.form_id).state is FormState.ISSUED
        assert session.get_one(Form, second.form_id).state is FormState.MAKING


def test_who_adds_time_is_written_down_and_can_be_shown(portal: Portal) -> None:
    attempt = started(portal)
    add(portal, attempt, timedelta(seconds=90))
    with portal.database.reading() as session:
        row_ = session.scalars(select(AddedTime)).one()
        assert (row_.seconds, row_.why, row_.added_by) == (90, "The sandbox was slow.", "staff")
        assert attempts.added(session, attempt.id) == 90
        assert _events(session, attempt)[-1] == "attempt.time_added"


def _events(session: Session, attempt: Attempt) -> list[str]:
    mine = select(AuditEvent.action).where(AuditEvent.subject_id == attempt.id).order_by(AuditEvent.id)
    return list(session.scalars(mine))


def test_two_applications_of_one_person_have_attempts_of_their_own(portal: Portal) -> None:
    with portal.database.transaction() as session:
        application = apply_for_role(session)
    first, second = invited(portal, application=application), invited(portal, application=application)
    start(portal, first)
    assert row(portal, second).started_at is None
