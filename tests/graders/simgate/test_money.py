"""The ledger: every call has a row, every row its price, and all of it is exact."""

import json
import time
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as some
from openai import OpenAI

from graders.simgate import CARD, DOLLAR, Gateway, Incident, PriceChange, RealClock, Seed, in_dollars, perturbed
from graders.simgate.ledger import Hold, Ledger, Row
from graders.simgate.prices import cost
from tests.graders.simgate.world import chat, connected, opened, prompt, request

SWIFT: Final = next(model for model in CARD if model.name == "swift-2")
LONG: Final = "a long story of many words " * 400  # 2,400 words of one or two tokens each


def ask(openai_client: OpenAI, **changes: Any) -> Any:
    return openai_client.chat.completions.create(**{"model": "swift-2", "messages": prompt(), **changes})


def until_settled(gateway: Gateway, calls: int) -> list[Row]:
    for _ in range(400):
        if len(rows := gateway.rows()) >= calls:
            return rows
        time.sleep(0.01)
    raise AssertionError(f"only {len(gateway.rows())} of {calls} calls are over")


def test_a_call_costs_what_the_card_says_to_the_last_nano_dollar() -> None:
    with opened() as (gateway, openai_client):
        said = openai_client.chat.completions.with_raw_response.create(model="swift-2", messages=prompt())
        usage = said.parse().usage
        [row] = gateway.rows()
    assert usage is not None
    assert row.cost == usage.prompt_tokens * 120 + usage.completion_tokens * 480  # nano-dollars a token
    assert said.headers["x-sim-cost-usd"] == in_dollars(row.cost)
    assert (row.status, row.model, row.answer_tokens) == (200, "swift-2", usage.completion_tokens)


@given(
    prompt_tokens=some.integers(0, 10**6),
    answer=some.integers(0, 10**5),
    price=some.integers(1, 10**11),
    parts=some.integers(1, 400_000),
)
def test_a_price_is_an_integer_rounded_up_once(prompt_tokens: int, answer: int, price: int, parts: int) -> None:
    model = replace(SWIFT, input=price, output=4 * price)
    amount = cost(model, prompt_tokens, 0, answer, factor=Fraction(300_000, parts))
    exact = Fraction(prompt_tokens * price + answer * 4 * price, 10**6) * Fraction(300_000, parts)
    assert isinstance(amount, int)
    assert 0 <= amount - exact < 1


def test_an_amount_is_written_with_all_its_digits() -> None:
    assert [in_dollars(amount) for amount in (0, 1, -1, 5 * DOLLAR, 1234567890123)] == [
        "0.000000000", "0.000000001", "-0.000000001", "5.000000000", "1234.567890123",
    ]  # fmt: skip


def test_the_sum_of_the_bill_is_the_sum_of_its_rows_by_model_and_by_tag() -> None:
    with opened() as (gateway, openai_client):
        for number in range(6):
            model = ("swift-2", "nano-1", "relay-2")[number % 3]
            ask(openai_client, model=model, extra_headers={"X-Request-Tag": f"step-{number % 2}"})
        rows, spending = gateway.rows(), gateway.spending()
    assert spending.spent == sum(row.cost for row in rows) == sum(spending.by_model.values())
    for tag in ("step-0", "step-1"):
        assert spending.by_tag[tag] == sum(row.cost for row in rows if row.tag == tag)


def test_a_scale_makes_one_call_stand_for_many() -> None:
    with opened() as (one, openai_client):
        ask(openai_client)
        [row] = one.rows()
    with opened(scale=Fraction(500, 3)) as (many, openai_client):
        ask(openai_client)
        [scaled] = many.rows()
    assert scaled.cost == -(-row.cost * 500 // 3)


def test_a_prefix_that_was_read_a_short_while_ago_is_cheaper_in_steps_of_128() -> None:
    first, second = chat(LONG + "one?", model="swift-2"), chat(LONG + "two?", model="swift-2")
    with opened() as (gateway, openai_client):
        for body in (first, second, chat("short " * 900, model="swift-2"), chat("short " * 900, model="swift-2")):
            said = openai_client.chat.completions.create(**body)
        assert said.usage is not None
        gateway.advance(5.0)
        openai_client.chat.completions.create(**first)
        rows = gateway.rows()
    fresh, cached, *_, late = rows
    assert fresh.cached_tokens == 0
    assert cached.cached_tokens % 128 == 0
    assert cached.prompt_tokens - 256 < cached.cached_tokens < cached.prompt_tokens
    assert cached.cost == (
        (cached.prompt_tokens - cached.cached_tokens) * 120 + cached.cached_tokens * 30 + cached.answer_tokens * 480
    )
    assert late.cached_tokens == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            chat("words " * 500, model="swift-2"),
            chat("words " * 500, model="swift-2"),
        ),  # below 1,024 tokens
        (chat("a" + LONG, model="swift-2"), chat("b" + LONG, model="swift-2")),
        (chat(LONG, model="swift-2"), chat(LONG, model="core-3")),
        (chat(LONG, model="relay-2"), chat(LONG, model="relay-2")),  # this vendor has no cache
    ],
)
def test_nothing_else_is_cached(first: dict[str, Any], second: dict[str, Any]) -> None:
    with opened() as (gateway, openai_client):
        openai_client.chat.completions.create(**first)
        openai_client.chat.completions.create(**second)
        assert [row.cached_tokens for row in gateway.rows()] == [0, 0]


def test_an_empty_budget_answers_as_openai_does_and_sells_nothing_more() -> None:
    with opened(budget=40_000) as (gateway, openai_client):
        ask(openai_client)
        ask(openai_client)  # the one that passes the line is let through
        with pytest.raises(openai.RateLimitError) as raised:
            ask(openai_client)
        rows, spending = gateway.rows(), gateway.spending()
    assert raised.value.code == "insufficient_quota"
    assert [row.status for row in rows] == [200, 200, 429]
    assert rows[2].cost == 0
    assert spending.remaining is not None
    assert spending.remaining <= 0


def test_a_budget_cannot_be_spent_twice_by_calls_at_the_same_time() -> None:
    with opened(RealClock(), budget=40_000) as (gateway, _):
        body = request({"model": "swift-2", "messages": prompt()})
        with connected(gateway) as one, connected(gateway) as two, connected(gateway) as three:
            for connection in (one, two, three):
                connection.sendall(body)
            rows = until_settled(gateway, 3)
    assert sorted(row.status for row in rows) == [200, 200, 429]


def test_a_batch_costs_half_and_is_done_when_its_day_ends() -> None:
    line = {"method": "POST", "url": "/v1/chat/completions"}
    lines = [
        {**line, "custom_id": "a", "body": {"model": "swift-2", "messages": prompt()}},
        {**line, "custom_id": "b", "body": {"model": "none", "messages": prompt()}},
        {**line, "custom_id": "c", "body": {"model": "swift-2", "messages": "wrong"}},
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    with opened() as (gateway, openai_client):
        ask(openai_client)
        file = openai_client.files.create(file=("night.jsonl", content), purpose="batch")
        assert openai_client.files.retrieve(file.id).bytes == len(content)
        batch = openai_client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        rows = until_settled(gateway, 2)
        gateway.advance(1.9)
        assert openai_client.batches.retrieve(batch.id).status == "in_progress"
        gateway.advance(0.1)
        batch = openai_client.batches.retrieve(batch.id)
        assert batch.output_file_id is not None
        assert batch.error_file_id is not None
        [said] = [json.loads(one) for one in openai_client.files.content(batch.output_file_id).text.splitlines()]
        wrong = [json.loads(one) for one in openai_client.files.content(batch.error_file_id).text.splitlines()]
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 2)
    assert said["custom_id"] == "a"
    assert said["response"]["body"]["choices"][0]["message"]["content"] == "It is 88 C [D1]."
    assert [one["response"]["status_code"] for one in wrong] == [404, 400]
    single, half = rows
    assert half.cost == -(-single.cost // 2)


@pytest.mark.parametrize(
    "content", [b"", b"no json", b'{"custom_id":"a"}', b"[]", b'{"custom_id":"a","method":"GET","url":"/","body":{}}']
)
def test_a_file_that_is_no_batch_begins_none(content: bytes) -> None:
    with opened() as (gateway, openai_client):
        file = openai_client.files.create(file=("night.jsonl", content or b"\n"), purpose="batch")
        with pytest.raises(openai.BadRequestError):
            openai_client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        assert gateway.spending().calls == 0


def test_a_call_of_another_price_day_costs_the_other_price() -> None:
    with opened(price_changes=(PriceChange(10, "swift-2", 120),)) as (gateway, openai_client):
        ask(openai_client)
        gateway.advance(10)
        ask(openai_client)
        before, after = gateway.rows()
    assert after.cost * 100 == before.cost * 120


def test_who_hangs_up_at_once_pays_nothing_and_after_a_second_for_the_prompt() -> None:
    body = request({"model": "apex-4", "messages": prompt()})
    card = tuple(replace(model, first_token=30.0) for model in CARD)
    with opened(RealClock(), card=card) as (gateway, _):
        for number, seconds in enumerate((0.0, 1.01), 1):
            with connected(gateway) as connection:
                connection.sendall(body)
                while gateway.spending().calls < number:
                    time.sleep(0.01)
                time.sleep(seconds)
        early, late = until_settled(gateway, 2)
    assert (early.status, early.code, early.cost) == (0, "gone", 0)
    assert (late.status, late.code, late.cost) == (0, "gone", late.prompt_tokens * 3000)


def test_who_leaves_a_stream_pays_for_what_was_sent() -> None:
    card = tuple(replace(model, first_token=0.0, reads=10**6, writes=5 if model.writes else 0) for model in CARD)
    with opened(RealClock(), brain="competence", card=card) as (gateway, openai_client):
        stream = ask(openai_client, model="apex-4", stream=True)
        for number, _ in enumerate(stream):
            if number == 2:
                break
        stream.close()
        [row] = until_settled(gateway, 1)
    assert (row.status, row.code) == (0, "gone")
    assert 2 <= row.answer_tokens < 20
    assert row.cost == row.prompt_tokens * 3000 + row.answer_tokens * 15_000


@pytest.mark.parametrize("kind", ["hang", "cut"])
def test_what_the_provider_breaks_off_is_free(kind: Any) -> None:
    with opened(incidents=(Incident(kind, 0, 10, amount=2),)) as (gateway, openai_client):
        with pytest.raises(openai.APIConnectionError):
            ask(openai_client)
        [row] = until_settled(gateway, 1)
    assert (row.status, row.code, row.cost) == (0, kind, 0)


def test_an_id_that_was_not_given_out_is_found_out() -> None:
    with opened() as (gateway, openai_client):
        said = ask(openai_client)
        found, forged = gateway.find(said.id), gateway.find("chatcmpl-000000000000000000000000")
    assert found is not None
    assert found.trace == said.id
    assert forged is None


def test_a_frozen_ledger_does_not_change_any_more() -> None:
    with opened() as (gateway, openai_client):
        ask(openai_client)
        gateway.freeze()
        before = gateway.rows()
        with pytest.raises(openai.InternalServerError):
            ask(openai_client)
        assert gateway.rows() == before
        gateway.freeze(frozen=False)
        gateway.reset()
        assert gateway.rows() == []
        ask(openai_client)
        assert gateway.rows() == before


def test_a_row_that_was_settled_cannot_be_settled_again() -> None:
    ledger = Ledger(100)
    hold = ledger.hold(60, 0)
    row = Row(hold.number, 0, "chat", "nano-1", "t", "r", 0, 200, cost=60)
    with pytest.raises(ValueError, match="61"):
        ledger.settle(hold, replace(row, cost=61))
    ledger.settle(Hold(ledger.hold(10, 0).number, 0, 10), replace(row, cost=10))
    assert ledger.spending().remaining is not None
    with pytest.raises(KeyError):
        ledger.settle(Hold(7, 0, 60), row)


def test_the_card_of_a_form_differs_within_bounds_and_is_the_same_each_time() -> None:
    card = perturbed(CARD, Seed(b"form"))
    assert card == perturbed(CARD, Seed(b"form"))
    assert card != perturbed(CARD, Seed(b"another form"))
    for public, own in zip(CARD, card, strict=True):
        assert isinstance(own.input, int)
        assert abs(own.input - public.input) <= public.input * 0.15 + 1
        assert abs(own.ability - public.ability) <= 0.15
        assert own.cached is None or abs(own.cached * 4 - own.input) <= 4
