"""A sandbox without an engine, for tests of what happens around it. It remembers what it was asked for."""
# ruff: noqa: ARG002  # the protocol says what can be asked for, and here little of it matters

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import Answer, Ending, Execution, Limits, Probe, Room


def ended(stdout: bytes = b"", *, seconds: float = 0.01, **more: Any) -> Execution:
    return Execution(Ending.EXITED, 0, stdout, b"", seconds, **more)


class FakeProbe:
    stderr = b""

    def ask(self, question: bytes, *, seconds: float = 5) -> Answer:
        return Answer(question.upper(), 0.01)


class FakeRoom:
    def __init__(self, sandbox: "FakeSandbox") -> None:
        self.sandbox = sandbox

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        seconds: float | None = None,
        hear: Callable[[bytes], object] | None = None,
    ) -> Execution:
        done = self.sandbox.answer(command)
        if hear is not None:
            hear(done.stdout + done.stderr)
        return done

    def serve(self, command: Sequence[str]) -> None:
        self.sandbox.answer(command)

    def stop(self) -> Execution:
        return Execution(Ending.STOPPED, None, b"bye", b"", 9.0)

    @contextmanager
    def probe(self, program: str, *arguments: str) -> Iterator[Probe]:
        yield FakeProbe()


class FakeSandbox:
    """`answer` is asked what a command did; it may raise, as an engine that is away would."""

    def __init__(self, answer: Callable[[Sequence[str]], Execution] = lambda _: ended()) -> None:
        self.answer = answer
        self.files: list[Mapping[str, bytes]] = []
        self.limits: list[Limits] = []
        self.open_rooms = 0

    def run(
        self,
        command: Sequence[str],
        *,
        files: Mapping[str, bytes] = {},
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        limits: Limits = Limits(),
        environment: Mapping[str, str] = {},
    ) -> Execution:
        with self.open(files=files, limits=limits) as room:
            return room.run(command)

    @contextmanager
    def open(
        self,
        *,
        files: Mapping[str, bytes] = {},
        limits: Limits = Limits(),
        lifetime: float = 600,
        gateways: Mapping[int, Path] = {},
        environment: Mapping[str, str] = {},
    ) -> Iterator[Room]:
        self.files.append(files)
        self.limits.append(limits)
        self.open_rooms += 1
        try:
            yield FakeRoom(self)
        finally:
            self.open_rooms -= 1
