"""Other programs of the host that help to build an image: pip, debootstrap, tar."""

import subprocess
from typing import IO, Final

from sandbox import SandboxUnavailable

LONGEST_SECONDS: Final = 1800
LINES_SHOWN: Final = 8

# What a program says when the cause is the host and not the program, and what to do about it.
ADVICE: Final = {
    "no space left on device": "The disk is full: free some space (`docker system df` shows what the engine holds).",
    "temporary failure in name resolution": "There is no network: connect this machine, or set a mirror.",
    "name or service not known": "There is no network: connect this machine, or set a mirror.",
    "network is unreachable": "There is no network: connect this machine, or set a mirror.",
    "failed to establish a new connection": "There is no network: connect this machine, or set a mirror.",
    "couldn't download": "There is no network: connect this machine, or set a mirror.",
    "failed getting release file": "There is no network: connect this machine, or set a mirror.",
    "no module named pip": "Install pip for this Python: `python3 -m ensurepip`, or `apt-get install python3-pip`.",
    "a password is required": "Run `sudo -v` first, then the same command again.",
}


def run(doing: str, command: list[str], stdout: IO[bytes] | None = None) -> None:
    """Run a program to its end, silently unless it fails: then its last lines say why."""
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout if stdout is not None else subprocess.PIPE,
            stderr=subprocess.PIPE if stdout is not None else subprocess.STDOUT,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxUnavailable(f"{doing}: {command[0]}: {error}") from error
    if ended.returncode != 0:
        said = (ended.stderr if stdout is not None else ended.stdout).decode(errors="replace")
        raise SandboxUnavailable(f"{doing}: {command[0]} ended with {ended.returncode}: {with_advice(said)}")


def with_advice(said: str) -> str:
    """The last lines of what a program said, and what to do about it where that is known."""
    lines = [line for line in said.splitlines() if line.strip()][-LINES_SHOWN:]
    lines += dict.fromkeys(advice for sign, advice in ADVICE.items() if sign in said.lower())
    return "\n".join(lines)
