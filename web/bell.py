"""What the clock needs of the queue: to ring for a grading, and to look what became of it.

The database is the truth, and the queue a doorbell: whatever it forgets is rung again. So nothing here promises
that a bell is heard, and whoever rings twice does no harm, because a report counts only under its row's fence.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from graders.contract import GradingRequest
from web.errors import PortalError

__all__ = ["Bell", "QueueUnavailable", "Sign", "Try"]

Try = tuple[str, int]  # a grading and its fence


class Sign(StrEnum):
    """What the queue knows of one try."""

    QUEUED = "queued"  # waits for a free worker
    ALIVE = "alive"  # its worker gave a sign of life within the lease
    REPORTED = "reported"  # its report waits to be recorded
    DIED = "died"  # it was begun and ended without a report, or nobody has been at it for a whole lease
    LOST = "lost"  # the queue knows nothing of it


class QueueUnavailable(PortalError):
    """The queue does not answer. The operator's to solve; what is open stays open in the database."""


class Bell(Protocol):
    """Everything here raises QueueUnavailable when the queue does not answer."""

    def ring(self, request: GradingRequest, *, at_front: bool) -> None:
        """Ask for a worker. `at_front`: before what already waits, because somebody waits for this one."""

    def look(self, tries: Sequence[Try]) -> Mapping[Try, Sign]:
        """A sign for each of `tries`."""

    def workers(self) -> int:
        """How many grading workers live."""

    def forget(self, grading: str, fence: int) -> None:
        """Take a bell back that is no longer wanted, if nobody has answered it."""
