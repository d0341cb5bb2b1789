"""The candidate's server through one night: started, asked by four users at a time, and started again when it dies.

    with room.probe(LIVING) as living:
        asking = Asking(room, living, submission.limits, times, ends, complaints.append)
        with asking.serving("site/index") as ready:
            replies = asking.ask(bodies, until=...)     # one for each, whatever happens
            answer = asking.post("/admin/reload", {"index": "site/next"})

A crash costs the questions that were open, as it would cost the users who asked them; then the server is started once
more. It is the same for one that answers nobody any more. After the second time it stays down.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from graders import strict
from graders.driver import Reply, Request, Server
from graders.probes import program
from sandbox import Ending, Execution, Limits, Probe, Room

__all__ = ["LIVING", "Asking", "Times", "how_it_ended"]

PORT: Final = 8080
USERS: Final = 4  # who ask at the same time
REVIVALS: Final = 2
HEALTH: Final = "/healthz"
HEALTH_SECONDS: Final = 2.0
ENDING_SECONDS: Final = 1.0
LONGEST_WORDS: Final = 200  # of a program that ended
PAUSE: Final = 0.05  # between two looks whether it is ready

# Asked with any line, says whether anything of the candidate's runs that could still become ready.
LIVING: Final = (
    program("living") + '\nimport sys\nfor _ in sys.stdin:\n    print("yes" if anything_runs() else "no", flush=True)\n'
)


@dataclass(frozen=True, slots=True)
class Times:
    """How long a candidate's programs are waited for, in seconds by the clock but for `ingest_cpu`.

    `world` bounds one whole night, whatever hangs in it: two of them and what else is graded have to fit into the
    challenge's grading_seconds.
    """

    world: float = 120
    ingest: float = 100
    ingest_cpu: float = 60  # of one ingest; this decides where a busy host would make the clock unfair
    start: float = 40  # until the server is ready; a busy host is not to decide it
    question: float = 5
    questions: float = 60  # for all before the update
    silence: float = 20  # of waiting for questions that get no reply, in one phase


class Asking:
    def __init__(
        self,
        room: Room,
        living: Probe,
        limits: Limits,
        times: Times,
        ends: float,
        complain: Callable[[str], object],
    ) -> None:
        self.program_seconds = 0.0  # in which the server was waited for
        self._room, self._living, self._limits = room, living, limits
        self._times, self._ends, self._complain = times, ends, complain
        self._revivals = REVIVALS
        self._command: Sequence[str] = ()
        self._server: Server | None = None  # None: it is down, and `_down` says why
        self._down = "it was not started"

    @contextmanager
    def serving(self, index: str) -> Iterator[bool]:
        """Start the server on this index; whether it got ready. Afterwards it is stopped."""
        self._command = ("python3", "-m", "ragdesk", "serve", "--index", index, "--port", str(PORT))
        try:
            if failure := self._start():
                self._complain(f"serve: {failure}")
            yield not failure
        finally:
            if self._server is not None:
                self._server.stop()
                self._server, self._down = None, "it was stopped"

    def ask(self, bodies: Sequence[Mapping[str, Any]], until: float) -> list[Reply]:
        """POST each to /ask, in order, as many at once as there are users. `until` is by the monotonic clock."""
        replies: list[Reply] = []
        silent_left = self._times.silence
        waiting = iter(bodies)
        while batch := list(islice(waiting, USERS)):
            left = min(until, self._ends) - time.monotonic()
            if silent_left <= 0:
                given = [Reply(silence="it was not asked: too many questions before were left without a reply")]
            elif self._server is None:
                given = [Reply(silence=f"it was not asked: the server was down: {self._down}")]
            elif left <= 0:
                given = [Reply(silence="it was not asked: the time was over")]
            else:
                given = self._together(self._server, batch, min(self._times.question, left))
                silent_left -= max((one.seconds for one in given if one.status is None), default=0)
            replies += given if len(given) == len(batch) else given * len(batch)
        return replies

    def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        left = self._ends - time.monotonic()
        if self._server is None or left <= 0:
            return Reply(silence=f"the server was down: {self._down}" if left > 0 else "the time was over")
        server = self._server
        reply = server.post(path, json=dict(body), seconds=min(self._times.start, left))
        self.program_seconds += reply.seconds
        if reply.status is None:
            self._revive_if_dead(server)
        return reply

    def _together(self, server: Server, bodies: Sequence[Mapping[str, Any]], seconds: float) -> list[Reply]:
        replies = server.ask([Request("POST", "/ask", json=dict(body)) for body in bodies], seconds=seconds)
        self.program_seconds += max(reply.seconds for reply in replies)
        if any(reply.status is None for reply in replies):
            self._revive_if_dead(server)
        return replies

    def _revive_if_dead(self, server: Server) -> None:
        """A question without a reply may be that question's fault. A server without health is down."""
        health = server.get(HEALTH, seconds=HEALTH_SECONDS)
        self.program_seconds += health.seconds
        if health.status is not None:
            return
        self._wait_for_its_end()
        ended = server.stop()
        self._server, self._down = None, _died(ended, health)
        if not self._revivals:
            self._complain(f"serve: {self._down}; it was not started again")
            return
        self._revivals -= 1
        self._complain(f"serve: {self._down}; it was started again")
        if failure := self._start():
            self._complain(f"serve, started again: {failure}")

    def _wait_for_its_end(self) -> None:
        """A process that is ending has no sockets any more, and is there for a moment longer."""
        patience = time.monotonic() + ENDING_SECONDS
        while self._living.ask(b"").line != b"no" and time.monotonic() < patience:
            time.sleep(PAUSE)

    def _start(self) -> str:
        """Serve, and wait until it is ready. In words, why it is not; empty when it is."""
        began = time.monotonic()
        until = min(began + self._times.start, self._ends)
        if until <= began:
            self._down = "the time was over"
            return self._down
        self._room.serve(self._command)
        server = Server(self._room, self._limits, PORT, self._times.question)
        try:
            if self._became_ready(server, until):
                self._server = server
                return ""
        finally:
            self.program_seconds += time.monotonic() - began
            if self._server is None:
                ended = server.stop()
        self._down = (
            f"it was not ready in {until - began:.0f} s"
            if ended.ending is Ending.STOPPED
            else f"before it was ready, {how_it_ended(ended)}"
        )
        return self._down

    def _became_ready(self, server: Server, until: float) -> bool:
        while True:
            gone = self._living.ask(b"").line == b"no"  # asked before: what has ended meanwhile may have replied
            health = server.get(HEALTH, seconds=max(0.1, min(HEALTH_SECONDS, until - time.monotonic())))
            if health.status is not None and health.status < 500:
                return True
            if gone or time.monotonic() >= until:
                return False
            time.sleep(PAUSE)


def how_it_ended(ended: Execution) -> str:
    """In words, with the last that it said: its own, so in one short line."""
    how = f"exit code {ended.exit_code}" if ended.ending is Ending.EXITED else str(ended.ending)
    last_words = strict.printable(ended.stderr.strip().rpartition(b"\n")[2])[:LONGEST_WORDS]
    return f"it ended ({how})" + (f": {last_words}" if last_words else "")


def _died(ended: Execution, health: Reply) -> str:
    if ended.ending is Ending.STOPPED:
        return f"it did not answer any more, nor {HEALTH}: {health.silence}"
    return f"while it was asked, {how_it_ended(ended)}"
