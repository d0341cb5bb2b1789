"""The pages of those who work here. Thin: what they do is decided in the modules of `web`."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from flask import Response, abort, g, make_response, redirect, render_template, request
from flask import session as browser
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from web import access, attempts, audit, cookies, invitations, overviews, signing_in, staffing, work
from web.briefings import spell_length
from web.database import now
from web.errors import Refused
from web.models import Attempt, Right, Snapshot, new_id
from web.openid import Issuer, IssuerUnavailable, Promise
from web.portal import here
from web.preview import attached, framed
from web.rights import Deed, may, needs, open_to_all
from web.speech import LOCALES
from web.staff import staff
from web.staff.door import colleague, let_in, let_out, way_on

log = logging.getLogger(__name__)

Answer = Response | AnyResponse | str | tuple[str, int]

BEGUN: Final = "openid"  # what this browser began at the issuer's
FRESH: Final = "fresh link"  # shown once, to whoever made it
PHASES: Final = {
    attempts.Phase.EARLY: "window not open yet",
    attempts.Phase.READY: "not started",
    attempts.Phase.RUNNING: "running",
    attempts.Phase.CLOSING: "time over, being handed in",
    attempts.Phase.ENDED: "ended",
    attempts.Phase.MISSED: "window closed, never started",
    attempts.Phase.WITHDRAWN: "withdrawn",
}


@staff.context_processor
def words() -> dict[str, Any]:
    return {
        "who": g.get("colleague"),
        "phases": PHASES,
        "length": spell_length,
        "length_of": _length_of,
        "may": may,
        "Deed": Deed,
        "locales": LOCALES,
    }


def _length_of(seconds: float) -> str:
    return spell_length(timedelta(seconds=seconds))


@staff.get("")
@needs(Deed.BE_HERE)
def home() -> Answer:
    if may(colleague().rights, Deed.SEE_ATTEMPTS):
        return redirect("/staff/attempts", 303)
    return render_template("staff/home.html")


# --------------------------------------------------------------------------------------------------------- sign in


@staff.get("/sign-in")
@open_to_all
def sign_in() -> Answer:
    return _sign_in_page()


def _sign_in_page(complaint: str = "", status: int = 200, *, sent: bool = False) -> Answer:
    openid = bool(here().settings.oidc_issuer)
    page = render_template(
        "staff/sign_in.html", complaint=complaint, sent=sent, openid=openid, minutes=signing_in.LINK_MINUTES
    )
    return page, status


@staff.post("/sign-in")
@open_to_all
def ask_for_link() -> Answer:
    email = request.form.get("email", "").strip()
    if "@" not in email or len(email) > staffing.LONGEST_EMAIL:
        return _sign_in_page("Write your e-mail address, such as grace@example.org.", 422)
    with here().database.transaction() as session:
        signing_in.ask(session, here(), email)
    return _sign_in_page(sent=True)


@staff.get("/sign-in/<token>")
@open_to_all
def look_at_link(token: str) -> Answer:
    """Changes nothing: mail programs look at links before their readers do."""
    with here().database.reading() as session:
        good = signing_in.look(session, here(), token) is not None
    return render_template("staff/link.html", good=good, token=token), 200 if good else 410


@staff.post("/sign-in/<token>")
@open_to_all
def use_link(token: str) -> Answer:
    with here().database.transaction() as session:
        entered = signing_in.use(session, here(), token, _browser())
    if entered is None:
        return render_template("staff/link.html", good=False, token=token), 410
    return _inside(entered)


@staff.get("/sign-in/openid")
@open_to_all
def begin_openid() -> Answer:
    issuer = _issuer()
    promise = Promise.new()
    try:
        where = issuer.begin(promise)
    except IssuerUnavailable as error:
        return _issuer_away(error)
    browser[BEGUN] = promise.kept()
    return redirect(where, 303)


@staff.get("/sign-in/openid/back")
@open_to_all
def come_back_from_openid() -> Answer:
    issuer = _issuer()
    try:
        promise = Promise.read(browser.pop(BEGUN, None))  # one answer for each beginning
        email = issuer.redeem(promise, request.args.to_dict())
    except IssuerUnavailable as error:
        return _issuer_away(error)
    except Refused as error:
        log.warning("sign-in refused: %s", error)
        return _sign_in_page("Signing in did not work. Begin again; if it fails again, ask an owner.", 403)
    with here().database.transaction() as session:
        entered = signing_in.enter_as(session, here(), email, _browser(), "openid")
    if entered is None:
        return _sign_in_page("Your account is not on the list of those who work here. Ask an owner to add you.", 403)
    return _inside(entered)


def _issuer() -> Issuer:
    if not here().settings.oidc_issuer:
        abort(404)
    return Issuer(here().settings, here().address)


def _issuer_away(error: IssuerUnavailable) -> Answer:
    log.error("nobody can sign in by OpenID: %s", error)
    return _sign_in_page("Your organisation does not answer. Use a link by e-mail, or try again later.", 503)


def _inside(token: str) -> AnyResponse:
    answer = make_response(redirect(way_on(), 303))
    let_in(answer, token)
    return answer


def _browser() -> str:
    return request.headers.get("User-Agent", "")


@staff.post("/sign-out")
@needs(Deed.BE_HERE)
def sign_out() -> Answer:
    with here().database.transaction() as session:
        access.leave(session, here(), cookies.read(cookies.STAFF))
    answer = make_response(redirect("/staff/sign-in", 303))
    let_out(answer)
    browser.pop(FRESH, None)
    return answer


# -------------------------------------------------------------------------------------------------------- attempts


@staff.get("/attempts")
@needs(Deed.SEE_ATTEMPTS)
def list_attempts() -> Answer:
    find, page = request.args.get("find", "")[:200], _number(request.args.get("page", "0"))
    with here().database.reading() as session:
        found, more = overviews.listed(session, find, page)
    return render_template("staff/attempts.html", found=found, more=more, find=find, page=page)


def _number(said: str) -> int:
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 6 else 0


@staff.get("/invite")
@needs(Deed.INVITE)
def invitation() -> Answer:
    return _invitation_page({})


def _invitation_page(typed: dict[str, str], complaint: str = "", status: int = 200) -> Answer:
    with here().database.reading() as session:
        roles, challenges = overviews.roles(session), overviews.challenges(session)
    mine = f"{colleague().name}, {colleague().email}"
    typed = {"multiplier": "1", "days": "30", "locale": "en", "feedback": "yes", "contact": mine} | typed
    page = render_template(
        "staff/invite.html", typed=typed, roles=roles, challenges=challenges, complaint=complaint, new=not complaint
    )
    return page, status


@staff.post("/invite")
@needs(Deed.INVITE)
def invite() -> Answer:
    typed = {"feedback": ""} | {name: said.strip() for name, said in request.form.items()}
    try:
        wish = invitations.Wish(
            role=typed.get("role", ""),
            challenge=typed.get("challenge", ""),
            email=typed.get("email", ""),
            name=typed.get("name", ""),
            multiplier=_float("multiplier", typed.get("multiplier", "")),
            days=int(_float("days", typed.get("days", ""))),
            contact=typed.get("contact", ""),
            locale=typed.get("locale", ""),
            feedback=typed["feedback"] == "yes",
        )
        with here().database.transaction() as session:
            made = invitations.invite(session, here(), here().address_in_letters, wish, colleague().actor)
    except Refused as error:
        return _invitation_page(typed, str(error), 422)
    return _show_once(made)


def _float(what: str, said: str) -> float:
    try:
        found = float(said.replace(",", "."))
    except ValueError:
        found = -1.0
    if not 0 <= found <= 100_000:  # neither is it infinite, or no number
        raise Refused(f"{what}: {said[:40]!r}: is no number that makes sense here")
    return found


def _show_once(made: invitations.Invitation) -> AnyResponse:
    browser[FRESH] = {"attempt": made.attempt.id, "url": made.url}
    return redirect(f"/staff/attempts/{made.attempt.id}", 303)


@staff.get("/attempts/<attempt_id>")
@needs(Deed.SEE_ATTEMPTS)
def attempt(attempt_id: str) -> Answer:
    return _attempt_page(attempt_id)


def _attempt_page(attempt_id: str, complaint: str = "", status: int = 200) -> Answer:
    with here().database.transaction() as session:
        found = overviews.overview(session, attempt_id)
        if found is None:
            abort(404)
        audit.note(session, colleague().actor, "attempt.read", "attempt", attempt_id)
    fresh = browser.get(FRESH)
    url = browser.pop(FRESH)["url"] if fresh and fresh["attempt"] == attempt_id else ""
    page = render_template(
        "staff/attempt.html",
        found=found,
        url=url,
        complaint=complaint,
        key=new_id(),
        most=attempts.MOST_MULTIPLIER,
        longest=invitations.MOST_DAYS,
    )
    return page, status


def _change(attempt_id: str, deed: Callable[[Session], object]) -> Answer:
    """Do it, and show the attempt as it is then; or say why it cannot be done."""
    try:
        with here().database.transaction() as session:
            if overviews.overview(session, attempt_id) is None:
                abort(404)
            deed(session)
    except Refused as error:
        return _attempt_page(attempt_id, str(error), 409)
    return redirect(f"/staff/attempts/{attempt_id}", 303)


@staff.post("/attempts/<attempt_id>/time")
@needs(Deed.GIVE_TIME)
def give_time(attempt_id: str) -> Answer:
    # The form's own key: pressed twice, or sent again by a reload, it adds the minutes once.
    key, why = request.form.get("key", "")[:32], request.form.get("why", "").strip()

    def give(session: Session) -> None:
        minutes = _float("minutes", request.form.get("minutes", ""))
        if not why or len(why) > 500 or not why.isprintable():
            raise Refused("Say why, in one line: the candidate reads it.")
        attempts.add_time(session, attempt_id, timedelta(minutes=minutes), f"staff {key}", why, colleague().actor)

    return _change(attempt_id, give)


@staff.post("/attempts/<attempt_id>/multiplier")
@needs(Deed.GIVE_TIME)
def set_multiplier(attempt_id: str) -> Answer:
    def multiply(session: Session) -> None:
        wanted = _float("multiplier", request.form.get("multiplier", ""))
        attempts.change_multiplier(session, attempt_id, wanted, colleague().actor)

    return _change(attempt_id, multiply)


@staff.post("/attempts/<attempt_id>/window")
@needs(Deed.GIVE_TIME)
def move_window(attempt_id: str) -> Answer:
    def move(session: Session) -> None:
        days = _float("days", request.form.get("days", ""))
        if not 1 <= days <= invitations.MOST_DAYS:
            raise Refused(f"days: {days:g}: must be from 1 to {invitations.MOST_DAYS}")
        attempts.move_window(session, attempt_id, now(session) + timedelta(days=days), colleague().actor)

    return _change(attempt_id, move)


@staff.post("/attempts/<attempt_id>/link")
@needs(Deed.GIVE_LINKS)
def give_link(attempt_id: str) -> Answer:
    """Another link, by letter. With `revoke` earlier ones open nothing any more, and their browsers are signed out."""
    revoke = request.form.get("revoke") == "yes"
    made: list[invitations.Invitation] = []

    def renew(session: Session) -> None:
        address = here().address_in_letters
        made.append(invitations.renew(session, here(), address, attempt_id, colleague().actor, revoke=revoke))

    answer = _change(attempt_id, renew)
    return _show_once(made[0]) if made else answer


@staff.post("/attempts/<attempt_id>/revoke")
@needs(Deed.GIVE_LINKS)
def revoke_links(attempt_id: str) -> Answer:
    return _change(
        attempt_id,
        lambda session: access.revoke_links(session, session.get_one(Attempt, attempt_id), colleague().actor),
    )


# ------------------------------------------------------------------------------------------------ candidates' work


@staff.get("/attempts/<attempt_id>/work")
@needs(Deed.SEE_WORK)
def look_at_work(attempt_id: str) -> Answer:
    with here().database.transaction() as session:
        found, snapshot = _work(session, attempt_id)
        sizes = work.sizes(session, snapshot) if snapshot is not None and snapshot.names is not None else {}
        _note_read(session, attempt_id, snapshot)
        history = work.history(session, attempt_id, 100)
    return render_template("staff/work.html", found=found, snapshot=snapshot, sizes=sizes, history=history)


@staff.get("/attempts/<attempt_id>/file")
@needs(Deed.SEE_WORK)
def download(attempt_id: str) -> Answer:
    return _file(attempt_id, lambda name, content, _: attached(name, content))


@staff.get("/attempts/<attempt_id>/preview")
@needs(Deed.SEE_WORK)
def preview(attempt_id: str) -> Answer:
    """As a document in which nothing runs."""
    return _file(attempt_id, framed)


def _file(attempt_id: str, show: Callable[[str, bytes, Callable[[str], bytes | None]], Response]) -> Answer:
    name = request.args.get("name", "")
    with here().database.transaction() as session:
        _, snapshot = _work(session, attempt_id)
        content = work.content(session, snapshot, name) if snapshot is not None and snapshot.names is not None else None
        if snapshot is None or content is None:
            abort(404)
        shown = snapshot
        _note_read(session, attempt_id, snapshot, file=list(snapshot.names or ()).index(name))
        return show(name, content, lambda beside: work.content(session, shown, beside))


def _work(session: Session, attempt_id: str) -> tuple[overviews.Overview, Snapshot | None]:
    """The attempt, and the saved work that the address names: the newest when it names none."""
    found = overviews.overview(session, attempt_id)
    if found is None:
        abort(404)
    number = request.args.get("number", "")
    if not number:
        return found, work.head(session, attempt_id)
    snapshot = work.numbered(session, attempt_id, _number(number))
    if snapshot is None:
        abort(404)
    return found, snapshot


def _note_read(session: Session, attempt_id: str, snapshot: Snapshot | None, **more: Any) -> None:
    """Whose work was looked at, and by whom. A file by its place in the list: its name can be a person's."""
    if snapshot is not None:
        more = {"snapshot": snapshot.number} | more
        audit.note(session, colleague().actor, "work.read", "attempt", attempt_id, **more)


# ---------------------------------------------------------------------------------------------------- who works here


@staff.get("/people")
@needs(Deed.SEE_STAFF)
def people() -> Answer:
    return _people_page()


def _people_page(complaint: str = "", status: int = 200) -> Answer:
    with here().database.reading() as session:
        found = staffing.everybody(session)
    return render_template("staff/people.html", found=found, rights=list(Right), complaint=complaint), status


@staff.post("/people")
@needs(Deed.CHANGE_STAFF)
def add_person() -> Answer:
    """They sign in by themselves: a letter with a link goes to the address at once."""

    def add(session: Session) -> None:
        email = request.form.get("email", "")
        staffing.add(session, email, request.form.get("name", ""), _right(), colleague().actor)
        signing_in.ask(session, here(), email)

    return _staffing(add)


@staff.post("/people/<person_id>/rights")
@needs(Deed.CHANGE_STAFF)
def set_rights(person_id: str) -> Answer:
    return _staffing(lambda session: staffing.change_rights(session, person_id, _right(), colleague().actor))


@staff.post("/people/<person_id>/leave")
@needs(Deed.CHANGE_STAFF)
def let_go(person_id: str) -> Answer:
    return _staffing(lambda session: staffing.let_go(session, person_id, colleague().actor))


def _right() -> Right:
    try:
        return Right(request.form.get("rights", ""))
    except ValueError:
        raise Refused("Choose what they may do.") from None


def _staffing(deed: Callable[[Session], object]) -> Answer:
    try:
        with here().database.transaction() as session:
            deed(session)
    except Refused as error:
        return _people_page(str(error), 409)
    return redirect("/staff/people", 303)
