"""Run: a candidate asks for the challenge's public checks, and watches what they print."""

import math
from http import HTTPStatus
from typing import Any

from flask import Response, abort, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox import Ending
from web import checks
from web.arrival import arrived_at
from web.candidate import candidate
from web.candidate.door import visit
from web.checks import Seen
from web.models import CheckState
from web.portal import here
from web.speech import gettext, ngettext

Answer = Response | AnyResponse | tuple[Response, int]


@candidate.post("/attempts/<attempt_id>/checks")
def press_run(attempt_id: str) -> Answer:
    """Pressed twice it runs once. Without a script the answer is the workspace."""
    portal = here()
    with portal.database.reading() as session:
        attempt = visit(session, attempt_id).attempt
        arrived = arrived_at(session)
    check = checks.ask(portal.database, portal.store, attempt.id, arrived)
    checks.ring(portal.database, portal.bell, check, portal.token_for)
    if request.accept_mimetypes.best_match(("text/html", "application/json")) == "text/html":
        return redirect(f"/attempts/{attempt.id}/work", HTTPStatus.SEE_OTHER)
    with portal.database.reading() as session:
        return jsonify(_told(checks.look(session, portal.bell, check))), HTTPStatus.ACCEPTED


@candidate.get("/attempts/<attempt_id>/checks/<check_id>")
def see_check(attempt_id: str, check_id: str) -> Answer:
    """Asked again and again while it runs: an answer that has not changed is sent without its body."""
    with here().database.reading() as session:
        check = checks.find(session, visit(session, attempt_id).attempt.id, check_id)
        if check is None:
            abort(404)
        return jsonify(_told(checks.look(session, here().bell, check)))


def _told(seen: Seen) -> dict[str, Any]:
    return {
        "id": seen.id,
        "state": seen.state.value,
        "position": seen.position,
        "output": seen.output,
        "exit_code": seen.exit_code,
        "ending": seen.ending,
        "seconds": seen.seconds,
        "credited_seconds": seen.credited_seconds,
        "sentence": sentence(seen),
    }


def sentence(seen: Seen) -> str:
    said = _how_it_stands(seen)
    if seen.credited_seconds:
        seconds = math.ceil(seen.credited_seconds)
        added = ngettext(
            "%(num)s second was added to your clock.", "%(num)s seconds were added to your clock.", seconds
        )
        return f"{said} {gettext('The sandbox kept you waiting, which is our fault.')} {added}"
    return said


def _how_it_stands(seen: Seen) -> str:
    match seen.state:
        case CheckState.WAITING if seen.position is not None and seen.position > 1:
            before = seen.position - 1
            return ngettext(
                "It waits: %(num)s other is before yours.", "It waits: %(num)s others are before yours.", before
            )
        case CheckState.WAITING:
            return gettext("It is about to begin.")
        case CheckState.RUNNING:
            return gettext("It runs.")
        case CheckState.FAILED:
            return gettext("The sandbox failed, so this says nothing about your work. Press Run again.")
    return _how_it_ended(seen)


def _how_it_ended(seen: Seen) -> str:
    seconds = f"{seen.seconds or 0:.1f}"
    match seen.ending:
        case Ending.EXITED if seen.exit_code == 0:
            return gettext("It came to a good end in %(seconds)s seconds.", seconds=seconds)
        case Ending.EXITED:
            return gettext(
                "It ended with exit code %(code)s after %(seconds)s seconds.", code=seen.exit_code, seconds=seconds
            )
        case Ending.TIMED_OUT:
            return gettext("It was stopped after %(seconds)s seconds, which is all it may take.", seconds=seconds)
        case Ending.OUT_OF_MEMORY:
            return gettext("It was stopped because it used more memory than it may.")
        case Ending.TOO_MUCH_OUTPUT:
            return gettext("It was stopped because it printed more than it may.")
        case Ending.NOT_STARTED:
            return gettext("It could not be started. Is a file missing that it needs?")
    return gettext("It was stopped.")
