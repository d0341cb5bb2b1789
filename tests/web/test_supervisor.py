"""The supervisor, with children of the tests' own: small programs that live and die as they are told."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.web.worker_process import PATIENCE, gone, until
from web.settings import PROJECT

# The supervisor itself, in a process that can be killed. Each argument is a part: name=program in sh.
SUPERVISOR = """
import subprocess, sys
from pathlib import Path
from web import supervisor
from web.lifeline import tied_to_me

supervisor.AT_ONCE_SECONDS, supervisor.PAUSES, supervisor.LONG_PAUSE = 0.3, (0.0, 0.0), 0.2
supervisor.HURRIED_SECONDS = 0.3

def part(number, told):
    name, program = told.split("=", 1)
    def start(said):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(["sh", "-c", program, "sh", said], start_new_session=True, preexec_fn=tied_to_me(),
                                **pipes)
    return supervisor.Part(name, start, number, 30)

def say(line):
    sys.stderr.write(line + "\\n")
    sys.stderr.flush()

def announce(ready):
    print("up:", ready, flush=True)

parts = [part(number, told) for number, told in enumerate(sys.argv[1:])]
try:
    supervisor.Supervisor(parts, say).run(announce)
except supervisor.PartUnavailable as error:
    sys.exit(f"unavailable: {error}")
print("down", flush=True)
"""


class Supervising:
    def __init__(self, folder: Path, *parts: str) -> None:
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SUPERVISOR, *parts],
                cwd=PROJECT, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | {"NOTES": str(folder)},
            )  # fmt: skip

    def announced(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def said(self) -> list[str]:
        return self.log.read_text().splitlines()

    def until_said(self, pattern: str, times: int = 1) -> str:
        return str(until(lambda: len(found := re.findall(pattern, self.log.read_text())) >= times and found[-1]))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


Supervise = Callable[..., Supervising]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    with ExitStack() as running:
        yield lambda *parts: running.enter_context(Supervising(tmp_path, *parts))


LIVES = "trap 'echo $0 stops >&2; exit 0' TERM; echo ready; echo pid $$ >&2; while :; do sleep 0.05; done"


def test_everything_is_announced_once_when_all_is_ready(supervise: Supervise) -> None:
    running = supervise("first=sleep 0.2; echo here; exec sleep 60", "second=echo 'at http://x'; exec sleep 60")
    assert running.announced() == "up: {'first': 'here', 'second': 'at http://x'}\n"
    assert running.stop() == (0, "down\n")


def test_what_is_killed_is_started_again(supervise: Supervise) -> None:
    running = supervise(f"first={LIVES}", f"second={LIVES}")
    running.announced()
    first = int(running.until_said(r"first: pid (\d+)"))
    os.kill(first, signal.SIGKILL)
    running.until_said("first: ended with signal 9; started again")
    running.until_said(r"first: pid (\d+)", times=2)
    assert running.stop() == (0, "down\n")
    assert len(re.findall("second: pid", running.log.read_text())) == 1


def test_a_child_that_is_started_again_is_told_what_the_last_one_said(supervise: Supervise) -> None:
    running = supervise('web=echo "at port ${1:-8123}"; echo "told <$1>" >&2; echo pid $$ >&2; exec sleep 60')
    assert running.announced() == "up: {'web': 'at port 8123'}\n"
    os.kill(int(running.until_said(r"web: pid (\d+)")), signal.SIGKILL)
    running.until_said("web: told <at port 8123>")


def test_what_a_killed_child_left_running_is_ended_before_another_is_started(supervise: Supervise) -> None:
    running = supervise("web=sleep 60 & echo left $! >&2; echo pid $$ >&2; echo ready; wait")
    running.announced()
    left = int(running.until_said(r"left (\d+)"))
    os.kill(int(running.until_said(r"pid (\d+)")), signal.SIGKILL)
    running.until_said("started again")
    until(lambda: gone(left))


def test_what_ends_at_once_again_and_again_is_said_once(supervise: Supervise) -> None:
    running = supervise(
        "web=echo ready; exec sleep 60",
        'sick=echo ready; test -e "$NOTES/sick" || exec sleep 0.5; echo "the disk is full" >&2; exit 3',
    )
    running.announced()
    (running.log.parent / "sick").touch()
    running.until_said(r"sick: ended with exit code 3, again and again; tried again every 0 seconds: the disk is full")
    said = running.said()
    (running.log.parent / "sick").unlink()
    running.until_said("sick: runs again")
    assert len(running.said()) <= len(said) + 1
    assert running.process.poll() is None


def test_what_cannot_start_at_first_ends_everything_with_its_last_words(supervise: Supervise) -> None:
    running = supervise(f"first={LIVES}", "second=sleep 0.3; echo 'port 80 is in use' >&2; exit 3")
    running.process.wait(timeout=PATIENCE)
    assert running.said()[-1] == "unavailable: second: ended with exit code 3: port 80 is in use"
    assert gone(int(running.until_said(r"first: pid (\d+)")))


def test_children_stop_in_their_order(supervise: Supervise) -> None:
    stops = "trap 'sleep 0.2; echo stopped >&2; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    running = supervise(f"portal={stops}", f"worker={stops}", f"queue={stops}")
    running.announced()
    assert running.stop(signal.SIGINT) == (0, "down\n")
    assert running.said() == [
        "SIGINT: stopping, when what is at work is done; once more makes it quick",
        "portal: stopped",
        "worker: stopped",
        "queue: stopped",
    ]


def test_a_second_signal_does_not_wait(supervise: Supervise) -> None:
    running = supervise("worker=trap 'echo busy >&2' TERM; echo ready; while :; do sleep 0.05; done", f"queue={LIVES}")
    running.announced()
    running.process.send_signal(signal.SIGTERM)
    running.until_said("worker: busy")
    assert running.stop() == (0, "down\n")  # long before the thirty seconds that the part would get


def test_nothing_is_left_of_a_supervisor_that_is_killed(supervise: Supervise) -> None:
    running = supervise(f"first={LIVES}", f"second={LIVES}")
    running.announced()
    children = [int(running.until_said(rf"{name}: pid (\d+)")) for name in ("first", "second")]
    running.process.kill()
    running.process.wait()
    until(lambda: all(gone(child) for child in children))


def test_a_childs_words_cannot_forge_a_line_or_move_the_cursor(supervise: Supervise) -> None:
    running = supervise(r"""worker=printf 'a\033[2Jb\rc\n%09000d' 7 >&2; echo ready; exec sleep 60""")
    running.announced()
    running.until_said("worker: 0{7000}")
    assert running.said()[0] == "worker: a [2Jb c"
    assert all(line.startswith("worker: ") for line in running.said())
