"""Runs in a notebook's kernel before its cells: `!command` for a room, where there are no terminals to run it in."""

import subprocess
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    KERNEL: Any = None

PLACE = 2  # calls between a cell, whose variables a command may name, and `said`


def said(command: str) -> str:
    ended = subprocess.run(  # noqa: S602  # the command is the candidate's, as is all that runs here
        KERNEL.var_expand(command, depth=PLACE),
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        errors="replace",
    )
    KERNEL.user_ns["_exit_code"] = ended.returncode
    return ended.stdout


def system(command: str) -> None:
    print(said(command), end="")


def getoutput(command: str, **_: Any) -> list[str]:
    return said(command).splitlines()


if __name__ == "__main__":
    KERNEL.system, KERNEL.getoutput = system, getoutput
