"""What grading costs beside the candidate's own program: with more workers, and with more that was graded before."""

import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import insert, select

from benchmarks import Figure, Progress
from benchmarks.rig import QUEUE, Rig, RigBroken, rig, until
from benchmarks.sandbox import docker_run
from graders.challenge import read_challenge, read_solutions
from sandbox import Limits
from sandbox.container import Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings
from web.models import Finding, Grading, GradingState, new_id
from web.settings import PROJECT

NOTHING: Final = {"main.py": b""}
WARM_UP: Final = PROJECT / "challenges" / "warm-up"
OWN: Final = ("clock", "recording", "grading-1", QUEUE)
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sizes:
    warm_ups: int = 12  # with each number of workers
    rounds: int = 3  # of taking turns
    nothings: int = 1000
    own_cost: int = 60
    finished: int = 10_000


def measure(progress: Progress, sizes: Sizes = Sizes()) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        settings = {"ASSAY_CHALLENGES": f"{PROJECT / 'challenges'}:{PROJECT / 'benchmarks' / 'challenges'}"}
        with rig(Path(folder) / "state", settings) as running:
            running.start(QUEUE, "recording", "clock")
            yield from _two_workers(running, sizes, progress)
            yield from _nothing(running, sizes, progress)
            running.stop("grading-2")
            yield from _own_cost(running, sizes, progress)


def _two_workers(running: Rig, sizes: Sizes, progress: Progress) -> Iterator[Figure]:
    """Taking turns, because the machine is not equally busy all the time."""
    perfect = next(one.files for one in read_solutions(read_challenge(WARM_UP)) if one.name == "perfect")
    running.start("grading-1")
    _graded(running, "warm-up", perfect, 2)  # what is loaded once is loaded now
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(sizes.rounds):
        progress(f"warm-up with one worker, round {turn + 1} of {sizes.rounds}")
        seconds[1].append(_graded(running, "warm-up", perfect, sizes.warm_ups))
        progress(f"warm-up with two workers, round {turn + 1} of {sizes.rounds}")
        running.start("grading-2")
        seconds[2].append(_graded(running, "warm-up", perfect, sizes.warm_ups))
        running.stop("grading-2")
    for workers, spent in seconds.items():
        yield Figure(f"warm-up: gradings a minute, workers: {workers}", 60 * sizes.warm_ups / median(spent), "")
    # The same number of gradings: a half would be twice the speed; 1 / 1.7 is the reach.
    yield Figure("warm-up: time with two workers / with one", median(seconds[2]) / median(seconds[1]), "times", 1 / 1.7)
    running.start("grading-2")


def _nothing(running: Rig, sizes: Sizes, progress: Progress) -> Iterator[Figure]:
    """Submissions that do nothing, drained by two workers; and bare containers, one after another."""
    progress(f"{sizes.nothings} submissions that do nothing")
    drained = _graded(running, "plain", NOTHING, sizes.nothings)
    settings = SandboxSettings()
    with Engine(settings) as engine:
        sandbox = DockerSandbox(engine, pinned(settings, "python"), settings, Owner(kind="benchmark"))
        limits = Limits(memory_mb=64)
        progress(f"{sizes.nothings} rooms, one after another")
        started = time.perf_counter()
        for _ in range(sizes.nothings):
            sandbox.run(["python3", "main.py"], files=NOTHING, limits=limits)
        rooms = time.perf_counter() - started
        progress(f"{sizes.nothings} bare containers, one after another")
        started = time.perf_counter()
        for _ in range(sizes.nothings):
            bare = [*docker_run(sandbox), "python3", "-c", ""]  # its deadline is near: a sweep ends what is past it
            subprocess.run(bare, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        containers = time.perf_counter() - started
    yield Figure("doing nothing: gradings a minute, workers: 2", 60 * sizes.nothings / drained, "")
    yield Figure("doing nothing: drained / bare containers", drained / containers, "times", 1.5)
    yield Figure("doing nothing: drained / sandbox.run, one after another", drained / rooms, "times")


def _own_cost(running: Rig, sizes: Sizes, progress: Progress) -> Iterator[Figure]:
    """Processor time of our own processes; not the engine's, and not what runs in the room."""
    costs: dict[str, float] = {}
    for history in ("", f", after {sizes.finished:,} finished"):
        if history:
            progress(f"writing {sizes.finished:,} finished gradings")
            _write_history(running, sizes.finished)
        progress(f"our own cost{history}")
        _graded(running, "plain", NOTHING, 2)
        with _waiting(running, "plain", NOTHING, sizes.own_cost):
            before = _spent(running)  # the clock has just been started: what that cost is no grading's
        costs[history] = 1000 * (_spent(running) - before) / sizes.own_cost
        yield Figure(f"our own cost of a grading{history}", costs[history], "ms CPU", 100)
    first, later = costs.values()
    yield Figure(f"our own cost: after {sizes.finished:,} finished / before", later / first, "times")


def _graded(running: Rig, challenge: str, files: Mapping[str, bytes], count: int) -> float:
    """Seconds from the moment that `count` submissions wait until the last is recorded."""
    with _waiting(running, challenge, files, count):
        started = time.perf_counter()
    return time.perf_counter() - started


@contextmanager
def _waiting(running: Rig, challenge: str, files: Mapping[str, bytes], count: int) -> Iterator[None]:
    """Inside, `count` submissions wait and a clock begins to send them; at the end all of them are graded."""
    running.stop("clock")
    submissions = [running.hand_in(files, challenge=challenge) for _ in range(count)]
    running.start("clock")
    yield
    until(lambda: not running.unfinished(), f"{count} gradings of {challenge}", 3600)
    for one in random.sample(submissions, min(10, count)):
        if running.grading(one).state is not GradingState.GRADED:
            raise RigBroken(f"{challenge}: not graded: {running.grading(one).failure}")


def _spent(running: Rig) -> float:
    """Seconds of processor time, with that of children which have ended."""
    total = 0.0
    for name in OWN:
        fields = Path(f"/proc/{running.pid(name)}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(ticks) for ticks in fields[11:15]) / TICKS
    return total


def _write_history(running: Rig, count: int) -> None:
    """Copies of one that was graded, with what it found."""
    with running.database.transaction() as session:
        last = session.scalars(select(Grading).where(Grading.state == GradingState.GRADED).limit(1)).one()
        columns = {column.key: getattr(last, column.key) for column in Grading.__table__.columns}
        finding = session.scalars(select(Finding).where(Finding.grading_id == last.id).limit(1)).one()
        told = {column.key: getattr(finding, column.key) for column in Finding.__table__.columns}
        ids = [new_id() for _ in range(count)]
        session.execute(insert(Grading), [columns | {"id": one} for one in ids])
        session.execute(insert(Finding), [told | {"grading_id": one} for one in ids])
