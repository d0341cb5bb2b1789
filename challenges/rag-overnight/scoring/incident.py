"""Reads incident.toml, in which a candidate names the causes that they found. It is a stranger's file.

    [[cause]]
    stage = "embed"
    location = "ragdesk/embed.py:passages"
    evidence = {metric = "para", before = 0.50, after = 0.98}
    fix = "..."
    status = "fixed"

    incident = read(content)
    incident.entries, incident.complaints

What is wrong with it is told in sentences, and what can be read nevertheless is read: one entry with a typing mistake
does not cost the other seven.
"""

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

from graders import strict

from .stages import STAGES, stage_of

__all__ = ["Claim", "Entry", "Incident", "Status", "read"]

Status = Literal["fixed", "not fixed", ""]

MOST_BYTES: Final = 256 << 10
MOST_DOTS: Final = 100  # on one line: the parser takes the square of the parts of a dotted key
MOST_ENTRIES: Final = 100  # that are looked at
MOST_COMPLAINTS: Final = 20
LONGEST_LOCATION: Final = 300
LONGEST_TEXT: Final = 4000

TABLES: Final = ("cause", "causes", "entry", "entries", "incident", "incidents", "root_cause", "root_causes")
METRIC_KEYS: Final = ("metric", "stratum", "measure", "name")
FIXED: Final = frozenset(("fixed", "mended", "repaired", "resolved", "done", "closed"))
NOT_FIXED: Final = frozenset((
    "not fixed", "unfixed", "open", "live", "known", "mitigated", "partly fixed", "partially fixed", "deferred",
    "unresolved", "not resolved", "wontfix", "workaround", "worked around",
))  # fmt: skip

HEADER: Final = re.compile(r"^[ \t]*\[\[", re.MULTILINE)
NUMBER: Final = re.compile(r"\s*(-?\d{1,15}(?:\.\d{1,15})?)\s*(?:(%)|(?:/|(?:out )?of)\s*(\d{1,15}))?")
CHANGE: Final = re.compile(
    r"(-?\d{1,15}(?:\.\d{1,15})?\s{0,3}%?)\s{0,3}(?:->|=>|\u2192|\bto\b)\s{0,3}(-?\d{1,15}(?:\.\d{1,15})?\s{0,3}%?)"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A metric that was measured before the repair and after it."""

    metric: str
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    number: int
    stage: str = ""  # one of ours; empty: none that we know
    location: str = ""
    claim: Claim | None = None
    fix: str = ""
    status: Status = ""


@dataclass(frozen=True, slots=True)
class Incident:
    entries: tuple[Entry, ...] = ()
    listed: int = 0  # entries that stand in the file
    complaints: tuple[str, ...] = ()


def read(content: bytes | None) -> Incident:
    if content is None:
        return Incident(complaints=("incident.toml: is missing",))
    if len(content) > MOST_BYTES:
        return Incident(complaints=(f"incident.toml: {len(content)} bytes, and {MOST_BYTES} are the most",))
    try:
        text = content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        return Incident(complaints=(f"incident.toml: byte {error.start} is not UTF-8",))
    complaints: list[str] = []
    tables = list(_tables(text, complaints))
    entries = tuple(_entry(number, table, complaints) for number, table in enumerate(tables[:MOST_ENTRIES], 1))
    if len(complaints) > MOST_COMPLAINTS:
        complaints[MOST_COMPLAINTS:] = [f"and {len(complaints) - MOST_COMPLAINTS} more of the kind"]
    return Incident(entries, len(tables), tuple(complaints))


def _tables(text: str, complaints: list[str]) -> Iterator[dict[str, Any]]:
    found = _parsed(text)
    if not isinstance(found, str):
        yield from _causes(found, complaints)
        return
    complaints.append(f"incident.toml: {found}")
    starts = (header.start() for header in HEADER.finditer(text))
    for start, end in pairwise((*starts, len(text))):  # each for itself, so that one mistake costs one
        part = _parsed(text[start:end])
        if not isinstance(part, str):
            yield from _causes(part, complaints)


def _parsed(text: str) -> dict[str, Any] | str:
    if any(line.count(".") > MOST_DOTS for line in text.split("\n")):
        return f"a line holds more than {MOST_DOTS} dots"
    try:
        return tomllib.loads(text)
    except RecursionError:
        return "it is nested too deep"
    except ValueError as error:  # also for numbers with thousands of digits, and for days that there are not
        return f"not TOML: {strict.printable(str(error))}"


def _causes(found: dict[str, Any], complaints: list[str]) -> Iterator[dict[str, Any]]:
    name = next((name for name in TABLES if name in found), None)
    if name is None:
        complaints.append("incident.toml: holds no [[cause]]")
        return
    entries = found[name] if type(found[name]) is list else [found[name]]
    for number, entry in enumerate(entries, 1):
        if type(entry) is dict:
            yield entry
        else:
            complaints.append(f"incident.toml: {name} {number}: is no table")


def _entry(number: int, table: dict[str, Any], complaints: list[str]) -> Entry:
    def text(key: str, longest: int) -> str:
        value = table.get(key, "")
        if type(value) is list and value and type(value[0]) is str:
            complaints.append(f"cause {number}: {key}: is a list, of which the first is read")
            value = value[0]
        if type(value) is not str:
            complaints.append(f"cause {number}: {key}: is no text")
            return ""
        return value[:longest]

    called, status = text("stage", LONGEST_LOCATION), _status(text("status", LONGEST_LOCATION))
    stage = stage_of(called)
    if not stage:
        complaints.append(f"cause {number}: stage: is none of {', '.join(STAGES)}")
    if not status:
        complaints.append(f'cause {number}: status: is neither "fixed" nor "not fixed"')
    return Entry(
        number=number,
        stage=stage,
        location=text("location", LONGEST_LOCATION),
        claim=_claim(table.get("evidence")) or _claim(table),
        fix=text("fix", LONGEST_TEXT),
        status=status,
    )


def _status(said: str) -> Status:
    plain = " ".join(re.split(r"[\s_-]+", said.strip().casefold().removesuffix(".")))
    if plain in FIXED:
        return "fixed"
    return "not fixed" if plain in NOT_FIXED else ""


def _claim(evidence: Any) -> Claim | None:
    if type(evidence) is list:
        evidence = evidence[0] if evidence else None
    if type(evidence) is str:
        change = CHANGE.search(evidence[:LONGEST_TEXT])
        return Claim(evidence[:LONGEST_TEXT], *map(_number, change.groups())) if change else None
    if type(evidence) is not dict:
        return None
    metric = next((evidence[key] for key in METRIC_KEYS if type(evidence.get(key)) is str), None)
    if metric is None:
        return None
    return Claim(metric[:LONGEST_TEXT], _number(evidence.get("before")), _number(evidence.get("after")))


def _number(value: Any) -> float | None:
    """Also of "36 %" and "12 of 40"."""
    if type(value) in (int, float):
        return float(value) if abs(value) < 1e15 and math.isfinite(value) else None
    if type(value) is str and (found := NUMBER.match(value[:LONGEST_LOCATION])):
        whole = 100.0 if found[2] else float(found[3] or 1)
        return float(found[1]) / whole if whole else None
    return None
