"""How long a candidate's program is waited for, and what is said when it took longer.

CPU seconds decide, because a busy neighbour does not change them. Wall time only ends what sleeps or waits: three
times as much, so that a loaded host is not held against anybody.
"""

import time
from dataclasses import dataclass
from typing import Final, Self

from graders import strict
from sandbox import Ending, Execution, Limits

WALL_A_CPU_SECOND: Final = 3.0
SHORTEST: Final = 0.1


def longest(seconds_all: float) -> float:
    """By the clock, for programs that may use so many CPU seconds together."""
    return seconds_all * WALL_A_CPU_SECOND


@dataclass(slots=True)
class Patience:
    cpu_seconds: float  # for each program
    wall_seconds: float
    cpu_left: float  # of all programs together: when it is used up no other is started
    ends: float  # the same by the monotonic clock

    @classmethod
    def within(cls, limits: Limits, seconds_each: float | None, seconds_all: float) -> Self:
        """What an author asks for, if the challenge's limits have room for it."""
        most = limits.seconds / WALL_A_CPU_SECOND
        each = most if seconds_each is None else seconds_each
        if not SHORTEST / WALL_A_CPU_SECOND <= each <= most:
            raise ValueError(
                f"seconds_each: {each:g}: must be above 0.03 and, so that a loaded host is not held against a"
                f" candidate, at most a third of limits.seconds = {limits.seconds:g}: raise that in challenge.toml"
            )
        if not seconds_all > 0:
            raise ValueError(f"seconds_all: {seconds_all:g}: must be above 0")
        ends = time.monotonic() + longest(seconds_all)
        return cls(each, min(each * WALL_A_CPU_SECOND, limits.seconds), seconds_all, ends)

    @property
    def over(self) -> bool:
        return self.cpu_left <= 0 or time.monotonic() >= self.ends

    def charge(self, execution: Execution) -> None:
        """Where nothing counts a program's CPU seconds, the clock alone decides."""
        self.cpu_left -= execution.cpu_seconds or 0

    def complaint(self, execution: Execution) -> str:
        """Why the program did not come to a good end in time; empty when it did."""
        spent = execution.cpu_seconds
        if execution.ending is Ending.TIMED_OUT:
            return f"it did not end in {self.wall_seconds:g} s"
        if execution.ending is Ending.NOT_STARTED:
            return f"it could not be started: {strict.printable(execution.stderr)}"
        if execution.ending is not Ending.EXITED:
            return f"it was ended: {execution.ending}"
        if spent is not None and spent > self.cpu_seconds:
            return f"it used {spent:.2f} s of CPU time, and {self.cpu_seconds:.2f} are allowed"
        return ""
