"""Calls what a challenge's author wrote. Whatever it does becomes a sentence for them, with file and line.

What is not theirs passes through: a sandbox that failed, a machine without memory or disk, Ctrl-C. This is the one
place in this package where everything is caught, because a stranger's code may raise everything.
"""

import errno
import io
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from graders.challenge import Challenge
from graders.contract import ChallengeInvalid, GraderFailed, first_fault
from graders.watch import Allowance, Overrun, Record, storable
from sandbox import SandboxUnavailable

__all__ = ["calling"]

LONGEST_PRINT: Final = 8000
LONGEST_SENTENCE: Final = 1000
OF_THE_MACHINE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS}
)
OURS: Final = ("web.", "graders.", "sandbox.", "benchmarks.")


@contextmanager
def calling(challenge: Challenge, what: str, allowance: Allowance, record: Record) -> Iterator[None]:
    """The author's code is called in this block; it has the time of `allowance`, and what it prints is kept."""
    printed = _Printed()
    stream = io.TextIOWrapper(io.BufferedWriter(printed), "utf-8", "backslashreplace", write_through=True)
    try:
        with redirect_stdout(stream), redirect_stderr(stream), allowance.running(__file__):
            yield
    except (SandboxUnavailable, ChallengeInvalid, MemoryError, KeyboardInterrupt):
        raise
    except Overrun as error:
        raise GraderFailed(
            f"{_place(challenge, error, what)}: no end after {allowance.seconds:g} s of its own work and of programs "
            "that it ran: let it do less; a grader's time is grading_seconds in challenge.toml, calibrate's is "
            "calibration_seconds"
        ) from error
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
            raise
        if isinstance(error, SystemExit) and _is_of_ours(error):  # somebody told this process to end
            raise
        raise GraderFailed(f"{_place(challenge, error, what)}: {_words(challenge, error, what)}") from error
    finally:
        stream.flush()
        record.printed = storable(record.printed + printed.text())[:LONGEST_PRINT]


class _Printed(io.RawIOBase):
    """Keeps the beginning, and takes the rest without keeping it."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        piece = bytes(memoryview(content))  # type: ignore[arg-type]  # whatever a buffer hands on
        self.size += len(piece)
        self.kept += piece[: LONGEST_PRINT - len(self.kept)]
        return len(piece)

    def text(self) -> str:
        text = self.kept.decode(errors="replace")
        return text if self.size == len(self.kept) else f"[{self.size} bytes were printed; these are the first]\n{text}"


def _place(challenge: Challenge, error: BaseException, what: str) -> str:
    """The innermost line of the author's own; the whole file when it is in none."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(challenge.folder):
        return f"{Path(error.filename).relative_to(challenge.folder)}:{error.lineno}"
    place = what
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).is_relative_to(challenge.folder):
            place = f"{Path(frame.filename).relative_to(challenge.folder).as_posix()}:{frame.lineno}"
    return place


def _words(challenge: Challenge, error: BaseException, what: str) -> str:
    if isinstance(error, GraderFailed):  # of ours, about something that the author's code asked for or gave
        return str(error)
    if isinstance(error, ValidationError):
        return f"{error.title}: {first_fault(error)}"
    if isinstance(error, SystemExit):
        return "it ends the process: a grader returns its findings, a generator its bundle, a solution its files"
    said = storable(_said(error)).strip()
    words = f"{type(error).__name__}: {said[:LONGEST_SENTENCE]}" if said else type(error).__name__
    if isinstance(error, ModuleNotFoundError) and error.name and f"{error.name}.py" in challenge.files:
        beside, dots = ("grader.py", "...") if what.startswith("solutions/") else ("this file", ".")
        words += f": it lies beside {beside}: write `from {dots} import {error.name}`"
    return words


def _said(error: BaseException) -> str:
    """Its message; the traceback module also copes with a __str__ that raises."""
    return traceback.format_exception_only(error)[-1].partition(": ")[2]


def _is_of_ours(error: BaseException) -> bool:
    """Whether a module of ours raised it, such as the handler of a signal."""
    innermost = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
    return str(innermost).startswith(OURS)
