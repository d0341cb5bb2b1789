"""A chat completion in OpenAI's words: whole, or as the events of a stream."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from . import simtok
from .asking import ChatRequest
from .wire import Piece

__all__ = ["chat_body", "chat_pieces", "first_tokens"]

EVENT_NANO: Final = 40_000_000  # tokens that are written within 40 ms share an event: each costs a wake-up
FINGERPRINT: Final = "fp_simgate"


def chat_body(
    asked: ChatRequest, trace: str, created: int, text: str, why: str, usage: Mapping[str, Any], confidence: float
) -> dict[str, Any]:
    choice = {
        "index": 0, "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": _logprobs(text, confidence) if asked.logprobs else None, "finish_reason": why,
    }  # fmt: skip
    return {
        "id": trace, "object": "chat.completion", "created": created, "model": asked.model, "choices": [choice],
        "usage": dict(usage), "system_fingerprint": FINGERPRINT,
    }  # fmt: skip


def chat_pieces(
    body: Mapping[str, Any], begins: int, ends: int, *, with_usage: bool, logprobs: bool
) -> tuple[Piece, ...]:
    """The events of a stream, each when it is due: who speaks, the text, why it ends, and the sum."""
    [choice] = body["choices"]
    tokens = simtok.pieces(choice["message"]["content"])
    together = max(1, len(tokens) * EVENT_NANO // max(1, ends - begins))
    told = choice["logprobs"]["content"] if logprobs else []
    events = [Piece(begins, _event(body, {"role": "assistant", "content": "", "refusal": None}))]
    for start in range(0, len(tokens), together):
        part = tokens[start : start + together]
        due = begins + (ends - begins) * (start + len(part)) // len(tokens)
        known = {"content": told[start : start + len(part)], "refusal": None} if logprobs else None
        events.append(Piece(due, _event(body, {"content": "".join(part)}, logprobs=known), len(part)))
    last = _event(body, {}, why=choice["finish_reason"])
    if with_usage:
        last += _line({**_shell(body), "choices": [], "usage": body["usage"]})
    events.append(Piece(ends, last + b"data: [DONE]\n\n"))
    return tuple(events)


def first_tokens(events: tuple[Piece, ...], most: int) -> tuple[Piece, ...]:
    """A stream as far as it comes that ends in its middle: never its last event, which says that all is well."""
    kept: list[Piece] = []
    sent = 0
    for event in events[:-1]:
        sent += event.tokens
        if sent > most:
            break
        kept.append(event)
    return tuple(kept)


def _shell(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": body["id"], "object": "chat.completion.chunk", "created": body["created"], "model": body["model"],
        "system_fingerprint": FINGERPRINT,
    }  # fmt: skip


def _event(body: Mapping[str, Any], delta: dict[str, Any], *, logprobs: Any = None, why: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": why}
    return _line({**_shell(body), "choices": [choice]})


def _line(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _logprobs(text: str, confidence: float) -> dict[str, Any]:
    """For each token one; their mean is the logarithm of the confidence, which is what a cascade goes by."""
    mean = math.log(min(1 - 1e-9, max(1e-9, confidence)))
    tokens = simtok.pieces(text)
    content = []
    for number, token in enumerate(tokens):
        alone = number == len(tokens) - 1 and number % 2 == 0
        share = 1.0 if alone else 0.6 if number % 2 else 1.4
        logprob = round(mean * share, 6)
        told = {"token": token, "logprob": logprob, "bytes": list(token.encode())}
        content.append({**told, "top_logprobs": [told]})
    return {"content": content, "refusal": None}
