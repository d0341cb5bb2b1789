"""The pages at the end of an attempt, as a browser without JavaScript sees them."""

import html
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from graders.contract import Fault
from tests.web.ending import GOOD, SECRET, change_grading, graded, newest_grading, save
from tests.web.portal_process import PROJECT
from tests.web.portal_world import (
    candidate_client,
    invited,
    make_portal,
    moment,
    move_clock,
    session_token,
    started,
    stranger,
)
from web import attempts, gradings, receipts, submissions
from web.candidate.door import COOKIE
from web.database import Database
from web.models import (
    Attempt,
    AuditEvent,
    ChallengeVersion,
    Contest,
    GradingState,
    Letter,
    Submission,
    Urgency,
)
from web.portal import Portal
from web.receipts import Signer

REASON: Final = "My function returns the windows as the brief describes them."


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path, public_url="http://assay.example.org")


def at(attempt: Attempt, page: str) -> str:
    return f"/attempts/{attempt.id}/{page}"


def press(client: FlaskClient, attempt: Attempt) -> TestResponse:
    """Press the button of the page, with what the page says."""
    return client.post(at(attempt, "hand-in"), data=fields(client.get(at(attempt, "hand-in")).text))


def fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))


def words(page: str) -> str:
    """What somebody reads there."""
    text = re.sub(r"<(script|style|head)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def handed_in(portal: Portal, attempt: Attempt) -> FlaskClient:
    client = candidate_client(portal, attempt)
    assert press(client, attempt).status_code == 303
    return client


# ----------------------------------------------------------------------------------------------------- before the end


def test_the_page_shows_exactly_what_will_be_graded(portal: Portal) -> None:
    attempt = started(portal)
    number = save(portal, attempt, {**GOOD, "notes/more.txt": b"x" * 2560})
    page = candidate_client(portal, attempt).get(at(attempt, "hand-in"))
    said = words(page.text)
    assert page.status_code == 200
    for name in (*GOOD, "notes/more.txt"):
        assert name in said
    assert "4 files" in said
    assert "2.5 kB" in said
    assert f"saved work number {number}" in said
    assert "cannot be taken back" in said
    assert "handed in by itself" in said
    assert "Is this as you want it?" not in said


@pytest.mark.parametrize(
    ("files", "warning"),
    [
        ({"windows.py": b"x = 1\n", "answer.md": b"So.\n"}, "evaluate.ipynb is asked for, and it is not there."),
        ({**GOOD, "windows.py": b""}, "windows.py is empty."),
        ({**GOOD, "evaluate.ipynb": b"print(1)\n"}, "evaluate.ipynb cannot be run: the notebook is"),
        ({**GOOD, "evaluate.ipynb": b'{"nbformat": 3}'}, "evaluate.ipynb cannot be run: the notebook is of format 3"),
        ({**GOOD, "evaluate.ipynb": b"[" * 100_000}, "evaluate.ipynb cannot be run"),
    ],
)
def test_what_may_be_a_mistake_is_said_before_it_is_final(
    portal: Portal, files: dict[str, bytes], warning: str
) -> None:
    attempt = started(portal)
    save(portal, attempt, files)
    client = candidate_client(portal, attempt)
    assert warning in words(client.get(at(attempt, "hand-in")).text)
    assert press(client, attempt).status_code == 303, "a warning keeps nobody from handing in"


def test_what_is_still_as_it_was_given_is_said(portal: Portal) -> None:
    attempt = started(portal)
    said = words(candidate_client(portal, attempt).get(at(attempt, "hand-in")).text)
    for name in GOOD:
        assert f"{name} is still as you got it." in said


def test_a_name_that_is_html_is_only_a_name(portal: Portal) -> None:
    attempt = started(portal)
    save(portal, attempt, {**GOOD, "<img src=x onerror=alert(1)>.py": b"1"})
    client = candidate_client(portal, attempt)
    assert "<img" not in client.get(at(attempt, "hand-in")).text
    press(client, attempt)
    assert "<img" not in client.get(at(attempt, "receipt")).text


def test_before_the_start_there_is_nothing_to_hand_in(portal: Portal) -> None:
    attempt = invited(portal)
    answer = candidate_client(portal, attempt).get(at(attempt, "hand-in"))
    assert (answer.status_code, answer.location) == (302, f"/attempts/{attempt.id}")


# --------------------------------------------------------------------------------------------------------- handing in


def test_handing_in_leads_to_the_receipt_as_page_and_as_file(portal: Portal) -> None:
    attempt = started(portal)
    save(portal, attempt)
    client = candidate_client(portal, attempt)
    answer = press(client, attempt)
    assert (answer.status_code, answer.location) == (303, at(attempt, "receipt?number=1"))
    page = words(client.get(answer.location).text)
    file = client.get(at(attempt, "receipt.json"))
    assert file.headers["Content-Disposition"] == "attachment; filename=receipt.json"
    body = receipts.verify(file.get_data(), Signer(portal.receipt_key).public_key)
    assert body.code in page
    assert body.content in page
    assert body.received_at in page
    assert set(body.files) == set(GOOD)
    assert f"http://assay.example.org/receipts/{body.code}" in page


def test_the_second_press_of_the_same_page_gives_the_same_receipt(portal: Portal) -> None:
    attempt = started(portal)
    save(portal, attempt)
    client = candidate_client(portal, attempt)
    sent = fields(client.get(at(attempt, "hand-in")).text)
    answers = [client.post(at(attempt, "hand-in"), data=sent) for _ in range(3)]
    assert {(one.status_code, one.location) for one in answers} == {(303, at(attempt, "receipt?number=1"))}
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Submission)) == 1


def test_when_something_was_saved_meanwhile_the_page_comes_again_and_says_what(portal: Portal) -> None:
    attempt = started(portal)
    save(portal, attempt)
    client = candidate_client(portal, attempt)
    sent = fields(client.get(at(attempt, "hand-in")).text)
    save(portal, attempt, {"answer.md": b"Another thought.\n", "windows.py": GOOD["windows.py"], "new.py": b"1\n"})
    again = client.post(at(attempt, "hand-in"), data=sent)
    said = words(again.text)
    assert again.status_code == 409
    assert "nothing was handed in" in said
    for line in ("Changed: answer.md", "New: new.py", "No longer there: evaluate.ipynb"):
        assert line in said
    assert fields(again.text)["snapshot"] != sent["snapshot"]
    assert client.post(at(attempt, "hand-in"), data=fields(again.text)).status_code == 303


def test_a_second_late_says_that_what_was_saved_counts(portal: Portal) -> None:
    attempt = started(portal)
    save(portal, attempt)
    client = candidate_client(portal, attempt)
    sent = fields(client.get(at(attempt, "hand-in")).text)
    move_clock(portal, attempt, ends_at=moment(portal) - timedelta(seconds=1))
    answer = client.post(at(attempt, "hand-in"), data=sent)
    assert (answer.status_code, answer.location) == (303, at(attempt, "status?late=yes"))
    said = words(client.get(answer.location).text)
    assert "Your time was over when this reached us." in said
    assert "What you had saved is being handed in now." in said
    assert client.get(at(attempt, "hand-in")).location == at(attempt, "status")


@pytest.mark.parametrize(
    "sent", [{}, {"snapshot": "1"}, {"snapshot": "x", "submission": "1"}, {"snapshot": "-1", "submission": "1"},
             {"snapshot": "1", "submission": "9" * 30}, {"snapshot": "٣", "submission": "1"},
             {"snapshot": "77", "submission": "1"}],
)  # fmt: skip
def test_nonsense_in_the_form_is_refused_in_a_sentence(portal: Portal, sent: dict[str, str]) -> None:
    attempt = started(portal)
    answer = candidate_client(portal, attempt).post(at(attempt, "hand-in"), data=sent)
    assert answer.status_code == 422
    assert "load the page again" in words(answer.text).lower()


def test_without_the_pages_token_nothing_is_handed_in(portal: Portal) -> None:
    attempt = started(portal)
    answer = candidate_client(portal, attempt, csrf=True).post(
        at(attempt, "hand-in"), data={"snapshot": "1", "submission": "1"}
    )
    assert answer.status_code == 400
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Submission)) == 0


@pytest.mark.parametrize("page", ["hand-in", "receipt", "receipt.json", "status", "status.json", "feedback"])
def test_what_is_somebody_elses_is_not_there(portal: Portal, page: str) -> None:
    mine, other = started(portal), started(portal)
    handed_in(portal, other)
    assert candidate_client(portal, mine).get(at(other, page)).status_code == 404
    assert stranger(portal).get(at(other, page)).status_code == 404


def test_nobody_hands_in_or_contests_for_somebody_else(portal: Portal) -> None:
    mine, other = started(portal), started(portal)
    client = candidate_client(portal, mine)
    assert client.post(at(other, "hand-in"), data={"snapshot": "1", "submission": "1"}).status_code == 404
    assert client.post(at(other, "contest"), data={"reason": REASON}).status_code == 404


# --------------------------------------------------------------------------------------------------------- the status


def status(portal: Portal, attempt: Attempt) -> tuple[str, dict[str, Any]]:
    client = candidate_client(portal, attempt)
    return words(client.get(at(attempt, "status")).text), client.get(at(attempt, "status.json")).get_json()


def test_the_line_is_counted_in_plain_words(portal: Portal) -> None:
    first, second, third = (started(portal) for _ in range(3))
    for attempt in (first, second, third):
        handed_in(portal, attempt)
    assert "Your work is the next in line" in status(portal, first)[0]
    assert "1 other is before it" in status(portal, second)[0]
    said, document = status(portal, third)
    assert "2 others are before it" in said
    assert document["step"] == "waiting"
    change_grading(portal, third, urgency=Urgency.AWAITED)
    assert "next in line" in status(portal, third)[0]


def test_each_state_of_a_grading_has_its_words(portal: Portal) -> None:
    attempt = started(portal)
    handed_in(portal, attempt)
    soon = moment(portal) + timedelta(minutes=1)
    change_grading(portal, attempt, state=GradingState.SENT, fence=1, lease_until=soon)
    assert status(portal, attempt)[1]["step"] == "waiting"
    change_grading(portal, attempt, alive_at=moment(portal))
    said, document = status(portal, attempt)
    assert "is being graded now" in said
    assert document["step"] == "grading"
    change_grading(portal, attempt, state=GradingState.WAITING, lease_until=None, alive_at=None, tries=1)
    said, document = status(portal, attempt)
    assert "graded once more, by itself" in said
    assert document["step"] == "again"
    change_grading(
        portal, attempt, state=GradingState.FAILED, finished_at=soon, fault_of=Fault.OPERATOR, failure="disk /dev/sda"
    )
    said, document = status(portal, attempt)
    assert "a person is looking at it" in said
    assert "Nothing is lost" in said
    assert "sda" not in said
    assert (document["step"], document["final"], document["feedback"]) == ("failed", True, False)


def test_a_failed_grading_that_a_person_sent_again_is_under_way(portal: Portal) -> None:
    attempt = started(portal)
    handed_in(portal, attempt)
    change_grading(
        portal, attempt, state=GradingState.FAILED, finished_at=moment(portal), fault_of=Fault.AUTHOR, failure="x"
    )
    with portal.database.transaction() as session:
        gradings.retry(session, newest_grading(portal, attempt).id, "operator")
    assert status(portal, attempt)[1]["step"] == "waiting"


def test_graded_says_what_is_still_open_and_never_a_score(portal: Portal) -> None:
    attempt = started(portal, feedback=False)
    handed_in(portal, attempt)
    graded(portal, attempt)
    said, document = status(portal, attempt)
    assert "2 of 7 criteria are still open" in said
    assert "points" not in said
    assert "Read what each criterion earned" not in said
    assert document.keys() == {"step", "sentence", "more", "submission", "final", "feedback"}
    assert document["feedback"] is False


def test_asked_again_the_status_says_that_nothing_changed(portal: Portal) -> None:
    attempt = started(portal)
    client = handed_in(portal, attempt)
    first = client.get(at(attempt, "status.json"))
    same = client.get(at(attempt, "status.json"), headers={"If-None-Match": first.headers["ETag"]})
    assert same.status_code == 304
    graded(portal, attempt)
    other = client.get(at(attempt, "status.json"), headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200


def test_between_zero_and_the_clock_the_page_says_so_and_then_has_the_receipt(portal: Portal) -> None:
    attempt = started(portal)
    move_clock(portal, attempt, ends_at=moment(portal) - timedelta(seconds=1))
    assert status(portal, attempt)[1]["step"] == "closing"
    move_clock(portal, attempt, ends_at=moment(portal) - timedelta(minutes=1))
    assert submissions.close(portal.database, submissions.desk_of(portal), attempt.id) is not None
    said, document = status(portal, attempt)
    assert document["submission"] == 1
    assert "Handed in for you" in said
    assert "Your receipt" in said


def test_an_attempt_that_ended_with_nothing_is_not_said_to_be_under_way(portal: Portal) -> None:
    attempt = invited(portal)
    long_ago = moment(portal) - timedelta(hours=1)
    move_clock(portal, attempt, started_at=long_ago, ends_at=long_ago)
    submissions.close(portal.database, submissions.desk_of(portal), attempt.id)
    said, document = status(portal, attempt)
    assert document["step"] == "nothing"
    assert "there was nothing to hand in" in said


def test_after_time_was_added_a_second_submission_follows_with_its_own_receipt(portal: Portal) -> None:
    attempt = started(portal)
    save(portal, attempt)
    client = handed_in(portal, attempt)
    with portal.database.transaction() as session:
        attempts.add_time(session, attempt.id, timedelta(minutes=20), "staff 1", "The engine was away.", "staff")
    assert "Your clock runs again" in words(client.get(at(attempt, "status")).text)
    save(portal, attempt, {**GOOD, "answer.md": b"A better answer.\n"})
    page = client.get(at(attempt, "hand-in"))
    assert "This becomes submission 2" in words(page.text)
    assert press(client, attempt).location == at(attempt, "receipt?number=2")
    first, second = (client.get(at(attempt, f"receipt.json?number={number}")).get_json() for number in (1, 2))
    assert first["receipt"]["code"] != second["receipt"]["code"]
    assert client.get(at(attempt, "receipt.json")).get_json() == second
    assert "Submission 2 is the one that counts" in words(client.get(at(attempt, "receipt?number=1")).text)
    assert "Receipt of submission 1" in words(client.get(at(attempt, "status")).text)
    assert client.get(at(attempt, "receipt?number=3")).status_code == 404


# ---------------------------------------------------------------------------------------------------------- feedback


def test_feedback_tells_each_criterion_in_words_and_the_total_as_a_range(portal: Portal) -> None:
    attempt = started(portal)
    save(portal, attempt)
    client = handed_in(portal, attempt)
    assert client.get(at(attempt, "feedback")).location == at(attempt, "status")
    graded(portal, attempt)
    said = words(client.get(at(attempt, "feedback")).text)
    assert "52.5 to 72.5 of 100 points" in said
    assert "2 criteria are still open" in said
    assert "Ordinary texts are cut as described Partly met 12.5 of 25 points 6 of 12 answers right" in said
    assert "Special cases are right too Not met 0 of 15 points" in said
    assert "Recall is right on other rows Met 15 of 15 points" in said
    assert "Names a cause that explains both observations Open 0 to 10 of 10 points" in said


def test_feedback_shows_no_hidden_answer_and_nothing_that_is_for_reviewers(portal: Portal) -> None:
    attempt = started(portal)
    save(portal, attempt)
    client = handed_in(portal, attempt)
    graded(portal, attempt)
    page = client.get(at(attempt, "feedback")).text
    with portal.database.reading() as session:
        version = session.get_one(ChallengeVersion, attempt.challenge_digest)
    rubric = gradings.read_rubric(version)
    kept = [SECRET, *(criterion.asks for criterion in rubric.criteria.values())]
    kept += [example for criterion in rubric.criteria.values() for example in (*criterion.met, *criterion.not_met)]
    assert len(kept) > 8
    assert [sentence for sentence in kept if sentence in html.unescape(page)] == []
    assert "def split(text, size, overlap):" in words(page), "a quote of their own file is theirs"


def test_without_the_employers_leave_there_is_no_feedback(portal: Portal) -> None:
    attempt = started(portal, feedback=False)
    client = handed_in(portal, attempt)
    graded(portal, attempt)
    assert client.get(at(attempt, "feedback")).location == at(attempt, "status")


# ----------------------------------------------------------------------------------------------------------- contests


def test_a_contest_reaches_a_person_once_and_stays_to_be_seen(portal: Portal) -> None:
    attempt = started(portal)
    client = handed_in(portal, attempt)
    graded(portal, attempt)
    assert "ordinary-texts" in client.get(at(attempt, "status")).text
    sent = {"reason": f"{REASON}\r\n<b>See</b> the brief.", "criterion": "ordinary-texts"}
    for _ in range(2):
        answer = client.post(at(attempt, "contest"), data=sent)
        assert (answer.status_code, answer.location) == (303, at(attempt, "status#contest"))
    page = client.get(at(attempt, "status")).text
    assert REASON in page
    assert "<b>See" not in page
    assert "About: Ordinary texts are cut as described" in words(page)
    with portal.database.reading() as session:
        letters = session.scalars(select(Letter).where(Letter.recipient == "grace@example.org")).all()
        assert [one.subject for one in letters] == ["A candidate contests a grading: Warm-up"]
        assert f"> {REASON}" in letters[0].body
        assert "Ada" not in letters[0].body
        assert "grading.contested" in session.scalars(select(AuditEvent.action)).all()
        assert session.scalar(select(func.count()).select_from(Contest)) == 1


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({}, "Say in a sentence or two"),
        ({"reason": " " * 100}, "Say in a sentence or two"),
        ({"reason": "x" * 4001}, "longer than 4000 characters"),
        ({"reason": REASON, "criterion": "no-such"}, "no such criterion"),
    ],
)
def test_a_contest_that_cannot_be_taken_keeps_what_was_written(
    portal: Portal, sent: dict[str, str], sentence: str
) -> None:
    attempt = started(portal)
    client = handed_in(portal, attempt)
    graded(portal, attempt)
    answer = client.post(at(attempt, "contest"), data=sent)
    assert answer.status_code == 422
    assert sentence in words(answer.text)
    assert sent.get("reason", "").strip() in answer.text


def test_what_is_not_graded_yet_cannot_be_contested(portal: Portal) -> None:
    attempt = started(portal)
    client = handed_in(portal, attempt)
    assert client.post(at(attempt, "contest"), data={"reason": REASON}).status_code == 422
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Contest)) == 0


@pytest.mark.parametrize("contact", ["", "Ask Grace, third floor", "+49 30 1234"])
def test_without_an_address_to_write_to_a_contest_is_kept_all_the_same(portal: Portal, contact: str) -> None:
    attempt = started(portal, contact=contact)
    client = handed_in(portal, attempt)
    graded(portal, attempt)
    assert client.post(at(attempt, "contest"), data={"reason": REASON}).status_code == 303
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Contest)) == 1
        assert session.scalar(select(func.count()).select_from(Letter)) == 1, "the receipt, and nothing else"


# ------------------------------------------------------------------------------------------------ checked by anybody


def test_anybody_sees_by_its_code_what_a_receipt_says_without_names_and_files(portal: Portal) -> None:
    attempt = started(portal)
    save(portal, attempt, {**GOOD, "ada-lovelace.md": b"x"})
    said = handed_in(portal, attempt).get(at(attempt, "receipt.json")).get_json()["receipt"]
    answer = stranger(portal).get(f"/receipts/{said['code'].lower()}")
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    for word in ("This receipt is valid", said["content"], said["received_at"], "4 files"):
        assert word in words(answer.text)
    for word in ("lovelace", "windows.py", "Ada", "@example.org", attempt.id):
        assert word not in answer.text
    typed = stranger(portal).get("/receipts", query_string={"code": f" {said['code'].lower()} "})
    assert typed.location == f"/receipts/{said['code']}"


@pytest.mark.parametrize("code", ["0000-0000-0000-0000", "x", "%00", "..%2f..", "a" * 3000])
def test_a_code_that_nobody_has_is_said_to_be_none(portal: Portal, code: str) -> None:
    answer = stranger(portal).get(f"/receipts/{code}")
    assert answer.status_code == 404


@pytest.mark.parametrize("way", ["pasted", "uploaded"])
def test_anybody_checks_a_receipt_that_they_have(portal: Portal, way: str) -> None:
    attempt = started(portal)
    text = handed_in(portal, attempt).get(at(attempt, "receipt.json")).get_data(as_text=True)

    def check(given: str) -> TestResponse:
        file = (BytesIO(given.encode()), "receipt.json")
        return stranger(portal, csrf=True).post(
            "/receipts", data={"receipt": given} if way == "pasted" else {"file": file}
        )

    well = check(text)
    assert well.status_code == 200
    assert "This receipt is valid" in words(well.text)
    assert "windows.py" not in well.text
    forged = check(text.replace('"submission": 1', '"submission": 2'))
    assert forged.status_code == 422
    assert "This receipt is not valid" in words(forged.text)
    assert "was changed after it was signed" in words(forged.text)
    assert check("").status_code == 422
    assert check("<script>alert(1)</script>").status_code == 422
    assert "<script>alert" not in check("<script>alert(1)</script>").text


def test_a_receipt_of_an_earlier_key_is_known_by_what_was_kept(portal: Portal) -> None:
    attempt = started(portal)
    text = handed_in(portal, attempt).get(at(attempt, "receipt.json")).get_data(as_text=True)
    later = Portal(
        portal.settings, portal.database, portal.bell, portal.store, portal.session_secret, receipt_key="0b" * 32
    )
    answer = stranger(later).post("/receipts", data={"receipt": text})
    assert "An earlier key of this portal signed it" in words(answer.text)
    forged = text.replace('"submission": 1', '"submission": 2')
    assert stranger(later).post("/receipts", data={"receipt": forged}).status_code == 422


def test_the_public_key_is_given_to_everybody(portal: Portal) -> None:
    told = stranger(portal).get("/receipts/key").get_json()
    signer = Signer(portal.receipt_key)
    assert told == {"algorithm": "Ed25519", "key_id": signer.key_id, "public_key": signer.public_key}
    assert signer.public_key in stranger(portal).get("/receipts").text


@pytest.fixture
def tried(portal: Portal) -> tuple[Attempt, FlaskClient]:
    """One attempt for all that is tried on it, handed in and graded."""
    attempt = started(portal)
    client = handed_in(portal, attempt)
    graded(portal, attempt)
    return attempt, client


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    page=st.sampled_from(["hand-in", "contest"]),
    sent=st.dictionaries(
        st.sampled_from(["snapshot", "submission", "reason", "criterion", "other"]),
        st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-5, 10**12).map(str),
    ),
    asked=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
def test_whatever_is_sent_the_answer_is_never_our_fault(
    tried: tuple[Attempt, FlaskClient], page: str, sent: dict[str, str], asked: str
) -> None:
    attempt, client = tried
    answers = [
        client.post(at(attempt, page), data=sent),
        client.get(at(attempt, "receipt"), query_string={"number": asked}),
        client.get(at(attempt, "feedback"), query_string={"number": asked}),
        client.get("/receipts", query_string={"code": asked}),
        client.post("/receipts", data={"receipt": asked}),
        client.get(f"/receipts/{urllib.parse.quote(asked, safe='')}"),
    ]
    assert [one.status_code for one in answers if one.status_code >= 500] == []


# ------------------------------------------------------------------------------------------ killed at the worst moment

# A portal that dies, all of it, after the commit that took a submission and before anybody hears of it.
DYING: Final = """
import os, signal
from sqlalchemy import event
from sqlalchemy.orm import Session
from web.models import Submission
from web.portal import assemble, make_secrets
from web.server import serve
from web.settings import DatabaseSettings, PortalSettings

@event.listens_for(Session, "before_commit")
def note(session):
    session.info["took one"] = any(isinstance(row, Submission) for row in session.identity_map.values())

@event.listens_for(Session, "after_commit")
def die(session):
    if session.info.get("took one"):
        os.killpg(os.getpgrp(), signal.SIGKILL)

where, settings = DatabaseSettings(_env_file=None), PortalSettings(_env_file=None)
serve(assemble(settings, where))
"""
LIVING: Final = DYING.replace("os.killpg(os.getpgrp(), signal.SIGKILL)", "pass")


@contextmanager
def serving(program: str, portal: Portal, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    given = {
        "ASSAY_PORT": "0",
        "ASSAY_WEB_PROCESSES": "1",
        "ASSAY_STATE": str(folder),
        "ASSAY_STORE": str(portal.store.folder),
        "ASSAY_DATABASE_URL": portal.database.url.render_as_string(hide_password=False),
        "ASSAY_SESSION_SECRET": portal.session_secret,
        "ASSAY_RECEIPT_KEY": portal.receipt_key,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=PROJECT, env=ours | given,
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    too_late = threading.Timer(30, process.kill)
    too_late.start()
    try:
        assert process.stdout is not None
        yield next(line.strip() for line in process.stdout if line.startswith("http")), process
    finally:
        too_late.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def ask(url: str, cookie: str, sent: dict[str, str] | None = None) -> tuple[int, str, str, str]:
    """Status, text, where to go next, and the cookies."""
    body = None if sent is None else urllib.parse.urlencode(sent).encode()
    asked = urllib.request.Request(url, data=body, headers={"Cookie": cookie})
    try:
        answer = urllib.request.build_opener(_Stay).open(asked, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error  # a redirect that is not followed
    with answer:
        given = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return answer.status, answer.read().decode(), answer.headers.get("Location", ""), given


def test_a_server_killed_between_commit_and_answer_gives_the_same_receipt_afterwards(
    portal: Portal, tmp_path: Path
) -> None:
    attempt = started(portal)
    save(portal, attempt)
    cookie = f"{COOKIE}={session_token(portal, attempt)}"
    with serving(DYING, portal, tmp_path / "state") as (url, process):
        _, page, _, token = ask(url + at(attempt, "hand-in"), cookie)
        cookie, sent = f"{cookie}; {token}", fields(page)
        with pytest.raises(OSError):  # noqa: PT011  the connection ends in one way or another
            ask(url + at(attempt, "hand-in"), cookie, sent)
        assert process.wait(30) == -signal.SIGKILL
    with portal.database.reading() as session:
        taken = submissions.all_of(session, attempt.id)
        assert len(taken) == 1, "it was committed"
        before = submissions.receipt_of(session, taken[0])
    with serving(LIVING, portal, tmp_path / "state") as (url, _):
        status, _, location, _ = ask(url + at(attempt, "hand-in"), cookie, sent)
        assert (status, location) == (303, at(attempt, "receipt?number=1"))
        _, text, _, _ = ask(url + at(attempt, "receipt.json"), cookie)
    assert before is not None
    assert text == before.document()
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Submission)) == 1
        assert session.scalar(select(func.count()).select_from(Letter)) == 1
