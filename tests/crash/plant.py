"""A rig that remembers what was handed in, and the one thing that must hold of it whatever is killed.

*Every accepted submission ends with exactly one recorded outcome; no operator's fault is ever a score; nothing
labelled is left on the engine; the next honest grading is right.*
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Final

from sqlalchemy import select

from benchmarks.rig import Rig, RigBroken, until
from graders.contract import Fault
from sandbox import SandboxUnavailable
from sandbox.container import GRADING
from sandbox.docker import Engine
from web import audit
from web.models import Finding, Grading, GradingState, Submission
from web.queue import alive_key

WORKERS: Final = ("grading-1", "grading-2")
ALL: Final = ("queue", "clock", "recording", *WORKERS)
SWEPT_SECONDS: Final = 90  # a room's deadline, and the sweep after it


class Work(Enum):
    """What is handed in: what main.py is, and what it must earn. None: it must fail, and a person be told."""

    RIGHT = "print(42)", 1.0
    WRONG = "print(41)", 0.0
    SLOW = "import time; time.sleep(5); print(42)", 1.0
    CHATTY = "import sys, time\nfor _ in range(400): print('.' * 99, file=sys.stderr); time.sleep(0.01)\nprint(42)", 1.0
    POISON = "print(42)", None

    @property
    def credit(self) -> float | None:
        credit: float | None = self.value[1]
        return credit

    @property
    def files(self) -> dict[str, bytes]:
        program = {"main.py": f"{self.value[0]}  # {self.name}".encode()}
        return program | ({"poison": b""} if self is Work.POISON else {})


class Plant(Rig):
    def __init__(self, state: Path, settings: Mapping[str, str] = {}, prefix: Sequence[str] = ()) -> None:
        super().__init__(state, settings, prefix)
        self.acknowledged: dict[str, Work] = {}  # submissions, once their receipt was given
        self.given_up: set[str] = set()  # of these it is known that our own fault lasted too long

    def accept(self, work: Work = Work.RIGHT, times: int = 1, challenge: str = "plain") -> list[str]:
        """Hand in work of different people. Whatever is returned must never be lost."""
        accepted = []
        for _ in range(times):
            submission = self.hand_in(work.files, challenge=challenge)
            self.acknowledged[submission] = work
            accepted.append(submission)
        return accepted

    def accept_one(self, work: Work = Work.RIGHT) -> str:
        return self.accept(work)[0]

    def mend(self) -> None:
        """Start whatever is missing."""
        self.start(*(name for name in ALL if name not in self.running or self.running[name].poll() is not None))

    def is_graded(self, submission: str) -> bool:
        return self.grading(submission).state is GradingState.GRADED

    def has_room(self, submission: str) -> bool:
        """Whether the engine knows of a room for it, running or not."""
        return bool(self._rooms({self.grading(submission).id}))

    def in_room(self, submission: str) -> bool:
        """Whether its program runs in a room at this moment."""
        return any(self._rooms({self.grading(submission).id}).values())

    def _rooms(self, gradings: Collection[str]) -> dict[str, bool]:
        """The rooms of these gradings that are on the engine, and whether each runs."""
        with Engine(self.rooms()) as engine:
            found = {}
            for room, labels in engine.containers([GRADING]):
                if labels[GRADING] in gradings:
                    with suppress(SandboxUnavailable):  # it has just been removed
                        found[room] = bool(engine.state(room)["Running"])
            return found

    def worker_of(self, submission: str) -> str:
        """The name of the worker that grades it; waits until one does."""

        def found() -> str:
            grading = self.grading(submission)
            said = (self.connection.get(alive_key(f"{grading.id}-{grading.fence}")) or b"").decode()
            return next((name for name in self.running if f"-{self.pid(name)}-" in said), "")

        return until(found, "a worker at it")

    # --------------------------------------------------------------------------------------------- what must hold

    def assert_nothing_is_lost(self) -> None:
        """The invariant. A submission that was given up has no score, and somebody was told."""
        honest = self.accept_one(Work.RIGHT)
        self.drain()
        with self.database.reading() as session:
            broken = audit.verify(session)
            assert broken is None, f"the audit trail breaks at event {broken}"
            known = set(session.scalars(select(Submission.id)))
            gradings = session.scalars(select(Grading)).all()
            findings = session.scalars(select(Finding)).all()
        assert set(self.acknowledged) <= known, "a submission was acknowledged and is not there"
        by_submission: dict[str, list[Grading]] = {submission: [] for submission in known}
        sent_again = {grading.repeats_id for grading in gradings}
        for grading in gradings:
            if grading.id not in sent_again:
                by_submission[grading.submission_id].append(grading)
        earned: dict[str, list[float | None]] = {grading.id: [] for grading in gradings}
        for finding in findings:
            earned[finding.grading_id].append(finding.credit)
        for submission, work in self.acknowledged.items():
            (grading,) = by_submission[submission]  # one, and not two
            told = f"{work.name}: {grading.state} at try {grading.fence}: {grading.failure}"
            if grading.state is GradingState.GRADED:
                assert earned[grading.id] == [work.credit], told
                assert work.credit is not None, told
                assert grading.provenance is not None, told
            else:
                assert grading.state is GradingState.FAILED, told
                assert grading.fault_of is Fault.OPERATOR, told
                assert grading.failure, told
                assert earned[grading.id] == [], told
                assert work is Work.POISON or submission in self.given_up, told
        assert self.is_graded(honest)
        self._assert_nothing_is_left({grading.id for grading in gradings})

    def _assert_nothing_is_left(self, gradings: Collection[str]) -> None:
        """A room whose worker was killed ends at once, and the workers remove it when its deadline is over."""
        try:
            until(lambda: not any(self._rooms(gradings).values()), "rooms of gradings that are over: their end", 15)
            until(lambda: not self._rooms(gradings), "rooms that crashes left: their removal", SWEPT_SECONDS)
        except RigBroken as error:
            raise AssertionError(f"{error}: {self._rooms(gradings)}") from None


@contextmanager
def plant(state: Path, settings: Mapping[str, str] = {}, prefix: Sequence[str] = ()) -> Iterator[Plant]:
    made = Plant(state, settings, prefix)
    try:
        made.prepare()
        made.start(*ALL)
        yield made
    finally:
        made.close()
