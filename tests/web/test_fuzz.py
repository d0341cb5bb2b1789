"""Whatever anybody sends to a candidate's addresses: never our fault, never another's bytes, never a change in secret.

The addresses are those of the running application, so a new one is tried as soon as it is there.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.routing import BuildError, Rule
from werkzeug.test import TestResponse

from tests.web.portal_world import candidate_client, invited, make_portal, started
from web import limits, work
from web.database import Database, now
from web.models import Attempt, AuditEvent, BrowserSession, GitPassword, Snapshot, Submission, Table

SECRET: Final = b"nobody else may read this line 8f1d"
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND")
NOT_CANDIDATES: Final = ("/staff", "/static", "/trees")
# What counts how often somebody asked, and cannot be taken for a change of anything.
MAY_GROW: Final = frozenset[str]()


class World:
    """Two candidates who run, one of whom asks; and what the other has."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.portal = make_portal(database, folder)
        self.mine, self.other, self.waiting = started(self.portal), started(self.portal), invited(self.portal)
        with database.transaction() as session:
            work.change(session, self.other.id, 1, {"windows.py": SECRET, "secret.md": SECRET}, now(session))
            work.change(session, self.mine.id, 1, {"windows.py": b"mine"}, now(session))
        self.client = candidate_client(self.portal, self.mine)
        self.guarded = candidate_client(self.portal, self.mine, csrf=True)
        self.app: Flask = self.client.application
        self.rules = [rule for rule in self.app.url_map.iter_rules() if not rule.rule.startswith(NOT_CANDIDATES)]

    def rows(self) -> dict[str, int]:
        with self.portal.database.reading() as session:
            return {
                name: session.scalar(select(func.count()).select_from(table)) or 0
                for name, table in Table.metadata.tables.items()
                if name not in MAY_GROW
            }

    def of_other(self) -> tuple[Any, ...]:
        """All that a stranger could have changed about the other candidate."""
        with self.portal.database.reading() as session:
            row = session.get_one(Attempt, self.other.id)
            counts = [
                session.scalar(select(func.count()).select_from(table).where(table.attempt_id == self.other.id))
                for table in (Snapshot, Submission, BrowserSession, GitPassword)
            ]
            noted = select(func.count()).select_from(AuditEvent).where(AuditEvent.subject_id == self.other.id)
            return row.ends_at, row.ended_at, row.withdrawn_at, row.time_zone, *counts, session.scalar(noted)


@pytest.fixture(autouse=True)
def without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often somebody may ask has tests of its own; here it would keep us from asking."""
    monkeypatch.setattr(limits._Counter, "spend", lambda *_: None)


@pytest.fixture
def a_world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path)


odd_texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "0", "1", "2", "-1", "1..2", "99999999999999999999", "2147483648", "\0", "a\0b", "../..", "%00"]
    ),
    st.sampled_from(["windows.py", "secret.md", "٣", "NaN", "\u202e", "x" * 3000, "'; DROP TABLE attempts; --"]),
)
kinds = st.sampled_from(
    [
        "", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain",
        "multipart/form-data", "application/x-git-receive-pack-request", "application/x-git-upload-pack-request",
        "\xff",
    ]
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts, inner, max_size=3),
    max_leaves=8,
)
saves = st.fixed_dictionaries(
    {"base": st.integers(-1, 4) | json_values, "changes": st.dictionaries(odd_texts, json_values, max_size=2)}
)
forms = st.dictionaries(
    st.sampled_from(
        [
            "text_hash",
            "agree",
            "code",
            "number",
            "snapshot",
            "reason",
            "criterion",
            "time_zone",
            "key",
            "older",
            "newer",
        ]
    ),
    odd_texts,
    max_size=4,
)
MULTIPART: Final = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n--b--\r\n'
bodies = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda said: json.dumps(said).encode(), saves | json_values),
    st.builds(
        lambda name, content: MULTIPART % (name.encode(errors="replace"), content), odd_texts, st.binary(max_size=99)
    ),
)
headers = st.dictionaries(
    st.sampled_from(
        [
            "Accept", "Accept-Language", "If-None-Match", "If-Modified-Since", "Range", "Cookie", "Authorization",
            "X-CSRFToken", "X-Assay-Arrived", "X-Forwarded-For", "Content-Encoding", "Expect", "Origin", "Referer",
        ]
    ),
    st.sampled_from(
        ["", "*", "*/*", "application/json", "de", "nan", "-1e9", "inf", "bytes=0-", "a=b; assay=x", '"x"', "\xff\xfe",
         "Basic Z2l0OnB3", "Basic !!", "Bearer x", "x" * 2000, "W/", "text/html;q=nan", "0", "gzip"]
    ),
    max_size=3,
)  # fmt: skip


def address(rule: Rule, app: Flask, values: Mapping[str, Any]) -> str:
    """The address of this rule, with what fits into it; its own beginning when nothing does."""
    given = {name: values[name] for name in rule.arguments if name in values}
    try:
        with app.test_request_context():
            built = app.url_map.bind("localhost").build(rule.endpoint, given, append_unknown=False)
    except (BuildError, ValueError):
        return rule.rule.split("<")[0]
    return str(built)


@st.composite
def requests(draw: Callable[..., Any], world: World) -> dict[str, Any]:
    ids = [world.mine.id, world.other.id, world.waiting.id]
    rule = draw(st.sampled_from(world.rules))
    values: dict[str, Any] = {}
    for name in sorted(rule.arguments):
        if name in ("number", "older", "newer"):
            values[name] = draw(st.integers(0, 4) | st.integers(0, 2**70))
        elif name == "attempt_id":
            values[name] = draw(st.sampled_from([ids[0], *ids]) | odd_texts)
        else:
            values[name] = draw(odd_texts | st.sampled_from(ids))
    allowed = sorted(rule.methods or ())
    is_form = draw(st.booleans())
    return {
        "path": address(rule, world.app, values),
        "method": draw(st.sampled_from([*allowed, *allowed, *METHODS])),
        "query_string": draw(
            st.dictionaries(
                st.sampled_from(["name", "number", "before", "older", "newer", "as", "restored", "service"]),
                odd_texts,
                max_size=3,
            )
        ),
        "headers": draw(headers),
        **({"data": draw(forms)} if is_form else {"data": draw(bodies), "content_type": draw(kinds)}),
    }


def ask(client: FlaskClient, asked: dict[str, Any]) -> TestResponse:
    return client.open(**asked, buffered=True)


tried = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@tried
@given(chosen=st.data())
def test_nothing_that_is_sent_is_our_fault_or_reaches_another(a_world: World, chosen: st.DataObject) -> None:
    asked = chosen.draw(requests(a_world))
    before = a_world.of_other()
    answer = ask(a_world.client, asked)
    assert answer.status_code < 500 or answer.status_code == 503, answer.text[:500]
    assert SECRET not in answer.data
    others = asked["path"].startswith(f"/attempts/{a_world.other.id}") and asked["method"] != "OPTIONS"
    assert not others or answer.status_code >= 400
    assert a_world.of_other() == before
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Security-Policy" in answer.headers


@tried
@given(chosen=st.data())
def test_nothing_changes_for_whoever_has_no_token_of_our_pages(a_world: World, chosen: st.DataObject) -> None:
    asked = chosen.draw(requests(a_world))
    before = a_world.rows()
    answer = ask(a_world.guarded, asked)
    assert answer.status_code < 500 or answer.status_code == 503, answer.text[:500]
    assert a_world.rows() == before, asked


def test_each_address_that_is_posted_to_asks_for_the_token(a_world: World) -> None:
    """But git, which has a password of its own that no browser sends by itself; and whoever verifies a receipt changes
    nothing."""
    for rule in a_world.rules:
        if "POST" not in (rule.methods or ()) or rule.rule.startswith(("/git/", "/receipts")):
            continue
        values = {"attempt_id": a_world.mine.id, "number": 1, "token": "x", "code": "x", "check_id": "x"}
        answer = a_world.guarded.post(address(rule, a_world.app, values))
        assert answer.status_code == 400, rule.rule


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_attempt_of_another_is_not_there_by_any_address(a_world: World, method: str) -> None:
    """The answer is the one for an attempt that nobody has, so nobody learns which there are."""
    reached = 0
    before = a_world.of_other()
    for rule in a_world.rules:
        if "attempt_id" not in rule.arguments or method not in (rule.methods or ()):
            continue
        values = {"number": 1, "older": 1, "newer": 2, "check_id": "0" * 32}
        answers = [
            a_world.client.open(address(rule, a_world.app, values | {"attempt_id": asked}), method=method)
            for asked in (a_world.other.id, "0" * 32)
        ]
        assert {answer.status_code for answer in answers} in ({401}, {404}, {422}), rule.rule
        assert answers[0].data == answers[1].data, rule.rule
        reached += 1
    assert reached > 5
    assert a_world.of_other() == before
