"""What keeps other sites, neighbours and readers of logs out: tokens of forms, cookies, headers, and silence."""

import http.client
import re
import socket
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Final

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from tests.web.portal_world import invited, make_portal, served_portal, started
from tests.web.staff_world import EMAIL, browser, hire, letters_to, link_in, send, staff_client, token_in
from tests.web.valkey_server import ValkeyServer
from web import access, cookies, signing_in
from web.database import Database, now
from web.discretion import without_secret
from web.models import Code, Letter, Link, Person
from web.portal import Portal
from web.queue import Doorbell
from web.server import _Log

HTTPS: Final = "https://portal.example"


@pytest.fixture
def portal(database: Database, valkey: ValkeyServer, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path, Doorbell(valkey.connect()))


@pytest.fixture
def over_tls(database: Database, valkey: ValkeyServer, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path, Doorbell(valkey.connect()), public_url=HTTPS)


# ------------------------------------------------------------------------------------------------- forms of others


def forms(app: Flask) -> list[str]:
    """Every address that changes something."""
    changing = {"POST", "PUT", "PATCH", "DELETE"}
    rules = (rule for rule in app.url_map.iter_rules() if changing & (rule.methods or set()))
    return sorted(re.sub(r"<[^<>]+>", "x", rule.rule) for rule in rules)


BY_OTHER_PROOF: Final = ("/git/", "/trees/")  # a password or a token in a header, which no foreign page can send
CHANGES_NOTHING: Final = ("/receipts",)  # says whether a receipt is ours, to anybody and about nobody's browser


def test_no_form_is_taken_without_a_token_of_ours(portal: Portal) -> None:
    client = browser(portal)
    found = [
        address for address in forms(client.application) if not address.startswith(BY_OTHER_PROOF + CHANGES_NOTHING)
    ]
    assert len(found) > 15
    for address in found:
        answer = client.post(address)
        # Also 404 and 413 change nothing: some look whether somebody may send that much before they read it.
        assert answer.status_code in (400, 404), address
        if answer.status_code == 400:
            assert "open for too long, or in another browser" in answer.text, address


def test_a_token_of_another_browser_is_none(portal: Portal) -> None:
    hire(portal)
    stolen = token_in(browser(portal).get("/staff/sign-in").text)
    victim = browser(portal)
    victim.get("/staff/sign-in")
    answer = victim.post("/staff/sign-in", data={"csrf_token": stolen, "email": EMAIL})
    assert answer.status_code == 400
    assert letters_to(portal) == []


def test_a_page_that_was_open_for_weeks_can_still_be_sent(portal: Portal) -> None:
    """The cookie outlives the browser's window; otherwise every tab that a browser opens again would be a forgery."""
    answer = browser(portal).get("/staff/sign-in")
    (cookie,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert cookie["expires"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


LONG: Final = "My grading is wrong because the third case was never run. I can show that."


def test_what_was_typed_into_a_refused_form_is_not_lost(portal: Portal) -> None:
    client = browser(portal)
    answer = client.post("/staff/invite", data={"contact": LONG}, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 400
    assert "Nothing is lost" in answer.text
    assert LONG in answer.text


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", None])
def test_what_another_site_sends_is_not_shown(portal: Portal, site: str | None) -> None:
    headers = {"Sec-Fetch-Site": site} if site else {}
    answer = browser(portal).post("/staff/invite", data={"contact": LONG}, headers=headers)
    assert LONG not in answer.text


def test_a_script_that_is_refused_gets_a_sentence_too(portal: Portal) -> None:
    answer = browser(portal).post("/staff/sign-in", headers={"Accept": "application/json"})
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert answer.json["title"] == "This page was open for too long, or in another browser"


# ----------------------------------------------------------------------------------------------------------- cookies


def set_cookies(portal: Portal) -> dict[str, str]:
    """Each cookie that somebody gets who comes in as a candidate and as staff, and how."""
    found = {}
    member = browser(portal)
    hire(portal)
    send(member, "/staff/sign-in", email=EMAIL)
    link = link_in(letters_to(portal)[-1])
    attempt = invited(portal)
    with portal.database.transaction() as session:
        token = access.new_link(session, portal, attempt, "test")
    for client, address in ((member, link), (browser(portal), f"/a/{token}")):
        page = client.get(address)
        answer = client.post(address, data={"csrf_token": token_in(page.text)})
        assert answer.status_code == 303
        for line in [*page.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]:
            found[line.partition("=")[0]] = line
    return found


def test_over_tls_each_cookie_is_of_this_host_alone(over_tls: Portal) -> None:
    found = set_cookies(over_tls)
    assert set(found) == {"__Host-assay", "__Host-assay_staff", "__Host-assay_candidate"}
    for line in found.values():
        assert "Secure" in line
        assert "HttpOnly" in line
        assert "SameSite=Lax" in line
        assert "Path=/" in line
        assert "Domain" not in line


def test_in_the_clear_browsers_still_take_them(portal: Portal) -> None:
    found = set_cookies(portal)
    assert set(found) == {"assay", cookies.STAFF, cookies.CANDIDATE}
    for line in found.values():
        assert "HttpOnly" in line
        assert "SameSite=Lax" in line
        assert "Secure" not in line


def test_a_cookie_that_a_neighbour_could_plant_is_not_looked_at(over_tls: Portal) -> None:
    client = staff_client(over_tls, hire(over_tls))
    kept = client.get_cookie(cookies.STAFF)
    assert kept is not None
    assert client.get("/staff/attempts").status_code == 303
    client.set_cookie(cookies.name_of(cookies.STAFF, secure=True), kept.value)
    assert client.get("/staff/attempts").status_code == 200


# ----------------------------------------------------------------------------------------------------------- headers


def test_over_tls_a_browser_never_again_asks_in_the_clear(over_tls: Portal, portal: Portal) -> None:
    assert browser(over_tls).get("/").headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in browser(portal).get("/").headers


def test_every_page_is_strict_about_what_may_run(portal: Portal) -> None:
    client = staff_client(portal, hire(portal))
    attempt = started(portal)
    pages = ["/staff/attempts", "/staff/invite", "/staff/people", "/staff/sign-in", "/staff/nothing"]
    pages += [f"/staff/attempts/{attempt.id}", f"/staff/attempts/{attempt.id}/work", "/staff/sign-in/a.b"]
    for page in pages:
        answer = client.get(page)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, page
        assert "unsafe" not in policy, page
        assert answer.headers["X-Content-Type-Options"] == "nosniff", page
        assert answer.headers["X-Frame-Options"] == "DENY", page
        assert answer.headers["Cache-Control"] == "no-store", page
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", answer.text), page


def test_a_files_preview_may_run_nothing(portal: Portal) -> None:
    client = staff_client(portal, hire(portal))
    answer = client.get(f"/staff/attempts/{started(portal).id}/preview?name=windows.py")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "no-store" in answer.headers["Cache-Control"]


# -------------------------------------------------------------------------------------------------------------- logs


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/a/secret.token", "/a/..."),
        ("/a/secret.token/with-code", "/a/.../with-code"),
        ("/staff/sign-in/secret.token", "/staff/sign-in/..."),
        ("/staff/sign-in/openid/back", "/staff/sign-in/openid/back"),
        ("/staff/sign-in", "/staff/sign-in"),
        ("/attempts/1234/work", "/attempts/1234/work"),
        ("/api/a/b", "/api/a/b"),
    ],
)
def test_an_address_is_told_without_its_key(path: str, said: str) -> None:
    assert without_secret(path) == said


def ask(served_port: int, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
    """By hand, to see every header."""
    connection = http.client.HTTPConnection("127.0.0.1", served_port, timeout=30)
    try:
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request(method, path, body or None, kind | headers)
        answer = connection.getresponse()
        return answer.status, "".join(f"{name}: {value}\n" for name, value in answer.getheaders())
    finally:
        connection.close()


def test_no_answer_names_the_program_that_serves_it(tmp_path: Path) -> None:
    with served_portal(tmp_path) as served:
        for path in ("/", "/nothing", "/healthz"):
            headers = ask(served.process.port, "GET", path)[1]
            assert "gunicorn" not in headers.lower()
            assert "Server: Assay\n" in headers
            assert "python" not in headers.lower()


def test_no_key_and_no_address_of_a_person_is_in_a_log(tmp_path: Path) -> None:
    """A real portal with its access log on, through every way in, and through an error of ours on each."""
    with served_portal(tmp_path, web_access_log=True) as served:
        portal, port = served.portal, served.process.port
        person = hire(portal)
        attempt = invited(portal)
        with portal.database.transaction() as session:
            link = access.new_link(session, portal, attempt, "test")
            sign_in = signing_in.new_link(session, portal, person, "test")
            claimed = session.query(Link).one()
            claimed.claimed_at = now(session)
            code = access.new_code(session, portal, claimed)
            email = session.query(Person).where(Person.email != EMAIL).one().email
        cookie_of_session = served.cookie(attempt)["value"]
        keys = [link, sign_in, cookie_of_session, code, email, EMAIL, "the-password", "oauth-code"]

        for path in (f"/a/{link}", f"/staff/sign-in/{sign_in}", "/staff/sign-in/openid/back?code=oauth-code"):
            for method in ("GET", "POST", "HEAD", "DELETE"):
                ask(port, method, path, Cookie=f"assay_candidate={cookie_of_session}")
        ask(port, "POST", f"/a/{link}/with-code", f"code={code}")
        ask(port, "POST", "/staff/sign-in", f"email={EMAIL}")
        ask(
            port,
            "GET",
            f"/git/{attempt.id}.git/info/refs?service=git-upload-pack",
            Authorization="Basic dGhlLXBhc3N3b3Jk",
        )
        with socket.create_connection(("127.0.0.1", port), timeout=30) as broken:
            broken.sendall(f"GET /a/{link} HTTP/1.1\r\nHost: x\r\nBad Header {EMAIL}\r\n\r\n".encode())
            broken.recv(1000)

        # The database goes away, and then comes back without its tables: whatever is asked now fails on our side.
        database = tmp_path / "assay.db"
        database.rename(tmp_path / "away.db")
        for path in (f"/a/{link}", f"/staff/sign-in/{sign_in}", f"/attempts/{attempt.id}/state"):
            ask(port, "GET", path, Cookie=f"assay_candidate={cookie_of_session}")
        _, said, complained = served.process.stop()
        log = said + complained

    assert "/a/..." in log
    assert "/staff/sign-in/..." in log
    for key in keys:
        assert key not in log
        assert key.partition(".")[0] not in log


def test_an_exception_is_told_without_the_key_of_its_address(portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    client = browser(portal)
    client.application.view_functions["candidate.look_at_link"] = lambda token: token.no_such_thing
    answer = client.get("/a/secret.token")
    assert answer.status_code == 500
    assert "exception on GET /a/..." in caplog.text
    assert "secret.token" not in caplog.text


def test_an_error_of_a_statement_is_told_without_what_was_in_it(database: Database) -> None:
    def twice() -> None:
        with database.transaction() as session:
            for _ in range(2):
                session.add(Person(name="Ada Okafor", email="ada@example.org", created_at=now(session)))
                session.flush()

    with pytest.raises(IntegrityError) as failed:
        twice()
    assert "Ada Okafor" not in str(failed.value)


def test_what_gunicorn_says_of_a_request_is_told_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("gunicorn.glogging.Logger.exception", lambda _, words, *values: said.append(words % values))
    log: Callable[..., None] = _Log.exception.__get__(object.__new__(_Log))
    log("Error handling request %s %s", "GET", "/a/secret.token?code=1")
    assert said == ["Error handling request GET /a/..."]


def test_the_database_keeps_no_key(portal: Portal) -> None:
    """Whoever reads it, a backup for instance, comes in by nothing of it."""
    person, attempt = hire(portal), invited(portal)
    with portal.database.transaction() as session:
        link = access.new_link(session, portal, attempt, "test")
        session.flush()
        code = access.new_code(session, portal, session.query(Link).one())
        keys = [link, signing_in.new_link(session, portal, person, "test")]
        keys.append(access.new_session(session, portal, "a test", person_id=person))
    kept = []
    with portal.database.reading() as session:
        for table in Code.metadata.tables.values():
            kept += [str(tuple(row)) for row in session.execute(table.select())]
        assert session.query(Letter).count() == 0
    text = "\n".join(kept)
    for key in keys:
        assert key not in text
        assert key.rpartition(".")[0] not in text or "." not in key
    assert f"'{code}'" not in text
