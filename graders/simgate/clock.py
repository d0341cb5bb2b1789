"""The time of a gateway, in nanoseconds since it was started. The driver chooses which clock it is.

With RealClock the gateway sleeps for as long as the model that it plays would take. With StillClock nothing ever
waits: a request takes no time, the latency it would have had stands in the ledger, and time moves when the driver
moves it. So nothing that depends on time can differ between two gradings; whoever measures latency needs the other.
"""

import asyncio
import time
from typing import Final, Protocol

__all__ = ["NANO", "ORIGIN", "Clock", "RealClock", "StillClock"]

NANO: Final = 10**9
ORIGIN: Final = 1_772_409_600  # 2 March 2026, a Monday: the gateway's calendar begins here, whenever it is started


class Clock(Protocol):
    real: bool

    def now(self) -> int: ...

    async def wait(self, until: int, gone: asyncio.Event) -> bool:
        """Sleep until then. False when `gone` was set before: nobody waits for this any more."""
        ...


class RealClock:
    real = True

    def __init__(self) -> None:
        self._started = time.monotonic_ns()

    def now(self) -> int:
        return time.monotonic_ns() - self._started

    async def wait(self, until: int, gone: asyncio.Event) -> bool:
        if until <= self.now():
            return not gone.is_set()
        try:
            async with asyncio.timeout((until - self.now()) / NANO):
                await gone.wait()
        except TimeoutError:
            return True
        return False


class StillClock:
    real = False

    def __init__(self) -> None:
        self._now = 0

    def now(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"advance: {seconds:g}: time does not go back")
        self._now += round(seconds * NANO)

    async def wait(self, until: int, gone: asyncio.Event) -> bool:  # noqa: ARG002  # nothing is waited for
        return not gone.is_set()
