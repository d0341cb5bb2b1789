"""Tries the public checks, which candidates run with Run: what cannot run is found out before one of them presses it.

They are run as a checking worker runs them, over what a candidate gets and over the perfect solution.
"""

import shlex
from collections.abc import Mapping

from graders import checking
from graders.author.handouts import Handout, handed_in
from graders.challenge import Challenge, Solution, room_limits
from graders.strict import printable
from sandbox import Ending, Execution, Sandbox

__all__ = ["try_public_checks"]


def try_public_checks(challenge: Challenge, handout: Handout, perfect: Solution | None, sandbox: Sandbox) -> list[str]:
    """Sentences for the author. On the starter the command may say what it likes, if only it comes to an end."""
    manifest = challenge.manifest
    if not manifest.check:
        return []

    def run(files: Mapping[str, bytes]) -> tuple[Execution, bytes]:
        return checking.check(manifest.check, files, sandbox, room_limits(manifest), manifest.check_seconds)

    where = f"challenge.toml: check: {shlex.join(manifest.check)}"
    done, said = run(handout.files)
    if done.ending is not Ending.EXITED:
        return [f"{where}: on the starter: {done.ending}: {_last(said)}: candidates could never run it"]
    if perfect is None:
        return []
    done, said = run(handed_in(challenge, perfect, handout))
    if not done.ok:
        how = done.ending if done.exit_code is None else f"exit code {done.exit_code}"
        return [
            f"{where}: on solutions/{perfect.name}: {how}: {_last(said)}: whoever does everything right must see it "
            "end with exit code 0"
        ]
    return []


def _last(said: bytes) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return printable(lines[-1]) if lines else "it printed nothing"
