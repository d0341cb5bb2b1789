"""Workers as processes, with a grader of the tests' own that does what the challenge is called."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from graders.contract import Finding, GradingReport, GradingRequest
from web.horse import Worker
from web.queue import Kind, connect, graded
from web.settings import PROJECT

PATIENCE = 30


def request(grading: str = "g1", fence: int = 1, does: str = "well", lease: float = 10) -> GradingRequest:
    return GradingRequest(
        grading=grading, fence=fence, challenge=does, challenge_digest="0" * 64, form="f", submission="1" * 64,
        lease_seconds=lease,
    )  # fmt: skip


def until(true: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


class WorkerProcess:
    """`folder` gets a file for each message that was begun, with the horse's process id, and one when it was done."""

    def __init__(self, kind: Kind, server: Path, folder: Path, drain: float = 60, patience: float = 20) -> None:
        self.folder = folder
        words = [kind, str(server), str(folder), str(drain), str(patience)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.web.worker_process", *words],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.process.communicate()[1]

    def horse(self, grading: str = "g1", fence: int = 1) -> int:
        """The process id of the horse that began this."""
        begun = self.folder / f"{grading}-{fence}.begun"
        return int(until(lambda: begun.exists() and begun.read_text()))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def gone(process: int) -> bool:
    """Whether it has ended; a child that nobody has waited for has ended too."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def main(kind: str, server: str, folder: str, drain: str, patience: str) -> None:
    def perform(text: str) -> str:
        asked = GradingRequest.from_json(text)
        notes = Path(folder) / f"{asked.grading}-{asked.fence}"
        notes.with_suffix(".new").write_text(str(os.getpid()))
        notes.with_suffix(".new").rename(notes.with_suffix(".begun"))
        match asked.challenge:
            case "raise":
                raise RuntimeError("the worker has a bug")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "fork" if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                notes.with_suffix(".left").write_text(str(os.getpid()))
                time.sleep(10 * PATIENCE)
            case "fork":
                until(notes.with_suffix(".left").exists)
            case "linger":
                until((Path(folder) / "go-on").exists)
        notes.with_suffix(".done").touch()
        finding = Finding(criterion="works", credit=1.0, reason="It works.")
        return GradingReport(grading=asked.grading, fence=asked.fence, findings=(finding,)).to_json()

    def record(text: str) -> None:
        report = GradingReport.from_json(text)
        notes = Path(folder) / f"{report.grading}-{report.fence}"
        notes.with_suffix(".new").write_text(str(os.getpid()))
        notes.with_suffix(".new").rename(notes.with_suffix(".begun"))
        if (Path(folder) / "linger").exists():
            until((Path(folder) / "go-on").exists)
        if (Path(folder) / "die").exists():
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(PATIENCE)
        notes.with_suffix(".report").write_text(text)

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    connection = connect("", Path(server), patience=float(patience))
    act = graded(perform, connection) if kind == Kind.GRADING else record
    Worker(Kind(kind), act, connection, drain_seconds=float(drain)).run(lambda: os.write(1, b"ready\n"))


if __name__ == "__main__":
    main(*sys.argv[1:])
