"""How an answer is worded: as text, or as the JSON that a prompt or a schema asks for."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from ..asking import ChatRequest

__all__ = ["bare_wanted", "json_wanted", "write_json"]

DEEPEST: Final = 8  # levels of a schema that are filled in
MOST_PROPERTIES: Final = 64

KEY: Final = re.compile(r'"([A-Za-z_]\w{0,40})"\s{0,3}:')
# "abstained" is the opposite of "found"; all other keys are said by one of these names.
SYNONYMS: Final[dict[str, str]] = {
    "value": "value", "figure": "value", "result": "value", "bare_answer": "value", "number": "value",
    "answer": "answer", "text": "answer", "reply": "answer", "response": "answer", "message": "answer",
    "source": "sources", "sources": "sources", "citation": "sources", "citations": "sources", "doc": "sources",
    "document": "sources", "documents": "sources", "block": "sources", "blocks": "sources", "passage": "sources",
    "evidence": "sources", "doc_id": "sources", "doc_ids": "sources", "cited": "sources", "index": "sources",
    "found": "found", "answerable": "found", "supported": "found",
    "abstain": "abstained", "abstained": "abstained", "unanswerable": "abstained", "unknown": "abstained",
    "confidence": "confidence", "score": "confidence", "probability": "confidence",
}  # fmt: skip
BARE: Final = re.compile(
    r"\b(?:only|just|nothing but)\b[^.!?\n]{0,20}\b(?:the |a |its )?(?:bare |exact )?(?:value|figure|number)\b"
    r"|\bvalue (?:only|alone)\b|\bbare value\b",
    re.IGNORECASE,
)
SPEAKS_OF_JSON: Final = re.compile(r"\bjson\b", re.IGNORECASE)


def json_wanted(asked: ChatRequest, rules: str) -> bool:
    return asked.wants_json or (SPEAKS_OF_JSON.search(rules) is not None and KEY.search(rules) is not None)


def bare_wanted(rules: str) -> bool:
    return BARE.search(rules) is not None


def write_json(said: Mapping[str, Any], schema: Mapping[str, Any], rules: str) -> str:
    """What is to be said under the names that the schema has for it, or else the rules."""
    said = {**said, "abstained": not said.get("found", True)}
    if schema:
        return json.dumps(_object(said, schema, 0))
    names = list(dict.fromkeys(KEY.findall(rules)))[:MOST_PROPERTIES] or ["answer", "value", "sources"]
    return json.dumps({name: _said_as(name, said) for name in names})


def _object(said: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or depth >= DEEPEST:
        return {}
    first = list(properties.items())[:MOST_PROPERTIES]
    return {name: _fitting(_said_as(name, said), one, said, depth) for name, one in first}


def _said_as(name: str, said: Mapping[str, Any]) -> Any:
    return said.get(SYNONYMS.get(name.lower(), name))


def _fitting(value: Any, schema: Any, said: Mapping[str, Any], depth: int) -> Any:
    """The value in the type that the schema wants; what cannot be is that type's emptiest value."""
    if not isinstance(schema, dict):
        return value
    variants: list[Any] = next((schema[name] for name in ("anyOf", "oneOf") if isinstance(schema.get(name), list)), [])
    if variants:
        nullable = any(isinstance(one, dict) and one.get("type") == "null" for one in variants)
        other = next((one for one in variants if isinstance(one, dict) and one.get("type") != "null"), {})
        return (
            None if value is None and nullable else _fitting(value, other, said, depth + 1) if depth < DEEPEST else None
        )
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if value is None and "null" in kinds:
        return None
    kind = next((one for one in kinds if one != "null"), None)
    allowed = schema.get("enum")
    if isinstance(allowed, list) and allowed and not any(value is one or value == one for one in allowed):
        return allowed[0]
    first = value[0] if isinstance(value, list) and value else None if isinstance(value, list) else value
    digits = re.search(r"-?\d+(?:\.\d+)?", str(first)) if kind in ("integer", "number") else None
    match kind:
        case "string":
            return "" if first is None else str(first)
        case "integer":
            return int(float(digits[0])) if digits else 0
        case "number":
            return float(digits[0]) if digits else 0
        case "boolean":
            return bool(first)
        case "array":
            listed = value if isinstance(value, list) else [] if value is None else [value]
            return [_fitting(one, schema.get("items"), said, depth + 1) for one in listed] if depth < DEEPEST else []
        case "object":
            return _object(said, schema, depth + 1)
        case _:
            return value
