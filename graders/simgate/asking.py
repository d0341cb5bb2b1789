"""What a subject may ask, read without trust. Whatever is wrong is a Refusal with OpenAI's body, and nothing else.

A body has been bounded before it comes here. Then: JSON without NaN, without a key that stands twice (which of the
two is billed, and which is answered?), without texts that cannot be encoded; numbers within their ranges; and no
argument that we would have to ignore, since a subject that relies on one should hear of it.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from . import simtok

__all__ = ["ChatRequest", "EmbeddingRequest", "Refusal", "batch_lines", "chat_request", "embedding_request", "loads"]

MOST_MESSAGES: Final = 500
MOST_INPUTS: Final = 256
MOST_BATCH_LINES: Final = 500
MOST_STOPS: Final = 4
LONGEST_ANSWER: Final = 32_000
DIMENSIONS: Final = 256
DEEPEST: Final = 64  # the parser calls itself for every level, and so does whoever walks through a schema
LONGEST_NUMBER: Final = 64
LONGEST_USER: Final = 256

OPENING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{}]|[0-9][0-9.eE+\-]*+', re.DOTALL)

# Arguments of OpenAI's that change nothing here, and that clients send on their own or by habit.
CHAT_HARMLESS: Final = frozenset(
    ("frequency_penalty", "logit_bias", "metadata", "n", "presence_penalty", "seed", "service_tier", "store",
     "stream_options", "top_p")
)  # fmt: skip
CHAT_KNOWN: Final = CHAT_HARMLESS | {
    "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "stop", "stream", "user", "logprobs",
    "top_logprobs", "response_format",
}  # fmt: skip
EMBEDDING_KNOWN: Final = frozenset(("model", "input", "encoding_format", "dimensions", "user"))
ROLES: Final = frozenset(("system", "developer", "user", "assistant"))
# What makes no difference to what is said, and so none to what is drawn for it.
NO_CONTENT: Final = frozenset(("stream", "stream_options", "user", "metadata", "store", "service_tier"))


class Refusal(Exception):
    """An answer that is an error, as OpenAI's client expects it."""

    def __init__(
        self, status: int, message: str, code: str | None = None, *, param: str | None = None,
        kind: str = "invalid_request_error", headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self._error = {"message": message, "type": kind, "param": param, "code": code}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self._error}

    @property
    def label(self) -> str:
        return self.code or str(self._error["type"])


@dataclass(frozen=True, slots=True)
class ChatRequest:
    model: str
    messages: tuple[tuple[str, str], ...]  # role and text
    digest: bytes  # of all that makes a difference
    prompt_tokens: int
    max_tokens: int = LONGEST_ANSWER
    temperature: float = 1.0
    seeded: bool = False
    stop: tuple[str, ...] = ()
    stream: bool = False
    with_usage: bool = False  # at the end of a stream
    user: str = ""
    logprobs: bool = False
    wants_json: bool = False
    schema: Mapping[str, Any] = field(default_factory=dict)

    def limited(self, text: str, room: int = LONGEST_ANSWER) -> tuple[str, str]:
        """The text as far as it may go, and why it ends there."""
        ends = [place for stop in self.stop if (place := text.find(stop)) >= 0]
        text = text[: min(ends)] if ends else text
        short = simtok.cut(text, min(self.max_tokens, room))
        return short, "stop" if short == text else "length"


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    model: str
    inputs: tuple[str, ...]
    digest: bytes
    base64: bool = False

    @property
    def prompt_tokens(self) -> int:
        return sum(map(simtok.count, self.inputs))


def loads(body: bytes) -> dict[str, Any]:
    """A JSON object, or a Refusal. Depth and length of numbers are looked at before a parser sees them."""
    depth = 0
    for found in OPENING.finditer(body):
        sign = found[0]
        if sign in (b"[", b"{"):
            depth += 1
            if depth > DEEPEST:
                raise _unreadable(f"it is nested more than {DEEPEST} levels deep")
        elif sign in (b"]", b"}"):
            depth -= 1
        elif sign == b'"':  # else the next quote would be tried, and the one after it
            raise _unreadable(f"a string without an end at byte {found.start()}")
        elif sign[:1] != b'"' and len(sign) > LONGEST_NUMBER:
            raise _unreadable(f"it has a number of more than {LONGEST_NUMBER} characters")
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_each_key_once)
    except UnicodeDecodeError:
        raise _unreadable("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _unreadable(f"{error.msg} at character {error.pos}") from None
    if not isinstance(value, dict):
        raise _unreadable("it is no object")
    if b"\\u" in body:  # the only way in for half of a surrogate pair, which nothing can encode
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _unreadable("it holds a character that is none") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise _unreadable(f"{name} is no JSON number")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _unreadable("a key stands twice in one object")
    return found


def _unreadable(why: str) -> Refusal:
    return Refusal(400, f"We could not parse the JSON body of your request: {why}.")


# ------------------------------------------------------------------------------------------------------------- chat


def chat_request(body: Mapping[str, Any]) -> ChatRequest:
    _only(body, CHAT_KNOWN)
    stream_options = _of(body, "stream_options", dict, {}, "an object")
    if stream_options and not body.get("stream"):
        raise _wrong("stream_options", "only allowed when 'stream' is enabled")
    if (choices := _whole(body, "n", 1, 128)) not in (None, 1):
        raise _wrong("n", f"{choices} choices: this provider gives one", "unsupported_value")
    if _whole(body, "top_logprobs", 0, 1) is not None and body.get("logprobs") is not True:
        raise _wrong("top_logprobs", "only allowed when 'logprobs' is enabled")
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise _wrong("max_tokens", "cannot be set together with 'max_completion_tokens'")
    limit = _whole(body, "max_tokens", 1, LONGEST_ANSWER) or _whole(body, "max_completion_tokens", 1, LONGEST_ANSWER)
    wants_json, schema = _response_format(_of(body, "response_format", dict, {}, "an object"))
    model = _model(body)
    messages = _messages(body.get("messages"))
    return ChatRequest(
        model=model,
        messages=messages,
        digest=_digest("chat", body),
        prompt_tokens=simtok.count_messages({"role": role, "content": text} for role, text in messages),
        max_tokens=limit or LONGEST_ANSWER,
        temperature=_number(body, "temperature", 0, 2, 1.0),
        seeded=_whole(body, "seed", -(2**63), 2**63 - 1) is not None,
        stop=_stops(body.get("stop")),
        stream=_of(body, "stream", bool, False, "a boolean"),
        with_usage=stream_options.get("include_usage") is True,
        user=_text(body.get("user") or "", "user", most=LONGEST_USER),
        logprobs=_of(body, "logprobs", bool, False, "a boolean"),
        wants_json=wants_json,
        schema=schema,
    )


def _messages(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list):
        raise _wrong("messages", "must be an array", "missing_required_parameter" if value is None else None)
    if not 1 <= len(value) <= MOST_MESSAGES:
        raise _wrong("messages", f"must have between 1 and {MOST_MESSAGES} messages, and has {len(value)}")
    return tuple(_message(message, f"messages[{number}]") for number, message in enumerate(value))


def _message(message: Any, where: str) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise _wrong(where, "must be an object")
    _only(message, frozenset(("role", "content", "name", "refusal")), where + ".")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise _wrong(f"{where}.role", f"must be one of {', '.join(sorted(ROLES))}")
    content = message.get("content")
    if content is None and role == "assistant":
        content = ""
    if isinstance(content, list):
        return role, "".join(_part(part, f"{where}.content[{number}]") for number, part in enumerate(content))
    return role, _text(content, f"{where}.content")


def _part(part: Any, where: str) -> str:
    if not isinstance(part, dict) or part.get("type") != "text":
        raise _wrong(where, "must be an object with type 'text': the models of this provider read nothing else")
    return _text(part.get("text"), f"{where}.text")


def _response_format(value: Mapping[str, Any]) -> tuple[bool, Mapping[str, Any]]:
    kind = value.get("type", "text")
    if kind in ("text", "json_object"):
        return kind == "json_object", {}
    if kind != "json_schema":
        raise _wrong("response_format.type", "must be text, json_object or json_schema")
    named = value.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        raise _wrong("response_format.json_schema", "must have a 'schema' that is an object with 'properties'")
    return True, schema


def _stops(value: Any) -> tuple[str, ...]:
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MOST_STOPS or not all(isinstance(one, str) and one for one in stops):
        raise _wrong("stop", f"must be a string, or an array of at most {MOST_STOPS} strings")
    return tuple(stops)


# ------------------------------------------------------------------------------------------------------- embeddings


def embedding_request(body: Mapping[str, Any]) -> EmbeddingRequest:
    _only(body, EMBEDDING_KNOWN)
    value = body.get("input")
    inputs = [value] if isinstance(value, str) else value
    if not isinstance(inputs, list) or not inputs:
        raise _wrong("input", "must be a string, or an array of strings")
    if len(inputs) > MOST_INPUTS:
        raise _wrong("input", f"has {len(inputs)} texts, and at most {MOST_INPUTS} can be embedded at once")
    texts = tuple(_text(one, f"input[{number}]") for number, one in enumerate(inputs))
    if "" in texts:
        raise _wrong("input", "cannot be an empty string")
    if _whole(body, "dimensions", 1, 1 << 16) not in (None, DIMENSIONS):
        raise _wrong("dimensions", f"this model gives {DIMENSIONS}", "unsupported_value")
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise _wrong("encoding_format", "must be float or base64")
    return EmbeddingRequest(
        _model(body), texts, _digest("embeddings", body), base64=body.get("encoding_format") == "base64"
    )


# ---------------------------------------------------------------------------------------------------------- batches


def batch_lines(content: bytes) -> list[tuple[str, ChatRequest | Refusal]]:
    """The requests of a batch file by their custom ids. A line that is none refuses the file, one whose body is wrong
    fails alone, as at OpenAI."""
    lines = [line for line in content.split(b"\n") if line.strip()]
    if not 1 <= len(lines) <= MOST_BATCH_LINES:
        raise _wrong(
            "input_file_id", f"the file must have between 1 and {MOST_BATCH_LINES} lines, and has {len(lines)}"
        )
    found: dict[str, ChatRequest | Refusal] = {}
    for number, line in enumerate(lines, 1):
        order = loads(line)
        name, body = order.get("custom_id"), order.get("body")
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_USER or name in found:
            raise _wrong("input_file_id", f"line {number}: 'custom_id' must be a string that no other line has")
        if order.get("method") != "POST" or order.get("url") != "/v1/chat/completions" or not isinstance(body, dict):
            raise _wrong("input_file_id", f"line {number}: must be a POST to /v1/chat/completions with a body")
        try:
            found[name] = chat_request(body)
        except Refusal as refusal:
            found[name] = refusal
    return list(found.items())


# ----------------------------------------------------------------------------------------------------- single values


def _only(value: Mapping[str, Any], known: frozenset[str], where: str = "") -> None:
    if unknown := sorted(value.keys() - known):
        name = f"{where}{unknown[0]}"[:100]
        raise Refusal(400, f"Unrecognized request argument supplied: {name}", "unknown_parameter", param=name)


def _wrong(param: str, why: str, code: str | None = None) -> Refusal:
    return Refusal(400, f"Invalid '{param}': {why}.", code, param=param)


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "you must provide a model parameter", "missing_required_parameter", param="model")
    return model


def _text(value: Any, where: str, most: int | None = None) -> str:
    if not isinstance(value, str):
        raise _wrong(where, "must be a string")
    if most is not None and len(value) > most:
        raise _wrong(where, f"must have at most {most} characters")
    return value


def _of(body: Mapping[str, Any], name: str, kind: type, otherwise: Any, wanted: str) -> Any:
    value = body.get(name)
    if value is None:
        return otherwise
    if type(value) is not kind:
        raise _wrong(name, f"must be {wanted}")
    return value


def _whole(body: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not low <= value <= high:
        raise _wrong(name, f"must be an integer between {low} and {high}")
    return value


def _number(body: Mapping[str, Any], name: str, low: float, high: float, otherwise: float) -> float:
    value = body.get(name)
    if value is None:
        return otherwise
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
        raise _wrong(name, f"must be a number between {low:g} and {high:g}")
    return float(value)


def _digest(call: str, body: Mapping[str, Any]) -> bytes:
    content: Sequence[Any] = [call, {name: value for name, value in body.items() if name not in NO_CONTENT}]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).digest()
