"""What anyone may see without signing in."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, current_app, jsonify, render_template
from sqlalchemy import select

from sandbox import Ending, Limits
from web.bell import QueueUnavailable
from web.database import DatabaseUnavailable
from web.models import Grading
from web.portal import here

log = logging.getLogger(__name__)

pages = Blueprint("pages", __name__)


@dataclass(frozen=True)
class Stage:
    name: str
    quarters: int  # of a business day
    purpose: str

    @property
    def length(self) -> str:
        return {2: "half a day", 3: "three quarters of a day", 4: "one day", 6: "one and a half days"}[self.quarters]


FIVE_DAYS: Final = (
    Stage("First contact", 2, "The candidate hears what the role is, and what each stage will ask of them."),
    Stage("Screen", 4, "Thirty to forty-five minutes of questions, answered alone, before anyone meets."),
    Stage("Take-home", 6, "One challenge, started when it suits the candidate; then grading."),
    Stage("Code review", 3, "The candidate explains the submission. The questions come from its findings."),
    Stage("System design", 3, "One conversation about trade-offs: quality, latency, cost."),
    Stage("Decision", 2, "One named person decides and gives the reason. The offer goes out."),
)


@pages.get("/")
def landing() -> str:
    return render_template("landing.html", stages=FIVE_DAYS, limits=Limits(), endings=list(Ending))


@pages.get("/healthz")
def healthz() -> Response:
    """Says that this process answers; it looks at nothing else."""
    answer = jsonify(status="ok", version=current_app.config["VERSION"])
    answer.headers["Cache-Control"] = "no-store"
    return answer


@pages.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Says whether what the portal stands on is there. Anyone may ask: where it is stays in the log."""
    checks = {"database": _is_there(_ask_database), "queue": _is_there(_ask_queue)}
    checks["clock"] = _is_there(_ask_clock) if checks["queue"] == WELL else "is not known without the queue"
    ready = all(found == WELL for found in checks.values())
    answer = jsonify(status="ready" if ready else "not ready", **checks)
    answer.headers["Cache-Control"] = "no-store"
    return answer, 200 if ready else 503


WELL: Final = "well"


def _is_there(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except (DatabaseUnavailable, QueueUnavailable) as error:
        log.warning("not ready: %s", error)
        return "does not answer; the portal's log says why"


def _ask_database() -> str:
    with here().database.reading() as session:
        session.scalars(select(Grading.id).limit(1)).all()  # its tables are there, too
    return WELL


def _ask_queue() -> str:
    here().bell.workers()
    return WELL


def _ask_clock() -> str:
    return WELL if here().bell.last_turn() else "has not turned for a minute"
