"""The two messages: what is sent is what is read, and nothing else is read."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders.contract import (
    ChallengeInvalid,
    Evidence,
    Exchange,
    Failure,
    Fault,
    Finding,
    Form,
    GradingReport,
    GradingRequest,
    Message,
    MessageUnreadable,
    Provenance,
    Submission,
)
from sandbox import Ending

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
IDENTIFIER = st.from_regex(r"[0-9a-zA-Z_-]{1,64}", fullmatch=True)
DIGEST = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
KEY = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)
SECONDS = st.floats(0, 1e6)
EVIDENCE = st.builds(Evidence, text=TEXT, file=st.none() | TEXT, line=st.none() | st.integers(1), source=TEXT)
FINDING = st.builds(
    Finding,
    criterion=KEY,
    credit=st.none() | st.floats(0, 1),
    reason=TEXT.filter(bool),
    evidence=st.lists(EVIDENCE, max_size=3).map(tuple),
)
EXCHANGE = st.builds(
    Exchange,
    kind=st.sampled_from(["run", "ask", "serve", "open"]),
    asked=TEXT,
    ending=st.none() | st.sampled_from(Ending),
    exit_code=st.none() | st.integers(0, 255),
    answer=TEXT,
    complaint=TEXT,
    seconds=SECONDS,
    cpu_seconds=st.none() | SECONDS,
    cut=st.booleans(),
)
PROVENANCE = st.builds(
    Provenance,
    challenge_digest=DIGEST,
    challenge_version=TEXT,
    form=IDENTIFIER,
    form_signature=TEXT,
    image=TEXT,
    limits=st.dictionaries(KEY, SECONDS, max_size=3),
    versions=st.dictionaries(KEY, TEXT, max_size=3),
    host=TEXT,
    seconds=st.dictionaries(KEY, SECONDS, max_size=3),
    exchanges=st.lists(EXCHANGE, max_size=3).map(tuple),
    exchanges_left_out=st.integers(0, 9),
    printed=TEXT,
)
REQUEST = st.builds(
    GradingRequest,
    grading=IDENTIFIER,
    fence=st.integers(1),
    challenge=KEY,
    challenge_digest=DIGEST,
    form=IDENTIFIER,
    submission=DIGEST,
    token=TEXT,
    lease_seconds=st.floats(0, 1e6, exclude_min=True),
)
FAILURE = st.builds(Failure, fault_of=st.sampled_from(Fault), message=TEXT.filter(bool))
REPORT = st.builds(
    GradingReport,
    grading=IDENTIFIER,
    fence=st.integers(1),
    findings=st.lists(FINDING, max_size=3).map(tuple),
    provenance=st.none() | PROVENANCE,
) | st.builds(
    GradingReport, grading=IDENTIFIER, fence=st.integers(1), failure=FAILURE, provenance=st.none() | PROVENANCE
)

ASKED: dict[str, Any] = {
    "version": 1,
    "grading": "g-1",
    "fence": 1,
    "challenge": "warm-up",
    "challenge_digest": "a" * 64,
    "form": "f-1",
    "submission": "b" * 64,
    "lease_seconds": 30,
}


@given(REQUEST | REPORT)
def test_a_message_is_read_as_it_was_sent(message: Message) -> None:
    assert type(message).from_json(message.to_json()) == message
    assert type(message).from_json(message.to_json().encode()) == message


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"version": 2}, "version"),
        ({"version": "1"}, "version"),
        ({"fence": "1"}, "fence"),
        ({"fence": 0}, "fence"),
        ({"fence": 1.5}, "fence"),
        ({"fence": True}, "fence"),
        ({"grading": ""}, "grading"),
        ({"grading": "a/b"}, "grading"),
        ({"grading": "g-1\n"}, "grading"),
        ({"challenge": "../warm-up"}, "challenge"),
        ({"challenge_digest": "A" * 64}, "challenge_digest"),
        ({"challenge_digest": "a" * 63}, "challenge_digest"),
        ({"submission": None}, "submission"),
        ({"lease_seconds": 0}, "lease_seconds"),
        ({"name": "Ada"}, "name"),
    ],
)
def test_a_request_that_is_not_one_of_ours_is_refused_with_the_place(changed: dict[str, Any], where: str) -> None:
    GradingRequest.from_json(json.dumps(ASKED))
    with pytest.raises(MessageUnreadable, match=f"^GradingRequest: {where}: "):
        GradingRequest.from_json(json.dumps(ASKED | changed))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "{}", '{"lease_seconds": NaN}', "\ud800", b"\xff"])
def test_what_is_no_message_at_all_is_refused(text: str | bytes) -> None:
    with pytest.raises(MessageUnreadable):
        GradingRequest.from_json(text)


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(MessageUnreadable) as caught:
        GradingRequest.from_json(json.dumps(ASKED | {"token": 0, "form": "secret stranger's words"}))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("credit", ["NaN", "Infinity", "1e999", "-0.1", "1.1", '"1"', "true", "[1]"])
def test_a_credit_is_a_number_from_nothing_to_everything(credit: str) -> None:
    with pytest.raises(MessageUnreadable, match="credit"):
        Finding.from_json(f'{{"criterion": "adds", "credit": {credit}, "reason": "seen"}}')


def test_a_report_with_findings_and_a_failure_is_refused() -> None:
    finding = Finding(criterion="adds", credit=1, reason="seen")
    failure = Failure(fault_of=Fault.OPERATOR, message="no engine")
    both = {
        "version": 1,
        "grading": "g",
        "fence": 1,
        "findings": [finding.model_dump()],
        "failure": failure.model_dump(),
    }
    with pytest.raises(MessageUnreadable, match="findings or a failure, not both"):
        GradingReport.from_json(json.dumps(both))


def test_nobody_but_author_and_operator_is_at_fault() -> None:
    assert {fault.value for fault in Fault} == {"author", "operator"}


# What a grader is given


def test_a_form_derives_the_same_for_one_purpose_and_others_for_others() -> None:
    form, twin = (Form("sums", "1.0.0", "r", b"s" * 32) for _ in range(2))
    other = Form("sums", "1.0.0", "r", b"t" * 32)
    assert form.derive("cases") == twin.derive("cases")
    assert len({form.derive("cases"), form.derive("rows"), other.derive("cases")}) == 3
    assert form.random("cases").random() == twin.random("cases").random()


def test_a_printed_form_does_not_show_its_seed() -> None:
    assert "secretseed" not in repr(Form("sums", "1.0.0", "r", b"secretseed"))


def test_a_text_is_none_when_it_is_missing_too_long_or_no_text() -> None:
    files = {"notes.md": "größer".encode(), "bytes.md": b"\xff", "long.md": b"x" * 11}
    submission = Submission(files, Form("sums", "1.0.0", "r", b"s"))
    assert submission.text("notes.md") == "größer"
    assert [submission.text(name, most=10) for name in ("bytes.md", "long.md", "none.md")] == [None, None, None]


def test_a_private_file_that_is_missing_or_broken_is_its_authors_to_mend(tmp_path: Any) -> None:
    (tmp_path / "broken.json").write_text("{")
    form = Form("sums", "1.0.0", "r", b"s", private={"broken.json": tmp_path / "broken.json"})
    for asked in (form, Submission({}, form)):
        with pytest.raises(ChallengeInvalid, match=r"private/answers\.json: there is no such file"):
            asked.load_private("answers.json")
        with pytest.raises(ChallengeInvalid, match=r"private/broken\.json: "):
            asked.load_private("broken.json")
        assert asked.read_private("broken.json") == b"{"


def test_a_printed_form_shows_neither_private_files_nor_its_calibration(tmp_path: Any) -> None:
    form = Form("sums", "1.0.0", "r", b"s", private={"answers.json": tmp_path}, calibration="measured")
    assert "answers" not in repr(form)
    assert "measured" not in repr(form)
    assert form == replace(form, private={})
