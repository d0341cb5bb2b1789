"""Asks the candidate's `healthcheck.py:check` about folders that it has not seen.

    heard = check({"stale": {"index/manifest.json": b"...", ...}, ...}, submission, sandbox, form.random("bundles"))
    heard.outputs["stale"], heard.silences

Each bundle is a fresh process in a room without models. Its folder has a name of chance, and the order is of chance
too: what a bundle is called out here never goes in. What comes out is a claim: plain JSON within bounds, not judged.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graders import Submission, calls
from graders.patience import WALL_A_CPU_SECOND
from sandbox import Sandbox

__all__ = ["Heard", "check"]

FUNCTION: Final = "healthcheck.py:check"
FOLDER: Final = "bundles"


@dataclass(frozen=True, slots=True)
class Heard:
    """By the names of bundles. Each is in one of the two."""

    outputs: Mapping[str, Any]  # what was returned: any JSON value
    silences: Mapping[str, str]  # why nothing was


def check(
    bundles: Mapping[str, Mapping[str, bytes]],
    submission: Submission,
    sandbox: Sandbox,
    chance: random.Random,
    *,
    seconds_each: float = 3,
    seconds_all: float = 15,
) -> Heard:
    """CPU seconds, as in graders.calls; by the clock it may take three times as long."""
    if not bundles:
        return Heard({}, {})
    order = sorted(bundles)
    chance.shuffle(order)
    folders = {name: f"{FOLDER}/{chance.getrandbits(48):012x}" for name in order}
    given = {name: content for name, content in submission.files.items() if name.split("/")[0] != FOLDER}
    files = {f"{folders[name]}/{inner}": content for name in order for inner, content in sorted(bundles[name].items())}
    limits = submission.limits
    lifetime = (seconds_each + seconds_all) * WALL_A_CPU_SECOND + 60
    with sandbox.open(files={**given, **files}, limits=limits, lifetime=lifetime) as room:
        answers = calls.call_in(
            room,
            FUNCTION,
            [(folders[name],) for name in order],
            limits,
            seconds_each=min(seconds_each, limits.seconds / WALL_A_CPU_SECOND),
            seconds_all=seconds_all,
        )
    said = dict(zip(order, answers, strict=True))
    return Heard(
        outputs={name: one.value for name, one in said.items() if one.kind is calls.Kind.VALUE},
        silences={name: one.text for name, one in said.items() if one.kind is not calls.Kind.VALUE},
    )
