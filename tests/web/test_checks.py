"""Run: what a candidate asks for, what becomes of it, and the time that is given back when we keep them waiting."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import func, select

from graders.contract import LONGEST_OUTPUT, CheckReport, CheckRequest, Failure, Fault
from sandbox import Ending
from tests.web.portal_world import candidate_client, invited, make_portal, moment, move_clock, started
from tests.web.valkey_server import ValkeyServer
from tests.web.worker_process import until
from web import attempts, checks, relay, work
from web.attempts import Phase, TooLate, standing
from web.bell import Sign
from web.checks import (
    BELL,
    RUN_AT_MOST,
    WAIT_AT_MOST,
    Again,
    Begun,
    Credit,
    GiveUp,
    Row,
    Watch,
    decide,
)
from web.database import Database, now
from web.errors import SubmissionRejected
from web.gradings import Outcome
from web.models import AddedTime, Attempt, AuditEvent, ChallengeVersion, Check, CheckState
from web.portal import Portal
from web.queue import Doorbell, Kind, Line, Live, alive_key, checked, forgotten_key, said_key

SECOND: Final = timedelta(seconds=1)
OPERATOR: Final = Failure(fault_of=Fault.OPERATOR, message="no engine\0 there")


@pytest.fixture
def portal(database: Database, valkey: ValkeyServer, tmp_path: Path) -> Portal:
    """With the queue at hand."""
    return make_portal(database, tmp_path, Doorbell(valkey.connect()))


@pytest.fixture
def attempt(portal: Portal) -> Attempt:
    return started(portal)


@pytest.fixture
def line(valkey: ValkeyServer) -> Line:
    return Line(Kind.CHECKS, valkey.connect())


def ask(portal: Portal, attempt: Attempt) -> Check:
    return checks.ask(portal.database, portal.store, attempt.id, moment(portal))


def press(portal: Portal, attempt: Attempt) -> Check:
    """Ask and ring, as the page does."""
    check = ask(portal, attempt)
    assert checks.ring(portal.database, portal.bell, check, portal.token_for)
    return check


def row(portal: Portal, check: Check) -> Check:
    with portal.database.reading() as session:
        return session.get_one(Check, check.id)


def waited(portal: Portal, check: Check, seconds: float) -> None:
    """The world in which it was asked for so long ago."""
    with portal.database.transaction() as session:
        found = session.get_one(Check, check.id)
        found.asked_at -= seconds * SECOND
        found.rung_at = found.rung_at and found.rung_at - seconds * SECOND


def done(check: Check, fence: int = 1, seconds: float = 0.5, **more: Any) -> CheckReport:
    told: dict[str, Any] = {"ending": Ending.EXITED, "exit_code": 0, "output": "6 of 6\n"}
    return CheckReport(check=check.id, fence=fence, seconds=seconds, **(told | more))


def failed(check: Check, fence: int = 1) -> CheckReport:
    return CheckReport(check=check.id, fence=fence, failure=OPERATOR)


def record(portal: Portal, report: CheckReport) -> Outcome:
    with portal.database.transaction() as session:
        return checks.record(session, report).outcome


def added(portal: Portal, attempt: Attempt) -> list[tuple[float, str]]:
    with portal.database.reading() as session:
        found = select(AddedTime.seconds, AddedTime.why).where(AddedTime.attempt_id == attempt.id)
        return [(seconds, why) for seconds, why in session.execute(found.order_by(AddedTime.at, AddedTime.id))]


def clock_of(portal: Portal, attempt: Attempt) -> Attempt:
    with portal.database.reading() as session:
        return session.get_one(Attempt, attempt.id)


def phase(portal: Portal, attempt: Attempt) -> Phase:
    with portal.database.reading() as session:
        return standing(session, session.get_one(Attempt, attempt.id), now(session)).phase


# ------------------------------------------------------------------------------------------------------------ asking


def test_what_is_run_is_the_newest_saved_work_and_the_store_has_it(
    portal: Portal, attempt: Attempt, line: Line
) -> None:
    with portal.database.transaction() as session:
        saved = work.change(session, attempt.id, 1, {"windows.py": b"mine"}, now(session))
        assert isinstance(saved, work.Saved)
    check = press(portal, attempt)
    assert portal.store.get(check.tree)["windows.py"] == b"mine"
    message = line.take()
    request = CheckRequest.from_json(message.text)
    assert message.id == f"check-{check.id}-1"
    assert (request.check, request.fence, request.work) == (check.id, 1, check.tree)
    assert (request.command, request.seconds, request.image) == (("python3", "check.py"), 20, "python")
    assert request.limits.memory_mb == 512
    assert request.deliverables == ("windows.py", "evaluate.ipynb", "answer.md")
    assert request.bundle is not None
    assert "check.py" in portal.store.get(request.bundle)
    assert row(portal, check).snapshot_id == saved.snapshot.id


def test_who_presses_again_gets_the_one_that_is_open(portal: Portal, attempt: Attempt, line: Line) -> None:
    first = press(portal, attempt)
    assert press(portal, attempt).id == first.id
    assert line.job_ids == [f"check-{first.id}-1"]
    record(portal, done(first))
    assert press(portal, attempt).id != first.id


def test_two_presses_at_once_are_one_check(portal: Portal, attempt: Attempt) -> None:
    found: list[str] = []
    barrier = threading.Barrier(4)

    def press_now() -> None:
        barrier.wait()
        found.append(ask(portal, attempt).id)

    hands = [threading.Thread(target=press_now) for _ in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_nothing_runs_after_the_end_and_nothing_before_the_start(portal: Portal, attempt: Attempt) -> None:
    with pytest.raises(SubmissionRejected, match="has not started"):
        ask(portal, invited(portal))
    move_clock(portal, attempt, ends_at=moment(portal) - SECOND)
    with pytest.raises(TooLate):
        ask(portal, attempt)


def test_a_press_that_reached_us_in_time_counts(portal: Portal, attempt: Attempt) -> None:
    arrived = moment(portal)
    move_clock(portal, attempt, ends_at=arrived)
    assert checks.ask(portal.database, portal.store, attempt.id, arrived).state is CheckState.WAITING


def test_a_challenge_without_checks_says_so(portal: Portal, attempt: Attempt) -> None:
    with portal.database.transaction() as session:
        version = session.get_one(ChallengeVersion, attempt.challenge_digest)
        version.manifest = {**version.manifest, "check": []}
    with pytest.raises(SubmissionRejected, match="has nothing to run here"):
        ask(portal, attempt)


def test_a_queue_that_is_away_loses_no_press(portal: Portal, attempt: Attempt, valkey: ValkeyServer) -> None:
    check = ask(portal, attempt)
    valkey.kill()
    assert not checks.ring(portal.database, portal.bell, check)
    assert row(portal, check).state is CheckState.WAITING
    valkey.start()
    waited(portal, check, BELL.total_seconds() + 1)
    assert Settled(portal).turn().sent == 1
    assert Line(Kind.CHECKS, valkey.connect()).job_ids == [f"check-{check.id}-2"]


def test_a_press_is_in_the_audit_trail(portal: Portal, attempt: Attempt) -> None:
    check = ask(portal, attempt)
    with portal.database.reading() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.subject_id == check.id)).one()
    assert (event.action, event.actor) == ("check.asked", f"attempt {attempt.id}")


# --------------------------------------------------------------------------------------------------------- recording


def test_a_report_is_written_down(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    report = done(check, ending=Ending.EXITED, exit_code=3, output="no\0pe\n")
    assert record(portal, report) is Outcome.DONE
    found = row(portal, check)
    assert (found.state, found.ending, found.exit_code, found.seconds) == (CheckState.DONE, "exited", 3, 0.5)
    assert found.output == "no\ufffdpe\n"
    assert found.ended_at is not None


def test_a_report_of_another_try_is_dropped_and_so_is_a_second_one(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    assert record(portal, done(check, fence=2)) is Outcome.LATE
    assert record(portal, done(check)) is Outcome.DONE
    assert record(portal, failed(check)) is Outcome.LATE
    assert row(portal, check).state is CheckState.DONE
    assert record(portal, done(Check(id="nowhere"))) is Outcome.LATE


def test_our_own_fault_is_tried_once_more_and_then_it_has_failed(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    assert record(portal, failed(check)) is Outcome.AGAIN
    assert row(portal, check).state is CheckState.WAITING
    assert Settled(portal).turn().sent == 1
    assert record(portal, failed(check, fence=1)) is Outcome.LATE
    assert record(portal, failed(check, fence=2)) is Outcome.FAILED
    found = row(portal, check)
    assert (found.state, found.tries, found.failure) == (CheckState.FAILED, 2, "no engine\ufffd there")
    with portal.database.reading() as session:
        told = select(AuditEvent.action).where(AuditEvent.subject_id == check.id).order_by(AuditEvent.id)
        assert session.scalars(told).all() == ["check.asked", "check.failed"]


# --------------------------------------------------------------------------------------------------------- crediting


@pytest.mark.parametrize(("seconds", "program", "credit"), [(9, 0.5, 0), (60, 5, 45), (60, 60, 0), (300, 0, 290)])
def test_waiting_beyond_ten_seconds_is_given_back_and_the_program_is_not(
    seconds: float, program: float, credit: float, portal: Portal, attempt: Attempt
) -> None:
    check = press(portal, attempt)
    before = clock_of(portal, attempt).ends_at
    waited(portal, check, seconds)
    record(portal, done(check, seconds=program))
    given = added(portal, attempt)
    after = clock_of(portal, attempt).ends_at
    assert before is not None
    assert after is not None
    assert credit <= sum(one for one, _ in given) <= (credit + 3 if credit else 0)
    assert (after - before).total_seconds() == sum(one for one, _ in given)
    assert all(why.startswith("The sandbox kept you waiting for ") for _, why in given)


def test_all_of_it_is_given_back_when_we_failed(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    record(portal, failed(check))
    Settled(portal).turn()
    waited(portal, check, 7)
    assert record(portal, failed(check, fence=2)) is Outcome.FAILED
    ((seconds, why),) = added(portal, attempt)
    assert 7 <= seconds <= 11
    assert why == f"The sandbox kept you waiting for {seconds:g} seconds."


def test_a_credit_has_an_end(portal: Portal, attempt: Attempt) -> None:
    """Whoever finds out how to make our machinery fail gets no endless clock by it."""
    for _ in range(4):
        check = press(portal, attempt)
        waited(portal, check, 250)
        record(portal, done(check, seconds=0))
    assert sum(seconds for seconds, _ in added(portal, attempt)) == attempt.minutes * 60


def test_who_handed_in_does_not_wait_any_more(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    waited(portal, check, 100)
    move_clock(portal, attempt, ended_at=moment(portal))
    record(portal, done(check))
    assert added(portal, attempt) == []
    assert clock_of(portal, attempt).ended_at is not None


def test_who_has_withdrawn_gets_no_time(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    waited(portal, check, 100)
    with portal.database.transaction() as session:
        attempts.withdraw(session, attempt.id)
    assert record(portal, done(check)) is Outcome.DONE
    assert added(portal, attempt) == []


def test_a_clock_that_ended_while_we_kept_somebody_waiting_runs_on(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    waited(portal, check, 100)
    end = moment(portal) - SECOND
    move_clock(portal, attempt, ends_at=end, ended_at=end)
    record(portal, done(check, seconds=0))
    assert phase(portal, attempt) is Phase.RUNNING


def test_a_clock_does_not_end_while_we_keep_somebody_waiting(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    waited(portal, check, 40)
    move_clock(portal, attempt, ends_at=moment(portal) - SECOND)
    assert phase(portal, attempt) is Phase.CLOSING
    watch = Settled(portal)
    for _ in range(3):
        watch.turn()
    ((seconds, _),) = added(portal, attempt)
    assert 30 <= seconds <= 34
    assert phase(portal, attempt) is Phase.RUNNING
    waited(portal, check, 100)
    record(portal, done(check, seconds=0))  # the rest, and nothing twice
    assert 130 <= sum(one for one, _ in added(portal, attempt)) <= 136


def test_at_the_end_time_is_given_in_advance_so_that_it_comes_in_few_pieces(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    waited(portal, check, 12)
    move_clock(portal, attempt, ends_at=moment(portal) - SECOND)
    Settled(portal).turn()
    assert [seconds for seconds, _ in added(portal, attempt)] == [15]
    record(portal, done(check))
    assert len(added(portal, attempt)) == 1


# ---------------------------------------------------------------------------------------------------- the clock's part


class Settled(Watch):
    """A clock that has been watching for a while."""

    def __init__(self, portal: Portal) -> None:
        self.time = 0.0
        super().__init__(portal.database, portal.bell, monotonic=lambda: self.time)
        self._watching_since = -relay.SETTLING_SECONDS


AT: Final = timedelta(0)


def rows(portal: Portal, **changed: Any) -> tuple[Row, Any]:
    at = moment(portal)
    told: dict[str, Any] = {
        "id": "c", "fence": 1, "state": CheckState.WAITING, "asked_at": at, "rung_at": at, "began_at": None,
        "ends_at": at + timedelta(hours=1),
    }  # fmt: skip
    later = {name: at + value if isinstance(value, timedelta) else value for name, value in changed.items()}
    return Row(**(told | later)), at


@pytest.mark.parametrize(
    ("sign", "changed", "kind"),
    [
        (Sign.QUEUED, {}, None),
        (Sign.QUEUED, {"asked_at": -WAIT_AT_MOST - SECOND}, GiveUp),
        (Sign.LOST, {"asked_at": -WAIT_AT_MOST - SECOND, "rung_at": None}, GiveUp),
        (Sign.QUEUED, {"ends_at": -SECOND}, Credit),
        (Sign.ALIVE, {}, Begun),
        (Sign.REPORTED, {}, Begun),
        (Sign.ALIVE, {"began_at": -SECOND, "state": CheckState.RUNNING}, None),
        (Sign.ALIVE, {"began_at": -RUN_AT_MOST - SECOND, "state": CheckState.RUNNING}, GiveUp),
        (Sign.REPORTED, {"began_at": -RUN_AT_MOST - SECOND, "state": CheckState.RUNNING}, GiveUp),
        (Sign.DIED, {}, Again),
        (Sign.LOST, {}, None),
        (Sign.LOST, {"rung_at": -BELL - SECOND}, Again),
        (Sign.LOST, {"rung_at": None}, Again),
    ],
)
def test_each_sign_has_its_answer(
    sign: Sign, changed: dict[str, Any], kind: type[object] | None, portal: Portal
) -> None:
    found, at = rows(portal, **changed)
    intents = decide([found], {found.name: sign}, at)
    assert [type(intent) for intent in intents] == ([kind] if kind else [])


def test_silence_says_nothing_to_who_has_just_begun_to_watch(portal: Portal) -> None:
    found, at = rows(portal, rung_at=-BELL - SECOND)
    assert decide([found], {}, at, settled=False) == []
    assert decide([found], {found.name: Sign.DIED}, at, settled=False) == []
    fresh, at = rows(portal, rung_at=None)  # nobody was asked yet: that much is known
    assert decide([fresh], {}, at, settled=False) == [Again(fresh)]


def test_what_was_begun_and_lost_is_a_bad_try_and_what_was_not_is_none(portal: Portal) -> None:
    begun, at = rows(portal, rung_at=-BELL - SECOND, began_at=-SECOND)
    assert decide([begun], {}, at) == [Again(begun, "its worker gives no sign of life")]
    lost, at = rows(portal, rung_at=-BELL - SECOND)
    assert decide([lost], {}, at) == [Again(lost)]


def test_a_check_that_a_worker_is_at_is_running(portal: Portal, attempt: Attempt, valkey: ValkeyServer) -> None:
    check = press(portal, attempt)
    valkey.connect().set(alive_key(f"check-{check.id}-1"), "somebody")
    assert Settled(portal).turn().busy
    found = row(portal, check)
    assert (found.state, found.began_at is not None) == (CheckState.RUNNING, True)


def test_a_queue_that_forgot_everything_is_rung_again_without_a_bad_try(
    portal: Portal, attempt: Attempt, valkey: ValkeyServer, line: Line
) -> None:
    check = press(portal, attempt)
    valkey.connect().flushall()
    waited(portal, check, 5)
    assert Settled(portal).turn().sent == 1
    found = row(portal, check)
    assert (found.fence, found.tries, line.job_ids) == (2, 0, [f"check-{check.id}-2"])


def test_whoever_dies_twice_at_it_ends_it_by_our_own_fault(
    portal: Portal, attempt: Attempt, valkey: ValkeyServer
) -> None:
    check = press(portal, attempt)
    watch = Settled(portal)
    for fence in (1, 2):
        Line(Kind.CHECKS, valkey.connect()).erase(f"check-{check.id}-{fence}", failed=True)
        turn = watch.turn()
    assert len(turn.told) == 1
    assert "the checking process ended without a report" in turn.told[0]
    found = row(portal, check)
    assert (found.state, found.tries, found.fence) == (CheckState.FAILED, 2, 2)


def test_nobody_waits_for_ever(portal: Portal, attempt: Attempt, valkey: ValkeyServer, line: Line) -> None:
    check = press(portal, attempt)
    waited(portal, check, WAIT_AT_MOST.total_seconds() + 1)
    Settled(portal).turn()
    assert row(portal, check).state is CheckState.FAILED
    assert sum(seconds for seconds, _ in added(portal, attempt)) >= WAIT_AT_MOST.total_seconds()
    assert line.job_ids == []
    assert valkey.connect().exists(forgotten_key(f"check-{check.id}-1"))
    assert press(portal, attempt).id != check.id


def test_nobody_waits_for_ever_for_a_queue_that_is_away(portal: Portal, attempt: Attempt, valkey: ValkeyServer) -> None:
    check = ask(portal, attempt)
    valkey.kill()
    waited(portal, check, WAIT_AT_MOST.total_seconds() + 1)
    turn = Settled(portal).turn()
    assert turn.queue_away
    assert row(portal, check).state is CheckState.FAILED


def test_two_clocks_ring_once(portal: Portal, attempt: Attempt, line: Line) -> None:
    check = ask(portal, attempt)
    waited(portal, check, 5)
    one, other = Settled(portal), Settled(portal)
    with portal.database.reading() as session:
        seen = checks.open_rows(session)
        at = now(session)
    intents = decide(seen, {}, at)
    assert [one._act(intents).sent, other._act(intents).sent] == [1, 0]
    assert line.job_ids == [f"check-{check.id}-2"]


# ----------------------------------------------------------------------------------------------------- what is printed


def test_what_is_printed_can_be_read_while_it_runs(valkey: ValkeyServer) -> None:
    connection = valkey.connect()
    bell = Doorbell(connection)
    connection.set(said_key("check-c-1"), "of a worker before")
    with Live(connection, "check-c-1") as live:
        live.hear(b"one ")
        until(lambda: bell.listen("check-c-1").said == b"one ")
        live.hear(b"two")
    assert bell.listen("check-c-1").said == b"one two"
    assert 0 < connection.ttl(said_key("check-c-1")) <= 900


def test_more_than_anybody_reads_is_not_kept(valkey: ValkeyServer) -> None:
    with Live(valkey.connect(), "check-c-1") as live:
        for _ in range(20):
            live.hear(b"x" * 10_000)
    assert len(Doorbell(valkey.connect()).listen("check-c-1").said) == LONGEST_OUTPUT
    assert valkey.connect().strlen(said_key("check-c-1")) == LONGEST_OUTPUT


def test_a_queue_that_goes_away_costs_only_the_sight_of_it(
    valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    with Live(valkey.connect(), "check-c-1") as live:
        valkey.kill()
        live.hear(b"nobody sees this")
    assert "nobody sees what the check prints" in caplog.text


def test_an_error_that_nobody_foresaw_is_reported_as_the_operators(
    portal: Portal, attempt: Attempt, valkey: ValkeyServer, line: Line
) -> None:
    def fall_over(*_: object) -> str:
        raise RuntimeError("a bug")

    check = press(portal, attempt)
    checked(fall_over, valkey.connect())(line.take().text)
    report = CheckReport.from_json(Line(Kind.RECORDING, valkey.connect()).take().text)
    assert (report.check, report.fence) == (check.id, 1)
    assert report.failure == Failure(fault_of=Fault.OPERATOR, message="worker: RuntimeError: a bug")


# --------------------------------------------------------------------------------------------------------- the pages


JSON: Final = {"Accept": "application/json"}


def test_a_press_is_answered_with_the_check(portal: Portal, attempt: Attempt) -> None:
    client = candidate_client(portal, attempt)
    answer = client.post(f"/attempts/{attempt.id}/checks", headers=JSON)
    assert answer.status_code == 202
    told = answer.get_json()
    assert told.keys() == {
        "id", "state", "position", "output", "exit_code", "ending", "seconds", "credited_seconds", "sentence"
    }  # fmt: skip
    assert (told["state"], told["position"], told["output"]) == ("waiting", 1, "")
    assert client.get(f"/attempts/{attempt.id}/checks/{told['id']}").get_json() == told


def test_without_a_script_a_press_leads_back_to_the_workspace(portal: Portal, attempt: Attempt) -> None:
    answer = candidate_client(portal, attempt).post(f"/attempts/{attempt.id}/checks", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/attempts/{attempt.id}/work")


def test_who_is_behind_others_is_told_how_many(portal: Portal, attempt: Attempt) -> None:
    for _ in range(2):
        press(portal, started(portal))
    told = candidate_client(portal, attempt).post(f"/attempts/{attempt.id}/checks", headers=JSON).get_json()
    assert (told["position"], told["sentence"]) == (3, "It waits: 2 others are before yours.")


def test_a_check_shows_what_it_prints_and_then_how_it_ended(
    portal: Portal, attempt: Attempt, valkey: ValkeyServer, line: Line
) -> None:
    client, check = candidate_client(portal, attempt), press(portal, attempt)
    address = f"/attempts/{attempt.id}/checks/{check.id}"
    name = line.take().id
    valkey.connect().set(alive_key(name), "somebody")
    valkey.connect().append(said_key(name), b"<script>alert(1)</script>\0\xff")
    answer = client.get(address)
    assert answer.mimetype == "application/json"
    assert (answer.get_json()["state"], answer.get_json()["sentence"]) == ("running", "It runs.")
    assert answer.get_json()["output"] == "<script>alert(1)</script>\ufffd\ufffd"
    assert client.get(address, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    record(portal, done(check, exit_code=1))
    told = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
    assert told.status_code == 200
    assert (told.get_json()["state"], told.get_json()["exit_code"]) == ("done", 1)
    assert told.get_json()["sentence"] == "It ended with exit code 1 after 0.5 seconds."


def test_time_that_was_given_back_is_said(portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    record(portal, failed(check))
    Settled(portal).turn()
    waited(portal, check, 20)
    record(portal, failed(check, fence=2))
    told = candidate_client(portal, attempt).get(f"/attempts/{attempt.id}/checks/{check.id}").get_json()
    seconds = round(told["credited_seconds"])
    assert 20 <= seconds <= 23
    assert told["sentence"] == (
        "The sandbox failed, so this says nothing about your work. Press Run again. The sandbox kept you waiting, "
        f"which is our fault. {seconds} seconds were added to your clock."
    )
    assert "no engine" not in json.dumps(told)  # whose disk is full is not the candidate's business


@pytest.mark.parametrize("ending", list(Ending))
def test_every_ending_has_a_sentence(ending: Ending, portal: Portal, attempt: Attempt) -> None:
    check = press(portal, attempt)
    record(portal, done(check, ending=ending, exit_code=0 if ending is Ending.EXITED else None))
    told = candidate_client(portal, attempt).get(f"/attempts/{attempt.id}/checks/{check.id}").get_json()
    assert told["sentence"].endswith((".", "?"))
    assert told["ending"] == ending.value


def test_nobody_sees_the_check_of_somebody_else(portal: Portal, attempt: Attempt) -> None:
    mine, theirs = press(portal, attempt), press(portal, other := started(portal))
    client = candidate_client(portal, attempt)
    for address in (
        f"/attempts/{other.id}/checks/{theirs.id}",
        f"/attempts/{attempt.id}/checks/{theirs.id}",
        f"/attempts/{other.id}/checks/{mine.id}",
        f"/attempts/{attempt.id}/checks/{'0' * 32}",
    ):
        assert client.get(address).status_code == 404
    assert client.post(f"/attempts/{other.id}/checks", headers=JSON).status_code == 404
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Check)) == 2


def test_a_press_that_is_too_late_is_a_sentence(portal: Portal, attempt: Attempt) -> None:
    move_clock(portal, attempt, ends_at=moment(portal) - SECOND)
    answer = candidate_client(portal, attempt).post(f"/attempts/{attempt.id}/checks", headers=JSON)
    assert answer.status_code == 410
    assert "Your time was over" in answer.get_json()["detail"]


def test_a_press_of_another_site_is_refused(portal: Portal, attempt: Attempt) -> None:
    answer = candidate_client(portal, attempt, csrf=True).post(f"/attempts/{attempt.id}/checks", headers=JSON)
    assert answer.status_code == 400


def test_a_queue_that_is_away_still_shows_that_a_check_is_open(
    portal: Portal, attempt: Attempt, valkey: ValkeyServer
) -> None:
    valkey.kill()
    client = candidate_client(portal, attempt)
    told = client.post(f"/attempts/{attempt.id}/checks", headers=JSON)
    assert (told.status_code, told.get_json()["state"], told.get_json()["position"]) == (202, "waiting", None)
