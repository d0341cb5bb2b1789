"""Time that candidates lost because we were away, given back to every clock that ran.

    each process of the portal ── keep_beating ──► `portal` in signs_of_life, every few seconds
    clock ── Watch.turn ──► `well`: until then all was well; what lies between it and the portal's return was an outage

Whatever was away, the machine, the database, the portal or the clock itself, is seen as the same gap, once. A gap that
is credited and the new `well` are one transaction, and each credit has its outage for its cause: a clock that dies in
the middle has credited nothing, and the next one credits all. Until the portal is back nobody's clock is ended.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from web.attempts import MOST_ADDED, add_time
from web.database import Database, DatabaseUnavailable, now
from web.models import Attempt, SignOfLife
from web.speech import ngettext, speaking

__all__ = ["BEAT", "FRESH", "LEAST", "Watch", "beat", "keep_beating"]

log = logging.getLogger(__name__)

BEAT: Final = timedelta(seconds=5)  # between two signs
FRESH: Final = timedelta(seconds=20)  # that a sign may be old; a busy database keeps the next one waiting
LEAST: Final = timedelta(seconds=30)  # that is given back: the workspace bridges less, and keeps what was typed
PORTAL: Final = "portal"
WELL: Final = "well"


def beat(database: Database) -> None:
    """The portal is here. One process of several is enough to say so."""
    with database.reading() as session:
        told, at = _seen(session, PORTAL), now(session)
    if told is None or not timedelta(0) <= at - told < BEAT / 2:
        with database.transaction() as session:
            _say(session, PORTAL, now(session))


def keep_beating(database: Database, pause: Callable[[float], Any] = time.sleep) -> None:
    """For as long as this process lives. When the database is away, so is the portal, and says so by saying nothing."""
    while True:
        try:
            beat(database)
        except DatabaseUnavailable as error:
            log.debug("no sign of life: %s", error)
        pause(BEAT.total_seconds())


class Watch:
    """The clock's eye on the portal."""

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._look_at = -1.0
        self._well = False

    def is_well(self) -> bool:
        """Whether the portal is there, and all that it was away for has been given back."""
        if self._monotonic() < self._look_at:
            return self._well
        well = self._look()
        if well != self._well:
            log.log(
                logging.INFO if well else logging.WARNING,
                "the portal is there" if well else "no portal shows itself: until one does, no attempt is ended",
            )
        self._well = well
        self._look_at = self._monotonic() + (BEAT.total_seconds() if well else 1.0)
        return well

    def _look(self) -> bool:
        with self._database.reading() as session:
            told, at = _seen(session, PORTAL), now(session)
        if told is None or at - told > FRESH:
            return False
        with self._database.transaction() as session:
            until = session.scalar(select(SignOfLife.at).where(SignOfLife.name == WELL).with_for_update())
            at = now(session)
            if until is not None and at - until >= LEAST:
                credited = _give_back(session, until, at)
                log.warning(
                    "the portal was away for %d seconds: given back to %d attempts",
                    (at - until).total_seconds(),
                    credited,
                )
            _say(session, WELL, at)
        return True


def _give_back(session: Session, since: datetime, until: datetime) -> int:
    """To all who had time left when it began. How many these were."""
    lost = min(until - since, MOST_ADDED)
    running = select(Attempt.id, Attempt.locale).where(
        Attempt.ends_at > since, Attempt.ended_at.is_(None), Attempt.started_at <= since
    )
    cause = f"outage {since.isoformat(timespec='seconds')}"
    # In one order, so that two who do the same for different reasons never wait for each other.
    found = session.execute(running.order_by(Attempt.id)).all()
    return sum(add_time(session, one.id, lost, cause, _sentence(lost, one.locale), "clock") for one in found)


def _sentence(lost: timedelta, locale: str) -> str:
    with speaking(locale):
        minutes = max(1, round(lost.total_seconds() / 60))
        return ngettext("We were away for %(num)s minute.", "We were away for %(num)s minutes.", minutes)


def _seen(session: Session, name: str) -> datetime | None:
    return session.scalar(select(SignOfLife.at).where(SignOfLife.name == name))


def _say(session: Session, name: str, at: datetime) -> None:
    insert = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    told = insert(SignOfLife).values(name=name, at=at)
    session.execute(told.on_conflict_do_update(index_elements=["name"], set_={"at": at}))
