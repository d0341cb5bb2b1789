"""A small world, and how the tests reach a gateway: with the real client, or with bytes of their own."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx2
from openai import OpenAI

from graders.simgate import DOLLAR, Clock, Gateway, Lexicon, Setup, StillClock, serving

KEY: Final = "sk-sim-practice"
LEXICON: Final = Lexicon(
    attributes={
        "heat": ("upper thermal limit", "highest running heat", "hottest permitted state"),
        "fuse": ("fuse rating", "overcurrent cutoff", "breaker amperage"),
        "sla": ("response commitment", "reaction promise", "reply guarantee"),
    },
    traits={
        "dryer": ("lime dryer", "calcium desiccator", "chalk dehumidifier"),
        "pump": ("slurry pump", "sludge mover", "mud impeller"),
        "compact": ("compact", "small", "miniature"),
    },
    names=("torvex", "ulmgus", "norhalia", "norhaliaext"),
    units=("C", "A", "minutes"),
)
SETUP: Final = Setup(secret=b"a secret that only tests know.", key=KEY, lexicon=LEXICON, budget=DOLLAR)

CONTEXT: Final = (
    "Torvex K-74 compact lime dryer manual. upper thermal limit: Keep it dry. On this unit the figure is 88 C.",
    "Torvex K-74 compact lime dryer sheet. fuse rating: On this unit the figure is 30 A.",
    "Ulmgus K-47 slurry pump manual. upper thermal limit: On this unit the figure is 51 C.",
    "Fault E123 on Torvex K-74. When this shows, apply step K412. Wear gloves.",
    "norhalia agreement. response commitment: For norhalia the figure is 45 minutes.",
    "norhaliaext agreement. response commitment: For norhaliaext the figure is 90 minutes.",
)
RULES: Final = "Answer from the documents only. If they do not contain the answer, say that you do not know."
QUESTION: Final = "What is the upper thermal limit of the Torvex K-74?"


def prompt(question: str = QUESTION, rules: str = RULES, context: tuple[str, ...] = CONTEXT) -> list[Any]:
    blocks = "\n".join(f'<doc id="D{number}">{text}</doc>' for number, text in enumerate(context, 1))
    return [{"role": "system", "content": rules}, {"role": "user", "content": f"{blocks}\n\nQuestion: {question}"}]


@contextmanager
def opened(clock: Clock | None = None, path: Path | None = None, **changes: Any) -> Iterator[tuple[Gateway, OpenAI]]:
    """A gateway of the small world, without latency unless a clock says otherwise, and OpenAI's own client for it."""
    with (
        serving(replace(SETUP, **changes), path=path, clock=clock or StillClock()) as gateway,
        client(gateway) as openai,
    ):
        yield gateway, openai


@contextmanager
def client(gateway: Gateway, key: str = KEY) -> Iterator[OpenAI]:
    transport = httpx2.HTTPTransport(uds=str(gateway.path) if gateway.path else None)
    base_url = gateway.base_url or "http://127.0.0.1/v1"
    with httpx2.Client(transport=transport, timeout=20) as http:
        yield OpenAI(base_url=base_url, api_key=key, max_retries=0, http_client=http)


@contextmanager
def connected(gateway: Gateway) -> Iterator[socket.socket]:
    host, _, port = gateway.base_url.removeprefix("http://").removesuffix("/v1").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


def request(body: object, path: str = "/v1/chat/completions", method: str = "POST", **headers: str) -> bytes:
    """The bytes of a request. A body that is bytes is sent as it is."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"Authorization": f"Bearer {KEY}", "Content-Length": str(len(content))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    return "\r\n".join(lines).encode() + content


def chat(text: str = "hello", **changes: Any) -> dict[str, Any]:
    return {"model": "nano-1", "messages": [{"role": "user", "content": text}], **changes}


def answer(connection: socket.socket) -> tuple[int, Mapping[str, Any]]:
    """Status and JSON of one answer; status 0 when the connection ended without one."""
    head = b""
    while b"\r\n\r\n" not in head:
        try:
            piece = connection.recv(1)
        except ConnectionError:
            piece = b""
        if not piece:
            return 0, {}
        head += piece
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    body = b""
    while len(body) < int(headers["content-length"]):
        piece = connection.recv(int(headers["content-length"]) - len(body))
        if not piece:
            break
        body += piece
    return int(lines[0].split()[1]), json.loads(body) if body else {}


def asked(gateway: Gateway, sent: bytes) -> tuple[int, Mapping[str, Any]]:
    """What is said to these bytes, on a connection of their own."""
    with connected(gateway) as connection:
        connection.sendall(sent)
        return answer(connection)


def sound(gateway: Gateway) -> None:
    """An honest call still works, money adds up, and nothing is open."""
    with client(gateway) as openai:
        said = openai.chat.completions.create(model="swift-2", messages=prompt())
    assert said.choices[0].message.content == "It is 88 C [D1]."
    gateway.freeze()
    rows = gateway.rows()
    spending = gateway.spending()
    assert spending.spent == sum(row.cost for row in rows)
    assert spending.held == 0
    assert [row.number for row in rows] == list(range(len(rows)))
