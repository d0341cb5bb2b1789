"""The clock's process: a real one, with a real queue and a real database that go away and come back."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.web import world
from tests.web.valkey_server import ValkeyServer
from tests.web.worker_process import PATIENCE, until
from web.bell import Sign
from web.clock import Trouble, tell
from web.database import connect
from web.models import GradingState
from web.queue import LAST_TURN, Doorbell
from web.relay import Turn
from web.settings import PROJECT, DatabaseSettings

CLOCK = """
import os, sys
from pathlib import Path
from web.clock import keep_turning
from web.database import connect
from web.queue import Doorbell, connect as reach
from web.relay import Relay
from web.settings import DatabaseSettings, GradingSettings
from web.workers import log_in_lines

log_in_lines()
bell = Doorbell(reach("", Path(sys.argv[2])))
database = connect(DatabaseSettings(_env_file=None, state=Path(sys.argv[1])))
relay = Relay(database, bell, GradingSettings(_env_file=None))
keep_turning(relay, bell, lambda: os.write(1, b"ready\\n"))
"""


class ClockProcess:
    def __init__(self, state: Path, server: Path) -> None:
        self.log = server.parent / "clock.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", CLOCK, state, server], cwd=PROJECT, stdout=subprocess.PIPE, stderr=log, text=True
            )

    def until_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.log.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def prepared(new_sqlite: Callable[[Path], DatabaseSettings], tmp_path: Path) -> DatabaseSettings:
    return new_sqlite(tmp_path / "state")


@pytest.fixture
def clock(prepared: DatabaseSettings, valkey: ValkeyServer) -> Iterator[ClockProcess]:
    with ClockProcess(prepared.state, valkey.folder) as running:
        yield running


def test_a_grading_that_waits_is_rung_for(
    clock: ClockProcess, prepared: DatabaseSettings, valkey: ValkeyServer
) -> None:
    clock.until_ready()
    connection = valkey.connect()
    connection.sadd("rq:workers:assay-grading", "rq:worker:one")
    connection.hset("rq:worker:one", "state", "idle")
    database = connect(prepared)
    (grading,) = world.hand_in(database)
    until(lambda: world.grading(database, grading).state is GradingState.SENT)
    bell = Doorbell(valkey.connect())
    until(lambda: bell.look([(grading, 1)])[grading, 1] is Sign.QUEUED)
    database.close()


def test_the_clock_outlives_the_queue(clock: ClockProcess, valkey: ValkeyServer) -> None:
    clock.until_ready()
    valkey.kill()
    until(lambda: "trying until it answers" in clock.log.read_text())
    valkey.start()
    valkey.connect().delete(LAST_TURN)
    until(lambda: "answer again" in clock.log.read_text())
    until(Doorbell(valkey.connect()).last_turn)
    assert clock.log.read_text().count("trying until it answers") == 1


def test_the_clock_outlives_the_database(prepared: DatabaseSettings, valkey: ValkeyServer) -> None:
    away = prepared.state.rename(prepared.state.with_name("away"))
    with ClockProcess(prepared.state, valkey.folder) as clock:
        until(lambda: "trying until it answers" in clock.log.read_text())
        assert Doorbell(valkey.connect()).last_turn() is None  # it has not turned
        away.rename(prepared.state)
        clock.until_ready()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_clock_stops_when_it_is_told_to(clock: ClockProcess, number: signal.Signals) -> None:
    clock.until_ready()
    clock.process.send_signal(number)
    clock.process.communicate(timeout=PATIENCE)
    assert (clock.process.returncode, clock.log.read_text()) == (0, "")


def test_what_a_person_has_to_know_is_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    tell(Turn(given_back=("grading 1: it is sent again",), told=("grading 2 needs a person",)))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "grading 1: it is sent again"),
        ("ERROR", "grading 2 needs a person"),
    ]


def test_trouble_is_said_once_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    trouble = Trouble()
    for found in ("", "queue: away", "queue: away", "", "database: away", ""):
        trouble.note(found)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "queue", "database and queue answer again", "database", "database and queue answer again"
    ]  # fmt: skip
