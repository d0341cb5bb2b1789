"""The clock's process: lets each of its parts turn, soon again while something is under way.

It survives whatever is away. The relay is the first of its parts; each of the others is asked in every turn too.
"""

import logging
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from web.bell import QueueUnavailable
from web.database import DatabaseUnavailable
from web.queue import Doorbell
from web.relay import Relay, Turn

log = logging.getLogger(__name__)

SHORTEST: Final = 0.1  # seconds between two turns while gradings are under way
LONGEST: Final = 1.0  # while nothing is
TROUBLED: Final = 2.0  # while database or queue is away

TO_STOP: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Trouble:
    """What is away is said once when it begins, and once when it is over."""

    def __init__(self) -> None:
        self.now = ""

    def note(self, found: str) -> None:
        if found and not self.now:
            log.warning("%s; trying until it answers", found)
        elif self.now and not found:
            log.info("database and queue answer again")
        self.now = found


def keep_turning(
    relay: Relay, bell: Doorbell, ready: Callable[[], object] = bool, beside: Sequence[Callable[[], Turn]] = ()
) -> None:
    """Until told to stop, which is heard between two turns. `ready` is called after the first that went well."""
    signal.pthread_sigmask(signal.SIG_BLOCK, TO_STOP)
    trouble, pause = Trouble(), SHORTEST
    while not signal.sigtimedwait(TO_STOP, pause):
        busy = False
        try:
            found = ""
            for part in (relay.turn, *beside):
                turn = part()
                tell(turn)
                busy |= turn.busy
                found = found or turn.queue_away
            if not found:
                bell.note_turn(datetime.now(UTC).isoformat(timespec="seconds"))
        except (DatabaseUnavailable, QueueUnavailable) as error:
            found = str(error)
        trouble.note(found)
        if not found:
            ready()
            ready = bool
        pause = TROUBLED if found else SHORTEST if busy else min(LONGEST, 2 * pause)


def tell(turn: Turn) -> None:
    for sentence in turn.given_back:
        log.warning("%s", sentence)
    for sentence in turn.told:
        log.error("%s", sentence)
