"""`assay up` itself, with everything that it starts; each part is killed, and a rehearsal still comes to its end."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from benchmarks.rig import CHALLENGES
from graders.trees import FolderStore
from tests.web.worker_process import gone, until
from tests.web.world import apply_for_role
from web import attempts, challenges, checks, together, work
from web.database import connect, now
from web.errors import PortalError
from web.lifeline import take_lock
from web.models import Check, CheckState, Form, FormState
from web.queue import EMBEDDED, Doorbell
from web.queue import connect as reach
from web.settings import PROJECT, DatabaseSettings, PortalSettings

pytestmark = pytest.mark.docker

# `assay up` once more, on a machine that the first one has prepared and examined.
TOGETHER: Final = """
import sys
from web import together
from web.errors import PortalError
from web.settings import PortalSettings

try:
    together.run(PortalSettings(port=0), bool, print, lambda url: print(url, flush=True))
except PortalError as error:
    sys.exit(str(error))
"""
AGAIN: Final = ("-c", TOGETHER)

PARTS: Final = {
    "queue": "valkey-server",
    "clock": "worker clock",
    "recording": "worker recording",
    "grading": "worker grading",
    "checks": "worker checks",
    "forms": "worker forms",
    "portal": "web --port",
}


class Up:
    """One `assay up` after another, on one state folder."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        ours = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        self.environment = ours | {
            "ASSAY_STATE": str(folder / "state"),
            "ASSAY_CHALLENGES": str(CHALLENGES),
            "ASSAY_LEASE_SECONDS": "10",
            "ASSAY_GRADING_WORKERS": "1",
        }
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def assay(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "web.cli", *words],
            cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def start(self, *how: str) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *(how or ("-m", "web.cli", "up", "--no-install", "--port", "0"))],
                cwd=PROJECT, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        told = next((found for line in self.process.stdout if (found := re.search(r"http://\S+", line))), None)
        assert told, self.log.read_text()
        self.url = told[0]

    def children(self) -> dict[str, int]:
        """The process of each part."""
        assert self.process is not None
        found: dict[str, int] = {}
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            found |= {part: int(child) for part, sign in PARTS.items() if sign in words}
        return found

    def get(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def rehearse(self, folder: Path) -> dict[str, Any]:
        ended = self.assay("rehearse", "plain", str(folder), "--json")
        assert ended.returncode == 0, ended.stderr + self.log.read_text()
        return dict(json.loads(ended.stdout))

    def stop(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with Up(tmp_path_factory.mktemp("up")) as running:
        running.start()
        yield running


@pytest.fixture
def submission(tmp_path: Path) -> Callable[[str], Path]:
    def write(program: str) -> Path:
        (tmp_path / "main.py").write_text(program)
        return tmp_path

    return write


Submit = Callable[[str], Path]


def test_everything_is_up_when_the_address_is_printed(up: Up, submission: Submit) -> None:
    assert up.get("/readyz") == (200, {"status": "ready", "database": "well", "queue": "well", "clock": "well"})
    assert up.children().keys() == PARTS.keys()
    right = up.rehearse(submission("print(6 * 7)"))
    assert right["total"] == {"low": 100.0, "high": 100.0, "max": 100.0}
    assert right["findings"][0]["reason"] == "It prints 42."
    assert (right["tries"], right["fence"], right["failure"]) == (0, 1, None)
    assert up.rehearse(submission("print(41)"))["total"]["high"] == 0


def test_forms_are_kept_ready_and_a_check_runs(up: Up) -> None:
    state = Path(up.environment["ASSAY_STATE"])
    database = connect(DatabaseSettings(_env_file=None, state=state))
    bell, store = Doorbell(reach("", state / EMBEDDED)), FolderStore(state / "store")

    def form_of_the_pool() -> Form | None:
        with database.reading() as session:
            return session.scalar(select(Form).where(Form.state == FormState.POOL).limit(1))

    made = until(form_of_the_pool)
    with database.transaction() as session:
        version = challenges.newest(session, "plain")
        assert version is not None
        attempt = attempts.invite(session, apply_for_role(session), version, "staff")
        assert session.get_one(Form, attempt.form_id).state is FormState.ISSUED  # it was there before anybody asked
    with database.transaction() as session:
        running = attempts.start(session, attempt.id, now(session))
        work.begin(session, running, store.get(made.bundle) | {"main.py": b"print('tried')"})
    with database.reading() as session:
        arrived = now(session)
    check = checks.ask(database, store, attempt.id, arrived)
    assert checks.ring(database, bell, check)

    def ended() -> Check | None:
        with database.reading() as session:
            found = session.get_one(Check, check.id)
            return found if found.ended_at else None

    found = until(ended)
    assert (found.state, found.output, found.tries) == (CheckState.DONE, "tried\n", 0)
    database.close()


def test_a_second_one_says_who_runs(up: Up) -> None:
    second = subprocess.run(
        [sys.executable, *AGAIN],
        cwd=PROJECT, env=up.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert up.process is not None
    assert second.returncode == 1
    assert f"process {up.process.pid}, started" in second.stderr
    assert f"at {up.url} uses this folder already" in second.stderr


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_is_back_and_a_rehearsal_ends(part: str, up: Up, submission: Submit) -> None:
    killed = up.children()[part]
    os.kill(killed, signal.SIGKILL)
    assert up.rehearse(submission("print(42)"))["total"]["low"] == 100
    until(lambda: up.children().get(part, killed) != killed)
    until(up.is_ready)
    assert f"{part}: ended with signal 9" in up.log.read_text().replace(" 1:", ":")


def test_nothing_is_left_of_one_that_is_killed_and_the_next_goes_on(up: Up, submission: Submit) -> None:
    children = up.children()
    assert up.process is not None
    up.process.kill()
    up.process.communicate()
    until(lambda: all(gone(child) for child in children.values()))
    up.start(*AGAIN)
    assert up.rehearse(submission("print(42)"))["total"]["low"] == 100


def test_it_stops_well_when_it_is_told_to(up: Up) -> None:
    children = up.children()
    assert up.stop(signal.SIGINT) == 0
    assert all(gone(child) for child in children.values())
    assert (Path(up.environment["ASSAY_STATE"]) / "up.lock").read_text() == ""


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("ASSAY_DATABASE_URL", "mysql://host/assay", "only sqlite:///PATH and postgresql"),
        ("ASSAY_INSTANCE_SECRET_FILE", "", "uses this folder already"),
    ],
)
def test_what_can_be_refused_at_once_is_refused_before_the_machine_is_prepared(
    setting: str, value: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare() -> None:
        pytest.fail("it began to prepare the machine")

    monkeypatch.setenv("ASSAY_STATE", str(tmp_path))
    monkeypatch.setenv(setting, value)
    held = take_lock(tmp_path / together.LOCK) if "already" in sentence else None
    try:
        with pytest.raises(PortalError, match=sentence):
            together.run(PortalSettings(port=0), prepare, print, print)
    finally:
        if held is not None:
            os.close(held)
