"""What the workers are made of: recording into a real database, and judging whether this host may grade."""

import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from graders.contract import CheckReport, Fault, FormReport
from sandbox import Ending, SandboxUnavailable
from sandbox.container import DEADLINE
from sandbox.docker import Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings
from tests.web import world
from tests.web.fake_bell import FakeBell
from tests.web.portal_world import make_portal, moment, started
from web import checks, forms, workers
from web.database import Database, connect, now
from web.models import Check, CheckState, Form, FormState, GradingState
from web.relay import Relay
from web.settings import PROJECT, DatabaseSettings
from web.workers import Host, OneLine, recorder


def sent(database: Database) -> str:
    """A grading that a worker has been asked for."""
    (grading,) = world.hand_in(database)
    relay = Relay(database, FakeBell(), world.SETTINGS)
    assert relay.turn().sent == 1
    return grading


def test_a_report_is_recorded(database: Database) -> None:
    grading = sent(database)
    recorder(database, world.SETTINGS)(world.report(grading).to_json())
    assert world.grading(database, grading).state is GradingState.GRADED


def test_a_report_that_needs_a_person_is_an_error_in_the_log(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    grading = sent(database)
    recorder(database, world.SETTINGS)(world.failure(grading, fault=Fault.AUTHOR, message="grader.py: wrong").to_json())
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "grader.py: wrong" in caplog.text


def pressed(database: Database, folder: Path) -> Check:
    portal = make_portal(database, folder)
    return checks.ask(database, portal.store, started(portal).id, moment(portal))


def test_each_report_is_recorded_where_it_belongs(database: Database, tmp_path: Path) -> None:
    check = pressed(database, tmp_path)
    write = recorder(database, world.SETTINGS)
    write(CheckReport(check=check.id, fence=1, ending=Ending.EXITED, exit_code=0, output="well\n").to_json())
    with database.transaction() as session:
        (form,) = forms.fill(session, 1, now(session))
    write(FormReport(form=form.id, fence=1, bundle="b" * 64, brief="Count.").to_json())
    with database.reading() as session:
        assert session.get_one(Check, check.id).output == "well\n"
        assert session.get_one(Form, form.id).state is FormState.POOL


@pytest.mark.parametrize("broken", [{"ending": "asleep"}, {"version": 2}, {"failure": 7}, {"output": "x" * 100_000}])
def test_a_report_of_a_check_that_cannot_be_read_is_the_operators_failure(
    broken: dict[str, object], database: Database, tmp_path: Path
) -> None:
    check = pressed(database, tmp_path)
    told = json.loads(CheckReport(check=check.id, fence=1, ending=Ending.EXITED, exit_code=0).to_json()) | broken
    recorder(database, world.SETTINGS)(json.dumps(told))
    with database.reading() as session:
        found = session.get_one(Check, check.id)
    assert (found.state, found.tries, found.ended_at) == (CheckState.WAITING, 1, None)
    assert str(found.failure).startswith("recording worker: MessageUnreadable: CheckReport: ")


@pytest.mark.parametrize("broken", [{"findings": 7}, {"version": 2}, {"nobody": "knows"}])
def test_a_report_that_cannot_be_read_is_the_operators_failure_of_its_grading(
    broken: dict[str, object], database: Database
) -> None:
    grading = sent(database)
    told = json.loads(world.report(grading).to_json()) | broken
    recorder(database, world.SETTINGS)(json.dumps(told))
    found = world.grading(database, grading)
    assert (found.state, found.tries) == (GradingState.WAITING, 1)
    assert str(found.failure).startswith("recording worker: MessageUnreadable: GradingReport: ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        "7",
        '{"check": "../x", "fence": 1}',
        '{"form": 7, "fence": 1}',
        '{"grading": "../x", "fence": 1}',
        '{"grading": 1}',
    ],
)
def test_a_report_that_names_no_grading_is_only_logged(
    text: str, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        recorder(database, world.SETTINGS)(text)
    assert "a report could not be recorded" in caplog.text


def test_a_report_waits_for_a_database_that_is_away(
    new_sqlite: Callable[[Path], DatabaseSettings], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = new_sqlite(tmp_path / "state")
    database = connect(settings)
    grading = sent(database)
    database.close()
    away = settings.state.rename(tmp_path / "away")
    recording = threading.Thread(
        target=recorder(database, world.SETTINGS), args=(world.report(grading).to_json(),), daemon=True
    )
    recording.start()
    while "trying until it answers" not in caplog.text:
        recording.join(0.02)
    away.rename(settings.state)
    recording.join(30)
    assert not recording.is_alive()
    assert world.grading(database, grading).state is GradingState.GRADED
    database.close()


# ------------------------------------------------------------------------------------------------------- the grading


class Trusted:
    """Stands for an examination, which would take ten seconds."""

    def __init__(self) -> None:
        self.trouble = ""

    def prove(self) -> bool:
        if self.trouble:
            raise SandboxUnavailable(self.trouble)
        return False


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> tuple[Host, Trusted]:
    trusted = Trusted()
    monkeypatch.setattr(workers, "Trust", lambda _: trusted)
    monkeypatch.setattr(workers, "SWEEP_SECONDS", 0.0)
    monkeypatch.setattr(workers, "UNFIT_SECONDS", 0.0)
    return Host(SandboxSettings()), trusted


@pytest.mark.docker
def test_a_host_that_breaks_its_promise_takes_no_work_until_it_is_mended(
    host: tuple[Host, Trusted], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    here, trusted = host
    here.begin()
    assert here.is_fit()
    trusted.trouble = "network: reached"
    assert (here.is_fit(), here.is_fit()) == (False, False)
    trusted.trouble = ""
    assert here.is_fit()
    # It also sweeps, and there may be something to remove.
    told = [record.message for record in caplog.records if not record.message.startswith("removed a room")]
    assert told == ["takes no work until this is mended: network: reached", "takes work again"]
    trusted.trouble = "network: reached"
    with pytest.raises(SandboxUnavailable, match="network: reached"):
        here.begin()


@pytest.mark.docker
def test_a_host_whose_disk_is_full_takes_no_work_until_there_is_room(
    host: tuple[Host, Trusted], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = host
    assert here.is_fit()
    with monkeypatch.context() as full:
        full.setattr(workers, "LEAST_FREE_MB", 1 << 40)
        assert not here.is_fit()
    assert "MB are free: make room" in caplog.text
    assert here.is_fit()


@pytest.mark.docker
def test_what_a_crash_left_on_the_engine_is_removed(host: tuple[Host, Trusted]) -> None:
    settings = SandboxSettings()
    with Engine(settings) as engine:
        name = f"assay-test-left-{os.getpid()}"
        left = engine.create(name, {"Image": pinned(settings, "python"), "Labels": {DEADLINE: "1000"}})
        assert left is not None
        host[0].begin()
        assert left not in [found for found, _ in engine.containers([DEADLINE])]


def test_an_engine_that_is_away_ends_a_worker_that_starts_with_a_sentence(tmp_path: Path) -> None:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "DOCKER_"))}
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "instance_secret").write_text("0" * 64)
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "web.cli", "worker", "grading"], cwd=PROJECT, capture_output=True, text=True,
        env=ours | {"ASSAY_STATE": str(tmp_path), "ASSAY_DOCKER_HOST": "unix:///nowhere"}, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("assay: connect: unix:///nowhere: no Docker engine is there")


def test_there_is_no_judging_worker_yet_and_it_says_so() -> None:
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "web.cli", "worker", "judging"], cwd=PROJECT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "stays open for a person" in ended.stderr


def test_what_is_logged_is_one_line_whatever_it_says() -> None:
    record = logging.LogRecord("x", logging.ERROR, "", 1, "a\n2026-01-01 ERROR forged\x1b[2J\r%s", ("b",), None)
    assert OneLine("%(levelname)s %(message)s").format(record) == "ERROR a | 2026-01-01 ERROR forged [2J b"
    error = sqlite3.OperationalError("disk I/O error\nforged")
    record.exc_info = (type(error), error, None)
    assert "\n" not in OneLine("%(message)s").format(record)
