"""How a candidate comes in, and all that they are told before the clock starts."""

import logging
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from flask import Response, abort, make_response, redirect, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from graders.trees import TreeMissing
from web import access, attempts, briefings, challenges, consents, cookies, letters, work
from web.access import Followed, Way
from web.arrival import arrived_at
from web.attempts import Phase
from web.candidate import candidate
from web.candidate.door import COOKIE, Visit, let_in, let_out, visit, visitor
from web.errors import Refused
from web.models import Application, Attempt, ChallengeVersion, Form, Link, Person, Role
from web.portal import here
from web.speech import LOCALES, gettext, speak

log = logging.getLogger(__name__)

Answer = Response | AnyResponse | str | tuple[str, int]

GONE: Final = {Way.EXPIRED: 410, Way.REVOKED: 410, Way.UNKNOWN: 404}
ELSEWHERE: Final = {Phase.RUNNING: "work", Phase.CLOSING: "status", Phase.ENDED: "status"}


# -------------------------------------------------------------------------------------------------------- the link


@candidate.get("/a/<token>")
def look_at_link(token: str) -> Answer:
    """Changes nothing: mail programs look at links before their readers do."""
    with here().database.reading() as session:
        followed = access.follow(session, here(), token)
        if (mine := _came_in_before(session, followed)) is not None:
            return redirect(f"/attempts/{mine}", 303)
        return _link_page(session, token, followed)


@candidate.post("/a/<token>")
def open_link(token: str) -> Answer:
    with here().database.transaction() as session:
        followed = access.follow(session, here(), token)
        if (mine := _came_in_before(session, followed)) is not None:
            return redirect(f"/attempts/{mine}", 303)
        if followed.way is not Way.OPEN or followed.link is None:
            return _link_page(session, token, followed)
        try:
            entered = access.enter(session, here(), token, _browser())
        except Refused:  # another browser was faster by a moment: the page says what to do
            return redirect(f"/a/{token}", 303)
        return _inside(followed.link.attempt_id, entered)


@candidate.post("/a/<token>/code")
def send_code(token: str) -> Answer:
    with here().database.transaction() as session:
        followed = access.follow(session, here(), token)
        if followed.way is not Way.CLAIMED or followed.link is None:
            return _link_page(session, token, followed)
        attempt = _speak_to(session, followed.link)
        person = _person(session, attempt)
        if person is None:
            abort(404)
        try:
            code = access.new_code(session, here(), followed.link)
        except Refused as error:
            return _link_page(session, token, followed, complaint=str(error), status=429)
        letters.write(
            session,
            person.email,
            gettext("Your code: %(code)s", code=f"{code[:3]} {code[3:]}"),
            gettext(
                "Hello %(name)s,\n\nsomebody, hopefully you, opens your attempt in another browser. This code lets it "
                "in:\n\n    %(code)s\n\nIt is good for %(minutes)s minutes. If it was not you, do nothing: without the "
                "code nobody comes in.\n",
                name=person.name,
                code=f"{code[:3]} {code[3:]}",
                minutes=access.CODE_MINUTES,
            ),
        )
        return _link_page(session, token, followed, sent=True)


@candidate.post("/a/<token>/with-code")
def come_in_with_code(token: str) -> Answer:
    with here().database.transaction() as session:
        followed = access.follow(session, here(), token)
        if followed.way is not Way.CLAIMED or followed.link is None:
            return _link_page(session, token, followed)
        entered = access.enter_with_code(session, here(), followed.link, request.form.get("code", ""), _browser())
        if entered is not None:
            return _inside(followed.link.attempt_id, entered)
        _speak_to(session, followed.link)
        complaint = gettext(
            "This is not the newest code, or it is too old by now. Look again, or have another one sent."
        )
        return _link_page(session, token, followed, sent=True, complaint=complaint, status=422)


def _came_in_before(session: Session, followed: Followed) -> str | None:
    """The attempt of this link, if this browser may see it already."""
    browser = visitor(session)
    if browser is None or followed.link is None:
        return None
    return browser[0].id if browser[0].id == followed.link.attempt_id else None


def _inside(attempt_id: str, entered: str) -> AnyResponse:
    answer = make_response(redirect(f"/attempts/{attempt_id}", 303))
    let_in(answer, entered)
    return answer


def _link_page(
    session: Session, token: str, followed: Followed, *, sent: bool = False, complaint: str = "", status: int = 200
) -> Answer:
    """What the link is good for now, and what to do."""
    attempt = _speak_to(session, followed.link)
    if followed.way in GONE or attempt is None:
        contact = attempt.contact if attempt else ""
        page = render_template("candidate/gone.html", way=followed.way, contact=contact)
        return page, GONE.get(followed.way, 404)
    version = session.get_one(ChallengeVersion, attempt.challenge_digest)
    application = session.get(Application, attempt.application_id) if attempt.application_id else None
    person = _person(session, attempt)
    page = render_template(
        "candidate/link.html" if followed.way is Way.OPEN else "candidate/code.html",
        token=token,
        title=version.manifest["title"],
        role=session.get_one(Role, application.role_id).title if application else "",
        address=_masked(person.email) if person else "",
        minutes=access.CODE_MINUTES,
        contact=attempt.contact,
        sent=sent,
        complaint=complaint,
    )
    return page, status


def _speak_to(session: Session, link: Link | None) -> Attempt | None:
    attempt = session.get_one(Attempt, link.attempt_id) if link else None
    speak(attempt.locale if attempt else request.accept_languages.best_match(LOCALES) or "en")
    return attempt


def _person(session: Session, attempt: Attempt | None) -> Person | None:
    if attempt is None or attempt.application_id is None:
        return None
    return session.get_one(Person, session.get_one(Application, attempt.application_id).person_id)


def _masked(address: str) -> str:
    """Known again by its owner, and told to nobody else who found the link."""
    name, _, host = address.partition("@")
    return f"{name[:1]}•••@{host}"


def _browser() -> str:
    return request.headers.get("User-Agent", "")


# ------------------------------------------------------------------------------------------------ before the start


@candidate.get("/attempts/<attempt_id>")
def before_the_start(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        return _page(session, visit(session, attempt_id))


def _page(session: Session, seen: Visit, complaint: str = "", status: int = 200) -> Answer:
    found = briefings.brief(session, seen.attempt)
    if found.standing.phase in ELSEWHERE:
        return redirect(f"/attempts/{seen.attempt.id}/{ELSEWHERE[found.standing.phase]}", 303)
    template = "withdrawn" if found.standing.phase is Phase.WITHDRAWN else "attempt"
    page = render_template(
        f"candidate/{template}.html",
        briefing=found,
        attempt=seen.attempt,
        statement=consents.statement(),
        complaint=complaint,
    )
    return page, status


@candidate.post("/attempts/<attempt_id>/consent")
def consent(attempt_id: str) -> Answer:
    with here().database.transaction() as session:
        seen = visit(session, attempt_id)
        if request.form.get("agree") != "yes":
            return _page(
                session, seen, gettext("Tick the box to say that you agree. Nothing was written down yet."), 422
            )
        try:
            consents.accept(session, seen.attempt, request.form.get("text_hash", ""), _browser())
        except Refused as error:
            return _page(session, seen, str(error), 409)
        return redirect(f"/attempts/{attempt_id}#start", 303)


@candidate.post("/attempts/<attempt_id>/start")
def start(attempt_id: str) -> Answer:
    with here().database.reading() as session:
        bundle = session.get_one(Form, visit(session, attempt_id).attempt.form_id).bundle
    try:
        files = here().store.get(bundle) if bundle is not None else {}
    except TreeMissing as error:
        return _our_fault(attempt_id, error)
    with here().database.transaction() as session:
        seen = visit(session, attempt_id)
        try:
            consents.demand(session, seen.attempt)
            running = attempts.start(session, attempt_id, arrived_at(session))
        except Refused as error:
            return _page(session, seen, str(error), 409)
        work.begin(session, running, files)
        return redirect(f"/attempts/{attempt_id}", 303)


def _our_fault(attempt_id: str, error: TreeMissing) -> Answer:
    log.error("attempt %s: cannot be started: %s", attempt_id, error)
    with here().database.reading() as session:
        sentence = gettext(
            "Your files cannot be read right now. That is our fault, and it is written to our log. Your clock has not "
            "started: try again in a few minutes, or write to the person named on this page."
        )
        return _page(session, visit(session, attempt_id), sentence, 503)


@candidate.post("/attempts/<attempt_id>/practise")
def practise(attempt_id: str) -> Answer:
    with here().database.transaction() as session:
        seen = visit(session, attempt_id)
        warm_up = challenges.newest(session, briefings.WARM_UP)
        if warm_up is None:
            return _page(session, seen, gettext("There is nothing to practise with at the moment."), 409)
        try:
            practice = attempts.practise(session, seen.attempt, warm_up)
        except Refused as error:
            return _page(session, seen, str(error), 409)
        return redirect(f"/attempts/{practice.id}", 303)


@candidate.post("/attempts/<attempt_id>/withdraw")
def withdraw(attempt_id: str) -> Answer:
    with here().database.transaction() as session:
        seen = visit(session, attempt_id)
        if request.form.get("sure") != "yes":
            return _page(session, seen, gettext("Tick the box to say that you are sure. Nothing has changed."), 422)
        attempts.withdraw(session, attempt_id)
        return redirect(f"/attempts/{attempt_id}", 303)


@candidate.post("/attempts/<attempt_id>/leave")
def leave(attempt_id: str) -> Answer:
    """Sign this browser out, for a machine that others use too."""
    with here().database.transaction() as session:
        seen = visit(session, attempt_id)
        access.leave(session, here(), cookies.read(COOKIE))
        address = _person(session, seen.attempt)
        page = render_template("candidate/left.html", address=_masked(address.email) if address else "")
    answer = make_response(page)
    let_out(answer)
    return answer


@candidate.post("/attempts/<attempt_id>/time-zone")
def time_zone(attempt_id: str) -> Answer:
    """As the browser knows it; a script says so. Only a zone that we can compute with is kept."""
    with here().database.transaction() as session:
        attempt = visit(session, attempt_id).attempt
        named = request.form.get("zone", "")
        if named not in _zones():
            return gettext("This time zone is not known here, so times stay in %(zone)s.", zone=attempt.time_zone), 422
        attempt.time_zone = named
        return "", 204


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
