"""When a request arrived: what a candidate's clock is asked about, however long the request waited for a thread."""

import time
from datetime import datetime, timedelta
from typing import Final

from flask import request
from sqlalchemy.orm import Session

from web.database import now

__all__ = ["arrived_at", "has_waited"]

HEADER: Final = "X-Assay-Arrived"  # web.server sets it, by this machine's monotonic clock, whatever the client sent
LONGEST: Final = 600.0  # seconds that a request can have been with us


def arrived_at(session: Session) -> datetime:
    """In the database's time."""
    waited = has_waited()
    return now(session) - waited


def has_waited() -> timedelta:
    """How long this request has been with us until now."""
    at = time.monotonic()
    try:
        waited = at - float(request.headers.get(HEADER, at))
    except ValueError:
        waited = 0.0
    return timedelta(seconds=min(LONGEST, max(0.0, waited)))
