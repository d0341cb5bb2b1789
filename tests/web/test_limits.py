"""How often somebody may ask, and whom a request is counted for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from tests.web.conftest import made_of
from tests.web.databases import sqlite_settings
from tests.web.portal_world import candidate_client, make_portal, started
from tests.web.staff_world import browser
from tests.web.valkey_server import ValkeyServer
from web import cookies, create_app, limits, queue
from web.database import Database, connect
from web.limits import BELOW, LIMITS, By, Limit, client_address, shape, spend
from web.portal import Portal
from web.queue import Doorbell

FEW: Final = Limit("few", 3, 3600)
CLOSED: Final = Limit("closed", 3, 3600, closed=True)
ALONE: Final = Limit("alone", 3, 3600, shared=False)


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """A portal whose queue is at the socket that is given; nowhere without."""
    database = connect(sqlite_settings(tmp_path / "none"))

    def make(where: Path | None = None, **settings: Any) -> Flask:
        bell = Doorbell(queue.connect("", where or tmp_path / "nowhere"))
        return create_app(made_of(database, bell, tmp_path, **settings))

    yield make
    database.close()


def use(app: Flask, limit: Limit, who: str = "somebody") -> bool:
    """Whether they may once more."""
    with app.test_request_context():
        try:
            spend(limit, who)
        except TooManyRequests:
            return False
    return True


# -------------------------------------------------------------------------------------------------------- counting


def test_all_processes_count_together(make_app: Callable[..., Flask], valkey: ValkeyServer) -> None:
    processes = [make_app(valkey.folder) for _ in range(2)]
    assert [use(processes[turn % 2], FEW) for turn in range(5)] == [True, True, True, False, False]
    assert use(processes[0], FEW, "somebody else")


def test_what_is_counted_alone_asks_nobody(make_app: Callable[..., Flask], valkey: ValkeyServer) -> None:
    processes = [make_app(valkey.folder) for _ in range(2)]
    assert [use(processes[turn % 2], ALONE) for turn in range(7)] == [True] * 6 + [False]
    assert valkey.connect().keys("assay:count:*") == []


def test_a_window_that_is_over_is_forgotten_by_the_queue(make_app: Callable[..., Flask], valkey: ValkeyServer) -> None:
    use(make_app(valkey.folder), FEW)
    connection = valkey.connect()
    (key,) = connection.keys("assay:count:*")
    assert 0 < connection.ttl(key) <= FEW.seconds
    assert b"somebody" not in key  # it is no list of addresses and attempts


def test_while_the_queue_is_away_each_process_counts_for_itself(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    assert [use(app, FEW) for _ in range(5)] == [True, True, True, False, False]


def test_while_the_queue_is_away_what_lets_in_stays_shut(make_app: Callable[..., Flask], valkey: ValkeyServer) -> None:
    app = make_app(valkey.folder)
    assert use(app, CLOSED)
    valkey.kill()
    with app.test_request_context(), pytest.raises(ServiceUnavailable):
        spend(CLOSED, "somebody")


def test_a_queue_that_is_away_is_not_asked_each_time(make_app: Callable[..., Flask]) -> None:
    """Each question may take seconds, and a candidate would wait for it."""
    app, asked = make_app(), list[str]()
    bell = app.extensions["assay"].bell
    count = bell.count

    def noted(key: str, seconds: int) -> int:
        asked.append(key)
        return int(count(key, seconds))

    bell.count = noted
    for _ in range(20):
        use(app, FEW)
    assert len(asked) == 1
    app.extensions["assay limits"].away_until = 0.0
    use(app, FEW)
    assert len(asked) == 2


def test_a_new_window_begins_anew(make_app: Callable[..., Flask], valkey: ValkeyServer) -> None:
    app = make_app(valkey.folder)
    counter = app.extensions["assay limits"]
    at = 3600 * 1000.0
    counter.clock = lambda: at
    assert [use(app, limit) for limit in (FEW, ALONE) for _ in range(4)] == [True, True, True, False] * 2
    at += 3599
    assert not use(app, FEW)
    at += 1
    assert use(app, FEW)
    assert use(app, ALONE)


def test_it_says_how_long_to_wait(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    app.extensions["assay limits"].clock = lambda: 3600 * 1000.0 + 3540
    for _ in range(3):
        use(app, FEW)
    with app.test_request_context(), pytest.raises(TooManyRequests) as refused:
        spend(FEW, "somebody")
    assert refused.value.retry_after == 60
    assert "Wait 60 seconds" in str(refused.value.description)


def test_counting_takes_no_more_than_so_much_memory(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_KEPT", 100)
    app = make_app()
    for number in range(1000):
        use(app, ALONE, f"attacker {number}")
    assert len(app.extensions["assay limits"].counted) <= 100
    assert len(app.extensions["assay limits"].ends) <= 100


# --------------------------------------------------------------------------------------------------- the addresses


def test_every_limit_is_of_an_address_that_exists(make_app: Callable[..., Flask]) -> None:
    there = {(method, shape(rule.rule)) for rule in make_app().url_map.iter_rules() for method in rule.methods or ()}
    assert set(LIMITS) - there == set()
    assert all(any(rule.startswith(start) for _, rule in there) for start in BELOW)


def test_limits_that_share_a_name_are_the_same() -> None:
    found = {limit for some in (*LIMITS.values(), *BELOW.values()) for limit in some}
    assert len({limit.name for limit in found}) == len(found)


def test_whatever_lets_staff_in_is_shut_while_nobody_counts(make_app: Callable[..., Flask]) -> None:
    client = make_app().test_client()
    client.application.config["WTF_CSRF_ENABLED"] = False
    for method, address in (
        ("POST", "/staff/sign-in"),
        ("GET", "/staff/sign-in/a.b"),
        ("POST", "/staff/sign-in/a.b"),
        ("GET", "/staff/sign-in/openid"),
        ("GET", "/staff/sign-in/openid/back"),
    ):
        answer = client.open(address, method=method)
        assert answer.status_code == 503, address
        assert answer.headers["Retry-After"] == "30"
        assert "Nobody can sign in for the moment" in answer.text


@pytest.fixture
def portal(database: Database, valkey: ValkeyServer, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path, Doorbell(valkey.connect()))


def until_refused(client: FlaskClient, address: str, most: int, **fields: str) -> Any:
    for _ in range(most):
        assert client.post(address, data=fields).status_code != 429
    return client.post(address, data=fields)


def test_too_many_letters_are_a_sentence(portal: Portal) -> None:
    client = browser(portal, csrf=False)
    answer = until_refused(client, "/staff/sign-in", 10, email="nobody@example.org")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 900
    assert "Nothing is lost. Wait " in answer.text
    assert "<h1>That was too often</h1>" in answer.text


def test_a_script_gets_the_same_as_json(portal: Portal) -> None:
    client = browser(portal, csrf=False)
    until_refused(client, "/staff/sign-in", 10, email="nobody@example.org")
    answer = client.post("/staff/sign-in", headers={"Accept": "application/json"})
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert "Nothing is lost" in answer.json["detail"]


def test_what_is_refused_has_changed_nothing_and_its_body_is_not_read(portal: Portal) -> None:
    client = browser(portal)  # no token: were the form looked at first, this would be a forgery
    for _ in range(10):
        assert client.post("/staff/sign-in", data={"email": "a@b"}).status_code == 400
    assert client.post("/staff/sign-in", data={"email": "a@b"}).status_code == 429


def test_one_attempts_turns_are_not_anothers(portal: Portal) -> None:
    busy, other = (candidate_client(portal, started(portal)) for _ in range(2))
    address = "/attempts/x/checks"
    most = LIMITS["POST", "/attempts/<>/checks"][0].most
    assert until_refused(busy, address, most).status_code == 429
    assert other.post(address).status_code == 404


def test_whoever_knows_no_more_than_an_id_uses_up_nobodys_turns(portal: Portal) -> None:
    attempt = started(portal)
    mine = candidate_client(portal, attempt)
    address = f"/attempts/{attempt.id}/checks"
    attacker = browser(portal, csrf=False)
    attacker.set_cookie(cookies.CANDIDATE, "guessed")
    most = LIMITS["POST", "/attempts/<>/checks"][0].most
    assert until_refused(attacker, address, most).status_code == 429
    assert mine.post(address).status_code != 429


def test_a_cookie_of_somebodys_own_invention_gives_no_more_turns(portal: Portal) -> None:
    attempt = started(portal)
    mine = candidate_client(portal, attempt)
    address, most = "/attempts/x/checks", LIMITS["POST", "/attempts/<>/checks"][0].most
    for number in range(most):
        mine.set_cookie(f"other-{number}", "x")
        mine.post(address)
    assert mine.post(address).status_code == 429


def test_a_save_every_ten_seconds_from_many_tabs_is_far_from_the_limit() -> None:
    (save,) = LIMITS["POST", "/attempts/<>/save"]
    assert save.by is By.ATTEMPT
    assert save.most / save.seconds >= 20 * (1 / 10)
    assert not save.shared  # and costs no word to the queue


# ------------------------------------------------------------------------------------------------- whose request it is


def seen_as(app: Flask, peer: str | None, forwarded: str | None = None) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    environ = {} if peer is None else {"REMOTE_ADDR": peer}
    with app.test_request_context(headers=headers, environ_overrides=environ):
        return client_address()


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # nobody of ours said so
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # what the client wrote stands first
        ("127.0.0.1", "198.51.100.1, 127.0.0.1", "198.51.100.1"),  # two proxies of ours
        ("127.0.0.1", "6.6.6.6, nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("127.0.0.1", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("", None, "nobody"),
    ],
)
def test_a_request_is_counted_for_whoever_sent_it(
    make_app: Callable[..., Flask], peer: str, forwarded: str | None, seen: str
) -> None:
    assert seen_as(make_app(), peer, forwarded) == seen


def test_proxies_elsewhere_are_believed_when_the_settings_say_so(make_app: Callable[..., Flask]) -> None:
    app = make_app(proxies="127.0.0.1, 172.16.0.0/12")
    assert seen_as(app, "172.18.0.1", "198.51.100.1") == "198.51.100.1"
    assert seen_as(app, "10.0.0.1", "198.51.100.1") == "10.0.0.1"
    assert seen_as(make_app(proxies=""), "127.0.0.1", "198.51.100.1") == "127.0.0.1"


@given(forwarded=st.text(max_size=80))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_forwarded_there_is_somebody_to_count_for(make_app: Callable[..., Flask], forwarded: str) -> None:
    app = make_app()
    with app.test_request_context(environ_overrides={"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": forwarded}):
        assert client_address()
