"""The public pages, asked through WSGI: what is said, in which form, and with which rules for the browser."""

import re
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

import web
from sandbox import Ending, Limits
from tests.web.conftest import made_of
from tests.web.valkey_server import ValkeyServer
from web import create_app
from web.database import Database
from web.pages import FIVE_DAYS
from web.queue import Doorbell

PROJECT = Path(__file__).resolve().parents[2]
# Words that the product does not use; see docs/architecture.md, "Words".
UNUSED_WORDS = re.compile(r"\b(tasks?|problems?|jobs?|results?|data|info|managers?|helpers?|utils|handlers?)\b", re.I)


class Page(HTMLParser):
    """What a page holds: its links, its ids, the text that is read, and its elements in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.ids = [str(given["id"]) for _, given in self.elements if "id" in given]
        self.links = [str(given["href"]) for _, given in self.elements if "href" in given]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def landing(client: FlaskClient) -> Page:
    return Page(client.get("/").text)


def test_the_first_page_is_html(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")


def test_every_link_on_the_first_page_leads_somewhere(client: FlaskClient, landing: Page) -> None:
    for link in landing.links:
        if link.startswith("#"):
            assert link[1:] in landing.ids
        else:
            assert client.get(link).status_code == 200, link


def test_nothing_on_the_first_page_pretends_to_be_a_button(landing: Page) -> None:
    assert not {"button", "form", "input", "script", "iframe", "img"} & {tag for tag, _ in landing.elements}


def test_no_two_elements_have_the_same_id(landing: Page) -> None:
    assert len(landing.ids) == len(set(landing.ids))


def test_no_element_brings_its_own_style_or_script(landing: Page) -> None:
    for _, attributes in landing.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_headings_descend_one_level_at_a_time(landing: Page) -> None:
    levels = [int(tag[1]) for tag, _ in landing.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_first_page_says_what_works_and_what_does_not(landing: Page) -> None:
    works, following = landing.text.split("Being built next", 1)
    for command in ("assay doctor", "assay check", "assay rehearse", "assay up --demo"):
        assert command in works
    for promise in ("three real challenges", "Scorecards", "does not run yet"):
        assert promise in following


def test_the_limits_on_the_first_page_are_those_of_the_sandbox(landing: Page) -> None:
    limits = Limits()
    assert f"{limits.seconds:g} seconds" in landing.text
    for value in (limits.memory_mb, limits.processes, limits.output_kb, limits.disk_mb):
        assert re.search(rf"\b{value}\b", landing.text)
    for ending in Ending:
        assert ending.value in landing.text.lower()


def test_the_stages_fill_five_business_days() -> None:
    assert sum(stage.quarters for stage in FIVE_DAYS) == 5 * 4
    assert all(stage.length for stage in FIVE_DAYS)


def test_the_first_page_uses_the_words_of_the_product(landing: Page) -> None:
    assert UNUSED_WORDS.findall(landing.text) == []


def test_the_version_is_that_of_the_package(client: FlaskClient, landing: Page) -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert web.__version__ == declared
    assert f"Assay {declared}" in landing.text
    assert client.get("/healthz").json == {"status": "ok", "version": declared}


def test_healthz_is_never_kept(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


def test_readyz_says_what_the_portal_stands_on(valkey: ValkeyServer, database: Database, tmp_path: Path) -> None:
    bell = Doorbell(valkey.connect())
    client = create_app(made_of(database, bell, tmp_path)).test_client()
    first = client.get("/readyz")
    assert first.status_code == 503
    assert first.json == {
        "status": "not ready", "database": "well", "queue": "well", "clock": "has not turned for a minute"
    }  # fmt: skip
    bell.note_turn("2026-01-02T03:04:05+00:00")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ready", "database": "well", "queue": "well", "clock": "well"}
    assert answer.headers["Cache-Control"] == "no-store"
    valkey.kill()
    assert (client.get("/readyz").status_code, client.get("/healthz").status_code) == (503, 200)


def test_readyz_names_what_is_missing_and_keeps_to_the_log_where_it_is(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json == {
        "status": "not ready",
        "database": "does not answer; the portal's log says why",
        "queue": "does not answer; the portal's log says why",
        "clock": "is not known without the queue",
    }
    assert "not ready: database: " in caplog.text
    assert "not ready: queue: " in caplog.text


@pytest.mark.parametrize("path", ["/", "/healthz", "/nowhere"])
def test_head_answers_like_get_without_a_body(client: FlaskClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert head.data == b""
    assert head.status_code == get.status_code
    assert head.headers == get.headers


@pytest.mark.parametrize("path", ["/", "/static"])
def test_a_page_that_has_not_changed_is_not_sent_again(client: FlaskClient, path: str, landing: Page) -> None:
    path = next(link for link in landing.links if link.startswith(path) and link.count("/") >= path.count("/"))
    tag = client.get(path).headers["ETag"]
    again = client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == tag
    assert client.get(path, headers={"If-None-Match": '"something-else"'}).status_code == 200


def test_a_static_file_is_kept_for_a_year_because_its_name_changes_with_it(client: FlaskClient, landing: Page) -> None:
    addresses = [link for link in landing.links if link.startswith("/static/")]
    assert len(addresses) == 2
    for address in addresses:
        assert re.fullmatch(r"/static/[a-z]+\.[0-9a-f]{16}\.(css|svg)", address)
        answer = client.get(address)
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.mimetype in ("text/css", "image/svg+xml")


@pytest.mark.parametrize(
    "path",
    [
        "/static/assay.css",  # without its hash it would be kept for a year under a name that stays
        "/static/",
        "/static/../settings.py",
        "/static/..%2fsettings.py",
        "/static/%2e%2e/settings.py",
        "/static//etc/passwd",
        "/static/%00",
    ],
)
def test_no_address_leaves_the_static_files(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/nowhere"), ("POST", "/"), ("GET", "/healthz")])
def test_every_answer_carries_the_rules_for_the_browser(client: FlaskClient, method: str, path: str) -> None:
    headers = client.open(path, method=method).headers
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("name", ["Content-Security-Policy", "Cache-Control", "ETag", "X-Content-Type-Options"])
def test_no_rule_is_given_twice(client: FlaskClient, name: str) -> None:
    assert len(client.get("/").headers.getlist(name)) == 1


def test_a_page_that_is_not_there_says_so_in_the_look_of_the_others(client: FlaskClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    page = Page(answer.text)
    assert "There is no page here" in page.text
    assert "/" in page.links
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_address_that_was_asked_for_is_not_repeated(client: FlaskClient) -> None:
    assert "zebra" not in client.get("/zebra<script>").text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW"])
def test_a_method_that_a_page_does_not_know_is_named_with_those_it_does(client: FlaskClient, method: str) -> None:
    answer = client.open("/", method=method)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_a_large_body_is_refused_before_it_is_read(client: FlaskClient) -> None:
    answer = client.post("/", environ_overrides={"CONTENT_LENGTH": str(10**12)})
    assert answer.status_code == 413
    assert "too large" in answer.text


@pytest.mark.parametrize(("method", "status"), [("GET", 404), ("POST", 404)])
@pytest.mark.parametrize(
    "accept", ["application/json", "application/problem+json", "text/html;q=0.5, application/json"]
)
def test_a_program_gets_its_error_as_json(client: FlaskClient, method: str, status: int, accept: str) -> None:
    answer = client.open("/nowhere", method=method, headers={"Accept": accept})
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert answer.json["status"] == status
    assert answer.json["title"]


@pytest.mark.parametrize(
    "accept", ["", "*/*", "text/html", "text/*, application/json;q=0.9", "\x7f;;;q=nan", "a" * 5000]
)
def test_everybody_else_gets_a_page(client: FlaskClient, accept: str) -> None:
    assert client.get("/nowhere", headers={"Accept": accept}).mimetype == "text/html"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_an_error_of_healthz_is_json_whoever_asks(client: FlaskClient, path: str) -> None:
    answer = client.post(path, headers={"Accept": "text/html"})
    assert answer.status_code == 405
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_fault_of_ours_is_a_page_that_shows_nothing_of_the_inside(app: Flask, accept: str) -> None:
    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("a secret of the inside")

    answer = app.test_client().get("/broken", headers={"Accept": accept})
    assert answer.status_code == 500
    assert "our fault" in answer.text
    assert "secret" not in answer.text
    assert "Content-Security-Policy" in answer.headers


def test_the_limit_of_a_body_can_be_set(make_app: Callable[..., Flask]) -> None:
    client = make_app(web_request_kb=1).test_client()
    assert client.post("/", data=b"x" * 1024).status_code == 405
    assert client.post("/", data=b"x" * 1025).status_code == 413


def test_no_address_is_answered_by_a_redirect(client: FlaskClient) -> None:
    for path in ("//example.org", "//healthz", "", "//example.org/..", "/\\example.org", "/healthz/"):
        answer = client.get("/", environ_overrides={"PATH_INFO": path})
        assert answer.status_code in (200, 404)
        assert "Location" not in answer.headers


HOSTILE_HOSTS = ["", "a b", "<script>", "evil.example:99999", "[::1", "a" * 5000, "localhost\t", "..", "ä.example"]


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
def test_a_hostile_host_changes_nothing(client: FlaskClient, host: str) -> None:
    for path in ("/", "/nowhere"):
        answer = client.get(path, environ_overrides={"HTTP_HOST": host})
        assert answer.status_code in (200, 400, 404)
        assert "evil.example" not in answer.text


def is_clean(answer: TestResponse) -> bool:
    return answer.status_code < 500 and "Content-Security-Policy" in answer.headers


@given(path=st.text(max_size=300), method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "TRACE"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_address_the_answer_is_clean(client: FlaskClient, path: str, method: str) -> None:
    assert is_clean(client.open(environ_overrides={"PATH_INFO": "/" + path.encode().decode("latin-1")}, method=method))


@given(accept=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=200))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_client_accepts_the_error_is_clean(client: FlaskClient, accept: str) -> None:
    answer = client.get("/nowhere", environ_overrides={"HTTP_ACCEPT": accept})
    assert answer.status_code == 404
    assert is_clean(answer)
