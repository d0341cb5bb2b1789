"""Starts the hostile programs of this folder. Each is a real file, and runs in a real room as a submission would."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sandbox import Execution, Limits, Sandbox

PROGRAMS: Final = Path(__file__).parent / "programs"
QUICK: Final = Limits(seconds=1, memory_mb=96, disk_mb=8, processes=24, output_kb=64)


def program(name: str) -> Mapping[str, bytes]:
    """The files of a submission that consists of `programs/<name>.py`."""
    return {"attack.py": (PROGRAMS / f"{name}.py").read_bytes()}


def command(*arguments: str) -> list[str]:
    return ["python3", "attack.py", *arguments]


def attack(
    sandbox: Sandbox,
    name: str,
    *arguments: str,
    limits: Limits = QUICK,
    collect: Sequence[str] = (),
    stdin: bytes = b"",
) -> Execution:
    """Run one hostile program in a room of its own."""
    return sandbox.run(command(*arguments), files=program(name), limits=limits, collect=collect, stdin=stdin)
