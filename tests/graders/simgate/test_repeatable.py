"""A grading can be repeated exactly, whatever the order in which a subject's threads are scheduled."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from openai import OpenAI

from graders.simgate import Incident, RealClock, Row, Seed, repeatable
from graders.simgate.seeds import Occurrences
from tests.graders.simgate.world import opened, prompt

Call = Callable[[OpenAI], object]


def completion(openai_client: OpenAI, text: str, model: str) -> object:
    return openai_client.chat.completions.create(model=model, messages=prompt(text), logprobs=True)


def embedding(openai_client: OpenAI, text: str) -> object:
    return openai_client.embeddings.create(model="embed-s-v2", input=[text, text + "?"])


def some_calls() -> list[Call]:
    """Sixty calls of which some are the same."""
    models = ("nano-1", "relay-2", "summit-3")
    calls: list[Call] = [
        partial(completion, text=f"What is the fuse rating of the K-{number % 7}?", model=models[number % 3])
        for number in range(45)
    ]
    return calls + [partial(embedding, text=f"text {number % 5}") for number in range(15)]


def graded(calls: Sequence[Call], threads: int, secret: bytes = b"the secret of one grading") -> list[Row]:
    with (
        opened(secret=secret, incidents=(Incident("slow", 0, 1, share=0.4, amount=3),)) as (gateway, openai_client),
        ThreadPoolExecutor(threads) as pool,
    ):
        for done in [pool.submit(call, openai_client) for call in calls]:
            done.result()
        gateway.freeze()
        return gateway.rows()


def test_many_at_once_in_any_order_are_answered_and_billed_as_one_after_another() -> None:
    calls = some_calls()
    expected = graded(calls, 1)
    for seed in range(3):
        shuffled = random.Random(seed).sample(calls, len(calls))
        rows = graded(shuffled, 8)
        assert repeatable(rows) == repeatable(expected)
        assert sum(row.cost for row in rows) == sum(row.cost for row in expected)
        assert sorted(row.latency for row in rows) == sorted(row.latency for row in expected)


def test_another_secret_gives_other_ids_and_other_luck() -> None:
    calls = some_calls()[:20]
    one, other = graded(calls, 1), graded(calls, 1, b"the secret of another grading")
    assert not {row.trace for row in one} & {row.trace for row in other}
    assert [row.latency for row in one] != [row.latency for row in other]
    assert [row.cost for row in one] == [row.cost for row in other]


def test_the_same_request_made_again_has_another_id_and_is_told_apart() -> None:
    with opened() as (gateway, openai_client):
        said = [
            openai_client.chat.completions.create(model="nano-1", messages=prompt(), user=name)
            for name in ("ann", "bob")
        ]
        assert [row.occurrence for row in gateway.rows()] == [0, 1]
    assert said[0].id != said[1].id
    assert said[0].choices[0].message.content == said[1].choices[0].message.content


def test_a_real_clock_changes_no_answer_and_no_price() -> None:
    def asked(clock: RealClock | None) -> list[Row]:
        with opened(clock) as (gateway, openai_client):
            for question in ("What is the fuse rating of the K-74?", "What is the reaction promise of norhalia?"):
                completion(openai_client, question, "nano-1")
            return gateway.rows()

    assert repeatable(asked(RealClock())) == repeatable(asked(None))


def test_draws_are_uniform_and_their_words_cannot_be_confused() -> None:
    seed = Seed(b"secret")
    drawn = [seed.uniform("x", number) for number in range(4000)]
    assert 0.48 < sum(drawn) / len(drawn) < 0.52
    assert min(drawn) >= 0
    assert max(drawn) < 1
    assert seed.digest("ab", "c") != seed.digest("a", "bc")
    assert seed.draws("a").uniform("b") != seed.uniform("a", "b")


def test_an_empty_secret_is_none() -> None:
    with pytest.raises(ValueError, match="empty"):
        Seed(b"")


def test_occurrences_are_counted_for_each_request_by_itself() -> None:
    seen = Occurrences()
    assert [seen.next(name) for name in (b"a", b"b", b"a", b"a", b"b")] == [0, 0, 1, 2, 1]
