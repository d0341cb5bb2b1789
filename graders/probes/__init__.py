"""Programs of ours that run in the room. They know inputs and never answers: a candidate may read every word of them.

Importing one defines its functions; only as a program does it begin. A program that needs another's functions is
sent as one text with it, since none of our modules are in the room.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

# The order comes first, so that whoever keeps what was said into the room keeps what was asked. Neither the room's
# folder nor the user's own packages are where it is imported from: what lies there may be older than this program.
READ_ORDER: Final = "import sys; ORDER = sys.stdin.buffer.readline(); exec(sys.stdin.buffer.read())"


@cache
def program(*names: str) -> str:
    return "\n".join((Path(__file__).parent / f"{name}.py").read_text() for name in names)


def run_program(order: bytes, *names: str) -> tuple[Sequence[str], bytes]:
    """Command and stdin with which `room.run` starts a program of ours on one line of JSON."""
    return ("python3", "-Ps", "-c", READ_ORDER), order + b"\n" + program(*names).encode()


def serve_program(*names: str, arguments: Sequence[str]) -> Sequence[str]:
    """The command with which `room.serve` starts a program of ours."""
    return ("python3", "-Ps", "-c", program(*names), *arguments)
