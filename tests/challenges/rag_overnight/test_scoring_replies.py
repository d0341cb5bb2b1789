"""A reply is a stranger's: what is none is told in a sentence, and a value is right when no other is said."""

import json
from typing import Any, Final

import pytest

from tests.challenges.rag_overnight.tiny_world import Module

WHOLE: Final[dict[str, Any]] = {
    "answer": "The limit is 88 C.", "value": "88 C", "citations": ["d-1"], "abstained": False,
    "retrieved": [{"doc_id": "d-1", "chunk_id": "c", "rank": 1, "score": 0.5}], "usage": {"prompt_tokens": 321},
}  # fmt: skip


@pytest.fixture(name="replies")
def _replies(module: Module) -> Any:
    return module("scoring.replies")


def test_a_reply_that_keeps_the_contract_is_read_whole(replies: Any) -> None:
    assert replies.read(json.dumps(WHOLE).encode()) == replies.Reply(
        value="88 C", answer="The limit is 88 C.", citations=("d-1",), abstained=False, retrieved=("d-1",),
        prompt_tokens=321,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"value": 88}, "value: is no text"),
        ({"value": ["88 C"]}, "value: is no text"),
        ({"value": "8" * 501}, "value: a text of 501 characters"),
        ({"answer": None}, "answer: is no text"),
        ({"answer": "x" * 20_001}, "answer: a text of 20001 characters"),
        ({"abstained": 0}, "abstained: is neither"),
        ({"abstained": "false"}, "abstained: is neither"),
        ({"citations": "d-1"}, "citations: is no list"),
        ({"citations": [["d-1"]]}, "citations: is no text"),
        ({"citations": ["d"] * 10_000}, "citations: a list of 10000"),
        ({"citations": ["d" * 201]}, "citations: a text of 201"),
        ({"retrieved": {"doc_id": "d-1"}}, "retrieved: is no list"),
        ({"retrieved": ["d-1"]}, "retrieved: an item is no object"),
        ({"retrieved": [{"id": "d-1"}]}, "retrieved: an item is no object"),
        ({"retrieved": [{"doc_id": 1}]}, "retrieved: is no text"),
        ({"retrieved": [{"doc_id": "d"}] * 5_000}, "retrieved: a list of 5000"),
    ],
)
def test_a_part_that_breaks_the_contract_is_told(changes: dict[str, Any], why: str, replies: Any) -> None:
    said = replies.read(json.dumps(WHOLE | changes).encode())
    assert isinstance(said, str)
    assert said.startswith(why)


@pytest.mark.parametrize("key", ["value", "answer", "citations", "abstained", "retrieved"])
def test_nothing_may_be_left_out(key: str, replies: Any) -> None:
    assert replies.of({name: part for name, part in WHOLE.items() if name != key}) == f"{key}: is missing"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"88 C"', b"{", b"\xff", b'{"value": NaN}', b"[" * 100_000,
        b'{"a":' * 50 + b"1" + b"}" * 50,
        json.dumps(WHOLE | {"usage": {"prompt_tokens": float("nan")}}).encode(),
        json.dumps(WHOLE | {"more": "x" * 300_000}).encode(),
        json.dumps(WHOLE | {"more": [0] * 30_000}).encode(),
        json.dumps(WHOLE).replace("88 C", "\\ud800").encode(),
        b'{"value": "88 C", ' + json.dumps(WHOLE).encode()[1:],
    ],
)  # fmt: skip
def test_what_is_no_plain_json_object_is_no_reply(body: bytes, replies: Any) -> None:
    said = replies.read(body)
    assert isinstance(said, str)
    assert 0 < len(said) < 300


@pytest.mark.parametrize(
    "usage", [None, {}, [], {"prompt_tokens": True}, {"prompt_tokens": -1}, {"prompt_tokens": 1e99}]
)
def test_tokens_that_make_no_sense_are_not_claimed(usage: Any, replies: Any) -> None:
    assert replies.of(WHOLE | {"usage": usage}).prompt_tokens is None


def test_documents_come_by_rank_each_once(replies: Any) -> None:
    items = [{"doc_id": "b", "rank": 2}, {"doc_id": "a", "rank": 1}, {"doc_id": "b", "rank": 3}]
    assert replies.of(WHOLE | {"retrieved": items}).retrieved == ("a", "b")


@pytest.mark.parametrize("ranks", [[1, 1], [2, None], ["2", "1"], [True, 0], [2.0, 1.0]])
def test_documents_without_proper_ranks_come_as_they_stand(ranks: list[Any], replies: Any) -> None:
    items = [{"doc_id": name, "rank": rank} for name, rank in zip("ba", ranks, strict=True)]
    assert replies.of(WHOLE | {"retrieved": items}).retrieved == ("b", "a")


@pytest.mark.parametrize("said", ["88 C", " 88  C ", "88\u00a0C", "88 c", "88 C.", "88C", "88\u202fc."])
def test_spaces_small_letters_and_a_full_stop_make_no_difference(said: str, replies: Any) -> None:
    assert replies.same_value(said, "88 C")


@pytest.mark.parametrize(
    "said", ["", "88", "88 K", "188 C", "88 CC", "8.8 C", "88.0 C", "about 88 C", "88 C 89 C", "088 C"]
)
def test_all_else_does(said: str, replies: Any) -> None:
    assert not replies.same_value(said, "88 C")


def fault_of(replies: Any, expected: str, **changes: Any) -> str:
    reply = replies.of(WHOLE | changes)
    assert isinstance(reply, replies.Reply), reply
    return str(replies.fault_of(reply, expected))


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("88 C", "88 C"),
        ("88 C", "The limit of the K-74 is 88\u00a0C."),
        ("88 C", "88 c, see section 4, revision 12, and wait 30 days."),
        ("88 C", "It is 88 C. Really: 88 C."),
        ("12 A", "It may be switched 30 a day; the fuse is 12 A."),
        ("step K412", "Fault E200: apply step K412."),
        ("step K412", "Step K412"),
        ("5 l/min", "A flow of 5 l/min is usual."),
        ("1,200 kPa", "It is 1,200 kPa."),
    ],
)
def test_an_answer_that_holds_the_value_and_no_other_is_right(value: str, answer: str, replies: Any) -> None:
    assert fault_of(replies, value, value=value, answer=answer) == ""


@pytest.mark.parametrize(
    ("value", "answer", "why"),
    [
        ("88 C", "It is 88 C or 89 C.", "the answer holds several values"),
        ("88 C", "12 C, 13C, 88 C", "the answer holds several values"),
        ("step K412", "Apply step K412, else step N100.", "the answer holds several values"),
        ("88 C", "It is warm.", "the answer does not hold the value"),
        ("88 C", "It is 188 C.", "the answer does not hold the value"),
        ("88 C", "It is 88 Celsius.", "the answer does not hold the value"),
        ("step K412", "Apply step K4125.", "the answer does not hold the value"),
    ],
)
def test_an_answer_that_holds_none_or_several_is_wrong(value: str, answer: str, why: str, replies: Any) -> None:
    assert fault_of(replies, value, value=value, answer=answer) == why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"abstained": True}, "abstained and gave a value"),
        ({"abstained": True, "value": None}, "abstained"),
        ({"value": None}, "neither a value nor an abstention"),
        ({"value": "89 C"}, "another value"),
        ({"value": "88 C or 89 C"}, "another value"),
        ({"retrieved": []}, "a value without a retrieved document"),
    ],
)
def test_what_is_wrong_is_told_without_the_value(changes: dict[str, Any], why: str, replies: Any) -> None:
    assert fault_of(replies, "88 C", **changes) == why


def test_an_abstention_has_no_value(replies: Any) -> None:
    assert replies.abstains(replies.of(WHOLE | {"value": None, "abstained": True}))
    assert not replies.abstains(replies.of(WHOLE | {"abstained": True}))
    assert not replies.abstains(replies.of(WHOLE | {"value": None}))
