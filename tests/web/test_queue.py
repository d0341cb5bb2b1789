"""The queue with a real server, and with workers that are killed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from graders.contract import Fault, GradingReport
from tests.web.valkey_server import ValkeyServer
from tests.web.worker_process import WorkerProcess, gone, request, until
from web.bell import QueueUnavailable, Sign
from web.horse import Worker
from web.queue import BETWEEN_SECONDS, Doorbell, Kind, Line, alive_key, connect, graded

Start = Callable[..., WorkerProcess]


class Hands:
    """A clock that only goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def bell(valkey: ValkeyServer, hands: Hands) -> Doorbell:
    return Doorbell(valkey.connect(), hands)


@pytest.fixture
def start(valkey: ValkeyServer, tmp_path: Path) -> Iterator[Start]:
    """Starts workers, each with a folder for its notes, and leaves none behind."""
    with ExitStack() as running:

        def one(kind: Kind = Kind.GRADING, **how: Any) -> WorkerProcess:
            folder = tmp_path / kind
            folder.mkdir(exist_ok=True)
            return running.enter_context(WorkerProcess(kind, valkey.folder, folder, **how))

        yield one


def sign(bell: Doorbell, grading: str = "g1", fence: int = 1) -> Sign:
    return bell.look([(grading, fence)])[grading, fence]


def begun(worker: WorkerProcess) -> set[str]:
    return {note.stem for note in worker.folder.glob("*.begun")}


def recorded(folder: Path, grading: str = "g1", fence: int = 1) -> GradingReport:
    note = folder / f"{grading}-{fence}.report"
    return GradingReport.from_json(until(lambda: note.exists() and note.read_text()))


# -------------------------------------------------------------------------------------------------------- the doorbell


def test_a_request_goes_to_a_worker_and_its_report_to_a_recorder(bell: Doorbell, start: Start) -> None:
    start()
    recorder = start(Kind.RECORDING)
    bell.ring(request())
    assert recorded(recorder.folder).findings[0].reason == "It works."
    until(lambda: sign(bell) is Sign.LOST)  # all that is left is what the database knows
    assert (bell.workers(), bell.workers(Kind.RECORDING)) == (1, 1)


def test_a_request_that_somebody_waits_for_is_asked_first(bell: Doorbell, valkey: ValkeyServer) -> None:
    for number in range(3):
        bell.ring(request(f"bulk-{number}"))
    bell.ring(request("urgent"), at_front=True)
    line = Line(Kind.GRADING, valkey.connect())
    assert line.job_ids == ["urgent-1", "bulk-0-1", "bulk-1-1", "bulk-2-1"]


def test_a_grading_shows_each_sign_of_its_way(bell: Doorbell, start: Start) -> None:
    assert sign(bell) is Sign.LOST
    bell.ring(request(does="linger"))
    assert sign(bell) is Sign.QUEUED
    worker = start()
    worker.horse()
    assert sign(bell) is Sign.ALIVE
    (worker.folder / "go-on").touch()
    until(lambda: sign(bell) is Sign.REPORTED)


def test_only_the_fence_that_is_asked_for_is_told_of(bell: Doorbell) -> None:
    bell.ring(request(fence=2))
    assert bell.look([("g1", 1), ("g1", 2)]) == {("g1", 1): Sign.LOST, ("g1", 2): Sign.QUEUED}


def test_a_request_that_is_forgotten_is_not_graded(bell: Doorbell, start: Start) -> None:
    bell.ring(request())
    bell.ring(request("g2"))
    bell.forget("g1", 1)
    worker = start()
    worker.horse("g2")
    assert begun(worker) == {"g2-1"}


def test_a_worker_stops_what_nobody_waits_for_any_more(bell: Doorbell, start: Start) -> None:
    worker = start()
    bell.ring(request(does="linger"))
    horse = worker.horse()
    bell.forget("g1", 1)
    until(lambda: gone(horse))
    bell.ring(request("g2"))
    worker.horse("g2")  # and it is free again
    assert sign(bell) is Sign.LOST


def test_the_clocks_last_turn_is_known_for_a_while(bell: Doorbell, valkey: ValkeyServer) -> None:
    assert bell.last_turn() is None
    bell.note_turn("2026-01-02T03:04:05+00:00")
    assert bell.last_turn() == "2026-01-02T03:04:05+00:00"
    assert 0 < valkey.connect().ttl("assay:clock") <= 60


def test_a_queue_that_does_not_answer_is_one_sentence(bell: Doorbell, valkey: ValkeyServer) -> None:
    valkey.kill()
    words: list[Callable[[], object]] = [
        lambda: bell.ring(request()),
        lambda: bell.look([("g1", 1)]),
        lambda: bell.forget("g1", 1),
        lambda: bell.note_turn("now"),
        bell.workers,
        bell.last_turn,
    ]
    for word in words:
        with pytest.raises(QueueUnavailable, match=r"^queue: .*valkey\.sock: "):
            word()
    valkey.start()
    assert bell.workers() == 0


def test_a_password_in_the_address_is_not_told() -> None:
    bell = Doorbell(connect("redis://ada:secret@127.0.0.1:9/0", Path()))
    with pytest.raises(QueueUnavailable, match=r"queue: 127\.0\.0\.1:9: ") as raised:
        bell.workers()
    assert "secret" not in str(raised.value)


# ----------------------------------------------------------------------------------------------------- what is planted


def test_no_function_named_in_the_queue_is_ever_called(
    bell: Doorbell, start: Start, valkey: ValkeyServer, tmp_path: Path
) -> None:
    line = Line(Kind.GRADING, valkey.connect())
    witness = tmp_path / "witness"
    for number, name in enumerate(["os.system", "builtins.open", "subprocess.call"]):
        line.enqueue_call(name, args=(f"touch {witness}",), job_id=f"planted-{number}")
    planted = line.enqueue_call("os.system", args=(request().to_json(),), job_id="planted-callbacks", timeout=-1)
    for event in ("success", "failure", "stopped"):
        line.connection.hset(planted.key, f"{event}_callback_name", "os.abort")
    worker = start()
    bell.ring(request("g2"))
    worker.horse("g2")
    assert not witness.exists()
    assert begun(worker) == {"g2-1"}
    assert worker.stop()[1].count("is no message of ours") >= 4


@pytest.mark.parametrize(
    "planted",
    [
        {"data": b"\x80\x04cos\nsystem\n", "status": "queued"},
        {"data": b"[]", "status": "queued"},
        {"data": b"{}", "status": "no such status"},
        {"data": b'["assay-grading", null, ["not a request"], {}]', "timeout": "never"},
        {"data": b'["assay-grading", null, ["not a request"], {}]', "origin": "assay-grading", "timeout": "-1"},
        {"nothing": "of use"},
    ],
)
def test_a_worker_survives_what_it_cannot_read(
    planted: dict[str, str], bell: Doorbell, start: Start, valkey: ValkeyServer
) -> None:
    connection = valkey.connect()
    connection.hset("rq:job:planted", mapping=planted)
    connection.rpush(Line(Kind.GRADING, connection).key, "planted", "nowhere")
    bell.ring(request())
    worker = start()
    worker.horse()
    assert worker.process.poll() is None


# ---------------------------------------------------------------------------------------------------- what goes wrong


def test_an_error_that_nobody_foresaw_is_the_operators(bell: Doorbell, start: Start) -> None:
    start()
    recorder = start(Kind.RECORDING)
    bell.ring(request(does="raise"))
    failure = recorded(recorder.folder).failure
    assert failure is not None
    assert (failure.fault_of, failure.message) == (Fault.OPERATOR, "worker: RuntimeError: the worker has a bug")


def test_a_horse_that_is_killed_has_died(bell: Doorbell, start: Start) -> None:
    worker = start()
    bell.ring(request(does="linger"))
    os.kill(worker.horse(), signal.SIGKILL)
    until(lambda: sign(bell) is Sign.DIED)
    bell.ring(request("g2"))
    worker.horse("g2")
    assert "g1-1: its process ended with signal 9" in worker.stop()[1]


def test_what_a_grader_left_running_ends_with_its_horse(bell: Doorbell, start: Start) -> None:
    """It would hold memory of the host, and a second process of ours could go on to report."""
    worker = start()
    recorder = start(Kind.RECORDING)
    bell.ring(request(does="fork"))
    recorded(recorder.folder)
    left = worker.folder / "g1-1.left"
    until(lambda: gone(int(left.read_text())))


def test_a_horse_ends_with_its_worker(bell: Doorbell, start: Start) -> None:
    worker = start()
    bell.ring(request(does="linger", lease=1))
    horse = worker.horse()
    worker.process.kill()
    until(lambda: gone(horse))
    until(lambda: sign(bell) is Sign.DIED)  # once the lease is over


def test_a_message_that_was_taken_and_never_begun_is_lost_after_a_while(
    bell: Doorbell, hands: Hands, valkey: ValkeyServer
) -> None:
    bell.ring(request())
    assert Line(Kind.GRADING, valkey.connect()).take().id == "g1-1"  # and then this worker was killed
    assert sign(bell) is Sign.QUEUED
    hands.now += BETWEEN_SECONDS + 1
    assert sign(bell) is Sign.LOST
    bell.forget("g1", 1)
    assert [key for key in valkey.connect().scan_iter() if b"g1" in key] == [b"assay:forgotten:g1-1"]


def test_a_server_that_lost_everything_is_told_again_by_its_workers(
    bell: Doorbell, start: Start, valkey: ValkeyServer
) -> None:
    worker = start()
    bell.ring(request(does="linger"))
    worker.horse()
    valkey.connect().flushall()
    until(lambda: sign(bell) is Sign.ALIVE)  # so it is not sent a second time
    assert bell.workers() == 1


def test_a_worker_outlives_an_outage_and_so_does_what_it_is_at(
    bell: Doorbell, start: Start, valkey: ValkeyServer
) -> None:
    worker, recorder = start(), start(Kind.RECORDING)
    bell.ring(request(does="linger"))
    worker.horse()
    valkey.kill()
    (worker.folder / "go-on").touch()
    until((worker.folder / "g1-1.done").exists)
    valkey.start()
    assert recorded(recorder.folder).findings
    assert (worker.process.poll(), recorder.process.poll()) == (None, None)


def test_a_report_that_cannot_be_handed_in_is_made_again(bell: Doorbell, start: Start, valkey: ValkeyServer) -> None:
    worker = start(patience=0)
    bell.ring(request(does="linger"))
    horse = worker.horse()
    valkey.kill()
    (worker.folder / "go-on").touch()
    until(lambda: gone(horse))
    valkey.start()
    recorded(start(Kind.RECORDING).folder)
    assert worker.horse() != horse


# ------------------------------------------------------------------------------------------------------------ stopping


def test_a_worker_that_is_told_to_stop_finishes_what_it_is_at(bell: Doorbell, start: Start) -> None:
    worker = start()
    bell.ring(request(does="linger"))
    worker.horse()
    bell.ring(request("g2"))
    worker.process.send_signal(signal.SIGTERM)
    (worker.folder / "go-on").touch()
    worker.process.communicate(timeout=30)
    assert worker.process.returncode == 0
    assert (worker.folder / "g1-1.done").exists()
    assert (sign(bell), sign(bell, "g2")) == (Sign.REPORTED, Sign.QUEUED)
    assert bell.workers() == 0


def test_a_worker_stops_quietly_while_the_queue_is_away(start: Start, valkey: ValkeyServer) -> None:
    worker = start(patience=0)
    valkey.kill()
    time.sleep(3)  # by then it sleeps nearly all the time between two looks whether the queue is back
    status, said = worker.stop()
    assert (status, "Traceback" in said) == (0, False), said


def test_what_takes_too_long_is_put_back_when_a_worker_stops(bell: Doorbell, start: Start) -> None:
    worker = start(drain=0.1)
    bell.ring(request(does="linger"))
    horse = worker.horse()
    bell.ring(request("g2"))
    assert worker.stop()[0] == 0
    assert gone(horse)
    assert (sign(bell), sign(bell, "g2")) == (Sign.QUEUED, Sign.QUEUED)  # nobody's failed try
    (worker.folder / "go-on").touch()
    other = start()
    until(lambda: other.horse() != horse)
    until((worker.folder / "g1-1.done").exists)


def test_a_second_signal_stops_a_worker_at_once(bell: Doorbell, start: Start) -> None:
    worker = start()
    bell.ring(request(does="linger"))
    horse = worker.horse()
    worker.process.send_signal(signal.SIGINT)
    assert worker.stop()[0] == 0
    assert gone(horse)
    assert sign(bell) is Sign.QUEUED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_idle_worker_stops_quietly(number: signal.Signals, start: Start) -> None:
    assert start().stop(number) == (0, "")


# ------------------------------------------------------------------------------------------------- reports left behind


def report(grading: str = "g1", fence: int = 1) -> str:
    return GradingReport(grading=grading, fence=fence).to_json()


def hand_in(valkey: ValkeyServer) -> Line:
    connection = valkey.connect()
    graded(lambda _: report(), connection)("")
    return Line(Kind.RECORDING, connection)


def test_a_report_whose_recorder_was_killed_is_recorded_by_another(
    bell: Doorbell, start: Start, valkey: ValkeyServer, tmp_path: Path
) -> None:
    hand_in(valkey)
    (tmp_path / Kind.RECORDING).mkdir()
    (tmp_path / Kind.RECORDING / "linger").touch()
    first = start(Kind.RECORDING)
    horse = first.horse()
    first.process.kill()
    until(lambda: gone(horse))
    (first.folder / "linger").unlink()
    valkey.connect().delete(alive_key("record-g1-1"))  # its lease is over
    second = start(Kind.RECORDING)
    recorded(second.folder)
    until(lambda: sign(bell) is Sign.LOST)


def test_a_report_that_was_taken_and_never_begun_is_recorded_by_another(start: Start, valkey: ValkeyServer) -> None:
    assert hand_in(valkey).take().id == "record-g1-1"  # and then this recorder was killed
    recorded(start(Kind.RECORDING).folder)


def test_a_report_that_kills_its_recorders_is_a_failed_try(
    bell: Doorbell, start: Start, valkey: ValkeyServer, tmp_path: Path
) -> None:
    hand_in(valkey)
    (tmp_path / Kind.RECORDING).mkdir()
    (tmp_path / Kind.RECORDING / "die").touch()
    for _ in range(3):
        worker = start(Kind.RECORDING)
        worker.process.wait(timeout=30)
        assert sign(bell) is Sign.REPORTED
        valkey.connect().delete(alive_key("record-g1-1"))
    start(Kind.RECORDING)
    until(lambda: sign(bell) is Sign.DIED)


def test_a_server_that_is_away_when_a_worker_begins_is_a_sentence(tmp_path: Path) -> None:
    server = connect("redis://:swordfish@127.0.0.1:1", tmp_path)
    with pytest.raises(QueueUnavailable, match=r"queue: 127\.0\.0\.1:1: .*refused.*ASSAY_REDIS_URL") as told:
        Worker(Kind.RECORDING, str, server)
    assert "swordfish" not in str(told.value)
