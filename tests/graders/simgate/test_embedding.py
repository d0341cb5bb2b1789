"""Embeddings: near when they mean the same, exactly repeatable, and wrong in the ways that faults need."""

import hashlib
import json
import math

from hypothesis import given, settings
from hypothesis import strategies as some

from graders.simgate import Embedding, simtok
from tests.graders.simgate.world import LEXICON

EMBEDDING = Embedding(LEXICON)


def vector(text: str, model: str = "embed-s-v2") -> list[float]:
    return EMBEDDING.vector(model, text)


def near(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_a_paraphrase_without_a_common_word_is_near_and_another_matter_is_not() -> None:
    passage = vector("compact lime dryer manual. upper thermal limit: Keep it dry. On this unit the figure is 88 C.")
    paraphrase = vector("hottest permitted state miniature calcium desiccator")
    other = vector("overcurrent cutoff sludge mover")
    assert near(passage, paraphrase) > 0.5
    assert near(passage, other) < 0.3


def test_two_models_do_not_understand_each_other() -> None:
    assert abs(near(vector("upper thermal limit"), vector("upper thermal limit", "embed-s-v1"))) < 0.25


def test_codes_are_all_in_one_place() -> None:
    assert vector("thermal limit of K-74") == vector("thermal limit of K-47")


@settings(deadline=None)
@given(some.text(min_size=1, max_size=400))
def test_every_text_has_a_vector_of_length_one(text: str) -> None:
    found = vector(text)
    assert len(found) == 256
    assert math.isclose(math.sqrt(near(found, found)), 1, abs_tol=1e-3)
    assert all(number == round(number, 4) for number in found)


def test_a_vector_is_the_same_on_every_machine() -> None:
    spelled = json.dumps([vector("upper thermal limit of the small pump"), vector("the of 12")])
    assert hashlib.sha256(spelled.encode()).hexdigest()[:16] == "7045581ffd857279"


@given(some.text(max_size=200))
def test_tokens_joined_are_the_text_again(text: str) -> None:
    assert "".join(simtok.pieces(text)) == text[: len("".join(simtok.pieces(text)))]
    assert text[len("".join(simtok.pieces(text))) :].strip() == ""
    assert simtok.count(text) == len(simtok.pieces(text))
    assert simtok.count(simtok.cut(text, 3)) == min(3, simtok.count(text))


def test_tokens_are_counted_as_the_brief_says() -> None:
    assert simtok.count("Temperature is 88 C.") == 3 + 1 + 1 + 1 + 1
    assert simtok.count("") == 0
    messages: list[dict[str, str | None]] = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": None}]
    assert simtok.count_messages(messages) == 3 + (4 + 1 + 1) + (4 + 3)
