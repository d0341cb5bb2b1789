"""How long a grading takes when its worker is killed in the middle, against the same grading left alone."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import Figure, Progress
from benchmarks.rig import QUEUE, Rig, rig, signal_one, until
from web.models import GradingState

LEASE_SECONDS: Final = 10
SLOW: Final = {"main.py": b"import time\ntime.sleep(2)\nprint(42)\n"}


def measure(progress: Progress, rounds: int = 5) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        settings = {"ASSAY_LEASE_SECONDS": str(LEASE_SECONDS)}
        with rig(Path(folder) / "state", settings) as running:
            running.start(QUEUE, "recording", "clock", "grading-1", "grading-2")
            alone: list[float] = []
            again: list[float] = []
            for turn in range(rounds + 1):
                progress(f"left alone, round {turn} of {rounds}")
                undisturbed = _begun(running, running.hand_in(SLOW), 1, time.perf_counter())
                progress(f"killed, round {turn} of {rounds}")
                recovered = _killed(running)
                if turn:  # the first round warms up
                    alone.append(undisturbed)
                    again.append(recovered)
    yield Figure("from handing in until a grading runs, median", median(alone), "s")
    yield Figure("from SIGKILL of worker and horse until it runs again, median", median(again), "s")
    yield Figure("the longest of them, beyond the lease", max(again) - LEASE_SECONDS, "s", 20)
    yield Figure("after a kill / left alone", median(again) / median(alone), "times")


def _killed(running: Rig) -> float:
    """Nobody starts the killed worker again before another has taken over: that is the worse case."""
    submission = running.hand_in(SLOW)
    name = until(lambda: next((one for one in ("grading-1", "grading-2") if running.children(one)), ""), "a worker")
    horse = running.horse(name)
    until(lambda: running.grading(submission).alive_at is not None, "a sign of life")
    running.kill(name)
    signal_one(horse)
    seconds = _begun(running, submission, 2, time.perf_counter())
    running.start(name)
    return seconds


def _begun(running: Rig, submission: str, fence: int, since: float) -> float:
    """Seconds until a worker is at work on this try; then it is left to finish."""
    until(
        lambda: running.grading(submission).fence >= fence and running.grading(submission).alive_at is not None,
        f"try {fence} of a grading",
    )
    seconds = time.perf_counter() - since
    until(lambda: running.grading(submission).state is GradingState.GRADED, "a recorded grading")
    return seconds
