"""How a candidate comes in, and what they are told before the clock starts, asked through WSGI."""

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from tests.web.portal_world import (
    agree,
    begin,
    candidate_client,
    invited,
    make_form,
    make_portal,
    moment,
    move_clock,
    started,
    stranger,
)
from tests.web.test_pages import UNUSED_WORDS, Page
from tests.web.world import apply_for_role
from web import access, attempts, consents, work
from web.candidate.door import COOKIE
from web.consents import VERSION
from web.database import Database, now
from web.models import Attempt, AttemptKind, AuditEvent, Consent, Form, FormState, Letter, Link, Snapshot
from web.portal import Portal

# The words as they are under the version that consents.VERSION says. When this test fails because a word was changed,
# raise VERSION, so that everybody is asked again, and write the new hash here.
WORDS = {"1": "23891f01595a9737aaff0f3804807e35dad06eb735d71e58b806d105b5c3029e"}


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path)


def link_to(portal: Portal, attempt: Attempt, days: int = 30) -> str:
    with portal.database.transaction() as session:
        return "/a/" + access.new_link(session, portal, attempt, "staff", days)


def text(answer: TestResponse) -> str:
    return " ".join(Page(answer.text).text.split())


def row(portal: Portal, attempt: Attempt) -> Attempt:
    with portal.database.reading() as session:
        return session.get_one(Attempt, attempt.id)


def letters(portal: Portal) -> list[Letter]:
    with portal.database.reading() as session:
        return list(session.scalars(select(Letter).order_by(Letter.created_at, Letter.id)))


def come_in(portal: Portal, link: str, browser: FlaskClient | None = None) -> FlaskClient:
    client = browser or stranger(portal)
    assert client.post(link).status_code == 303
    return client


# --------------------------------------------------------------------------------------------------------- the link


def test_looking_at_a_link_changes_nothing(portal: Portal) -> None:
    link = link_to(portal, invited(portal))
    for _ in range(3):  # a mail program, a virus scanner, a preview
        seen = stranger(portal).get(link)
        assert seen.status_code == 200
        assert "Open" in text(seen)
    assert stranger(portal).head(link).status_code == 200
    with portal.database.reading() as session:
        assert session.scalars(select(Link)).one().claimed_at is None


def test_opening_a_link_lets_this_browser_in(portal: Portal) -> None:
    attempt = invited(portal)
    client = stranger(portal)
    opened = client.post(link_to(portal, attempt))
    assert (opened.status_code, opened.headers["Location"]) == (303, f"/attempts/{attempt.id}")
    cookie = opened.headers["Set-Cookie"]
    for rule in (COOKIE, "HttpOnly", "SameSite=Lax", "Path=/"):
        assert rule in cookie
    assert client.get(f"/attempts/{attempt.id}").status_code == 200


def test_over_https_the_cookie_is_for_https_alone(portal: Portal, tmp_path: Path) -> None:
    secure = make_portal(portal.database, tmp_path, public_url="https://assay.example.org")
    opened = stranger(secure).post(link_to(secure, invited(secure)))
    assert "Secure" in opened.headers["Set-Cookie"]


def test_a_browser_that_came_in_goes_straight_on(portal: Portal) -> None:
    attempt = invited(portal)
    link = link_to(portal, attempt)
    client = come_in(portal, link)
    for again in (client.get(link), client.post(link)):
        assert (again.status_code, again.headers["Location"]) == (303, f"/attempts/{attempt.id}")


def test_another_browser_comes_in_with_a_code(portal: Portal) -> None:
    attempt = invited(portal)
    link = link_to(portal, attempt)
    come_in(portal, link)
    phone = stranger(portal)
    assert "opened in another browser" in text(phone.get(link))
    assert phone.post(link).status_code == 200  # the button of a page that was loaded before
    assert phone.get(f"/attempts/{attempt.id}").status_code == 404
    sent = phone.post(f"{link}/code")
    assert "on its way" in text(sent)
    (letter,) = letters(portal)
    assert letter.recipient.endswith("@example.org")
    assert letter.recipient not in sent.text  # told to nobody who found the link
    found = re.search(r"^    (\d{3} \d{3})$", letter.body, re.MULTILINE)
    assert found
    entered = phone.post(f"{link}/with-code", data={"code": found[1]})
    assert (entered.status_code, entered.headers["Location"]) == (303, f"/attempts/{attempt.id}")
    assert phone.get(f"/attempts/{attempt.id}").status_code == 200


def test_a_wrong_code_says_so_and_is_counted(portal: Portal) -> None:
    link = link_to(portal, invited(portal))
    come_in(portal, link)
    phone = stranger(portal)
    phone.post(f"{link}/code")
    right = letters(portal)[0].subject[-7:]
    wrong = f"{(int(right.replace(' ', '')) + 1) % 10**6:06}"
    for _ in range(5):
        refused = phone.post(f"{link}/with-code", data={"code": wrong})
        assert refused.status_code == 422
        assert "not the newest code" in text(refused)
    assert phone.post(f"{link}/with-code", data={"code": right}).status_code == 422  # five wrong ones end it


def test_who_asks_for_too_many_codes_is_told_to_wait(portal: Portal) -> None:
    link = link_to(portal, invited(portal))
    come_in(portal, link)
    phone = stranger(portal)
    for _ in range(5):
        assert phone.post(f"{link}/code").status_code == 200
    refused = phone.post(f"{link}/code")
    assert refused.status_code == 429
    assert "wait an hour" in text(refused)
    assert len(letters(portal)) == 5


def test_nobody_asks_for_a_code_of_a_link_that_waits_for_its_first_browser(portal: Portal) -> None:
    link = link_to(portal, invited(portal))
    assert stranger(portal).post(f"{link}/code").status_code == 200
    assert stranger(portal).post(f"{link}/with-code", data={"code": "000000"}).status_code == 200
    assert letters(portal) == []


def test_a_link_that_is_no_more_says_what_to_do(portal: Portal) -> None:
    attempt = invited(portal)
    expired, revoked = link_to(portal, attempt), link_to(portal, invited(portal))
    with portal.database.transaction() as session:
        for kept in session.scalars(select(Link)):
            if kept.attempt_id == attempt.id:
                kept.expires_at = now(session) - timedelta(seconds=1)
            else:
                kept.revoked_at = now(session)
    for link, status, heading, advice in (
        (expired, 410, "This link has expired", "Ask Grace Hopper, grace@example.org for a new link."),
        (revoked, 410, "This link was withdrawn", "Look for a newer e-mail"),
        (link_to(portal, attempt)[:-3], 404, "This link is not complete", "copy the whole link"),
        ("/a/x", 404, "This link is not complete", "copy the whole link"),
    ):
        for method in ("GET", "POST"):
            for more in ("", "/code", "/with-code"):
                if method == "POST" or not more:
                    seen = stranger(portal).open(link + more, method=method)
                    assert seen.status_code == status
                    assert heading in text(seen)
                    assert advice in text(seen)


def test_a_browser_is_out_when_its_link_was_revoked(portal: Portal) -> None:
    attempt = invited(portal)
    client = come_in(portal, link_to(portal, attempt))
    with portal.database.transaction() as session:
        access.revoke_links(session, attempt, "staff")
    assert client.get(f"/attempts/{attempt.id}").status_code == 404


def test_no_attempt_is_seen_by_guessing(portal: Portal) -> None:
    mine, other = invited(portal), invited(portal)
    client = candidate_client(portal, mine)
    for address in (other.id, "0" * 32, "x", mine.id.upper()):
        assert client.get(f"/attempts/{address}").status_code == 404
        for verb in ("consent", "start", "practise", "withdraw", "leave", "time-zone"):
            data = {"agree": "yes", "sure": "yes", "zone": "Europe/Berlin", "text_hash": "0" * 64}
            assert client.post(f"/attempts/{address}/{verb}", data=data).status_code == 404
            assert stranger(portal).post(f"/attempts/{mine.id}/{verb}", data=data).status_code == 404
    assert row(portal, other).withdrawn_at is None
    assert row(portal, other).time_zone == "UTC"


def test_a_form_of_another_site_does_nothing(portal: Portal) -> None:
    attempt = invited(portal)
    link = link_to(portal, attempt)
    assert stranger(portal, csrf=True).post(link).status_code == 400
    client = candidate_client(portal, attempt, csrf=True)
    for verb in ("consent", "start", "practise", "withdraw", "leave", "time-zone"):
        assert client.post(f"/attempts/{attempt.id}/{verb}", data={"sure": "yes", "agree": "yes"}).status_code == 400
    assert row(portal, attempt).withdrawn_at is None


def test_every_form_of_these_pages_carries_its_token(portal: Portal) -> None:
    attempt = invited(portal)
    link = link_to(portal, attempt)
    client = stranger(portal, csrf=True)
    page = client.get(link)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    assert client.post(link, data={"csrf_token": token[1]}).status_code == 303
    page = client.get(f"/attempts/{attempt.id}")
    assert page.text.count("<form") == page.text.count('name="csrf_token"') == 6


# ------------------------------------------------------------------------------------------------- before the start


def page_of(portal: Portal, attempt: Attempt) -> str:
    return text(candidate_client(portal, attempt).get(f"/attempts/{attempt.id}"))


def test_the_page_says_all_that_there_is_to_know(portal: Portal) -> None:
    said = page_of(portal, invited(portal, multiplier=1.5))
    for words in (
        "Take-home: Engineer",
        "Ten minutes with a small search system",
        "15 minutes, which is 1.5 times 10 minutes",
        "5 to 8 minutes for somebody who does this for a living",
        "windows.py, evaluate.ipynb, answer.md",
        "It is read: by a person, and first by a language model where the employer has one.",
        "there are hidden checks too",
        "Python 3.11 on Linux, in a container without network",
        "20 seconds, 512 MB of memory, 32 MB of disk and 64 processes, and print 256 kB",
        "at most 50 files of 512 kB together",
        "numpy 2.",
        "AI assistants",
        "You keep all rights to what you write here.",
        "What is kept, and who sees it",
        "Practise, if you like",
        "Grace Hopper, grace@example.org",
        "I do not want to take part",
        "Times are in UTC.",
    ):
        assert words in said, words
    assert "pip " not in said


def test_each_part_stands_there_with_its_points(portal: Portal) -> None:
    attempt = invited(portal)
    page = candidate_client(portal, attempt).get(f"/attempts/{attempt.id}").text
    rows = re.findall(r'<th scope="row">(.+?) <span class="aside">(.+?)</span></th><td class="number">(.+?)</td>', page)
    assert [(part, points) for part, _, points in rows] == [
        *(("A function", "50"), ("A notebook cell", "30"), ("A written answer", "20")),
    ]
    assert rows[0][1] == "It is run with hidden checks."


def test_time_that_was_added_before_the_start_is_shown_with_its_reason(portal: Portal) -> None:
    attempt = invited(portal, multiplier=1.5)
    with portal.database.transaction() as session:
        attempts.add_time(session, attempt.id, timedelta(minutes=75), "staff 1", "Your screen reader is slow.", "staff")
    said = page_of(portal, attempt)
    assert "1 hour and 30 minutes" in said
    assert "which is 1.5 times 10 minutes, and 1 hour and 15 minutes more" in said
    assert "Your screen reader is slow." in said


def test_the_words_of_the_product_are_used(portal: Portal) -> None:
    attempt = invited(portal)
    pages = [page_of(portal, attempt), text(stranger(portal).get(link_to(portal, attempt)))]
    pages.append(text(stranger(portal).get("/a/x")))
    for said in pages:
        assert UNUSED_WORDS.findall(said) == []


def test_the_window_is_told_in_the_candidates_own_time_zone(portal: Portal) -> None:
    at = moment(portal).replace(microsecond=0)
    attempt = invited(portal, closes_at=at.replace(month=1, day=15, hour=12, minute=0, second=0, year=at.year + 1))
    client = candidate_client(portal, attempt)
    address = f"/attempts/{attempt.id}"
    assert "12:00 UTC" in text(client.get(address))
    told = client.post(f"{address}/time-zone", data={"zone": "Asia/Calcutta"})  # as browsers in India still say it
    assert told.status_code == 204
    said = text(client.get(address))
    assert "17:30 IST" in said
    assert "Times are as in Asia/Calcutta" in said


@pytest.mark.parametrize("zone", ["", "Nowhere/Else", "../../etc/passwd", "America", "Europe/Berlin\x00", "x" * 300])
def test_a_time_zone_that_is_none_changes_nothing(portal: Portal, zone: str) -> None:
    attempt = invited(portal)
    told = candidate_client(portal, attempt).post(f"/attempts/{attempt.id}/time-zone", data={"zone": zone})
    assert told.status_code == (400 if "\0" in zone else 422)  # no page takes a NUL
    assert row(portal, attempt).time_zone == "UTC"


def test_before_the_window_and_after_it_start_is_shut_with_the_reason(portal: Portal) -> None:
    at = moment(portal)
    early = invited(portal, opens_at=at + timedelta(hours=1))
    late = invited(portal, closes_at=at - timedelta(hours=1))
    for attempt, words in ((early, "The window has not opened yet."), (late, "The window has closed.")):
        client = candidate_client(portal, attempt)
        agree(attempt, client)
        page = client.get(f"/attempts/{attempt.id}")
        assert words in text(page)
        assert "disabled" in page.text
        refused = client.post(f"/attempts/{attempt.id}/start")
        assert refused.status_code == 409
        assert "window" in text(refused)
        assert row(portal, attempt).started_at is None


# ---------------------------------------------------------------------------------------------------------- consent


def test_nothing_starts_before_somebody_has_agreed(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    refused = client.post(f"/attempts/{attempt.id}/start")
    assert refused.status_code == 409
    assert "Please read what you agree to first" in text(refused)
    assert row(portal, attempt).started_at is None
    agree(attempt, client)
    assert client.post(f"/attempts/{attempt.id}/start").status_code == 303
    assert row(portal, attempt).started_at is not None


def test_what_was_agreed_to_is_kept_with_time_and_hash(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    before = moment(portal)
    agree(attempt, client)
    with portal.database.reading() as session:
        consent = session.scalars(select(Consent)).one()
        assert before <= consent.at <= now(session)
        assert (consent.version, consent.locale) == (VERSION, "en")
        events = select(AuditEvent).where(AuditEvent.action == "consent.accepted")
        assert session.scalars(events).one().details == {"version": VERSION, "text_hash": consent.text_hash}
    said = text(client.get(f"/attempts/{attempt.id}"))
    assert "You agreed to this on" in said
    assert consent.text_hash in said


def test_agreed_twice_is_agreed_once(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    shown = re.search(r'name="text_hash" value="(\w+)"', client.get(f"/attempts/{attempt.id}").text)
    assert shown
    for _ in range(3):
        sent = client.post(f"/attempts/{attempt.id}/consent", data={"agree": "yes", "text_hash": shown[1]})
        assert sent.status_code == 303
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Consent)) == 1


def test_a_box_that_is_not_ticked_is_no_agreement(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    sent = client.post(f"/attempts/{attempt.id}/consent", data={"text_hash": "0" * 64})
    assert sent.status_code == 422
    assert "Tick the box" in text(sent)


def test_words_that_were_not_on_the_page_are_not_agreed_to(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    sent = client.post(f"/attempts/{attempt.id}/consent", data={"agree": "yes", "text_hash": "0" * 64})
    assert sent.status_code == 409
    assert "read them once more" in text(sent)
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Consent)) == 0


def test_a_new_version_has_to_be_agreed_to_anew(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    agree(attempt, client)
    monkeypatch.setattr(consents, "VERSION", "2")
    assert client.post(f"/attempts/{attempt.id}/start").status_code == 409
    agree(attempt, client)
    assert client.post(f"/attempts/{attempt.id}/start").status_code == 303
    with portal.database.reading() as session:
        assert sorted(session.scalars(select(Consent.version))) == ["1", "2"]


def test_who_changes_a_word_of_the_statement_raises_its_version() -> None:
    assert WORDS[VERSION] == consents.statement().hash


def test_what_one_candidate_agreed_to_covers_nobody_else(portal: Portal) -> None:
    mine, other = invited(portal), invited(portal)
    agree(mine, candidate_client(portal, mine))
    assert candidate_client(portal, other).post(f"/attempts/{other.id}/start").status_code == 409


# ------------------------------------------------------------------------------------------------------------ start


def test_start_starts_the_clock_with_the_files_of_the_form(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    agree(attempt, client)
    for _ in range(2):  # pressed twice
        pressed = client.post(f"/attempts/{attempt.id}/start")
        assert (pressed.status_code, pressed.headers["Location"]) == (303, f"/attempts/{attempt.id}")
    with portal.database.reading() as session:
        form = session.get_one(Form, attempt.form_id)
        head = work.head(session, attempt.id)
        assert head is not None
        assert (head.number, head.tree) == (1, form.bundle)
        assert session.scalar(select(func.count()).select_from(Snapshot)) == 1
    onwards = client.get(f"/attempts/{attempt.id}")
    assert (onwards.status_code, onwards.headers["Location"]) == (303, f"/attempts/{attempt.id}/work")


def test_while_the_form_is_being_made_start_is_shut_and_the_page_looks_again(portal: Portal) -> None:
    attempt = invited(portal, made=False)
    client = candidate_client(portal, attempt)
    agree(attempt, client)
    page = client.get(f"/attempts/{attempt.id}")
    assert "Your files are being made" in text(page)
    assert 'data-waits="yes"' in page.text
    refused = client.post(f"/attempts/{attempt.id}/start")
    assert refused.status_code == 409
    assert "clock has not started" in text(refused)
    make_form(portal, attempt.form_id)
    page = client.get(f"/attempts/{attempt.id}")
    assert 'data-waits=""' in page.text
    assert client.post(f"/attempts/{attempt.id}/start").status_code == 303


def test_a_form_that_cannot_be_made_is_our_fault_and_said_to_be(portal: Portal) -> None:
    attempt = invited(portal, made=False)
    with portal.database.transaction() as session:
        session.get_one(Form, attempt.form_id).state = FormState.FAILED
    said = page_of(portal, attempt)
    assert "could not be made. That is our fault." in said


def test_a_store_that_lost_the_files_costs_the_candidate_no_second(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    agree(attempt, client)
    with portal.database.reading() as session:
        bundle = session.get_one(Form, attempt.form_id).bundle
    assert bundle is not None
    tree = portal.store.folder / bundle[:2] / f"{bundle[2:]}.tree"
    kept = tree.read_bytes()
    tree.unlink()
    refused = client.post(f"/attempts/{attempt.id}/start")
    assert refused.status_code == 503
    assert "Your clock has not started" in text(refused)
    assert row(portal, attempt).started_at is None
    tree.write_bytes(kept)
    assert client.post(f"/attempts/{attempt.id}/start").status_code == 303


@pytest.mark.parametrize(("ended", "place"), [(False, "work"), (True, "status")])
def test_once_it_runs_the_page_leads_on(portal: Portal, ended: bool, place: str) -> None:
    attempt = started(portal)
    if ended:
        move_clock(portal, attempt, ended_at=moment(portal))
    onwards = candidate_client(portal, attempt).get(f"/attempts/{attempt.id}")
    assert (onwards.status_code, onwards.headers["Location"]) == (303, f"/attempts/{attempt.id}/{place}")


def test_when_the_time_is_over_the_page_leads_to_what_became_of_it(portal: Portal) -> None:
    attempt = started(portal)
    move_clock(portal, attempt, ends_at=moment(portal) - timedelta(seconds=5))
    onwards = candidate_client(portal, attempt).get(f"/attempts/{attempt.id}")
    assert onwards.headers["Location"] == f"/attempts/{attempt.id}/status"


# ------------------------------------------------------------------------------------ practice, leaving, withdrawing


def test_practice_begins_from_the_page_and_leads_back_to_it(portal: Portal) -> None:
    attempt = invited(portal, multiplier=2)
    client = candidate_client(portal, attempt)
    begun = client.post(f"/attempts/{attempt.id}/practise")
    assert begun.status_code == 303
    place = urlsplit(begun.headers["Location"]).path
    assert place != f"/attempts/{attempt.id}"
    page = client.get(place)
    assert "Practice: it counts for nothing" in text(page)
    assert f'href="/attempts/{attempt.id}"' in page.text
    assert "I do not want to take part" not in text(page)
    assert client.post(f"/attempts/{attempt.id}/practise").headers["Location"] == place
    assert "Go on practising" in text(client.get(f"/attempts/{attempt.id}"))


def test_who_agreed_for_the_practice_need_not_agree_again(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    client.post(f"/attempts/{attempt.id}/practise")
    with portal.database.reading() as session:
        practice = session.scalars(select(Attempt).where(Attempt.kind == AttemptKind.PRACTICE)).one()
    make_form(portal, practice.form_id)
    agree(practice, client)
    assert client.post(f"/attempts/{practice.id}/start").status_code == 303
    assert "You have agreed to the rules" in text(client.get(f"/attempts/{attempt.id}"))
    assert row(portal, attempt).started_at is None  # practising starts no clock that counts


def test_the_practice_of_another_candidate_is_not_there(portal: Portal) -> None:
    mine, other = invited(portal), invited(portal)
    place = candidate_client(portal, mine).post(f"/attempts/{mine.id}/practise").headers["Location"]
    assert candidate_client(portal, other).get(place).status_code == 404


def test_withdrawing_wants_to_be_meant(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    asked = client.post(f"/attempts/{attempt.id}/withdraw")
    assert asked.status_code == 422
    assert "Nothing has changed" in text(asked)
    assert row(portal, attempt).withdrawn_at is None
    assert client.post(f"/attempts/{attempt.id}/withdraw", data={"sure": "yes"}).status_code == 303
    said = text(client.get(f"/attempts/{attempt.id}"))
    assert "You have withdrawn" in said
    assert "write to Grace Hopper" in said
    assert client.post(f"/attempts/{attempt.id}/start").status_code == 409


def test_leaving_signs_this_browser_out_and_no_other(portal: Portal) -> None:
    attempt = begin(portal, invited(portal))
    here, there = candidate_client(portal, attempt), candidate_client(portal, attempt)
    left = here.post(f"/attempts/{attempt.id}/leave")
    assert left.status_code == 200
    assert "signed out" in text(left)
    assert here.get_cookie(COOKIE) is None
    assert here.get(f"/attempts/{attempt.id}").status_code == 404
    assert there.get(f"/attempts/{attempt.id}").status_code == 303


def test_a_cookie_that_was_copied_ends_with_its_session(portal: Portal) -> None:
    attempt = invited(portal)
    client = candidate_client(portal, attempt)
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    client.post(f"/attempts/{attempt.id}/leave")
    thief = stranger(portal)
    thief.set_cookie(COOKIE, cookie.value)
    assert thief.get(f"/attempts/{attempt.id}").status_code == 404


def test_pages_of_a_person_are_for_no_shared_cache(portal: Portal) -> None:
    attempt = invited(portal)
    answer = candidate_client(portal, attempt).get(f"/attempts/{attempt.id}")
    assert "private" in answer.headers["Cache-Control"]


def test_what_people_wrote_is_text_and_no_markup(portal: Portal) -> None:
    with portal.database.transaction() as session:
        application = apply_for_role(session)
    attempt = invited(portal, application=application, contact="<script>alert(1)</script> x@y.example <b>")
    with portal.database.transaction() as session:
        attempts.add_time(session, attempt.id, timedelta(minutes=5), "c", "<img src=x onerror=alert(1)>", "staff")
    link = link_to(portal, attempt)
    come_in(portal, link)
    for page in (
        candidate_client(portal, attempt).get(f"/attempts/{attempt.id}"),
        stranger(portal).get(link),
    ):
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
