"""Who comes in: links that are signed, codes that are counted, browsers that are known again."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.web.portal_world import invited, make_portal
from web import access
from web.access import Followed, Way
from web.database import Database, now
from web.errors import Refused
from web.models import Attempt, AuditEvent, BrowserSession, Code, Link
from web.portal import Portal


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path)


@pytest.fixture
def attempt(portal: Portal) -> Attempt:
    return invited(portal, made=False)


def link_to(portal: Portal, attempt: Attempt, days: int = 30) -> str:
    with portal.database.transaction() as session:
        return access.new_link(session, portal, attempt, "staff", days)


def followed(portal: Portal, token: str) -> Followed:
    with portal.database.reading() as session:
        return access.follow(session, portal, token)


def enter(portal: Portal, token: str, browser: str = "Firefox") -> str:
    with portal.database.transaction() as session:
        return access.enter(session, portal, token, browser)


def attempt_of(portal: Portal, cookie: str) -> str | None:
    with portal.database.reading() as session:
        found = access.session_of(session, portal, cookie)
        return found.attempt_id if found else None


def test_a_link_is_open_until_the_first_browser_comes_in(portal: Portal, attempt: Attempt) -> None:
    token = link_to(portal, attempt)
    for _ in range(3):
        assert followed(portal, token).way is Way.OPEN  # to look at it claims nothing
    cookie = enter(portal, token)
    assert attempt_of(portal, cookie) == attempt.id
    assert followed(portal, token).way is Way.CLAIMED
    with pytest.raises(Refused):
        enter(portal, token, "another browser")


def test_of_no_link_code_or_session_does_the_database_know_the_secret(portal: Portal, attempt: Attempt) -> None:
    token = link_to(portal, attempt)
    cookie = enter(portal, token)
    with portal.database.transaction() as session:
        link = session.scalars(select(Link)).one()
        code = access.new_code(session, portal, link)
    with portal.database.reading() as session:
        rows = [
            *session.scalars(select(Link)),
            *session.scalars(select(Code)),
            *session.scalars(select(BrowserSession)),
        ]
        kept = [str(value) for row in rows for value in vars(row).values()]
    secret = token.partition(".")[0]
    assert not [value for value in kept for said in (token, secret, cookie, code) if said in value.split()]
    assert len(kept) > 10


def test_a_link_of_another_portal_is_unknown(portal: Portal, attempt: Attempt, tmp_path: Path) -> None:
    token = link_to(portal, attempt)
    other = make_portal(portal.database, tmp_path)
    stolen = Portal(other.settings, other.database, other.bell, other.store, "t" * 40, other.receipt_key)
    assert followed(stolen, token) == Followed(Way.UNKNOWN)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.data())
def test_a_token_that_was_cut_or_made_up_is_unknown(portal: Portal, attempt: Attempt, data: st.DataObject) -> None:
    token = link_to(portal, attempt)
    cut = data.draw(st.integers(1, len(token) - 1), "cut")
    for changed in (
        token[:cut],
        token[cut:],
        token[:cut] + token[cut + 1 :],
        data.draw(st.text(max_size=80), "made up"),
    ):
        assert followed(portal, changed) == Followed(Way.UNKNOWN)


@pytest.mark.parametrize("more", [".", ",", ")", ">", '"', " ", "\n", ").", "\u00a0"])
def test_what_a_sentence_leaves_at_the_end_of_a_link_does_no_harm(portal: Portal, attempt: Attempt, more: str) -> None:
    assert followed(portal, link_to(portal, attempt) + more).way is Way.OPEN


def test_a_link_ends_with_its_days(portal: Portal, attempt: Attempt) -> None:
    token = link_to(portal, attempt, days=1)
    with portal.database.transaction() as session:
        link = session.scalars(select(Link)).one()
        link.expires_at = now(session) - timedelta(seconds=1)
    assert followed(portal, token).way is Way.EXPIRED
    with pytest.raises(Refused):
        enter(portal, token)


def test_revoking_closes_links_and_puts_out_whoever_came_in(portal: Portal, attempt: Attempt) -> None:
    token, unused = link_to(portal, attempt), link_to(portal, attempt)
    cookie = enter(portal, token)
    with portal.database.transaction() as session:
        access.revoke_links(session, attempt, "staff")
    assert followed(portal, token).way is followed(portal, unused).way is Way.REVOKED
    assert attempt_of(portal, cookie) is None
    with pytest.raises(Refused):
        enter(portal, unused)
    fresh = link_to(portal, attempt)
    assert attempt_of(portal, enter(portal, fresh)) == attempt.id


def test_a_session_ends_when_its_browser_leaves_and_when_its_days_are_over(portal: Portal, attempt: Attempt) -> None:
    first, second = enter(portal, link_to(portal, attempt)), enter(portal, link_to(portal, attempt))
    with portal.database.transaction() as session:
        access.leave(session, portal, first)
    assert attempt_of(portal, first) is None
    assert attempt_of(portal, second) == attempt.id
    with portal.database.transaction() as session:
        for row in session.scalars(select(BrowserSession)):
            row.expires_at = now(session) - timedelta(seconds=1)
    assert attempt_of(portal, second) is None
    assert attempt_of(portal, "") is attempt_of(portal, "made up") is None


# ------------------------------------------------------------------------------------------------------------ codes


def claimed(portal: Portal, attempt: Attempt) -> str:
    token = link_to(portal, attempt)
    enter(portal, token)
    return token


def send_code(portal: Portal, token: str) -> str:
    with portal.database.transaction() as session:
        link = access.follow(session, portal, token).link
        assert link is not None
        return access.new_code(session, portal, link)


def with_code(portal: Portal, token: str, code: str) -> str | None:
    with portal.database.transaction() as session:
        link = access.follow(session, portal, token).link
        assert link is not None
        return access.enter_with_code(session, portal, link, code, "a phone")


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def test_a_code_opens_another_browser_once(portal: Portal, attempt: Attempt) -> None:
    token = claimed(portal, attempt)
    code = send_code(portal, token)
    assert len(code) == 6
    entered = with_code(portal, token, f" {code[:3]} {code[3:]} ")
    assert entered is not None
    assert attempt_of(portal, entered) == attempt.id
    assert with_code(portal, token, code) is None


def test_only_the_newest_code_is_good(portal: Portal, attempt: Attempt) -> None:
    token = claimed(portal, attempt)
    old, new = send_code(portal, token), send_code(portal, token)
    if old != new:
        assert with_code(portal, token, old) is None
    assert with_code(portal, token, new) is not None


def test_a_code_is_good_for_a_quarter_of_an_hour(portal: Portal, attempt: Attempt) -> None:
    token = claimed(portal, attempt)
    code = send_code(portal, token)
    with portal.database.transaction() as session:
        sent = session.scalars(select(Code)).one()
        assert sent.expires_at - sent.created_at == timedelta(minutes=15)
        sent.expires_at = now(session) - timedelta(seconds=1)
    assert with_code(portal, token, code) is None


def test_five_wrong_codes_end_the_right_one(portal: Portal, attempt: Attempt) -> None:
    token = claimed(portal, attempt)
    code = send_code(portal, token)
    for _ in range(5):
        assert with_code(portal, token, other_than(code)) is None
    assert with_code(portal, token, code) is None
    again = send_code(portal, token)
    assert with_code(portal, token, again) is not None


def test_what_is_no_code_is_a_wrong_one(portal: Portal, attempt: Attempt) -> None:
    token = claimed(portal, attempt)
    code = send_code(portal, token)
    for nothing in ("", "٣٣٣٣٣٣", "x" * 5000, code[:5]):
        assert with_code(portal, token, nothing) is None


def test_nobody_is_flooded_with_codes(portal: Portal, attempt: Attempt) -> None:
    token = claimed(portal, attempt)
    for _ in range(5):
        send_code(portal, token)
    with pytest.raises(Refused, match="Five codes"):
        send_code(portal, token)
    with portal.database.transaction() as session:
        for code in session.scalars(select(Code)):
            code.created_at -= timedelta(hours=1)
    send_code(portal, token)


def test_each_way_in_and_out_is_in_the_audit_trail_without_its_secret(portal: Portal, attempt: Attempt) -> None:
    token = claimed(portal, attempt)
    code = send_code(portal, token)
    with_code(portal, token, other_than(code))
    cookie = with_code(portal, token, code)
    assert cookie is not None
    with portal.database.transaction() as session:
        access.leave(session, portal, cookie)
        access.revoke_links(session, attempt, "staff")
    with portal.database.reading() as session:
        events = session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()
        mine = [event.action for event in events if event.subject_id == attempt.id]
        said = " ".join(str(vars(event)) for event in events)
    assert mine[1:] == [
        *("link.made", "link.opened", "code.sent", "code.wrong", "code.entered", "browser.left", "link.revoked"),
    ]
    assert token not in said
    assert cookie not in said
