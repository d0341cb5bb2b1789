"""A gateway while it is open: what the driver holds, and the only way to its inside.

    with serving(setup, path=folder / "model.sock") as gateway:            # for a room: gateways={8000: gateway.path}
        ... run the subject ...
        gateway.freeze()
        rows = gateway.rows()

The subject sees a socket that speaks OpenAI's protocol and nothing else. What a driver may do, such as to register
items, to let something go wrong or to read the ledger, are methods of this object, in the driver's own process: there
is no port, path or token for it that a subject could find.

The server runs in a thread of its own; methods may be called from any other.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from .brains.competence import Item
from .clock import Clock, RealClock, StillClock
from .ledger import Row, Spending
from .limits import Incident
from .provider import Provider
from .setup import Setup
from .wire import Server

__all__ = ["Gateway", "SimgateFailed", "serving"]

START_SECONDS: Final = 10
ADMIN_SECONDS: Final = 30  # an embedding of 256 texts may be under way
SETTLE_SECONDS: Final = 40.0  # beyond the longest that a hanging answer hangs

Found = TypeVar("Found")


class SimgateFailed(Exception):
    """Our own fault: what was measured through this gateway is worth nothing, and nobody is marked down for it."""


class Gateway:
    """`base_url` is where it is on loopback. In a room that is http://127.0.0.1:PORT/v1, with the room's own port."""

    def __init__(self, setup: Setup, clock: Clock, listening: socket.socket, path: Path | None) -> None:
        self.path = path
        self.setup = setup
        self.base_url = "" if path else f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        self._clock = clock
        self._listening = listening
        self._provider = Provider(setup, clock)
        self._server = Server(self._provider.answer, clock, self._provider_counts)
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="simgate", daemon=True)

    # what the driver may do

    def expect(self, *items: Item) -> None:
        """Register messages just before they are sent: the competence brain knows calls about them."""
        self._do(lambda: self._provider.competence.expect(items))

    def release(self, *keys: str) -> None:
        self._do(lambda: self._provider.competence.release(keys))

    def incident(self, incident: Incident) -> None:
        """Let one more thing go wrong. Its `start` is by the gateway's clock."""
        self._do(lambda: setattr(self._provider, "incidents", self._provider.incidents.also(incident)))

    def now(self) -> float:
        return self._clock.now() / 1e9

    def advance(self, seconds: float) -> None:
        """Move the time of a StillClock."""
        if not isinstance(self._clock, StillClock):
            raise TypeError("advance: this gateway has a real clock, which moves by itself")
        clock = self._clock
        self._do(lambda: clock.advance(seconds))

    def freeze(self, *, frozen: bool = True) -> None:
        """Answer everything with 503 from now on, without a row: what is read of the ledger is the end of it."""
        self._do(lambda: setattr(self._provider, "frozen", frozen))
        if frozen:
            self._wait_until_settled()

    def reset(self) -> None:
        """An empty ledger and a whole budget, as for another subject."""
        self._do(self._provider.reset)

    def rows(self) -> list[Row]:
        """The calls that are over, in the order of their arrival."""
        return self._do(lambda: self._provider.ledger.rows())

    def spending(self) -> Spending:
        return self._do(lambda: self._provider.ledger.spending())

    def find(self, trace: str) -> Row | None:
        """The call whose answer had this id; None: there was none, and whoever names it made it up."""
        return self._do(lambda: self._provider.ledger.find(trace))

    # how it runs

    def start(self) -> None:
        self._thread.start()
        self._loop.result(START_SECONDS)

    def stop(self) -> None:
        self._do(self._over.set)
        self._thread.join(START_SECONDS)
        if self._server.failures or self._thread.is_alive():
            first = self._server.failures[0] if self._server.failures else None
            raise SimgateFailed(f"gateway: {first!r}: it could not do what it promises") from first

    async def _main(self) -> None:
        await self._server.start(self._listening)
        working = asyncio.create_task(self._work())
        self._loop.set_result(asyncio.get_running_loop())
        await self._over.wait()
        working.cancel()
        await asyncio.wait([working])
        if not working.cancelled() and (error := working.exception()) is not None:
            self._server.failures.append(error)
        await self._server.stop()

    async def _work(self) -> None:
        """Lines of batches, one between other requests each."""
        while True:
            await self._provider.work_waits.wait()
            self._provider.work_waits.clear()
            while self._provider.work():
                await asyncio.sleep(0)

    def _provider_counts(self, code: str) -> None:
        self._provider.ledger.count(code)

    def _wait_until_settled(self) -> None:
        async def settled() -> bool:
            for _ in range(round(SETTLE_SECONDS / 0.01)):
                if self._provider.ledger.settled:
                    return True
                await asyncio.sleep(0.01)
            return False

        if not self._run(settled(), SETTLE_SECONDS + ADMIN_SECONDS):
            raise SimgateFailed("gateway: calls are still open: the ledger cannot be read")

    def _do(self, action: Callable[[], Found]) -> Found:
        async def act() -> Found:
            return action()

        return self._run(act(), ADMIN_SECONDS)

    def _run(self, doing: Coroutine[Any, Any, Found], seconds: float) -> Found:
        return asyncio.run_coroutine_threadsafe(doing, self._loop.result(START_SECONDS)).result(seconds)


@contextmanager
def serving(setup: Setup, *, path: Path | None = None, port: int = 0, clock: Clock | None = None) -> Iterator[Gateway]:
    """Open a gateway: on a unix socket at `path`, else on loopback at `port`, or any free one."""
    with _listening(path, port) as listening:
        gateway = Gateway(setup, clock or RealClock(), listening, path)
        gateway.start()
        try:
            yield gateway
        finally:
            gateway.stop()


@contextmanager
def _listening(path: Path | None, port: int) -> Iterator[socket.socket]:
    if path is None:
        with socket.create_server(("127.0.0.1", port)) as listening:
            yield listening
        return
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        try:
            path.chmod(0o666)  # the relay in a room runs under another user id; the folder says who comes here at all
            listening.listen()
            yield listening
        finally:
            path.unlink()
