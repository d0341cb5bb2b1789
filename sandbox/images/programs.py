"""Other programs of the host that help to make an image: pip, debootstrap, tar."""

import subprocess
from typing import IO, Final

from sandbox import SandboxUnavailable

LONGEST_SECONDS: Final = 1800
LINES_SHOWN: Final = 8
COLOURS: Final = ("\x1b[91m", "\x1b[0m")  # the engine paints what a build step says on stderr

NO_NETWORK: Final = "No network: connect this machine to the internet, or tell the program about a mirror of yours."

# What programs say when the cause is the machine they run on, and what to do about it.
ADVICE: Final = {
    "no space left on device": "The disk is full: free some space, for instance with `docker system prune`.",
    "temporary failure in name resolution": NO_NETWORK,
    "name or service not known": NO_NETWORK,
    "network is unreachable": NO_NETWORK,
    "failed to establish a new connection": NO_NETWORK,
    "couldn't download": NO_NETWORK,
    "failed getting release file": NO_NETWORK,
    "no keyring": "Run: sudo apt-get install --yes debian-archive-keyring",
    "keyring file not available": "Run: sudo apt-get install --yes debian-archive-keyring",
    "no module named pip": "This Python has no pip. Run: python3 -m ensurepip, or apt-get install python3-pip",
    "a password is required": "Run `sudo -v`, then the same command again.",
}


def run(doing: str, command: list[str], stdout: IO[bytes] | None = None) -> None:
    """Run a program to its end, silently. Only if it fails its last lines are shown: they say why."""
    with_errors = subprocess.PIPE if stdout else subprocess.STDOUT
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=with_errors,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxUnavailable(f"{doing}: {command[0]}: {error}") from error
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout or b"").decode(errors="replace")
        raise SandboxUnavailable(f"{doing}: {command[0]}: ended with {ended.returncode}: {with_advice(said)}")


def with_advice(said: str) -> str:
    """The last lines of what a program said, and what to do about it where that is known."""
    for colour in COLOURS:
        said = said.replace(colour, "")
    lines = [line for line in said.splitlines() if line.strip()][-LINES_SHOWN:]
    return "\n".join([*lines, *dict.fromkeys(advice for sign, advice in ADVICE.items() if sign in said.lower())])
