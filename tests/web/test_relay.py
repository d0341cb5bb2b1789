"""What the clock decides, case by case and by its laws; and what it does to real databases, with a queue of ours."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Select, event, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from graders.contract import Fault, GradingReport
from tests.web.fake_bell import FakeBell
from tests.web.world import SETTINGS, apply_for_role, begin, grading, hand_in, publish, report, work
from web import audit, gradings
from web.bell import Sign, Try
from web.database import Database, DatabaseUnavailable, now
from web.models import (
    Attempt,
    AuditEvent,
    Form,
    Grading,
    GradingState,
    Purpose,
    Submission,
    Urgency,
)
from web.relay import BELL, Intents, Relay, Row, decide, due_rows, sent_rows

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE: Final = timedelta(seconds=SETTINGS.lease_seconds)


def waiting(name: str = "g", **changed: Any) -> Row:
    row = Row(
        id=name, fence=0, state=GradingState.WAITING, tries=0, urgency=1, candidate=name, grading_seconds=60,
        created_at=NOW - timedelta(minutes=1),
    )  # fmt: skip
    return replace(row, **changed)


def sent(name: str = "g", *, silent: float = 0, begun: float | None = None, **changed: Any) -> Row:
    """Its lease has been over for `silent` seconds; a worker began `begun` seconds ago."""
    alive_at = None if begun is None else NOW - timedelta(seconds=begun)
    row = waiting(
        name, state=GradingState.SENT, fence=1, alive_at=alive_at, lease_until=NOW - timedelta(seconds=silent)
    )
    return replace(row, **changed)


def decided(row: Row, sign: Sign, *, settled: bool = True) -> Intents:
    return decide([row], {row.bell: sign}, NOW, 0, SETTINGS, settled=settled)


def names(intents: Intents) -> list[str]:
    return [one.row.id for one in intents.send]


# ------------------------------------------------------------------------------------------- what was sent


def test_a_living_worker_keeps_its_grading() -> None:
    (kept,) = decided(sent(silent=100, begun=100), Sign.ALIVE).keep
    assert kept.lease_until == NOW + LEASE
    assert kept.alive_at == NOW - timedelta(seconds=100)


def test_the_first_sign_of_life_is_remembered() -> None:
    (kept,) = decided(sent(), Sign.ALIVE).keep
    assert (kept.alive_at, kept.lease_until) == (NOW, NOW + LEASE)


def test_a_lease_is_not_written_in_every_turn() -> None:
    fresh = sent(begun=5, lease_until=NOW + LEASE - timedelta(seconds=1))
    assert decided(fresh, Sign.ALIVE) == Intents()


def test_a_bell_in_the_queue_is_left_there_however_long_it_takes() -> None:
    (kept,) = decided(sent(silent=10_000), Sign.QUEUED).keep
    assert kept.alive_at is None


def test_a_report_that_waits_to_be_recorded_is_waited_for() -> None:
    (kept,) = decided(sent(silent=100), Sign.REPORTED).keep
    assert (kept.alive_at, kept.lease_until) == (NOW, NOW + LEASE)


def test_a_report_that_is_never_recorded_is_not_waited_for_for_ever() -> None:
    assert decided(sent(begun=420), Sign.REPORTED).give_back == ()
    (back,) = decided(sent(begun=421), Sign.REPORTED).give_back
    assert back.why == "not done after 420 seconds, though its report waits to be recorded"


def test_a_bell_that_the_queue_lost_is_nobodys_fault() -> None:
    (back,) = decided(sent(silent=1, tries=2), Sign.LOST).give_back
    assert not back.counted
    assert back.not_before == NOW


def test_a_bell_gets_a_moment_to_be_heard() -> None:
    assert decided(sent(lease_until=NOW + timedelta(seconds=1)), Sign.LOST) == Intents()


def test_a_bell_that_is_always_lost_is_given_up() -> None:
    assert decided(sent(silent=1, fence=49), Sign.LOST).give_back
    (up,) = decided(sent(silent=1, fence=50), Sign.LOST).give_up
    assert up.why == "the queue lost it 50 times"


def test_a_worker_that_fell_silent_has_until_its_lease_is_over() -> None:
    assert decided(sent(begun=20, lease_until=NOW + timedelta(seconds=1)), Sign.LOST) == Intents()
    (back,) = decided(sent(begun=20, silent=0), Sign.LOST).give_back
    assert back.counted
    assert back.why == "its worker has given no sign of life for 30 seconds"


def test_a_grading_process_that_died_is_not_waited_for() -> None:
    (back,) = decided(sent(begun=1, lease_until=NOW + LEASE), Sign.DIED).give_back
    assert back.counted
    assert back.not_before == NOW + timedelta(seconds=2)


@pytest.mark.parametrize(("tries", "pause"), [(0, 2), (1, 10), (2, None), (3, None)])
def test_bad_tries_are_counted_and_bounded(tries: int, pause: int | None) -> None:
    intents = decided(sent(tries=tries), Sign.DIED)
    if pause is None:
        assert [up.row.tries for up in intents.give_up] == [tries]
    else:
        assert [back.not_before - NOW for back in intents.give_back] == [timedelta(seconds=pause)]


def test_a_worker_that_lives_and_never_ends_is_not_believed_for_ever() -> None:
    longest = 2 * 60 + 300
    assert decided(sent(begun=longest), Sign.ALIVE).give_back == ()
    (back,) = decided(sent(begun=longest + 1), Sign.ALIVE).give_back
    assert back.counted
    assert back.why == "not done after 420 seconds, though its worker lives"


@pytest.mark.parametrize("sign", list(Sign))
def test_who_has_just_begun_to_watch_gives_nothing_back(sign: Sign) -> None:
    intents = decided(sent(silent=1000, begun=100_000, tries=2), sign, settled=False)
    assert [kept.lease_until for kept in intents.keep] == [NOW + LEASE]
    assert [kept.alive_at for kept in intents.keep] == [NOW]
    assert (intents.give_back, intents.give_up) == ((), ())


def test_a_lease_from_before_the_time_was_put_back_is_shortened() -> None:
    (kept,) = decided(sent(begun=-3600, lease_until=NOW + timedelta(hours=1)), Sign.LOST, settled=False).keep
    assert (kept.alive_at, kept.lease_until) == (NOW, NOW + LEASE)


# ------------------------------------------------------------------------------------------- what waits


def test_no_more_is_sent_than_workers_can_hold() -> None:
    rows = [waiting(f"g{number}") for number in range(10)]
    assert len(decide(rows, {}, NOW, 2, SETTINGS).send) == 4
    assert decide(rows, {}, NOW, 0, SETTINGS).send == ()
    busy = [sent("a"), sent("b"), sent("c")]
    signs = {row.bell: Sign.ALIVE for row in busy}
    assert len(decide([*busy, *rows], signs, NOW, 2, SETTINGS).send) == 1


def test_a_report_that_waits_to_be_recorded_takes_no_workers_place() -> None:
    reported = [sent("a"), sent("b")]
    signs = {row.bell: Sign.REPORTED for row in reported}
    assert len(decide([*reported, waiting("c"), waiting("d")], signs, NOW, 1, SETTINGS).send) == 2


def test_who_is_waited_for_goes_first_and_bulk_last() -> None:
    rows = [waiting("bulk", urgency=2), waiting("normal", urgency=1), waiting("awaited", urgency=0)]
    assert names(decide(rows, {}, NOW, 1, SETTINGS)) == ["awaited", "normal"]


def test_of_the_equally_urgent_who_waited_longest_goes_first() -> None:
    rows = [waiting(f"g{number}", created_at=NOW - timedelta(seconds=number)) for number in range(5)]
    assert names(decide(rows, {}, NOW, 1, SETTINGS)) == ["g4", "g3"]


def test_one_candidate_cannot_occupy_all_workers() -> None:
    rows = [waiting(f"g{number}", candidate="busy", created_at=NOW - timedelta(hours=1)) for number in range(9)]
    assert names(decide([*rows, waiting("other")], {}, NOW, 4, SETTINGS)) == ["g0", "other"]
    under_way = sent("first", candidate="busy")
    signs = {under_way.bell: Sign.ALIVE}
    assert names(decide([under_way, *rows, waiting("other")], signs, NOW, 4, SETTINGS)) == ["other"]


def test_of_several_that_one_candidate_may_have_the_others_firsts_come_before() -> None:
    two = SETTINGS.model_copy(update={"gradings_per_candidate": 2})
    old = NOW - timedelta(hours=1)
    rows = [waiting("a1", candidate="a", created_at=old), waiting("a2", candidate="a", created_at=old), waiting("b")]
    assert names(decide(rows, {}, NOW, 2, two)) == ["a1", "b", "a2"]


def test_a_pause_is_kept() -> None:
    rows = [waiting("early", not_before=NOW + timedelta(seconds=1)), waiting("due", not_before=NOW)]
    assert names(decide(rows, {}, NOW, 1, SETTINGS)) == ["due"]


def test_a_pause_from_before_the_time_was_put_back_is_over() -> None:
    assert names(decide([waiting(not_before=NOW + timedelta(hours=1))], {}, NOW, 1, SETTINGS)) == ["g"]


def test_who_is_waited_for_passes_what_is_in_the_queue_for_less() -> None:
    bulk = sent("bulk", urgency=2)
    awaited = waiting("awaited", urgency=0)
    for sign, at_front in ((Sign.QUEUED, True), (Sign.ALIVE, False)):
        (one,) = decide([bulk, awaited], {bulk.bell: sign}, NOW, 1, SETTINGS).send
        assert one.at_front is at_front
    equal = sent("equal", urgency=0)
    (one,) = decide([equal, awaited], {equal.bell: Sign.QUEUED}, NOW, 1, SETTINGS).send
    assert not one.at_front


# ------------------------------------------------------------------------------------------- laws

seconds = st.integers(-500, 500).map(lambda number: timedelta(seconds=number))
rows_of_any_kind = st.builds(
    lambda state, **fields: Row(
        state=state,
        created_at=NOW + fields.pop("age"),
        not_before=(NOW + fields.pop("pause")) if state is GradingState.WAITING else (fields.pop("pause") and None),
        alive_at=(NOW + fields.pop("alive")) if fields.pop("begun") and state is GradingState.SENT else None,
        lease_until=(NOW + fields.pop("lease")) if state is GradingState.SENT else None,
        **{name: value for name, value in fields.items() if name not in ("alive", "lease", "pause")},
    ),
    state=st.sampled_from([GradingState.WAITING, GradingState.SENT]),
    id=st.uuids().map(lambda one: one.hex),
    fence=st.integers(0, 60),
    tries=st.integers(0, 4),
    urgency=st.integers(0, 2),
    candidate=st.sampled_from("abcdef"),
    grading_seconds=st.just(5),
    age=seconds, pause=seconds, alive=seconds, lease=seconds, begun=st.booleans(),
)  # fmt: skip


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Row], dict[Try, Sign], int, int, bool]:
    rows = draw(st.lists(rows_of_any_kind, max_size=25, unique_by=lambda row: row.id))
    signs = {row.bell: draw(st.sampled_from(list(Sign))) for row in rows if row.state is GradingState.SENT}
    return rows, signs, draw(st.integers(0, 6)), draw(st.integers(1, 3)), draw(st.booleans())


@settings(max_examples=400, deadline=None)
@given(situations())
def test_the_laws_hold_in_every_situation(
    situation: tuple[Sequence[Row], Mapping[Try, Sign], int, int, bool],
) -> None:
    rows, signs, workers, for_each, settled = situation
    rules = SETTINGS.model_copy(update={"gradings_per_candidate": for_each})
    intents = decide(rows, signs, NOW, workers, rules, settled=settled)

    touched = [row.id for row in intents.rows]
    assert len(touched) == len(set(touched))  # nothing is both sent and failed
    assert all(intent.row.state is GradingState.WAITING for intent in intents.send)
    gone = {one.row.id for one in intents.give_back} | {one.row.id for one in intents.give_up}
    busy = [
        row for row in rows
        if row.state is GradingState.SENT and row.id not in gone and signs[row.bell] is not Sign.REPORTED
    ]  # fmt: skip
    if intents.send:
        assert len(busy) + len(intents.send) <= 2 * workers  # never more than room
    before = Counter(row.candidate for row in busy)
    after = before + Counter(one.row.candidate for one in intents.send)
    assert all(after[name] <= max(for_each, before[name]) for name in after)

    sent_ids = {one.row.id for one in intents.send}
    left = [
        row for row in rows
        if row.state is GradingState.WAITING and row.is_due(NOW) and row.id not in sent_ids
        and after[row.candidate] < for_each
    ]  # fmt: skip
    if left:  # somebody who may go still waits: only because there is no room, and nobody less urgent went
        assert len(busy) + len(intents.send) >= 2 * workers
        assert all(one.row.urgency <= min(row.urgency for row in left) for one in intents.send)

    for one in intents.give_back:
        assert one.row.tries + one.counted < rules.tries or not one.counted  # tries are bounded
        assert one.counted or one.row.fence < 50
    if settled:
        overdue = [row for row in rows if row.lease_until is not None and row.lease_until <= NOW]
        assert {row.id for row in overdue} <= set(touched)
    else:
        assert gone == set()
    for kept in intents.keep:
        assert NOW < kept.lease_until <= NOW + LEASE


# ------------------------------------------------------------------------------------------- acting


class Hours:
    """Our own time, which a test sets."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return self.passed


@pytest.fixture
def bell() -> FakeBell:
    return FakeBell()


@pytest.fixture
def relay(database: Database, bell: FakeBell) -> Relay:
    """One that has watched for long."""
    made = Relay(database, bell, SETTINGS)
    settle(made)
    return made


def settle(relay: Relay) -> None:
    """It has watched long enough, whatever its time is."""
    relay._watching_since = -1e9


def pass_time(database: Database, by: timedelta) -> None:
    """As if everything in the database had been written earlier."""
    moved = ("created_at", "not_before", "sent_at", "alive_at", "lease_until")
    with database.transaction() as session:
        for row in session.scalars(select(Grading)):
            for name in moved:
                if getattr(row, name) is not None:
                    setattr(row, name, getattr(row, name) - by)


def states(database: Database) -> Counter[str]:
    with database.reading() as session:
        return Counter(str(state) for state in session.scalars(select(Grading.state)))


def take_reports(database: Database, bell: FakeBell) -> None:
    """What was rung is graded and recorded."""
    for request in bell.rung:
        with database.transaction() as session:
            gradings.record(session, report(request.grading, request.fence), SETTINGS)
    bell.rung.clear()
    bell.lose()


def test_what_waits_is_sent_with_all_that_a_worker_needs(database: Database, relay: Relay, bell: FakeBell) -> None:
    with database.transaction() as session:
        publish(session)
        attempt = begin(session, application=apply_for_role(session))
        submission = gradings.accept(session, attempt.id, work(), "key")
    assert relay.turn().sent == 1
    (request,) = bell.rung
    assert (request.fence, request.challenge, request.challenge_digest) == (1, "windows", "a" * 64)
    assert (request.submission, request.lease_seconds) == (submission.tree, 30)
    row = grading(database, request.grading)
    assert (row.state, row.fence, row.alive_at) == (GradingState.SENT, 1, None)
    assert row.lease_until is not None
    assert row.sent_at is not None
    assert row.lease_until - row.sent_at == BELL


def test_a_turn_with_nothing_to_do_does_nothing(database: Database, relay: Relay) -> None:
    turn = relay.turn()
    assert not turn.busy
    assert (turn.sent, turn.given_back, turn.told, turn.queue_away) == (0, (), (), "")
    assert states(database) == {}


def test_all_that_waits_is_graded_in_the_end_and_one_at_a_time_for_each_candidate(
    database: Database, relay: Relay, bell: FakeBell
) -> None:
    hand_in(database, 3, each=4)
    bell.alive = 5
    for _ in range(4):
        assert relay.turn().sent == 3
        assert relay.turn().sent == 0
        assert len({grading(database, request.grading).candidate for request in bell.rung}) == 3
        take_reports(database, bell)
    assert states(database) == {"graded": 12}


def test_one_candidates_thousand_do_not_hide_the_others(database: Database, relay: Relay, bell: FakeBell) -> None:
    hand_in(database, 1, each=50, urgency=Urgency.AWAITED)
    last = hand_in(database, 3)
    bell.alive = 2
    relay.turn()
    assert {request.grading for request in bell.rung} > set(last)


def test_candidates_who_are_busy_do_not_hide_the_others(database: Database, relay: Relay, bell: FakeBell) -> None:
    hand_in(database, 2, each=5)
    assert relay.turn().sent == 2
    last = hand_in(database, 1)
    bell.alive = 2
    relay.turn()
    assert [request.grading for request in bell.rung[2:]] == last


def test_a_lost_bell_is_rung_again_and_counts_as_no_try(database: Database, relay: Relay, bell: FakeBell) -> None:
    (made,) = hand_in(database)
    relay.turn()
    bell.lose()
    assert relay.turn().given_back == ()
    pass_time(database, BELL)
    assert len(relay.turn().given_back) == 1
    assert relay.turn().sent == 1
    assert [(request.grading, request.fence) for request in bell.rung] == [(made, 1), (made, 2)]
    assert grading(database, made).tries == 0


def test_a_silent_worker_loses_its_grading_when_the_lease_is_over(
    database: Database, relay: Relay, bell: FakeBell
) -> None:
    (made,) = hand_in(database)
    relay.turn()
    bell.say(Sign.ALIVE)
    relay.turn()
    bell.lose()
    pass_time(database, LEASE - timedelta(seconds=5))
    assert relay.turn().given_back == ()
    pass_time(database, timedelta(seconds=5))
    (said,) = relay.turn().given_back
    assert said == f"grading {made}: try 1: its worker has given no sign of life for 30 seconds; it is sent again"
    assert (grading(database, made).tries, grading(database, made).state) == (1, GradingState.WAITING)
    assert relay.turn().sent == 0  # there is a pause
    pass_time(database, timedelta(seconds=2))
    assert relay.turn().sent == 1
    with database.transaction() as session:
        assert gradings.record(session, report(made, 1), SETTINGS).outcome is gradings.Outcome.LATE
        assert gradings.record(session, report(made, 2), SETTINGS).outcome is gradings.Outcome.GRADED


def test_a_poison_submission_is_put_aside_after_three_tries_and_a_person_is_told(
    database: Database, relay: Relay, bell: FakeBell
) -> None:
    poison, honest = hand_in(database, 2)
    told: list[str] = []
    for _ in range(20):
        for request in bell.rung:
            bell.signs[request.grading, request.fence] = Sign.DIED if request.grading == poison else Sign.ALIVE
        turn = relay.turn()
        told += turn.told
        pass_time(database, timedelta(seconds=10))
    assert told == [
        f"grading {poison} needs a person: given up after 3 tries: the grading process ended without a report"
    ]
    failed = grading(database, poison)
    assert (failed.state, failed.fault_of, failed.tries, failed.fence) == (GradingState.FAILED, Fault.OPERATOR, 3, 3)
    assert bell.forgotten == [(poison, 1), (poison, 2), (poison, 3)]
    assert grading(database, honest).state is GradingState.SENT
    with database.reading() as session:
        assert [one.id for one in gradings.needing_a_person(session)] == [poison]
        actions = session.scalars(select(AuditEvent.action).where(AuditEvent.subject_id == poison)).all()
        assert actions == ["grading.needs_a_person"]
        assert audit.verify(session) is None


def test_while_the_queue_is_away_nothing_is_decided(database: Database, relay: Relay, bell: FakeBell) -> None:
    (made,) = hand_in(database)
    relay.turn()
    bell.say(Sign.ALIVE)
    relay.turn()
    bell.away = "queue: /run/queue: does not answer"
    pass_time(database, 10 * LEASE)
    turn = relay.turn()
    assert turn.queue_away == "queue: /run/queue: does not answer"
    assert turn.busy
    bell.away = ""
    bell.lose()  # and the worker has not yet said that it lives
    assert relay.turn().given_back == ()
    assert grading(database, made).tries == 0


def test_a_bell_that_could_not_be_rung_is_rung_later(database: Database, relay: Relay, bell: FakeBell) -> None:
    made = hand_in(database, 2)
    bell.away_to_ring = "queue: full"
    turn = relay.turn()
    assert (turn.sent, turn.queue_away) == (2, "queue: full")
    assert states(database) == {"sent": 2}
    bell.away_to_ring = ""
    settle(relay)
    pass_time(database, BELL)
    relay.turn()
    relay.turn()
    assert sorted(request.grading for request in bell.rung) == sorted(made)
    assert {request.fence for request in bell.rung} == {2}


def test_a_clock_that_starts_watches_before_it_takes_silence_for_death(database: Database, bell: FakeBell) -> None:
    (made,) = hand_in(database)
    hours = Hours()
    Relay(database, bell, SETTINGS, hours).turn()
    bell.say(Sign.DIED)
    pass_time(database, 10 * LEASE)
    young = Relay(database, bell, SETTINGS, hours)
    assert young.turn().given_back == ()
    assert grading(database, made).state is GradingState.SENT
    settle(young)
    assert len(young.turn().given_back) == 1


def test_while_the_database_is_away_nobodys_time_runs(
    database: Database, relay: Relay, bell: FakeBell, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = hand_in(database)
    relay.turn()
    bell.say(Sign.REPORTED)
    relay.turn()

    def away(_: Database) -> None:
        raise DatabaseUnavailable("database: away")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "reading", away)
        with pytest.raises(DatabaseUnavailable):
            relay.turn()
    pass_time(database, timedelta(hours=2))
    assert relay.turn().given_back == ()
    settle(relay)
    assert relay.turn().given_back == ()
    assert grading(database, made).tries == 0


@pytest.mark.parametrize("jump", [timedelta(hours=3), timedelta(hours=-3)])
def test_a_jump_of_the_databases_time_blames_nobody(jump: timedelta, database: Database, bell: FakeBell) -> None:
    (made,) = hand_in(database)
    hours = Hours()
    relay = Relay(database, bell, SETTINGS, hours)
    relay.turn()
    bell.say(Sign.ALIVE)
    relay.turn()
    settle(relay)
    relay.turn()
    pass_time(database, jump)
    bell.lose()  # the queue's time jumped too: signs of life are forgotten, until the next
    hours.passed -= jump.total_seconds()  # seen from the database, which did not move, it is ours that did
    assert relay.turn().given_back == ()
    bell.signs[made, 1] = Sign.ALIVE
    assert relay.turn().given_back == ()
    row = grading(database, made)
    with database.reading() as session:
        at = now(session)
    assert row.lease_until is not None
    assert at < row.lease_until <= at + LEASE
    assert (row.state, row.tries) == (GradingState.SENT, 0)


def test_two_clocks_at_once_send_everything_once(database: Database, relay: Relay, bell: FakeBell) -> None:
    hand_in(database, 10)
    bell.alive = 5
    other = Relay(database, bell, SETTINGS)
    for _ in range(3):
        relay.turn()
        other.turn()
    assert len({request.grading for request in bell.rung}) == len(bell.rung) == 10
    assert {request.fence for request in bell.rung} == {1}


def test_an_intention_for_a_row_that_has_changed_is_dropped(database: Database, relay: Relay, bell: FakeBell) -> None:
    (made,) = hand_in(database)
    relay.turn()
    bell.say(Sign.DIED)
    look = bell.look

    def record_meanwhile(tries: Sequence[Try]) -> Mapping[Try, Sign]:
        with database.transaction() as session:
            gradings.record(session, report(made), SETTINGS)
        return look(tries)

    bell.look = record_meanwhile  # type: ignore[method-assign]
    turn = relay.turn()
    assert (turn.given_back, turn.told) == ((), ())
    assert grading(database, made).state is GradingState.GRADED


def test_what_somebody_waits_for_is_rung_before_bulk(database: Database, relay: Relay, bell: FakeBell) -> None:
    hand_in(database, 4, urgency=Urgency.BULK)
    relay.turn()
    bell.alive = 2
    awaited = hand_in(database, 2, urgency=Urgency.AWAITED)
    relay.turn()
    assert bell.in_front == list(reversed(awaited))  # each in front of the one before: so they stand in order


# ------------------------------------------------------------------------------------------- ten thousand finished


@pytest.fixture
def full(database: Database) -> Database:
    """Ten thousand gradings are done, and three are open."""
    (done,) = hand_in(database)
    with database.transaction() as session:
        session.execute(
            update(Grading).where(Grading.id == done).values(state=GradingState.GRADED, finished_at=now(session))
        )
        names = [column.key for column in Grading.__table__.columns if column.key != "id"]
        number = "CAST(value AS varchar)" if database.engine.dialect.name == "postgresql" else "value"
        series = "generate_series(1, 10000) AS value"
        if database.engine.dialect.name == "sqlite":
            series = "(WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 10000)"
            series += " SELECT value FROM n)"
        columns = ", ".join(names)
        session.execute(
            text(f"INSERT INTO gradings (id, {columns}) SELECT 'done-' || {number}, {columns} FROM gradings, {series}")
        )
    hand_in(database, 3)
    with database.transaction() as session:
        session.execute(text("ANALYZE"))
    return database


@pytest.mark.parametrize("asked", [sent_rows(), due_rows(NOW, 4, 4, 1)], ids=["sent", "due"])
def test_a_turn_reads_only_what_is_open(asked: Select[Any], full: Database) -> None:
    dialect = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}[full.engine.dialect.name]()
    words = str(asked.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN " if dialect.name == "sqlite" else "EXPLAIN "
    with full.reading() as session:
        plan = "\n".join(str(row[-1]) for row in session.connection().exec_driver_sql(explain + words))
    assert "ix_gradings_open" in plan
    assert "SCAN gradings" not in plan
    assert "Seq Scan" not in plan


def test_no_statement_of_a_turn_reads_all_gradings(full: Database, bell: FakeBell) -> None:
    asked: list[tuple[str, Any]] = []
    event.listen(full.engine, "after_cursor_execute", lambda *words: asked.append((words[2], words[3])))
    assert Relay(full, bell, SETTINGS).turn().sent == 2
    statements = [one for one in asked if "gradings" in one[0]]
    assert {words.split()[0] for words, _ in statements} == {"SELECT", "UPDATE"}
    explain = "EXPLAIN QUERY PLAN " if full.engine.dialect.name == "sqlite" else "EXPLAIN "
    with full.reading() as session:
        for words, parameters in statements:
            plan = [str(row[-1]) for row in session.connection().exec_driver_sql(explain + words, parameters)]
            assert [line for line in plan if "SCAN gradings" in line or "Seq Scan on gradings" in line] == []


def test_reports_name_what_was_asked(database: Database, relay: Relay, bell: FakeBell) -> None:
    """What is sent and what is recorded fit together, from the first bell to the findings."""
    (made,) = hand_in(database)
    relay.turn()
    (request,) = bell.rung
    answer = GradingReport.from_json(report(request.grading, request.fence, digest=request.challenge_digest).to_json())
    with database.transaction() as session:
        gradings.record(session, answer, SETTINGS)
    with database.reading() as session:
        submission = session.scalars(select(Submission)).one()
        counts = gradings.effective(session, submission.id)
        assert counts is not None
        assert counts.id == made


def test_a_request_carries_what_opens_its_files_and_no_others(database: Database, bell: FakeBell) -> None:
    hand_in(database, 1)
    Relay(database, bell, SETTINGS, token_for=lambda tree: f"opens {tree}").turn()
    assert [request.token for request in bell.rung] == [f"opens {bell.rung[0].submission}"]


# ------------------------------------------------------------------------------------- what was found out about forms


def calibrate(database: Database, grading_id: str, found: str) -> None:
    with database.transaction() as session:
        submission = session.get_one(Submission, session.get_one(Grading, grading_id).submission_id)
        form = session.get_one(Form, session.get_one(Attempt, submission.attempt_id).form_id)
        form.calibration, form.signature = found, "limit 3"


def test_a_grader_is_told_what_was_found_out_about_the_form(database: Database) -> None:
    with_it, without = hand_in(database, 2)
    calibrate(database, with_it, '{"hardest": "q7"}')
    bell = FakeBell(workers=2)
    Relay(database, bell, SETTINGS).turn()
    told = {request.grading: request.calibration for request in bell.rung}
    assert told == {with_it: '{"hardest": "q7"}', without: ""}


def test_what_an_old_version_found_out_says_nothing_to_a_new_one(database: Database) -> None:
    (first,) = hand_in(database)
    calibrate(database, first, '{"hardest": "q7"}')
    with database.transaction() as session:
        submission = session.get_one(Submission, session.get_one(Grading, first).submission_id)
        newer = publish(session, "b" * 64, version="1.1.0")
        attempt = session.get_one(Attempt, submission.attempt_id)
        at = now(session)
        again = gradings.new_grading(submission, attempt, newer, Purpose.REGRADE, Urgency.BULK, at)
        session.add(again)
    bell = FakeBell(workers=9)
    Relay(database, bell, SETTINGS.model_copy(update={"gradings_per_candidate": 9})).turn()
    told = {request.grading: (request.calibration, request.form_signature) for request in bell.rung}
    assert told == {first: ('{"hardest": "q7"}', "limit 3"), again.id: ("", "")}
    assert {request.form_version for request in bell.rung} == {"1.0.0"}  # for which the candidate's form was made
    assert (grading(database, first).grading_seconds, again.grading_seconds) == (60, 360)  # it may calibrate, too
