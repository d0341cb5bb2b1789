"""Who of the staff may do what: the table, and that every page keeps to it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from flask.testing import FlaskClient

from tests.web.portal_world import invited, make_portal, started
from tests.web.staff_world import browser, hire, link_in, send, staff_client
from web import contests, cookies, create_app, submissions, work
from web.database import Database, now
from web.models import AddedTime, Application, Attempt, AuditEvent, BrowserSession, Letter, Link, Person, Right, Staff
from web.portal import Portal
from web.rights import MAY, OPEN, Deed, may, rule_of

WAYS_IN: Final = {
    ("GET", "/staff/sign-in"),
    ("POST", "/staff/sign-in"),
    ("GET", "/staff/sign-in/<token>"),
    ("POST", "/staff/sign-in/<token>"),
    ("GET", "/staff/sign-in/openid"),
    ("GET", "/staff/sign-in/openid/back"),
}


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path)


def pages(portal: Portal) -> Iterator[tuple[str, str, Deed | str | None]]:
    """Method, address and rule of each page of the staff."""
    app = create_app(portal)
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/staff") or rule.endpoint.startswith("staff."):
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield method, rule.rule, rule_of(app.view_functions[rule.endpoint])


def test_every_page_has_a_rule_and_only_the_ways_in_are_open(portal: Portal) -> None:
    found = list(pages(portal))
    assert len(found) > 15
    assert [page for page in found if page[2] is None] == []
    assert {(method, rule) for method, rule, needed in found if needed == OPEN} == WAYS_IN


def test_whatever_changes_something_needs_more_than_to_read(portal: Portal) -> None:
    changing = {str(needed) for method, _, needed in pages(portal) if method == "POST" and needed != OPEN}
    assert changing - {Deed.BE_HERE} == {Deed.INVITE, Deed.GIVE_TIME, Deed.GIVE_LINKS, Deed.CHANGE_STAFF}
    for deed in changing - {Deed.BE_HERE}:
        assert not may(Right.READ_ONLY, Deed(deed))


def test_the_table_says_of_every_deed_who_may_do_it() -> None:
    assert set(MAY) == set(Deed)
    assert all(may(Right.OWNER, deed) for deed in Deed)
    assert [deed for deed in Deed if may(Right.AUTHOR, deed)] == [Deed.BE_HERE]
    assert {deed for deed in Deed if may(Right.READ_ONLY, deed)} == {Deed.BE_HERE, Deed.SEE_ATTEMPTS, Deed.SEE_WORK}
    assert {deed for deed in Deed if not may(Right.INTERVIEWER, deed)} == {Deed.SEE_STAFF, Deed.CHANGE_STAFF}


def address(rule: str, attempt: Attempt, person_id: str) -> str:
    filled = rule.replace("<attempt_id>", attempt.id).replace("<person_id>", person_id).replace("<token>", "x.y")
    assert "<" not in filled, "a new kind of address: say here what to fill in"
    return filled


@pytest.mark.parametrize("right", list(Right))
def test_each_page_answers_those_who_may_and_nobody_else(portal: Portal, right: Right) -> None:
    hire(portal, Right.OWNER, "owner@example.org")
    other = hire(portal, Right.READ_ONLY, "other@example.org")
    attempt = started(portal)
    person = hire(portal, right)
    for method, rule, needed in pages(portal):
        if needed == OPEN:
            continue
        client = staff_client(portal, person)
        answer = client.open(address(rule, attempt, other), method=method)
        if may(right, Deed(str(needed))):
            assert answer.status_code not in (401, 403), (method, rule)
            assert answer.status_code < 500
        else:
            assert answer.status_code == 403, (method, rule)
            assert "Ask an owner" in answer.text


def test_whoever_has_not_signed_in_sees_and_changes_nothing(portal: Portal) -> None:
    attempt = started(portal)
    other = hire(portal)
    before = rows(portal)
    for method, rule, needed in pages(portal):
        if needed == OPEN:
            continue
        answer = browser(portal, csrf=False).open(address(rule, attempt, other), method=method)
        if method == "GET":
            assert (answer.status_code, answer.location) == (303, "/staff/sign-in"), rule
        else:
            assert answer.status_code == 401, rule
            assert "Nothing was changed" in answer.text
    assert rows(portal) == before


def rows(portal: Portal) -> list[int]:
    tables = (AddedTime, Application, Attempt, AuditEvent, BrowserSession, Letter, Link, Person, Staff)
    with portal.database.reading() as session:
        return [session.query(table).count() for table in tables]


def test_a_page_without_a_rule_answers_nobody(portal: Portal) -> None:
    client = staff_client(portal, hire(portal))
    client.application.view_functions["staff.home"] = lambda: "forgotten"
    assert client.get("/staff").status_code == 404


def test_rights_that_are_taken_away_are_gone_at_once(portal: Portal) -> None:
    owner = staff_client(portal, hire(portal, Right.OWNER, "owner@example.org"))
    person = hire(portal, Right.INTERVIEWER)
    client = staff_client(portal, person)
    assert client.get("/staff/invite").status_code == 200
    owner.post(f"/staff/people/{person}/rights", data={"rights": "read-only"})
    assert client.get("/staff/invite").status_code == 403
    assert client.get("/staff/attempts").status_code == 200


def test_a_candidates_session_opens_no_page_of_the_staff_nor_the_other_way_round(portal: Portal) -> None:
    attempt = started(portal)
    with portal.database.transaction() as session:
        person = session.query(Person).one()
        session.add(Staff(person_id=person.id, rights=Right.OWNER, created_at=person.created_at))
    member = staff_client(portal, person.id)
    kept = member.get_cookie(cookies.STAFF)
    assert kept is not None
    member.set_cookie(cookies.CANDIDATE, kept.value)
    assert member.get(f"/attempts/{attempt.id}/state").status_code == 404


# ------------------------------------------------------------------------------------------- what the pages do


@pytest.fixture
def client(portal: Portal) -> FlaskClient:
    return staff_client(portal, hire(portal, Right.INTERVIEWER), csrf=True)


FORM: Final = {
    "name": "Ada Okafor", "email": "ada@example.org", "role": "AI engineer", "challenge": "warm-up",
    "multiplier": "1.5", "days": "14", "contact": "Grace", "locale": "de", "feedback": "yes",
}  # fmt: skip


def test_an_invitation_makes_an_attempt_and_a_letter_and_shows_its_link_once(
    portal: Portal, client: FlaskClient
) -> None:
    answer = send(client, "/staff/invite", **FORM)
    assert answer.status_code == 303, answer.text
    with portal.database.reading() as session:
        attempt, letter = session.query(Attempt).one(), session.query(Letter).one()
    assert (attempt.multiplier, attempt.locale, attempt.feedback) == (1.5, "de", True)
    assert letter.recipient == "ada@example.org"
    page = client.get(answer.location).text
    link = link_in(letter)
    assert link in page
    assert "Ada Okafor" in page
    assert link not in client.get(answer.location).text
    assert browser(portal).get(link).status_code == 200


def test_a_second_invitation_to_the_same_is_refused_and_keeps_what_was_typed(client: FlaskClient) -> None:
    send(client, "/staff/invite", **FORM)
    answer = send(client, "/staff/invite", **FORM)
    assert answer.status_code == 422
    assert "has not ended" in answer.text
    assert 'value="Ada Okafor"' in answer.text


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("email", "nobody"),
        ("email", "a@example.org, b@example.org"),
        ("name", ""),
        ("role", ""),
        ("challenge", "no-such-challenge"),
        ("multiplier", "9"),
        ("multiplier", "nan"),
        ("multiplier", "inf"),
        ("days", "0"),
        ("days", "1e9"),
        ("days", "x"),
        ("locale", "xx"),
        ("contact", "x" * 501),
    ],
)
def test_an_invitation_that_makes_no_sense_is_a_sentence(
    portal: Portal, client: FlaskClient, field: str, said: str
) -> None:
    answer = send(client, "/staff/invite", **(FORM | {field: said}))
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    with portal.database.reading() as session:
        assert session.query(Attempt).count() == 0


def test_minutes_are_added_once_however_often_the_form_is_sent(portal: Portal, client: FlaskClient) -> None:
    attempt = started(portal)
    page = f"/staff/attempts/{attempt.id}"
    found = re.search(r'name="key" value="([0-9a-f]+)"', client.get(page).text)
    assert found
    for _ in range(2):
        answer = send(client, page, f"{page}/time", minutes="20", why="The power was out.", key=found[1])
        assert answer.status_code == 303
    with portal.database.reading() as session:
        added = session.query(AddedTime).one()
        longer = session.get_one(Attempt, attempt.id)
    assert (added.seconds, added.why) == (1200, "The power was out.")
    assert longer.ends_at is not None
    assert attempt.ends_at is not None
    assert (longer.ends_at - attempt.ends_at).total_seconds() == 1200
    assert "The power was out." in client.get(page).text


@pytest.mark.parametrize(
    ("minutes", "why"), [("0", "so"), ("-5", "so"), ("x", "so"), ("99999", "so"), ("5", ""), ("5", "a\nb")]
)
def test_minutes_that_make_no_sense_are_a_sentence(portal: Portal, client: FlaskClient, minutes: str, why: str) -> None:
    page = f"/staff/attempts/{started(portal).id}"
    answer = send(client, page, f"{page}/time", minutes=minutes, why=why, key="k")
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    with portal.database.reading() as session:
        assert session.query(AddedTime).count() == 0


def test_an_accommodation_is_changed_before_the_start_and_not_after(portal: Portal, client: FlaskClient) -> None:
    waiting, running = invited(portal), started(portal)
    for attempt, status in ((waiting, 303), (running, 409)):
        page = f"/staff/attempts/{attempt.id}"
        assert send(client, page, f"{page}/multiplier", multiplier="2").status_code == status
    with portal.database.reading() as session:
        assert session.get_one(Attempt, waiting.id).multiplier == 2
        assert session.get_one(Attempt, running.id).multiplier == 1
    assert f"/staff/attempts/{running.id}/multiplier" not in client.get(f"/staff/attempts/{running.id}").text


def test_a_window_is_moved_and_the_next_letter_says_by_when_to_start(portal: Portal, client: FlaskClient) -> None:
    made = send(client, "/staff/invite", **FORM).location
    for days, status in (("120", 303), ("0", 409), ("x", 409), ("100000", 409)):
        assert send(client, made, f"{made}/window", days=days).status_code == status
    assert send(client, made, f"{made}/link").status_code == 303
    with portal.database.reading() as session:
        attempt = session.get_one(Attempt, made.rpartition("/")[2])
        link = session.query(Link).order_by(Link.created_at.desc()).first()
        letters = list(session.query(Letter).order_by(Letter.created_at))
    assert attempt.closes_at is not None
    assert link is not None
    assert 119 <= (attempt.closes_at - attempt.created_at).days <= 120
    assert link.expires_at > attempt.closes_at
    assert f"{attempt.closes_at.day}" in letters[-1].body
    assert letters[-1].body != letters[0].body


def test_a_contest_is_on_the_page_and_in_the_list(portal: Portal, client: FlaskClient) -> None:
    attempt = started(portal)
    desk = submissions.desk_of(portal)
    with portal.database.transaction() as session:
        kept = submissions.keep(session, desk, attempt.id)
        handed_in = submissions.hand_in(session, desk, kept, 1, now(session))
    assert "contested" not in client.get("/staff/attempts").text
    with portal.database.transaction() as session:
        contests.contest(session, attempt, handed_in, "Line 3 <b>is right</b>: my function raises ValueError there.")
    assert "contested" in client.get("/staff/attempts").text
    page = client.get(f"/staff/attempts/{attempt.id}").text
    assert "Line 3 &lt;b&gt;is right&lt;/b&gt;: my function raises ValueError there." in page
    assert "about all of it" in page


def test_revoked_links_open_nothing_and_sign_the_browser_out(portal: Portal, client: FlaskClient) -> None:
    made = send(client, "/staff/invite", **FORM).location
    with portal.database.reading() as session:
        link = link_in(session.query(Letter).one())
    visitor = browser(portal, csrf=False)
    inside = visitor.post(link).location
    assert visitor.get(inside).status_code == 200
    assert send(client, made, f"{made}/revoke").status_code == 303
    assert visitor.get(inside).status_code == 404
    assert browser(portal).get(link).status_code == 410
    assert "<strong>revoked</strong>" in client.get(made).text


def test_another_link_can_end_those_before(portal: Portal, client: FlaskClient) -> None:
    made = send(client, "/staff/invite", **FORM).location
    assert send(client, made, f"{made}/link").status_code == 303
    assert send(client, made, f"{made}/link", revoke="yes").status_code == 303
    with portal.database.reading() as session:
        links = [link_in(letter) for letter in session.query(Letter).order_by(Letter.created_at)]
    assert [browser(portal).get(link).status_code for link in links] == [410, 410, 200]


def test_every_look_at_somebodys_work_is_written_down(portal: Portal, client: FlaskClient) -> None:
    attempt = started(portal)
    page = f"/staff/attempts/{attempt.id}"
    listing = client.get(f"{page}/work").text
    assert "windows.py" in listing
    assert client.get(f"{page}/preview?name=windows.py&number=1").status_code == 200
    downloaded = client.get(f"{page}/file?name=windows.py&number=1")
    client.get(page)
    with portal.database.reading() as session:
        head = work.head(session, attempt.id)
        assert head is not None
        assert downloaded.data == work.content(session, head, "windows.py")
        reads = session.query(AuditEvent).where(AuditEvent.action.in_(["work.read", "attempt.read"])).all()
    assert [event.action for event in reads] == ["work.read"] * 3 + ["attempt.read"]
    assert {event.subject_id for event in reads} == {attempt.id}
    assert all(event.actor.startswith("staff ") for event in reads)
    assert downloaded.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "query", ["work?number=9", "file?name=nothing", "file?name=windows.py&number=9", "preview?name=../../etc/passwd"]
)
def test_work_that_is_not_there_is_not_found(portal: Portal, client: FlaskClient, query: str) -> None:
    assert client.get(f"/staff/attempts/{started(portal).id}/{query}").status_code == 404


def test_an_attempt_that_is_nobodys_is_not_found(client: FlaskClient) -> None:
    for guessed in ("0" * 32, "x", "%00"):
        assert client.get(f"/staff/attempts/{guessed}").status_code == 404


def test_somebody_is_found_by_a_part_of_a_name(client: FlaskClient) -> None:
    send(client, "/staff/invite", **FORM)
    assert "Ada Okafor" in client.get("/staff/attempts?find=OKAF").text
    assert "Ada Okafor" not in client.get("/staff/attempts?find=%25").text
    assert "Nobody is found" in client.get("/staff/attempts?find=<script>").text


def test_a_strangers_name_is_shown_as_text(client: FlaskClient) -> None:
    page = send(client, "/staff/invite", **(FORM | {"name": "<script>alert(1)</script>"})).location
    assert "<script>" not in client.get(page).text
    assert "<script>" not in client.get("/staff/attempts").text


def test_an_owner_adds_somebody_who_then_gets_a_letter(portal: Portal) -> None:
    owner = staff_client(portal, hire(portal, Right.OWNER), csrf=True)
    answer = send(owner, "/staff/people", name="Lin", email="Lin@example.org", rights="author")
    assert answer.status_code == 303
    with portal.database.reading() as session:
        letter = session.query(Letter).one()
    assert letter.recipient == "lin@example.org"
    again = send(owner, "/staff/people", name="Lin", email="lin@example.org", rights="author")
    assert again.status_code == 409
    assert "works here already" in again.text
