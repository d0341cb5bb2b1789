"""Subjects that attack their provider: each is answered as OpenAI would, or hung up on, and the next call is right."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from graders.simgate import Gateway, RealClock, wire
from tests.graders.simgate.world import KEY, answer, asked, chat, connected, opened, prompt, request, sound


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """After every attack an honest call works, and the money adds up; a fault of ours fails the test when it closes."""
    with opened() as (opened_gateway, _):
        yield opened_gateway
        sound(opened_gateway)


DEEP = b'{"model":"nano-1","messages":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b"{}{}", b'{"a":}',
        DEEP, DEEP[:100_000], b'{"a":' * 100_000,
        b'{"model":"nano-1","messages":[{"role":"user","content":"x"}],"temperature":NaN}',
        b'{"model":"nano-1","messages":[{"role":"user","content":"x"}],"temperature":Infinity}',
        b'{"model":"nano-1","messages":[{"role":"user","content":"x"}],"temperature":1e999}',
        b'{"model":"nano-1","messages":[{"role":"user","content":"x"}],"seed":' + b"9" * 100_000 + b"}",
        b'{"model":"nano-1","messages":[{"role":"user","content":"x"}],"max_tokens":1e400}',
        b'{"model":"nano-1","model":"apex-4","messages":[{"role":"user","content":"x"}]}',
        b'{"model":"nano-1","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"nano-1","messages":[{"role":"user","content":"x"}],"user":"\\udfff"}',
        b'{"model":["nano-1"],"messages":[{"role":"user","content":"x"}]}',
        b'{"model":"nano-1","messages":[{"role":["user"],"content":"x"}]}',
        b'{"model":"nano-1","messages":[{"role":{},"content":"x"}]}',
        b'{"model":"nano-1","messages":{"role":"user","content":"x"}}',
        b'{"model":"nano-1","messages":[null]}',
        b'{"model":"nano-1","messages":[{"role":"user","content":[[]]}]}',
        b'{"model":"nano-1","messages":[{"role":"user","content":{}}]}',
        b'{"model":"nano-1","messages":[{"role":"user","content":"x"}],"stop":[[]]}',
        b'{"model":"nano-1","messages":[{"role":"user","content":"x"}],"response_format":[]}',
        b'{"model":"nano-1","messages":[{"role":"user","content":"x"}],"stream":"yes"}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_refused_and_costs_nothing(body: bytes, gateway: Gateway) -> None:
    status, said = asked(gateway, request(body))
    assert status == 400
    assert said["error"].keys() == {"message", "type", "param", "code"}
    assert said["error"]["type"] == "invalid_request_error"
    assert gateway.spending().calls == 0


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=12,
)
ARGUMENTS = some.sampled_from(
    ["max_tokens", "temperature", "stop", "stream", "n", "user", "logprobs", "top_logprobs", "response_format", "seed",
     "stream_options", "metadata", "messages", "model", "input", "dimensions", "encoding_format"]
)  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=some.sampled_from(["/v1/chat/completions", "/v1/embeddings", "/v1/batches"]),
    changes=some.dictionaries(ARGUMENTS, JSON, max_size=4),
)
def test_values_of_any_type_are_answered(path: str, changes: dict[str, object], gateway: Gateway) -> None:
    body = json.dumps({**chat("hello"), **changes}).encode()
    status, said = asked(gateway, request(body, path))
    assert status in (200, 400, 404, 500) or changes.get("stream") is True
    assert status != 500
    assert "error" in said or status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 400),
        (b"GET http://example.org/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nno header\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\na: \x00\r\n\r\n", 400),
        (b"POST /v1/files HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /v1/files HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n", 400),
        (b"POST /v1/files HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"POST /v1/files HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST /v1/files HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 400),
        (b"POST /v1/files HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n", 413),
        (b"POST /v1/files HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411),
        (b"GET /v1/models HTTP/1.1\r\n" + b"a: b\r\n" * 100 + b"\r\n", 431),
        (b"GET /v1/models HTTP/1.1\r\na: " + b" " * 60_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 100_000, 431),
    ],
)
def test_what_is_no_http_is_told_so_and_hung_up_on(sent: bytes, status: int, gateway: Gateway) -> None:
    with connected(gateway) as connection:
        connection.sendall(sent)
        assert answer(connection)[0] == status
        assert connection.recv(1) == b""


def test_a_body_that_is_too_large_is_refused_before_it_is_read(gateway: Gateway) -> None:
    with connected(gateway) as connection:
        connection.sendall(request(b"x" * (wire.LONGEST_BODY + 1)))
        status, said = answer(connection)
    assert status == 413
    assert "longer than" in said["error"]["message"]
    with connected(gateway) as connection:
        connection.sendall(request(b'{"a":"' + b"x" * (wire.LONGEST_BODY - 8) + b'"}'))
        assert answer(connection)[0] == 400


def test_requests_sent_without_waiting_are_answered_in_order(gateway: Gateway) -> None:
    models = ["nano-1", "none", "swift-2"] * 10
    with connected(gateway) as connection:
        connection.sendall(b"".join(request(chat("hi", model=model)) for model in models))
        statuses = [answer(connection)[0] for _ in models]
    assert statuses == [200, 404, 200] * 10
    assert len(gateway.rows()) == 20


def test_a_head_that_never_ends_and_a_body_that_never_comes_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(wire, "BODY_SECONDS", 0.3)
    with opened() as (gateway, _), connected(gateway) as head, connected(gateway) as body:
        head.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nA: ")
        body.sendall(request(chat())[:-4])
        assert asked(gateway, request(chat()))[0] == 200
        assert answer(head) == (0, {})
        assert answer(body)[0] == 408
        sound(gateway)


def test_an_answer_that_is_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "UNREAD_SECONDS", 0.3)
    ask_much = request({"model": "embed-s-v2", "input": ["word"] * 256, "encoding_format": "float"}, "/v1/embeddings")
    with opened() as (gateway, _), connected(gateway) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(5)
        with pytest.raises(OSError, match=r"timed out|reset|[Bb]roken"):
            connection.sendall(ask_much * 20_000)  # until nobody takes any more
        gateway.freeze()
        assert {row.status for row in gateway.rows()} <= {0, 200}
        assert 0 in {row.status for row in gateway.rows()}
        gateway.freeze(frozen=False)
        sound(gateway)


def test_a_half_closed_connection_is_a_closed_one(gateway: Gateway) -> None:
    with connected(gateway) as connection:
        connection.sendall(request(chat()))
        connection.shutdown(socket.SHUT_WR)
        status, _ = answer(connection)
    assert status in (0, 200)  # whichever was noticed first
    with connected(gateway) as connection:
        connection.sendall(request(chat())[:-10])
        connection.shutdown(socket.SHUT_WR)
        assert answer(connection) == (0, {})


def test_connections_without_number_are_refused_and_come_to_an_end() -> None:
    with opened() as (gateway, _):
        with ExitStack() as held:
            for _ in range(wire.MOST_CONNECTIONS):
                held.enter_context(connected(gateway)).sendall(b"P")
            refused = []
            for _ in range(20):
                connection = held.enter_context(connected(gateway))
                refused.append(answer(connection)[0])
            assert 503 in refused
            assert set(refused) <= {0, 503}
        for _ in range(100):
            if asked(gateway, request(chat()))[0] == 200:
                break
            time.sleep(0.05)
        sound(gateway)


def test_bodies_that_are_announced_and_not_sent_take_no_memory() -> None:
    with opened() as (gateway, _), ExitStack() as held:
        head = request(b"")[:-4].replace(b"Content-Length: 0", b"Content-Length: %d" % wire.LONGEST_BODY) + b"\r\n\r\n"
        statuses = []
        for _ in range(wire.MOST_HELD // wire.LONGEST_BODY + 3):
            connection = held.enter_context(connected(gateway))
            connection.sendall(head)
            connection.settimeout(0.3)
            try:
                statuses.append(answer(connection)[0])
            except TimeoutError:
                statuses.append(-1)  # it is waited for
        assert statuses.count(-1) == wire.MOST_HELD // wire.LONGEST_BODY
        assert statuses.count(503) == 3
        held.close()
        sound(gateway)


def test_a_flood_of_nonsense_leaves_no_rows(gateway: Gateway) -> None:
    with connected(gateway) as connection:
        for _ in range(300):
            connection.sendall(request(b"{"))
        assert {answer(connection)[0] for _ in range(300)} == {400}
    spending = gateway.spending()
    assert spending.calls == 0
    assert spending.uncounted == {"invalid_request_error": 300}


def test_a_subject_can_neither_see_nor_move_the_inside(gateway: Gateway) -> None:
    for path in ("/admin/reset", "/admin/usage", "/v1/admin", "/sim/ledger", "/..", "/v1/../sim/clock", "/lab", "/"):
        assert asked(gateway, request(b"{}", path))[0] == 404
    for method in ("DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert asked(gateway, request(b"", "/v1/models", method))[0] == 405


@pytest.mark.parametrize("tag", ["x" * 5000, "a\tb", "\u00e9"])
def test_a_tag_is_short_and_printable(tag: str, gateway: Gateway) -> None:
    with connected(gateway) as connection:
        sent = request(chat())
        connection.sendall(sent.replace(b"\r\n", b"\r\nX-Request-Tag: " + tag.encode("latin-1") + b"\r\n", 1))
        assert answer(connection)[0] == 200
    [row] = gateway.rows()
    assert len(row.tag) <= 64
    assert row.tag.isprintable()


def test_the_key_is_not_in_any_answer(gateway: Gateway) -> None:
    for body in (b"{", json.dumps(chat(KEY[:-1])).encode()):
        _, said = asked(gateway, request(body))
        assert KEY not in json.dumps(said)


@pytest.mark.parametrize(
    "text",
    [
        " " * 300_000, "#" * 300_000, "* \t" * 100_000, "<doc>" * 60_000, "<doc>" * 30_000 + "</doc>" * 30_000,
        "[1]\n" * 60_000, "Question: " * 30_000, "Question:\n" * 30_000, "\n" * 300_000, "\n \n" * 100_000,
        "document " + " " * 300_000, "ignore previous " * 20_000, '"' * 300_000, "if not in " * 30_000,
        "88 C " * 60_000, "upper thermal limit " * 20_000, "# t\n\n" + "p\n\n" * 80_000, "the " + " " * 300_000,
        "1" * 300_000, "a-" * 150_000, "```\n" * 60_000, "say '" * 60_000, "\u0130" * 100_000, "not a a a a " * 25_000,
    ],
    ids=range(24),
)  # fmt: skip
def test_a_prompt_that_is_made_to_be_slow_is_not(text: str, gateway: Gateway) -> None:
    """Every one of these takes a square of its length with a careless pattern: minutes, and here a moment."""
    body = {"model": "apex-4", "messages": [{"role": "system", "content": text}, {"role": "user", "content": text}]}
    started = time.process_time()
    status, _ = asked(gateway, request(body))
    assert status in (200, 400)
    assert time.process_time() - started < 10


def test_a_slow_client_pays_like_any_other() -> None:
    with opened(RealClock()) as (gateway, _), connected(gateway) as connection:
        sent = request({"model": "swift-2", "messages": prompt()})
        for start in range(0, len(sent), 200):
            connection.sendall(sent[start : start + 200])
            time.sleep(0.005)
        assert answer(connection)[0] == 200
        sound(gateway)
