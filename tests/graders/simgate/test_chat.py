"""Chat completions as OpenAI's own client sees them, on loopback and on a unix socket."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from graders.simgate import RealClock, simtok
from tests.graders.simgate.world import CONTEXT, KEY, client, opened, prompt

SCHEMA = {
    "name": "reply",
    "strict": True,
    "schema": {
        "type": "object",
        "additionalProperties": False,
        "required": ["value", "answer", "sources", "abstained", "confidence"],
        "properties": {
            "value": {"type": ["string", "null"]},
            "answer": {"type": "string"},
            "sources": {"type": "array", "items": {"type": "string"}},
            "abstained": {"type": "boolean"},
            "confidence": {"type": "number"},
        },
    },
}


def ask(openai_client: OpenAI, question: str = "", **changes: Any) -> Any:
    messages = prompt(question) if question else prompt()
    return openai_client.chat.completions.create(**{"model": "swift-2", "messages": messages, **changes})


def test_a_completion_is_read_by_openais_client_on_loopback() -> None:
    with opened() as (_, openai_client):
        said = ask(openai_client)
    assert said.choices[0].message.content == "It is 88 C [D1]."
    assert said.choices[0].finish_reason == "stop"
    assert said.model == "swift-2"
    assert said.usage.prompt_tokens == simtok.count_messages(prompt())
    assert said.usage.completion_tokens == simtok.count("It is 88 C [D1].")


def test_a_completion_is_read_by_openais_client_on_a_unix_socket(tmp_path: Path) -> None:
    with opened(path=tmp_path / "model.sock") as (_, openai_client):
        assert ask(openai_client).choices[0].message.content == "It is 88 C [D1]."
    assert not (tmp_path / "model.sock").exists()


def test_the_asynchronous_client_may_ask_many_things_at_once() -> None:
    async def many(base_url: str) -> list[str | None]:
        async with httpx2.AsyncClient() as http:
            openai_client = AsyncOpenAI(base_url=base_url, api_key=KEY, http_client=http)
            said = await asyncio.gather(
                *(openai_client.chat.completions.create(model="swift-2", messages=prompt()) for _ in range(40))
            )
            return [one.choices[0].message.content for one in said]

    with opened() as (gateway, _):
        assert asyncio.run(many(gateway.base_url)) == ["It is 88 C [D1]."] * 40


def test_a_stream_says_the_same_as_a_whole_answer() -> None:
    with opened() as (_, openai_client):
        whole = ask(openai_client)
        events = list(ask(openai_client, stream=True, stream_options={"include_usage": True}))
    text = "".join(event.choices[0].delta.content or "" for event in events if event.choices)
    assert text == whole.choices[0].message.content
    assert [event.choices[0].finish_reason for event in events if event.choices][-1] == "stop"
    assert events[-1].usage == whole.usage
    assert len({event.id for event in events}) == 1


def test_a_stream_comes_bit_by_bit_at_the_speed_of_its_model() -> None:
    clock = RealClock()
    with opened(clock) as (_, openai_client):
        times = [clock.now() for _ in ask(openai_client, model="apex-4", stream=True)]
    assert times[0] >= 0.7e9  # the first token of apex-4 takes 0.9 s, with a jitter of a fifth
    assert times[-1] - times[0] >= 0.1e9  # 9 tokens at 55 in a second


def test_logprobs_have_the_confidence_as_their_mean_and_also_in_a_stream() -> None:
    with opened() as (_, openai_client):
        whole = ask(openai_client, logprobs=True, top_logprobs=1)
        events = list(ask(openai_client, logprobs=True, stream=True))
    told = whole.choices[0].logprobs.content
    assert "".join(one.token for one in told) == whole.choices[0].message.content
    assert 0.5 < math.exp(sum(one.logprob for one in told) / len(told)) < 1
    streamed = [one for event in events if event.choices[0].logprobs for one in event.choices[0].logprobs.content]
    assert [one.token for one in streamed] == [one.token for one in told]


def test_an_answer_takes_the_form_of_a_json_schema() -> None:
    with opened() as (_, openai_client):
        schema = {"type": "json_schema", "json_schema": SCHEMA}
        found = json.loads(ask(openai_client, response_format=schema).choices[0].message.content)
        missing = json.loads(
            ask(openai_client, "What is the fuse rating of the K-47?", response_format=schema)
            .choices[0]
            .message.content
        )
    assert found.keys() == SCHEMA["schema"]["properties"].keys()  # type: ignore[index]
    assert (found["value"], found["sources"], found["abstained"]) == ("88 C", ["D1"], False)
    assert (missing["value"], missing["sources"], missing["abstained"]) == (None, [], True)


def test_a_json_object_has_the_keys_that_the_rules_name() -> None:
    with opened() as (_, openai_client):
        rules = 'Reply as JSON: {"figure": ..., "citation": [...]}. If the documents lack it, "figure" is null.'
        said = ask(openai_client, messages=prompt(rules=rules), response_format={"type": "json_object"})
    assert json.loads(said.choices[0].message.content) == {"figure": "88 C", "citation": ["D1"]}


def test_an_answer_ends_where_it_must() -> None:
    with opened() as (_, openai_client):
        short = ask(openai_client, max_tokens=2).choices[0]
        stopped = ask(openai_client, stop=[" C"]).choices[0]
    assert (short.message.content, short.finish_reason) == ("It is", "length")
    assert (stopped.message.content, stopped.finish_reason) == ("It is 88", "stop")


def test_content_may_come_in_parts() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": one["content"]}]} for one in prompt()[1:]]
    with opened() as (_, openai_client):
        assert ask(openai_client, messages=messages).choices[0].message.content == "It is 88 C [D1]."


@pytest.mark.parametrize(
    ("changes", "kind", "status", "code", "param"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, 404, "model_not_found", "model"),
        ({"model": "embed-s-v2"}, openai.NotFoundError, 404, "model_not_found", "model"),
        ({"messages": []}, openai.BadRequestError, 400, None, "messages"),
        ({"messages": [{"role": "judge", "content": "x"}]}, openai.BadRequestError, 400, None, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, openai.BadRequestError, 400, None, "messages[0].content"),
        ({"temperature": 3}, openai.BadRequestError, 400, None, "temperature"),
        ({"temperature": True}, openai.BadRequestError, 400, None, "temperature"),
        ({"max_tokens": 0}, openai.BadRequestError, 400, None, "max_tokens"),
        ({"max_tokens": 1.5}, openai.BadRequestError, 400, None, "max_tokens"),
        ({"n": 3}, openai.BadRequestError, 400, "unsupported_value", "n"),
        ({"stop": ["a"] * 5}, openai.BadRequestError, 400, None, "stop"),
        ({"top_logprobs": 1}, openai.BadRequestError, 400, None, "top_logprobs"),
        ({"response_format": {"type": "xml"}}, openai.BadRequestError, 400, None, "response_format.type"),
        ({"extra_body": {"tools": []}}, openai.BadRequestError, 400, "unknown_parameter", "tools"),
    ],
)
def test_a_wrong_request_gets_openais_error(
    changes: dict[str, Any], kind: type[openai.APIStatusError], status: int, code: str | None, param: str
) -> None:
    with opened() as (gateway, openai_client):
        with pytest.raises(kind) as raised:
            ask(openai_client, **changes)
        assert gateway.rows() == []
    error = raised.value
    assert error.status_code == status
    assert isinstance(error.body, dict)
    assert error.body["type"] == "invalid_request_error"
    assert (error.body["code"], error.body["param"]) == (code, param)
    assert error.request_id is not None


def test_a_wrong_key_is_refused_and_no_key_too() -> None:
    with opened() as (gateway, _):
        with client(gateway, "sk-other") as other, pytest.raises(openai.AuthenticationError) as raised:
            ask(other)
        with httpx2.Client() as http:
            assert http.get(f"{gateway.base_url}/models").status_code == 401
    assert raised.value.code == "invalid_api_key"


def test_a_prompt_beyond_the_context_of_its_model_is_refused() -> None:
    with opened() as (gateway, openai_client):
        with pytest.raises(openai.BadRequestError) as raised:
            ask(openai_client, model="nano-1", messages=prompt(context=CONTEXT * 160))
        assert ask(openai_client, model="core-3", messages=prompt(context=CONTEXT * 160)).usage.prompt_tokens > 16_000
        assert len(gateway.rows()) == 1
    assert raised.value.code == "context_length_exceeded"


def test_the_line_up_and_the_notices_can_be_looked_up() -> None:
    with opened() as (gateway, openai_client):
        assert "swift-2" in {model.id for model in openai_client.models.list()}
        assert openai_client.models.retrieve("apex-4").owned_by == "aster"
        with httpx2.Client(base_url=gateway.base_url.removesuffix("/v1")) as http:
            told = {
                name: http.get(f"/sim/{name}").json() for name in ("pricing", "clock", "budget", "status", "limits")
            }
            assert http.get("/sim/admin").status_code == 404
            assert http.get("/admin/reset").status_code == 404
            assert http.delete("/sim/budget").status_code == 405
    swift = next(model for model in told["pricing"]["models"] if model["model"] == "swift-2")
    assert (swift["input"], swift["cached"], swift["output"]) == ("0.120000000", "0.030000000", "0.480000000")
    assert not {"ability", "noise"} & swift.keys()
    assert told["clock"]["seconds"] == 0
    assert told["budget"]["remaining_usd"] == "1.000000000"
    assert told["status"] == {"ok": True, "incidents": []}
    assert told["limits"]["swift-2"]["x-ratelimit-limit-requests"] == "2400"


def test_an_embedding_is_the_same_in_both_formats_and_in_every_batch() -> None:
    with opened() as (_, openai_client):
        one = openai_client.embeddings.create(model="embed-s-v2", input="upper thermal limit", encoding_format="float")
        many = openai_client.embeddings.create(model="embed-s-v2", input=["fuse rating", "upper thermal limit"])
    assert len(one.data[0].embedding) == 256
    assert many.data[1].embedding == pytest.approx(one.data[0].embedding, abs=1e-7)
    assert many.usage.prompt_tokens == simtok.count("fuse rating") + simtok.count("upper thermal limit")


@pytest.mark.parametrize("wrong", ["", [], [""], ["a"] * 257, [1], {"a": 1}, "word " * 3000])
def test_what_cannot_be_embedded_is_refused(wrong: Any) -> None:
    with opened() as (gateway, openai_client):
        with pytest.raises(openai.BadRequestError):
            openai_client.embeddings.create(model="embed-s-v2", input=wrong)
        assert gateway.spending().spent == 0
