"""Ends the attempts whose time is over: what was saved last is handed in, with a receipt, as if by the candidate.

A part of the clock's process. Nobody is ended while no portal is there to save to: what that costs is given back
first (web.outages). One that cannot be closed, because a disk is full, keeps no other waiting.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from graders.contract import GradersError
from web.attempts import overdue
from web.database import Database, DatabaseUnavailable, now
from web.errors import PortalError
from web.outages import Watch
from web.relay import Turn
from web.submissions import Desk, close

__all__ = ["Closing"]

log = logging.getLogger(__name__)

PAUSE: Final = 1.0  # seconds between two looks
AGAIN: Final = 60.0  # until one that could not be closed is tried again


class Closing:
    def __init__(
        self, database: Database, desk: Desk, watch: Watch, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._desk = desk
        self._watch = watch
        self._monotonic = monotonic
        self._look_at = -1.0
        self._not_before: dict[str, float] = {}

    def turn(self) -> Turn:
        if self._monotonic() < self._look_at:
            return Turn()
        self._look_at = self._monotonic() + PAUSE
        if not self._watch.is_well():
            return Turn()
        with self._database.reading() as session:
            found = overdue(session, now(session))
        told = [self._close(attempt_id) for attempt_id in found if self._may_try(attempt_id)]
        self._not_before = {one: at for one, at in self._not_before.items() if one in found}
        return Turn(told=tuple(filter(None, told)))

    def _may_try(self, attempt_id: str) -> bool:
        return self._monotonic() >= self._not_before.get(attempt_id, 0.0)

    def _close(self, attempt_id: str) -> str:
        """A sentence for a person when it could not be done."""
        try:
            submission = close(self._database, self._desk, attempt_id)
        except DatabaseUnavailable:
            raise
        except (OSError, PortalError, GradersError, SQLAlchemyError) as error:
            self._not_before[attempt_id] = self._monotonic() + AGAIN
            return (
                f"attempt {attempt_id}: its time is over, and it cannot be handed in: {error}; tried again in a minute"
            )
        if submission is not None:
            log.info("attempt %s: its time is over: handed in as submission %s", attempt_id, submission.id)
        return ""
