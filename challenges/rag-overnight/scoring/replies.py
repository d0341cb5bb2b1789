"""Reads what a candidate's service replied to POST /ask, and compares the values in it. All of it is a stranger's.

    reply = replies.read(body)  # a Reply, or a sentence that says why it is none
    right = isinstance(reply, Reply) and replies.fault_of(reply, "88 C") == ""

A reply without `retrieved` or `citations` is none at all: else leaving them out would be the cheapest way to hide
what another customer's document was used for. Lists that are longer than the contract allows are read nevertheless:
only the first ten count for a candidate, all of them against.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from graders import strict

__all__ = ["Reply", "abstains", "fault_of", "of", "read", "same_value", "states"]

MOST_BYTES: Final = 256 << 10
MOST_ITEMS: Final = 20_000
LONGEST_ID: Final = 200
LONGEST_VALUE: Final = 500
LONGEST_ANSWER: Final = 20_000
MOST_LISTED: Final = 1000  # documents in one list
MOST_TOKENS: Final = 10_000_000

NUMBER: Final = r"\d[\d.,]*"
AMOUNT: Final = re.compile(rf"({NUMBER}) ?((?:[^\W\d_]|[%\u00b0]).*)")  # a number and its unit
STEP: Final = re.compile(r"([^\W\d_]+(?: [^\W\d_]+)*) ([A-Za-z]{1,3}-?\d{1,6})")  # a word and its code
BEFORE: Final = r"(?<![\w.,-])"
AFTER: Final = r"(?!\w)"


@dataclass(frozen=True, slots=True)
class Reply:
    value: str | None
    answer: str
    citations: tuple[str, ...]
    abstained: bool
    retrieved: tuple[str, ...]  # documents, the best first, each once
    prompt_tokens: int | None = None  # as it claims


class _Unfit(Exception):
    pass


def read(body: bytes) -> Reply | str:
    """Of the bytes that came over HTTP."""
    try:
        value = strict.loads(body, most_bytes=MOST_BYTES, most_depth=16, most_items=MOST_ITEMS)
    except strict.NotStrict as error:
        return f"{error}"
    return of(value)


def of(value: Any) -> Reply | str:
    """Of a parsed object."""
    try:
        return _reply(value)
    except _Unfit as error:
        return f"{error}"


def _reply(value: Any) -> Reply:
    if type(value) is not dict:
        raise _Unfit("the reply is not a JSON object")
    for key in ("value", "answer", "citations", "abstained", "retrieved"):
        if key not in value:
            raise _Unfit(f"{key}: is missing")
    if type(value["abstained"]) is not bool:
        raise _Unfit("abstained: is neither true nor false")
    said = value["value"]
    return Reply(
        value=None if said is None else _text("value", said, LONGEST_VALUE),
        answer=_text("answer", value["answer"], LONGEST_ANSWER),
        citations=tuple(dict.fromkeys(_text("citations", one, LONGEST_ID) for one in _list(value, "citations"))),
        abstained=value["abstained"],
        retrieved=_ranked(_list(value, "retrieved")),
        prompt_tokens=_tokens(value.get("usage")),
    )


def _text(where: str, value: Any, longest: int) -> str:
    if type(value) is not str:
        raise _Unfit(f"{where}: is no text where one is needed")
    if len(value) > longest:
        raise _Unfit(f"{where}: a text of {len(value)} characters, and {longest} are the most")
    return value


def _list(value: dict[str, Any], key: str) -> list[Any]:
    found = value[key]
    if type(found) is not list:
        raise _Unfit(f"{key}: is no list")
    if len(found) > MOST_LISTED:
        raise _Unfit(f"{key}: a list of {len(found)}, and {MOST_LISTED} are the most that is read")
    return found


def _ranked(found: list[Any]) -> tuple[str, ...]:
    """By `rank` where every item has one of its own, else as they stand."""
    if any(type(one) is not dict or "doc_id" not in one for one in found):
        raise _Unfit("retrieved: an item is no object with a doc_id")
    names = [_text("retrieved", one["doc_id"], LONGEST_ID) for one in found]
    ranks = [one.get("rank") for one in found]
    if all(type(rank) is int for rank in ranks) and len(set(ranks)) == len(ranks):
        names = [name for _, name in sorted(zip(ranks, names, strict=True))]
    return tuple(dict.fromkeys(names))


def _tokens(usage: Any) -> int | None:
    """What is claimed is shown and never scored, so a claim that makes no sense is none."""
    claimed = usage.get("prompt_tokens") if type(usage) is dict else None
    return claimed if type(claimed) is int and 0 <= claimed <= MOST_TOKENS else None


# ------------------------------------------------------------------------------------------------------- comparing


def same_value(one: str, other: str) -> bool:
    """Spaces of any kind, small and capital letters and a full stop at the end make no difference. All else does."""
    return _normal(one) == _normal(other)


def states(text: str, value: str) -> bool:
    """Whether a value stands in a text: all of it, and not as a piece of a longer one."""
    wanted = _normal(value)
    pattern = re.escape(wanted)
    if found := AMOUNT.fullmatch(wanted):
        pattern = rf"{re.escape(found[1])} ?{re.escape(found[2])}"
    return wanted != "" and re.search(BEFORE + pattern + AFTER, _spaced(text).casefold()) is not None


def fault_of(reply: Reply, value: str) -> str:
    """Why a reply is not the answer `value`, in words that do not name it; nothing when it is."""
    if reply.abstained:
        return "abstained" if reply.value is None else "abstained and gave a value"
    if reply.value is None:
        return "neither a value nor an abstention"
    if not same_value(reply.value, value):
        return "another value"
    if not reply.retrieved:
        return "a value without a retrieved document"  # from nowhere; or they were left out to hide them
    if not states(reply.answer, value):
        return "the answer does not hold the value"
    if _others(reply.answer, value):
        return "the answer holds several values"
    return ""


def abstains(reply: Reply) -> bool:
    return reply.abstained and reply.value is None


def _others(answer: str, value: str) -> bool:
    """Whether a text holds another value of the kind: a number with the same unit, or the same word with a code.

    Units are looked for as they are written: "12 a" is no current, and a list of values in small letters wins nothing,
    since `value` has to be the right one in any case.
    """
    text, wanted = _spaced(answer), _spaced(value).removesuffix(".")
    if amount := AMOUNT.fullmatch(wanted):
        found = re.findall(rf"{BEFORE}({NUMBER}) ?{re.escape(amount[2])}{AFTER}", text)
        return any(number != amount[1] for number in found)
    if step := STEP.fullmatch(wanted):
        found = re.findall(rf"{BEFORE}{re.escape(step[1])} ([a-z]{{1,3}}-?\d{{1,6}}){AFTER}", text, re.IGNORECASE)
        return any(code.casefold() != step[2].casefold() for code in found)
    return False


def _normal(value: str) -> str:
    plain = _spaced(value).casefold().removesuffix(".")
    amount = AMOUNT.fullmatch(plain)
    return f"{amount[1]} {amount[2]}" if amount else plain


def _spaced(text: str) -> str:
    return " ".join(text.split())  # which takes a no-break space for a space too
