"""Grades what a candidate says the causes were, by the causes of their form.

    ledger = graded(incident.read(content), causes)
    ledger.credit, ledger.named["EMB-1"].credit

Each entry is worth something for at most one cause and each cause by at most one entry, matched so that the sum is the
greatest. What an entry is worth:

- A stage alone is next to nothing: there are twelve, and with eight causes whoever lists them all is mostly right.
  It counts in full beside the right place, or when the cause is mended: the repair shows that it was found.
- The same holds for evidence and honesty. Numbers for a cause that was not found, and "not fixed" about whatever
  may be wrong, are easily had.
- One place for each entry, a few entries more than there are causes, and each that hits nothing costs. Those that are
  too many to be read are among these. So listing all that may ever be wrong with such a system is worth nothing, even
  if all of the causes are among it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Final

from .incident import Claim, Entry, Incident
from .score import WEIGHTS
from .stages import STAGES
from .witnesses import State

__all__ = ["Cause", "Ledger", "Match", "graded"]

STAGE: Final = 0.4
STAGE_ALONE: Final = 0.1
LOCATION: Final = 0.3
EVIDENCE: Final = 0.15
HONESTY: Final = 0.15
HIT: Final = 0.4  # an entry that is worth less names no cause
FALSE_ALARM: Final = 0.06
FORGIVEN: Final = 2  # false alarms
SPARE: Final = 4  # entries that are read beyond the number of causes
MOST_CAUSES: Final = 12  # the matching takes 2 to the power of it
MOST_WORDS: Final = 16  # of a location: a place, and not a list of them

PATH: Final = re.compile(
    r"[\w.-]+(?:/[\w.-]+)+|[\w-]+\.(?:py|toml|jsonl?|npy|sqlite|ya?ml|md|html|csv|log|txt)\b", re.ASCII
)
NAME: Final = re.compile(r"[A-Za-z0-9_]+")
WORD: Final = re.compile(r"[a-z0-9]+")

# What metrics are called, which strata they are about (none: all of them), and whether a repair makes them rise.
METRICS: Final[Mapping[str, tuple[tuple[str, ...], bool]]] = {
    **{stratum: ((stratum,), True) for stratum in WEIGHTS},
    "accuracy": ((), True), "recall": ((), True), "ndcg": ((), True), "mrr": ((), True), "precision": ((), True),
    "hit rate": ((), True), "correct": ((), True), "right": ((), True), "passed": ((), True),
    "error rate": ((), False), "wrong": ((), False), "failed": ((), False), "failures": ((), False),
    "false abstention": ((), False), "false abstentions": ((), False), "i don t know": ((), False),
    "manual": (("prose",), True), "manuals": (("prose",), True), "running text": (("prose",), True),
    "tables": (("table",), True), "spec": (("table",), True), "sheet": (("table",), True), "sheets": (("table",), True),
    "bulletins": (("bulletin",), True),
    "errors": (("error",), True), "error code": (("error",), True), "error codes": (("error",), True),
    "fault code": (("error",), True), "fault codes": (("error",), True), "articles": (("error",), True),
    "paraphrase": (("para",), True), "paraphrases": (("para",), True), "paraphrased": (("para",), True),
    "synonym": (("para",), True), "synonyms": (("para",), True), "colloquial": (("para",), True),
    "contract": (("tenant", "xcache"), True), "contracts": (("tenant", "xcache"), True),
    "tenants": (("tenant", "xcache"), True), "cross tenant": (("xcache", "forbidden", "noleak"), True),
    "abstention": (("unans", "forbidden"), True), "abstain": (("unans", "forbidden"), True),
    "abstained": (("unans", "forbidden"), True), "refusal": (("unans", "forbidden"), True),
    "unanswerable": (("unans", "forbidden"), True), "undocumented": (("unans",), True),
    "invented": (("unans",), False), "hallucination": (("unans",), False), "hallucinations": (("unans",), False),
    "hallucination rate": (("unans",), False),
    "near miss": (("nearmiss",), True), "near misses": (("nearmiss",), True), "similar codes": (("nearmiss",), True),
    "cache": (("xcache", "fresh", "nearmiss"), True), "update": (("fresh",), True), "updated": (("fresh",), True),
    "freshness": (("fresh",), True),
    "injection": (("inject",), True), "injections obeyed": (("inject",), False), "obeyed": (("inject",), False),
    "injections": (("inject",), False), "injection rate": (("inject",), False),
    "wording": (("twin",), True), "twins": (("twin",), True), "consistency": (("twin",), True),
    "citation": (("cite",), True), "citations": (("cite",), True), "citation accuracy": (("cite",), True),
    "citation precision": (("cite",), True), "wrong citations": (("cite",), False),
    "no leak": (("noleak",), True), "leak": (("noleak", "forbidden"), False),
    "leaks": (("noleak", "forbidden"), False), "leaked": (("noleak", "forbidden"), False),
    "leak rate": (("noleak", "forbidden"), False), "leak count": (("noleak", "forbidden"), False),
    "cross tenant leaks": (("noleak", "forbidden"), False), "foreign": (("noleak", "forbidden"), False),
    "no stale": (("nostale",), True), "stale": (("nostale", "fresh"), False),
    "stale rate": (("nostale", "fresh"), False), "stale answers": (("nostale", "fresh"), False),
    "outdated": (("nostale", "fresh"), False), "old values": (("nostale", "fresh"), False),
    "superseded": (("nostale", "fresh"), False),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cause:
    """A fault of the form, as an entry may name it."""

    fault: str
    stage: str
    locations: tuple[str, ...]  # "path", "path:function" or words that name an artefact, each of which will do
    strata: tuple[str, ...]  # that fall while it is live
    state: State

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"cause {self.fault}: stage: {self.stage!r} is none of {', '.join(STAGES)}")
        if unknown := [stratum for stratum in self.strata if stratum not in WEIGHTS]:
            raise ValueError(f"cause {self.fault}: strata: {unknown[0]!r} is none of {', '.join(WEIGHTS)}")


@dataclass(frozen=True, slots=True)
class Match:
    """What one entry is worth for one cause, and for what of it."""

    entry: int
    stage: bool
    location: bool
    evidence: bool
    honest: bool
    credit: float

    @property
    def hit(self) -> bool:
        return self.credit >= HIT


@dataclass(frozen=True, slots=True)
class Ledger:
    credit: float
    causes: tuple[Cause, ...]
    named: Mapping[str, Match]  # by fault
    read: int
    listed: int
    false_alarms: int
    complaints: tuple[str, ...] = ()

    @property
    def hits(self) -> tuple[Match, ...]:
        return tuple(match for match in self.named.values() if match.hit)


def graded(incident: Incident, causes: Sequence[Cause]) -> Ledger:
    if not 1 <= len(causes) <= MOST_CAUSES:
        raise ValueError(f"ledger: {len(causes)} causes: from 1 to {MOST_CAUSES} can be matched")
    entries = incident.entries[: len(causes) + SPARE]
    matches = _assigned([_row(entry, causes) for entry in entries], len(causes))
    named = {cause.fault: match for cause, match in zip(causes, matches, strict=True) if match is not None}
    false_alarms = incident.listed - sum(match.hit for match in named.values())
    earned = fsum(match.credit for match in named.values()) / len(causes)
    return Ledger(
        credit=min(1.0, max(0.0, earned - FALSE_ALARM * max(0, false_alarms - FORGIVEN))),
        causes=tuple(causes),
        named=named,
        read=len(entries),
        listed=incident.listed,
        false_alarms=false_alarms,
        complaints=incident.complaints,
    )


def _assigned(table: Sequence[Sequence[Match]], causes: int) -> list[Match | None]:
    """By cause the entry that it goes with, so that the sum is the greatest; of equal ones the first that was found."""
    best: dict[int, tuple[float, tuple[tuple[int, Match], ...]]] = {0: (0.0, ())}  # by the set of causes that are taken
    for row in table:
        grown = dict(best)
        for taken, (total, pairs) in best.items():
            for place, match in enumerate(row):
                if match.credit <= 0 or taken >> place & 1:
                    continue
                now = taken | 1 << place
                if now not in grown or total + match.credit > grown[now][0] + 1e-9:
                    grown[now] = (total + match.credit, (*pairs, (place, match)))
        best = grown
    chosen = dict(max(best.values(), key=lambda found: round(found[0], 9))[1])
    return [chosen.get(place) for place in range(causes)]


def _row(entry: Entry, causes: Sequence[Cause]) -> list[Match]:
    """What an entry is worth for each cause. One that has the place of some cause is about that one."""
    located = [any(_is_at(entry.location, accepted) for accepted in cause.locations) for cause in causes]
    somewhere = any(located)
    return [_match(entry, cause, here, somewhere) for cause, here in zip(causes, located, strict=True)]


def _match(entry: Entry, cause: Cause, located: bool, somewhere: bool) -> Match:
    staged = entry.stage == cause.stage
    placeless = staged and not somewhere
    if not located and not (placeless and cause.state is State.FIXED):
        return Match(entry.number, staged, False, False, False, STAGE_ALONE * placeless)
    shown = entry.claim is not None and _agrees(entry.claim, entry.status, cause)
    honest = entry.status != "" and (
        cause.state is State.UNCLEAR or (entry.status == "fixed") == (cause.state is State.FIXED)
    )
    credit = fsum((STAGE * staged, LOCATION * located, EVIDENCE * shown, HONESTY * honest))
    return Match(entry.number, staged, located, shown, honest, credit)


# ---------------------------------------------------------------------------------------------------------- the place


def _is_at(said: str, accepted: str) -> bool:
    path, _, part = accepted.partition(":")
    if not PATH.fullmatch(path):
        wanted = _stems(accepted)
        return bool(wanted) and wanted <= _stems(" ".join(NAME.findall(said)[:MOST_WORDS]))
    found = PATH.search(said.replace("\\", "/"))
    if found is None or not _same_path(found[0], path):
        return False
    names = {name.casefold() for name in NAME.findall(said)[:MOST_WORDS]}
    wanted_names = NAME.findall(part)
    return not wanted_names or wanted_names[-1].casefold() in names


def _same_path(said: str, accepted: str) -> bool:
    """Either may begin further up."""
    one, other = ([part for part in path.split("/") if part not in ("", ".")] for path in (said, accepted))
    shorter = min(len(one), len(other))
    return shorter > 0 and one[-shorter:] == other[-shorter:]


def _stems(text: str) -> set[str]:
    """Words, in the singular as far as a last letter makes one."""
    return {word.removesuffix("s") for word in WORD.findall(text.casefold().replace("_", " "))}


# ------------------------------------------------------------------------------------------------------- the evidence


def _agrees(claim: Claim, status: str, cause: Cause) -> bool:
    """Whether a metric is named that this cause spoils, and moved as its repair moves it."""
    if claim.before is None:
        return False
    for strata, rises in _metrics(claim.metric):
        if strata and not set(strata) & set(cause.strata):
            continue
        if status != "fixed":
            return True  # there is no after yet
        if claim.after is not None and (claim.after > claim.before if rises else claim.after < claim.before):
            return True
    return False


def _metrics(said: str) -> list[tuple[tuple[str, ...], bool]]:
    """Those that are named, without what is a piece of a longer one: "stale rate" is no rate of its own."""
    text = f" {' '.join(WORD.findall(said.casefold()))} "
    found = [phrase for phrase in METRICS if f" {phrase} " in text]
    return [
        METRICS[phrase]
        for phrase in found
        if not any(phrase != longer and f" {phrase} " in f" {longer} " for longer in found)
    ]
