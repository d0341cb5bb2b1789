"""How staff come in: by a link in a letter, and by an issuer that may lie."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey
from werkzeug.test import TestResponse

from tests.web.conftest import made_of
from tests.web.issuer import CLIENT, SECRET, LyingIssuer
from tests.web.staff_world import EMAIL, browser, hire, letters_to, link_in, send, staff_client
from tests.web.valkey_server import ValkeyServer
from web import cookies, signing_in, staffing
from web.cli import assay
from web.database import Database, now
from web.models import AuditEvent, BrowserSession, Right, SignInLink
from web.openid import Issuer, IssuerUnavailable, Promise
from web.portal import Portal, make_secrets
from web.queue import Doorbell
from web.settings import DatabaseSettings, PortalSettings

KNOWN = "If this address belongs to somebody who works here, a letter with a link is on its way."


@pytest.fixture
def portal(database: Database, valkey: ValkeyServer, tmp_path: Path) -> Portal:
    return made_of(database, Doorbell(valkey.connect()), tmp_path)


@pytest.fixture
def stranger(portal: Portal) -> FlaskClient:
    return browser(portal)


def is_in(client: FlaskClient) -> bool:
    return client.get("/staff/attempts").status_code == 200


def ask(client: FlaskClient, email: str = EMAIL) -> TestResponse:
    return send(client, "/staff/sign-in", email=email)


def latest_link(portal: Portal) -> str:
    return link_in(letters_to(portal)[-1])


# ------------------------------------------------------------------------------------------------------------ links


def test_a_link_lets_somebody_in_who_works_here(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    assert KNOWN in ask(stranger).text
    link = latest_link(portal)
    assert "Sign in to Assay" in stranger.get(link).text
    answer = send(stranger, link)
    assert (answer.status_code, answer.location) == (303, "/staff/attempts")
    assert is_in(stranger)


def test_the_answer_is_the_same_whoever_works_here(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    pages = [re.sub(r'value="[^"]*"', "", ask(stranger, email).text) for email in (EMAIL, "nobody@example.org")]
    assert pages[0] == pages[1]
    assert letters_to(portal, "nobody@example.org") == []


def test_an_address_is_known_however_it_is_written(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    ask(stranger, " GRACE@Example.ORG ")
    assert len(letters_to(portal)) == 1


def test_to_open_a_link_uses_nothing_up(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    ask(stranger)
    link = latest_link(portal)
    for _ in range(3):
        scanner = browser(portal)
        assert scanner.get(link).status_code == 200
        assert scanner.head(link).status_code == 200
        assert not is_in(scanner)
    send(stranger, link)
    assert is_in(stranger)


def test_a_link_is_good_once(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    ask(stranger)
    link = latest_link(portal)
    other = browser(portal)
    page = other.get(link).text
    send(stranger, link)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    answer = other.post(link, data={"csrf_token": token[1]})
    assert answer.status_code == 410
    assert "no longer good" in answer.text
    assert not is_in(other)
    assert other.get(link).status_code == 410


def test_signing_in_ends_the_other_links_of_the_same_person(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    ask(stranger)
    ask(stranger)
    first, second = (link_in(letter) for letter in letters_to(portal))
    send(stranger, second)
    assert browser(portal).get(first).status_code == 410


def test_a_link_is_too_old_after_a_quarter_of_an_hour(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    ask(stranger)
    link = latest_link(portal)
    with portal.database.transaction() as session:
        row = session.query(SignInLink).one()
        assert row.expires_at - row.created_at == timedelta(minutes=15)
        row.expires_at = now(session) - timedelta(seconds=1)
    assert stranger.get(link).status_code == 410


@pytest.mark.parametrize("harm", [lambda link: link[:-1], lambda link: link + "x", lambda _: "/staff/sign-in/a.b"])
def test_a_damaged_link_is_a_sentence(portal: Portal, stranger: FlaskClient, harm: Callable[[str], str]) -> None:
    hire(portal)
    ask(stranger)
    answer = stranger.get(harm(latest_link(portal)))
    assert answer.status_code == 410
    assert "cut off on the way" in answer.text


def test_a_candidates_link_signs_no_staff_in(portal: Portal, stranger: FlaskClient) -> None:
    """Both are signed with the same secret."""
    person = hire(portal)
    with portal.database.transaction() as session:
        token = signing_in.new_link(session, portal, person, "test")
    assert stranger.get(f"/a/{token}").status_code == 404


def test_nobody_fills_a_mailbox(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    for _ in range(8):
        assert KNOWN in ask(stranger).text
    assert len(letters_to(portal)) == 5


def test_a_link_in_a_letter_leads_to_no_host_that_a_request_named(portal: Portal) -> None:
    hire(portal)
    attacker = browser(portal, csrf=False)
    attacker.post("/staff/sign-in", data={"email": EMAIL}, headers={"Host": "evil.example"})
    assert "evil.example" not in letters_to(portal)[0].body
    assert "http://127.0.0.1:8000/staff/sign-in/" in letters_to(portal)[0].body


def test_what_is_no_address_is_a_sentence(stranger: FlaskClient) -> None:
    answer = ask(stranger, "grace")
    assert answer.status_code == 422
    assert "Write your e-mail address" in answer.text


# --------------------------------------------------------------------------------------------------------- sessions


def test_whoever_wanted_a_page_comes_to_it_after_signing_in(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    assert stranger.get("/staff/invite").location == "/staff/sign-in"
    ask(stranger)
    assert send(stranger, latest_link(portal)).location == "/staff/invite"


def test_signing_out_ends_the_session_also_for_a_copy_of_its_cookie(portal: Portal) -> None:
    client = staff_client(portal, hire(portal))
    kept = client.get_cookie(cookies.STAFF)
    assert kept is not None
    assert client.post("/staff/sign-out").location == "/staff/sign-in"
    client.set_cookie(cookies.STAFF, kept.value)
    assert not is_in(client)


def test_a_session_lasts_a_working_day(portal: Portal) -> None:
    client = staff_client(portal, hire(portal))
    assert is_in(client)
    with portal.database.transaction() as session:
        row = session.query(BrowserSession).one()
        assert row.expires_at - row.created_at == timedelta(hours=12)
        row.expires_at = now(session) - timedelta(seconds=1)
    assert not is_in(client)


def test_whoever_leaves_is_out_at_once_and_no_link_leads_in(portal: Portal) -> None:
    hire(portal, email="owner@example.org")
    person = hire(portal, Right.INTERVIEWER)
    client = staff_client(portal, person)
    with portal.database.transaction() as session:
        token = signing_in.new_link(session, portal, person, "test")
        staffing.let_go(session, person, "operator")
    assert not is_in(client)
    assert browser(portal).get(f"/staff/sign-in/{token}").status_code == 410
    ask(browser(portal))
    assert letters_to(portal) == []


def test_the_only_owner_can_neither_leave_nor_step_down(portal: Portal) -> None:
    owner = hire(portal)
    client = staff_client(portal, owner)
    for answer in (
        client.post(f"/staff/people/{owner}/leave"),
        client.post(f"/staff/people/{owner}/rights", data={"rights": "author"}),
    ):
        assert answer.status_code == 409
        assert "Make somebody else an owner first." in answer.text
    assert is_in(client)


def test_each_way_in_and_out_is_in_the_audit_trail_without_a_name(portal: Portal, stranger: FlaskClient) -> None:
    hire(portal)
    ask(stranger)
    ask(stranger, "nobody@example.org")
    send(stranger, latest_link(portal))
    stranger_page = stranger.get("/staff/attempts").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', stranger_page)
    assert token
    stranger.post("/staff/sign-out", data={"csrf_token": token[1]})
    with portal.database.reading() as session:
        events = session.query(AuditEvent).order_by(AuditEvent.id).all()
    assert [event.action for event in events] == [
        "staff.added", "sign-in.link_made", "sign-in.asked in vain", "sign-in.entered", "browser.left",
    ]  # fmt: skip
    assert not any("@" in str(vars(event)) or "Grace" in str(vars(event)) for event in events)


# ------------------------------------------------------------------------------------------------- from the terminal


def run(state: Path, *words: str) -> Any:
    return CliRunner().invoke(assay, words, env={"ASSAY_STATE": str(state)}, catch_exceptions=False)


@pytest.fixture
def state(new_sqlite: Callable[[Path], DatabaseSettings], tmp_path: Path) -> Path:
    where = new_sqlite(tmp_path / "state")
    make_secrets(PortalSettings(_env_file=None), where)
    return where.state


def test_the_first_owner_is_made_at_a_terminal(state: Path) -> None:
    made = run(state, "staff", "add", EMAIL, "--name", "Grace Hopper", "--rights", "owner")
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/staff/sign-in/\S+\n", made.stdout)
    assert f"{EMAIL}  owner  Grace Hopper\n" in run(state, "staff", "list").stdout
    assert re.fullmatch(r"http://\S+/staff/sign-in/\S+\n", run(state, "staff", "link", EMAIL).stdout)


# ------------------------------------------------------------------------------------------------ by way of an issuer


@pytest.fixture
def issuer() -> Iterator[LyingIssuer]:
    with LyingIssuer() as running:
        yield running


@pytest.fixture
def with_issuer(database: Database, valkey: ValkeyServer, tmp_path: Path, issuer: LyingIssuer) -> Portal:
    settings = {"oidc_issuer": issuer.url, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    portal = made_of(database, Doorbell(valkey.connect()), tmp_path, **settings)
    hire(portal)
    return portal


def begin(client: FlaskClient) -> str:
    answer = client.get("/staff/sign-in/openid")
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def come_back(client: FlaskClient, brought: dict[str, str]) -> TestResponse:
    return client.get("/staff/sign-in/openid/back", query_string=brought)


def go_through(portal: Portal, issuer: LyingIssuer) -> tuple[FlaskClient, TestResponse]:
    client = browser(portal)
    return client, come_back(client, issuer.page(begin(client)))


def test_whoever_is_listed_comes_in_by_the_issuer(with_issuer: Portal, issuer: LyingIssuer) -> None:
    assert "Sign in with your organisation" in browser(with_issuer).get("/staff/sign-in").text
    client, answer = go_through(with_issuer, issuer)
    assert (answer.status_code, answer.location) == (303, "/staff/attempts")
    assert is_in(client)


def test_the_issuer_is_asked_with_pkce_state_and_nonce(with_issuer: Portal) -> None:
    asked = [parse_qs(urlsplit(begin(browser(with_issuer))).query) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        first, second = (one[name][0] for one in asked)
        assert len(first) >= 32
        assert first != second
    assert asked[0]["redirect_uri"] == ["http://localhost/staff/sign-in/openid/back"]
    assert asked[0]["scope"] == ["openid email"]


def test_whoever_is_not_listed_stays_out(with_issuer: Portal, issuer: LyingIssuer) -> None:
    issuer.claims["email"] = "somebody@example.org"
    client, answer = go_through(with_issuer, issuer)
    assert answer.status_code == 403
    assert "not on the list" in answer.text
    assert not is_in(client)


def lie(**claims: Any) -> Callable[[LyingIssuer], None]:
    return lambda issuer: issuer.claims.update(claims)


def lies(name: str, value: Any) -> Callable[[LyingIssuer], None]:
    return lambda issuer: setattr(issuer, name, value)


LIES = {
    "another nonce": lie(nonce="of another sign-in"),
    "no nonce": lies("forgets", ("nonce",)),
    "another audience": lie(aud="another-portal"),
    "an audience beside us": lie(aud=[CLIENT, "another-portal"], azp="another-portal"),
    "no audience": lies("forgets", ("aud",)),
    "another issuer": lie(iss="https://issuer.example"),
    "no issuer": lies("forgets", ("iss",)),
    "expired": lie(exp=1_000_000_000),
    "no end": lies("forgets", ("exp",)),
    "from the future": lie(nbf=4_000_000_000),
    "not verified": lie(email_verified=False),
    "verified, says a word": lie(email_verified="yes"),
    "says nothing of verified": lies("forgets", ("email_verified",)),
    "an address that is none": lie(email=["grace@example.org"]),
    "not signed at all": lies("algorithm", "none"),
    "signed with the public key": lies("algorithm", "HS256"),
    "an algorithm that we do not take": lies("algorithm", "RS512"),
    "signed by somebody else": lambda issuer: setattr(issuer, "signed_with", RSAKey.generate_key(2048)),
}


@pytest.mark.parametrize("told", LIES.values(), ids=LIES.keys())
def test_a_lying_issuer_lets_nobody_in(
    with_issuer: Portal, issuer: LyingIssuer, told: Callable[[LyingIssuer], None]
) -> None:
    told(issuer)
    client, answer = go_through(with_issuer, issuer)
    assert answer.status_code == 403, answer.text
    assert "Signing in did not work." in answer.text
    assert not is_in(client)


def test_another_browsers_answer_lets_nobody_in(with_issuer: Portal, issuer: LyingIssuer) -> None:
    """An attacker sends a colleague the answer to a sign-in of their own, to have them work in the attacker's name."""
    attacker, victim = browser(with_issuer), browser(with_issuer)
    brought = issuer.page(begin(attacker))
    assert come_back(victim, brought).status_code == 403
    begin(victim)
    assert come_back(victim, brought).status_code == 403
    assert not is_in(victim)


def test_a_code_that_was_redeemed_is_of_no_use(with_issuer: Portal, issuer: LyingIssuer) -> None:
    client = browser(with_issuer)
    brought = issuer.page(begin(client))
    assert come_back(client, brought).status_code == 303
    client.delete_cookie(cookies.STAFF)
    assert come_back(client, brought).status_code == 403


def test_an_answer_of_another_issuer_is_refused(with_issuer: Portal, issuer: LyingIssuer) -> None:
    client = browser(with_issuer)
    brought = issuer.page(begin(client)) | {"iss": "https://another.example"}
    assert come_back(client, brought).status_code == 403


def test_whoever_changes_their_mind_at_the_issuers_reads_a_sentence(with_issuer: Portal, issuer: LyingIssuer) -> None:
    client = browser(with_issuer)
    state = issuer.page(begin(client))["state"]
    answer = come_back(client, {"error": "access_denied", "state": state})
    assert answer.status_code == 403
    assert "Begin again" in answer.text


def test_an_address_is_taken_from_userinfo_if_it_is_of_the_same_person(
    with_issuer: Portal, issuer: LyingIssuer
) -> None:
    issuer.forgets = ("email", "email_verified")
    issuer.told = {"sub": "person-1", "email": EMAIL, "email_verified": True}
    assert go_through(with_issuer, issuer)[1].status_code == 303
    issuer.told = {"sub": "person-2", "email": EMAIL, "email_verified": True}
    assert go_through(with_issuer, issuer)[1].status_code == 403


def test_an_issuer_that_is_away_is_a_sentence_and_links_still_work(with_issuer: Portal, issuer: LyingIssuer) -> None:
    client = browser(with_issuer)
    brought = issuer.page(begin(client))
    issuer.down = True
    for answer in (come_back(client, brought), client.get("/staff/sign-in/openid")):
        assert answer.status_code == 503
        assert "does not answer" in answer.text
    ask(client)
    send(client, latest_link(with_issuer))
    assert is_in(client)


@pytest.mark.parametrize("name", ["issuer", "token_endpoint", "jwks_uri", "authorization_endpoint"])
def test_an_issuer_that_sends_us_elsewhere_in_the_clear_is_refused(
    with_issuer: Portal, issuer: LyingIssuer, name: str
) -> None:
    issuer.metadata[name] = "http://192.0.2.1/keys"
    assert browser(with_issuer).get("/staff/sign-in/openid").status_code == 503


def test_an_issuer_over_plain_http_is_refused() -> None:
    settings = PortalSettings(_env_file=None, oidc_issuer="http://issuer.example", oidc_client_id="a")
    with pytest.raises(IssuerUnavailable, match="https"):
        Issuer(settings, "https://portal.example").begin(Promise.new())


def test_without_an_issuer_there_is_no_such_page(stranger: FlaskClient) -> None:
    assert stranger.get("/staff/sign-in/openid").status_code == 404
    assert stranger.get("/staff/sign-in/openid/back").status_code == 404
    assert "organisation" not in stranger.get("/staff/sign-in").text
