"""Rate limits, outages and brown-outs, and what a subject can know of them."""

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import httpx2
import openai
import pytest
from openai import OpenAI

from graders.simgate import CARD, Gateway, Incident, RealClock
from graders.simgate.clock import NANO
from graders.simgate.limits import Bucket, RateLimits
from tests.graders.simgate.world import opened, prompt

SLOW = tuple(replace(model, requests_per_minute=12) for model in CARD)  # a burst of two


def ask(openai_client: OpenAI, model: str = "nano-1") -> str | None:
    said = openai_client.chat.completions.create(model=model, messages=prompt())
    return said.choices[0].message.content


def test_too_many_calls_in_a_minute_are_told_when_to_come_back() -> None:
    with opened(RealClock(), card=SLOW) as (gateway, openai_client):
        ask(openai_client)
        ask(openai_client)
        with pytest.raises(openai.RateLimitError) as raised:
            ask(openai_client)
        assert ask(openai_client, "relay-2")  # each model has limits of its own
        rows = gateway.rows()
    assert raised.value.code == "rate_limit_exceeded"
    headers = raised.value.response.headers
    assert 1000 < int(headers["retry-after-ms"]) <= 5000
    assert headers["x-ratelimit-limit-requests"] == "12"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert [(row.status, row.code) for row in rows] == [(200, ""), (200, ""), (429, "rate_limit_exceeded"), (200, "")]
    assert rows[2].cost == 0


def test_openais_own_client_waits_for_as_long_as_it_is_told_and_then_succeeds() -> None:
    card = tuple(replace(model, requests_per_minute=120, tokens_per_minute=10**9) for model in CARD)
    with opened(RealClock(), card=card) as (gateway, openai_client):
        patient = openai_client.with_options(max_retries=3)
        patient.embeddings.create(model="embed-s-v2", input=["x"] * 20)
        patient.embeddings.create(model="embed-s-v2", input="y")  # comes again after half a second
        assert [row.status for row in gateway.rows()] == [200, 429, 200]


def test_an_allowance_comes_back_little_by_little_and_never_more_than_a_burst() -> None:
    bucket = Bucket(60, 0)
    bucket.take(10)
    for step in range(1, 1001):
        bucket.refill(step * NANO // 1000)
    assert bucket.left == 1
    bucket.refill(3600 * NANO)
    assert (bucket.left, bucket.use) == (10, 0)
    assert bucket.lacks(10**9) == 0  # what is larger than the bucket needs a full one


def test_a_refused_call_uses_nothing_up() -> None:
    limits = RateLimits(SLOW, 0)
    assert [limits.take("nano-1", 1, 10, 0, 1.0)[0] for _ in range(5)] == [0, 0, *[5 * NANO] * 3]


def test_a_halved_limit_comes_back_half_as_fast() -> None:
    limits = RateLimits(SLOW, 0)
    limits.take("nano-1", 2, 10, 0, 1.0)
    assert limits.take("nano-1", 1, 10, 5 * NANO, 0.5)[0] > 0
    assert limits.take("nano-1", 1, 10, 10 * NANO, 0.5)[0] == 0


@pytest.mark.parametrize(("kind", "status", "code"), [("outage", 503, "overloaded"), ("error", 500, "server_error")])
def test_an_outage_hits_its_vendor_while_it_lasts_and_is_free(kind: str, status: int, code: str) -> None:
    incident = Incident(kind, 10, 5, target="aster")  # type: ignore[arg-type]
    with opened(incidents=(incident,)) as (gateway, openai_client):
        ask(openai_client)
        gateway.advance(10)
        with pytest.raises(openai.InternalServerError) as raised:
            ask(openai_client)
        ask(openai_client, "relay-2")
        gateway.advance(5)
        ask(openai_client)
        rows = gateway.rows()
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert [row.status for row in rows] == [200, status, 200, 200]
    assert rows[1].cost == 0


def test_the_status_page_tells_of_an_outage_two_seconds_late() -> None:
    def told(gateway: Gateway) -> bool:
        return bool(httpx2.get(f"{gateway.base_url.removesuffix('/v1')}/sim/status").json()["ok"])

    with opened(incidents=(Incident("outage", 1, 4),)) as (gateway, _):
        seen = []
        for _step in range(8):
            seen.append(told(gateway))
            gateway.advance(1)
    assert seen == [True, True, True, False, False, False, False, True]


def test_a_brown_out_makes_a_model_slow_and_nothing_else() -> None:
    with opened() as (gateway, openai_client):
        usual = ask(openai_client)
        [before] = gateway.rows()
    with opened() as (gateway, openai_client):
        gateway.incident(Incident("slow", 0, 100, target="nano-1", amount=4))
        assert ask(openai_client) == usual
        [during] = gateway.rows()
    assert during.latency == pytest.approx(4 * before.latency, rel=1e-6)
    assert during.cost == before.cost


def test_a_share_of_the_calls_is_hit_and_each_call_knows_by_itself() -> None:
    with opened(incidents=(Incident("outage", 0, 100, share=0.5),)) as (gateway, openai_client):
        for number in range(40):
            with suppress(openai.InternalServerError):
                openai_client.embeddings.create(model="embed-s-v2", input=f"text {number}")
        statuses = [row.status for row in gateway.rows()]
    assert 8 < statuses.count(503) < 32


def test_a_cut_stream_ends_without_its_end() -> None:
    with opened(incidents=(Incident("cut", 0, 100, amount=3),)) as (gateway, openai_client):
        stream = openai_client.chat.completions.create(model="nano-1", messages=prompt(), stream=True)
        heard: list[str | None] = []
        with pytest.raises(openai.APIConnectionError):
            heard.extend(event.choices[0].finish_reason for event in stream)
        assert [row.code for row in gateway.rows()] == ["cut"]
    assert "stop" not in heard


def test_a_hanging_model_says_nothing_and_holds_nobody_elses_answer_up() -> None:
    with opened(RealClock(), incidents=(Incident("hang", 0, 100, target="nano-1"),)) as (gateway, openai_client):
        with pytest.raises(openai.APITimeoutError):
            ask(openai_client.with_options(timeout=0.5))
        assert ask(openai_client, "relay-2") == "It is 88 C [D1]."
        gateway.freeze()
        assert sorted((row.status, row.code, row.cost > 0) for row in gateway.rows()) == [
            (0, "hang", False), (200, "", True),
        ]  # fmt: skip


def test_a_model_that_is_used_a_lot_is_slower() -> None:
    card = tuple(replace(model, requests_per_minute=240, tokens_per_minute=10**9) for model in CARD)  # a burst of 40
    with opened(RealClock(), card=card) as (gateway, openai_client):
        for count in (1, 39):
            openai_client.embeddings.create(model="embed-s-v2", input=["x"] * count)
        latencies = [row.latency / (1 + 1e-9) for row in gateway.rows()]
    assert all(later > earlier for earlier, later in pairwise(latencies))


@pytest.mark.parametrize("wrong", [{"start": -1}, {"seconds": 0}, {"share": 0}, {"share": 1.5}, {"amount": 0}])
def test_an_incident_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="incident"):
        Incident("outage", **{"start": 0, "seconds": 1, **wrong})  # type: ignore[arg-type]
