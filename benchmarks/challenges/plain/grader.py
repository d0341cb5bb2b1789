"""Runs main.py once. A submission that holds a file named `poison` takes the worker down: that is what it is for."""

import os
import signal
from collections.abc import Iterable

from graders import Evidence, Finding, Submission
from sandbox import Sandbox


def grade(submission: Submission, sandbox: Sandbox) -> Iterable[Finding]:
    if "poison" in submission.files:
        os.kill(os.getpid(), signal.SIGKILL)
    done = sandbox.run(["python3", "main.py"], files=submission.files, limits=submission.limits)
    said = done.stdout.decode(errors="replace").strip()
    right = done.ok and said == "42"
    yield Finding(
        criterion="right",
        credit=1.0 if right else 0.0,
        reason="It prints 42." if right else f"It {done.ending} and does not print 42.",
        evidence=(Evidence(text=said[:200], source="standard output"),),
    )
