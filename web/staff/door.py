"""Stands before every page of /staff: who is this, and may they do that?"""

from typing import Final, cast

from flask import Response, abort, current_app, g, redirect, request, session
from werkzeug.wrappers import Response as AnyResponse

from web import cookies
from web.portal import here
from web.rights import OPEN, Deed, may, rule_of
from web.signing_in import SESSION, Colleague, colleague_of
from web.staff import staff

__all__ = ["colleague", "let_in", "let_out", "way_on"]

AFTERWARDS: Final = "after sign-in"


@staff.before_request
def ask() -> AnyResponse | None:
    rule = rule_of(current_app.view_functions[str(request.endpoint)])
    if rule is None:
        abort(404)  # somebody forgot to say who may see it
    with here().database.reading() as transaction:
        g.colleague = colleague_of(transaction, here(), cookies.read(cookies.STAFF))
    if rule == OPEN:
        return None
    if g.colleague is None:
        return _to_sign_in()
    if not may(g.colleague.rights, Deed(rule)):
        abort(403)
    return None


def _to_sign_in() -> AnyResponse:
    if request.method not in ("GET", "HEAD"):
        abort(401)  # what was sent cannot be sent again by a redirect: the page says that nothing was done
    session[AFTERWARDS] = request.path
    return redirect("/staff/sign-in", 303)


def way_on() -> str:
    """Where they wanted to go before they had to sign in. It was this portal that wrote it down, and no address did."""
    return str(session.pop(AFTERWARDS, "/staff/attempts"))


def colleague() -> Colleague:
    """Who asks. Only for pages that need a deed."""
    return cast(Colleague, g.colleague)


def let_in(response: Response | AnyResponse, token: str) -> None:
    cookies.write(response, cookies.STAFF, token, int(SESSION.total_seconds()))


def let_out(response: Response | AnyResponse) -> None:
    cookies.forget(response, cookies.STAFF)
