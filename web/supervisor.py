"""Every process of one machine: started in order, started again when one ends, stopped in order.

It is one thread that waits for children's words, for their ends and for signals. It knows nothing of what they do. A
child says that it is ready with its first line on standard output; all that it says after that, and everything on
standard error, is shown with the child's name before it. When the supervisor is killed, the kernel kills its
children.
"""

import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import IO, Final

from web.errors import PortalError
from web.lifeline import tied_to_me

Child = subprocess.Popen[bytes]

PAUSES: Final = (0.0, 0.0, 0.5, 2.0)  # before a child that ended at once is started again; then:
LONG_PAUSE: Final = 30.0
AT_ONCE_SECONDS: Final = 3.0
HURRIED_SECONDS: Final = 3.0
LONGEST_LINE: Final = 8000
LAST_WORDS: Final = 8  # lines

STOP_FIRST, STOP_NEXT, STOP_LAST = 0, 1, 2


class PartUnavailable(PortalError):
    """A part could not start. The operator's to solve, and the message holds its last words."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process that has to be there.

    `start` gets the line with which the last one said that it was ready, or an empty one. A child without a pipe at
    its standard output is ready when `start` returns.
    """

    name: str
    start: Callable[[str], Child]
    stop: int  # whose turn it is to end: lower numbers first
    grace: float  # seconds until it is killed, after it was told to stop


def assay_process(*words: str) -> Child:
    """One of our own commands as a child that ends with this process."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "web.cli", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us: they are told in their turn
        preexec_fn=tied_to_me(),
    )  # fmt: skip


class _Post:
    """One part, and the child that fills it now."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.child: Child | None = None
        self.watch = -1  # readable when the child has ended
        self.ready: str | None = None  # the line that said so
        self.was_ready = ""
        self.since = 0.0
        self.failures = 0  # in a row
        self.again_at: float | None = 0.0
        self.last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self.halves: dict[int, bytes] = {}  # lines that have begun, by pipe

    @property
    def quiet(self) -> bool:
        """It fails again and again, and we have said so."""
        return self.failures > len(PAUSES)


class Supervisor:
    def __init__(self, parts: Sequence[Part], say: Callable[[str], object]) -> None:
        self._posts = [_Post(part) for part in parts]
        self._say = say
        self._told = 0  # times that we were told to stop
        self._told_by = ""
        self._selector = selectors.DefaultSelector()

    def run(self, announce: Callable[[dict[str, str]], object]) -> None:
        """Returns after being told to stop. `announce` gets, once, the line with which each part became ready."""
        inner, outer = socket.socketpair()
        for end in (inner, outer):
            end.setblocking(False)
        self._selector.register(inner, selectors.EVENT_READ, lambda: inner.recv(100))
        kept = {number: signal.signal(number, self._tell) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        kept_wakeup = signal.set_wakeup_fd(outer.fileno(), warn_on_full_buffer=False)
        announced = False
        try:
            while not self._told:
                self._start_what_is_missing(at_first=not announced)
                if not announced and all(post.ready is not None for post in self._posts):
                    announced = True
                    announce({post.part.name: post.ready or "" for post in self._posts})
                self._wait(self._next_start())
                for post in self._posts:
                    self._look_after(post, at_first=not announced)
            self._say(f"{self._told_by}: stopping, when what is at work is done; once more makes it quick")
        finally:
            self._stop_all()
            signal.set_wakeup_fd(kept_wakeup)
            for number, handler in kept.items():
                signal.signal(number, handler)
            self._selector.close()
            inner.close()
            outer.close()

    def _tell(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._told += 1
        self._told_by = signal.Signals(number).name

    def _next_start(self) -> float | None:
        times = [post.again_at for post in self._posts if post.again_at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _wait(self, seconds: float | None) -> None:
        """Until something happens, and do what it asks for."""
        for key, _ in self._selector.select(seconds):
            key.data()

    # ---------------------------------------------------------------------------------------------------- starting

    def _start_what_is_missing(self, *, at_first: bool) -> None:
        for post in self._posts:
            if post.again_at is not None and post.again_at <= time.monotonic() and not self._told:
                try:
                    self._start(post)
                except (PortalError, OSError) as error:
                    if at_first:
                        raise
                    post.last_words.append(str(error))
                    self._plan(post, "could not start")

    def _start(self, post: _Post) -> None:
        post.last_words.clear()
        child = post.part.start(post.was_ready)
        post.child, post.since, post.again_at = child, time.monotonic(), None
        post.ready = None if child.stdout else ""
        post.watch = os.pidfd_open(child.pid)
        self._selector.register(post.watch, selectors.EVENT_READ, bool)
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, lambda pipe=pipe: self._hear(post, pipe))

    def _look_after(self, post: _Post, *, at_first: bool) -> None:
        """See whether the child has ended, and plan for another."""
        if post.child is None or not select.select([post.watch], [], [], 0)[0]:
            return
        lived = time.monotonic() - post.since
        was_ready = post.ready is not None
        ended = self._bury(post)
        if at_first and not was_ready:
            raise PartUnavailable(f"{post.part.name}: {ended}: {' '.join(post.last_words) or 'it left no word'}")
        if was_ready and lived >= AT_ONCE_SECONDS:
            post.failures = 0
        self._plan(post, ended)

    def _plan(self, post: _Post, ended: str) -> None:
        name, was_quiet = post.part.name, post.quiet
        pause = PAUSES[post.failures] if post.failures < len(PAUSES) else LONG_PAUSE
        post.failures += 1
        post.again_at = time.monotonic() + pause
        if post.quiet and not was_quiet:
            words = " ".join(post.last_words) or "it left no word"
            self._say(f"{name}: {ended}, again and again; tried again every {LONG_PAUSE:.0f} seconds: {words}")
        elif not post.quiet:
            self._say(f"{name}: {ended}; started again")

    def _bury(self, post: _Post) -> str:
        """Take the child's last words and its exit code, and whatever it left running."""
        child = post.child
        if child is None:
            return "was not there"
        with suppress(ProcessLookupError):  # before it is waited for: until then nobody else has its number
            os.killpg(child.pid, signal.SIGKILL)
        code = child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                while self._hear(post, pipe):
                    pass
                self._let_go(post, pipe)
        self._selector.unregister(post.watch)
        os.close(post.watch)
        post.child = None
        return f"ended with signal {-code}" if code < 0 else f"ended with exit code {code}"

    # ---------------------------------------------------------------------------------------------------- listening

    def _hear(self, post: _Post, pipe: IO[bytes]) -> bool:
        """Take what the child has said by now, if anything."""
        if pipe.closed:
            return False
        try:
            said = os.read(pipe.fileno(), 65536)
        except BlockingIOError:
            return False
        if not said:
            self._let_go(post, pipe)
            return False
        *lines, half = (post.halves.get(pipe.fileno(), b"") + said).split(b"\n")
        if len(half) > LONGEST_LINE:
            lines, half = [*lines, half], b""
        post.halves[pipe.fileno()] = half
        for line in lines:
            self._note(post, pipe, line)
        return True

    def _note(self, post: _Post, pipe: IO[bytes], line: bytes) -> None:
        # What a child says may quote a candidate: it must not move the cursor of whoever reads the log.
        words = "".join(sign if sign.isprintable() else " " for sign in line[:LONGEST_LINE].decode(errors="replace"))
        if post.child is not None and pipe is post.child.stdout and post.ready is None:
            post.ready = post.was_ready = words
            if post.quiet:
                self._say(f"{post.part.name}: runs again")
            return
        post.last_words.append(words)
        if not post.quiet:
            self._say(f"{post.part.name}: {words}")

    def _let_go(self, post: _Post, pipe: IO[bytes]) -> None:
        if pipe.closed:
            return
        self._selector.unregister(pipe)
        if half := post.halves.pop(pipe.fileno(), b""):
            self._note(post, pipe, half)
        pipe.close()

    # ---------------------------------------------------------------------------------------------------- stopping

    def _stop_all(self) -> None:
        """Those first whose work others still have to finish. Being told once more makes it quick."""
        for turn in sorted({post.part.stop for post in self._posts}):
            posts = [post for post in self._posts if post.part.stop == turn and post.child is not None]
            self._signal(posts, signal.SIGTERM)
            hurried = self._told > 1
            deadline = time.monotonic() + max((post.part.grace for post in posts), default=0.0)
            while posts and time.monotonic() < deadline:
                if self._told > 1:
                    if not hurried:
                        self._signal(posts, signal.SIGTERM)
                    hurried = True
                    deadline = min(deadline, time.monotonic() + HURRIED_SECONDS)
                self._wait(min(0.5, max(0.0, deadline - time.monotonic())))
                for post in posts:
                    if select.select([post.watch], [], [], 0)[0]:
                        self._bury(post)
                posts = [post for post in posts if post.child is not None]
            self._signal(posts, signal.SIGKILL)
            for post in posts:
                self._bury(post)

    def _signal(self, posts: Sequence[_Post], number: signal.Signals) -> None:
        for post in posts:
            if post.child is not None:
                with suppress(ProcessLookupError):
                    os.kill(post.child.pid, number)  # Popen's own would wait for it, and free its number
