"""Two hundred gradings while everything is killed at random, under the supervisor of `assay up`."""

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from benchmarks.rig import signal_one
from tests.crash.plant import Plant, Work
from web import queue
from web.models import GradingState

pytestmark = [pytest.mark.docker, pytest.mark.crash]

GRADINGS: Final = 200
TRIES: Final = 4
SECONDS: Final = 25.0  # in which they are handed in, and in which the killing goes on
PAUSES: Final = 0.8, 2.0  # between two kills
# What a process is called on its command line, and how often it is chosen.
VICTIMS: Final = {
    "grading": 4, "grading horse": 4, "recording": 2, "recording horse": 2, "clock": 2, "valkey": 1, "portal": 1,
}  # fmt: skip
FORGETFUL: Final = "valkey without its data"


class Storm:
    def __init__(self, running: Plant, seed: int) -> None:
        self.running = running
        self.chance = random.Random(seed)
        self.history: list[str] = []

    def parts(self) -> dict[str, list[int]]:
        """The processes of the installation by what they are."""
        found: dict[str, list[int]] = {}
        for child in self.running.children("up"):
            words = _command(child)
            name = next((name for name in VICTIMS if any(name in word for word in words)), "portal")
            found.setdefault(name, []).append(child)
            for grandchild in _children(child):
                found.setdefault(f"{name} horse", []).append(grandchild)
        return found

    def strike(self) -> None:
        """Kill one of them."""
        parts = self.parts()
        names = [name for name in VICTIMS if name in parts]
        if not names:
            return
        (name,) = self.chance.choices(names, [VICTIMS[name] for name in names])
        if name == "valkey" and self.chance.random() < 0.5:
            shutil.rmtree(self.running.state / queue.EMBEDDED / "appendonlydir", ignore_errors=True)
            self.history.append(FORGETFUL)
        victim = self.chance.choice(parts[name])
        self.history.append(f"{name} {victim}")
        signal_one(victim)

    def rage(self) -> None:
        works = [Work.RIGHT] * (GRADINGS - 42) + [Work.WRONG] * 40
        self.chance.shuffle(works)
        works += [Work.POISON] * 2  # the first to be handed in: they take the longest
        began = time.monotonic()
        next_strike = began + self.chance.uniform(*PAUSES)
        while (passed := time.monotonic() - began) < SECONDS or works:
            while works and len(works) > GRADINGS * (1 - passed / SECONDS):
                self.running.accept(works.pop())
            if time.monotonic() >= next_strike:
                self.strike()
                next_strike = time.monotonic() + self.chance.uniform(*PAUSES)
            time.sleep(0.05)


def _children(process: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def _command(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


@contextmanager
def everything_up(state: Path) -> Iterator[Plant]:
    running = Plant(state, {"ASSAY_TRIES": str(TRIES), "ASSAY_GRADING_WORKERS": "2"})
    try:
        running.prepare()
        running.start("up", command=["-m", "tests.crash.up_process"])
        yield running
    finally:
        running.close()


def unlucky(running: Plant) -> set[str]:
    """Honest work that was struck at each of its tries: given up, as it should be, and it must be rare."""
    struck = set()
    for submission, work in running.acknowledged.items():
        grading = running.grading(submission)
        if grading.state is GradingState.FAILED and work is not Work.POISON and grading.tries == TRIES:
            struck.add(submission)
    assert len(struck) <= 3, "too many to be bad luck"
    return struck


def test_nothing_is_lost_in_a_storm(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"the storm's seed: {seed}")  # noqa: T201  # shown when the test fails
    with everything_up(tmp_path / "state") as running:
        storm = Storm(running, seed)
        storm.rage()
        print("killed:", ", ".join(storm.history))  # noqa: T201
        assert len(storm.history) > 5  # a storm is no single gust
        running.drain()
        assert len(running.acknowledged) == GRADINGS
        running.given_up |= unlucky(running)
        running.assert_nothing_is_lost()
        told = [running.grading(submission) for submission in running.acknowledged]
        graded = [grading for grading in told if grading.state is GradingState.GRADED]
        print(f"tries: {sum(grading.fence for grading in told)} for {len(graded)} graded of {len(told)}")  # noqa: T201
        assert running.running["up"].poll() is None
