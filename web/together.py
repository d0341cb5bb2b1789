"""`assay up`: which processes run together on one machine, and what has to be there before they start."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from graders.settings import GradersSettings
from web import secrecy, valkey
from web.database import connect, migrate
from web.errors import PortalError
from web.lifeline import take_lock
from web.operator import publish_all
from web.portal import make_secrets
from web.queue import EMBEDDED
from web.settings import DatabaseSettings, PortalSettings, QueueSettings
from web.supervisor import STOP_FIRST, STOP_LAST, STOP_NEXT, Child, Part, Supervisor, assay_process

PORTAL: Final = "portal"
LOCK: Final = "up.lock"
KILL_SECONDS: Final = 10  # beyond the time that a part takes to stop by itself


class RunsAlready(PortalError):
    """Another `assay up` has this state folder."""


def run(
    portal: PortalSettings,
    prepare: Callable[[], object],
    say: Callable[[str], object],
    announce: Callable[[str], object],
) -> None:
    """Everything, until told to stop. `say` gets lines for the log, `announce` the portal's address, once.

    `prepare` makes the machine ready, which takes its time: what is refused at once is refused before.
    """
    where, queue, graders = DatabaseSettings(), QueueSettings(), GradersSettings()
    with _alone(where.state) as note:
        if not graders.instance_secret.get_secret_value() and not graders.instance_secret_file:
            secrecy.make(graders.secret_file)
        make_secrets(portal, where)
        migrate(where)
        prepare()
        for sentence in publish_all(graders, connect(where)):
            say(sentence)

        def up(ready: dict[str, str]) -> None:
            url = ready[PORTAL]
            note(f"at {url}")
            announce(url)

        Supervisor(parts(portal, where, queue), say).run(up)


def parts(portal: PortalSettings, where: DatabaseSettings, queue: QueueSettings) -> list[Part]:
    """In the order of their start."""
    found = []
    if not queue.redis_url.get_secret_value() and not queue.redis_url_file:
        found.append(Part("queue", lambda _: valkey.start(where.state / EMBEDDED), STOP_LAST, KILL_SECONDS))
    drain = queue.drain_seconds + KILL_SECONDS
    found.append(Part("clock", lambda _: assay_process("worker", "clock"), STOP_NEXT, KILL_SECONDS))
    found.append(Part("recording", lambda _: assay_process("worker", "recording"), STOP_NEXT, drain))
    for number in range(1, 1 + (queue.grading_workers or os.cpu_count() or 1)):
        found.append(Part(f"grading {number}", lambda _: assay_process("worker", "grading"), STOP_NEXT, drain))
    for number in range(1, 1 + queue.checking_workers):
        found.append(Part(f"checks {number}", lambda _: assay_process("worker", "checks"), STOP_NEXT, drain))
    found.append(Part("forms", lambda _: assay_process("worker", "forms"), STOP_NEXT, drain))
    found.append(Part(PORTAL, _portal(portal), STOP_FIRST, portal.web_grace_seconds + KILL_SECONDS))
    return found


def _portal(settings: PortalSettings) -> Callable[[str], Child]:
    def start(said: str) -> Child:
        # Port 0 takes a free one; whoever had the address of the last portal finds the next one there.
        taken = re.search(r":(\d+)$", said)
        return assay_process("web", "--port", taken[1] if taken else str(settings.port))

    return start


@contextmanager
def _alone(state: Path) -> Iterator[Callable[[str], None]]:
    """One at a time for a state folder. Gives what adds to the words that a second one is told."""
    state.mkdir(parents=True, exist_ok=True)
    file = state / LOCK
    lock = take_lock(file)
    if lock is None:
        raise RunsAlready(f"up: {state}: {file.read_text().strip() or 'another one'} uses this folder already: stop it")
    since = time.strftime("%Y-%m-%d %H:%M:%S")

    def note(more: str = "") -> None:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}, started {since} {more}".strip().encode(), 0)

    try:
        note()
        yield note
    finally:
        os.ftruncate(lock, 0)
        os.close(lock)
