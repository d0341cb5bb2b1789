"""In which language a candidate is spoken to."""

import re

from flask import abort, redirect, request
from werkzeug.wrappers import Response

from web import attempts
from web.candidate import candidate
from web.candidate.door import visit
from web.portal import here
from web.speech import LOCALES

__all__: list[str] = []


@candidate.post("/attempts/<attempt_id>/locale")
def choose_language(attempt_id: str) -> Response:
    """For all that this candidate is shown and sent from now on. Leads back to the page that asked."""
    chosen = request.form.get("locale", "")
    with here().database.transaction() as session:
        attempt = visit(session, attempt_id).attempt
        if chosen not in LOCALES:
            abort(400)
        attempts.speak_to(session, attempt, chosen)
    return redirect(_back(attempt_id), 303)


def _back(attempt_id: str) -> str:
    """A page of this attempt, whatever the form says: an address from outside could lead anywhere."""
    asked, own = request.form.get("back", ""), f"/attempts/{attempt_id}"
    return asked if re.fullmatch(rf"{re.escape(own)}(?:/[a-z0-9-]+(?:\.\.[0-9]+)?)*", asked) else own
