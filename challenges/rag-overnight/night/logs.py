"""What was logged: the night and the morning as they were, and the days before as they will have been.

    files = logs_of(plan, story, steps, healthy, before, today)
    files["logs/metrics.csv"], files["logs/deploy.log"], ...

What is told is true, and not all of it is told. What came with a commit is in the figures from its deploy on, what
came last night since 02:00. Days before last night are worked out from how the repository fares without what came
then, with and without what had been committed.
"""

import csv
import io
import json
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..forms.plan import Plan
from .history import Step, identities
from .state import Morning, latency
from .story import DAYS, Story

__all__ = ["ingest_log", "logs_of"]

BY_HOUR: Final = (3, 2, 1, 1, 1.5, 3, 9, 22, 36, 40, 38, 34, 24, 33, 36, 31, 26, 17, 10, 7, 6, 5, 4, 3)
WEEKEND: Final = 0.22
SUNDAY: Final = 6
IMPORTED: Final = 3  # commits of the import, which went out as one
SUPPLIERS: Final[Mapping[str, str]] = {
    "technical writers": "md", "product sheets": "html", "service desk": "json", "legal": "contracts",
    "directory": "acl.jsonl", "document control": "feed.jsonl",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Usual:
    """What the questions of an hour are like, as the repository counts them."""

    cached: float
    abstained: float
    cited: float
    score: tuple[float, float]  # mean and deviation
    tokens: tuple[float, float]

    @classmethod
    def of(cls, played: Morning) -> "Usual":
        worked_on = [line for line in played.lines if not line["cached"]]
        if len(worked_on) < 2:
            return cls(0.0, 0.0, 0.0, (0.0, 0.0), (0.0, 0.0))
        scores = [float(line["top_score"]) for line in worked_on]
        tokens = [float(line["prompt_tokens"]) for line in worked_on]
        return cls(
            cached=1 - len(worked_on) / len(played.lines),
            abstained=played.whole["abstained_share"],
            cited=played.whole["cited_share"],
            score=(played.whole["top_score"], statistics.stdev(scores)),
            tokens=(played.whole["prompt_tokens"], statistics.stdev(tokens)),
        )

    def towards(self, other: "Usual", share: float, cached: float) -> "Usual":
        def between(one: float, another: float) -> float:
            return one + share * (another - one)

        return Usual(
            cached,
            between(self.abstained, other.abstained),
            between(self.cited, other.cited),
            (between(self.score[0], other.score[0]), between(self.score[1], other.score[1])),
            (between(self.tokens[0], other.tokens[0]), between(self.tokens[1], other.tokens[1])),
        )


class Live:
    """Of what came with commits, how much was out at a time."""

    def __init__(self, steps: Sequence[Step], story: Story) -> None:
        self._since = [story.deployed(step.number) for step in steps for _ in step.brings]

    def share(self, at: datetime) -> float:
        return sum(since <= at for since in self._since) / len(self._since) if self._since else 0.0


def logs_of(
    plan: Plan, story: Story, steps: Sequence[Step], healthy: Morning, before: Morning, today: Morning
) -> dict[str, bytes]:
    live = Live(steps, story)
    return {
        "logs/ingest.log": ingest_log(plan, story, live, healthy, before, today),
        "logs/query.log.jsonl": lines_of(today.lines),
        "logs/metrics.csv": metrics(plan.form.random("metrics"), story, live, (healthy, before, today)),
        "logs/deploy.log": deploys(plan, story, steps).encode(),
    }


def lines_of(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


# ----------------------------------------------------------------------------------------------------------- metrics


def metrics(
    chance: random.Random, story: Story, live: Live, played: tuple[Morning, Morning, Morning]
) -> bytes:  # fmt: skip
    healthy, before, today = played
    usual, since_commits, now = Usual.of(healthy), Usual.of(before), Usual.of(today)
    true = {str(row["hour"]): row for row in today.hours}
    volume = len(today.lines) / sum(BY_HOUR[story.ready.hour : story.until.hour + 1])
    rows: list[Mapping[str, Any]] = []
    for number in range(24 * DAYS):
        at = story.first_hour + timedelta(hours=number)
        name = at.strftime("%Y-%m-%dT%H:00")
        if name not in true:
            then = usual.towards(since_commits, live.share(at), now.cached)
            true[name] = _hour(chance, name, _asks(chance, at, volume), then)
        rows.append(true[name])
    file = io.StringIO(newline="")
    table = csv.DictWriter(file, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    return file.getvalue().encode()


def _asks(chance: random.Random, at: datetime, volume: float) -> int:
    expected = volume * BY_HOUR[at.hour] * (WEEKEND if at.weekday() >= SUNDAY - 1 else 1.0)
    return max(1, round(expected * chance.uniform(0.8, 1.2) + chance.uniform(-1, 1)))


def _hour(chance: random.Random, name: str, asks: int, usual: Usual) -> dict[str, Any]:
    cached = _some_of(chance, asks, usual.cached)
    worked_on = asks - cached
    abstained = _some_of(chance, worked_on, usual.abstained)
    cited = _some_of(chance, worked_on - abstained, usual.cited / max(usual.cited, 1 - usual.abstained, 0.001))

    def mean(usually: tuple[float, float]) -> float:
        return round(chance.gauss(usually[0], usually[1] / worked_on**0.5), 4) if worked_on else 0.0

    times = sorted(latency(chance, cached=False) for _ in range(worked_on))
    return {
        "hour": name,
        "asks": asks,
        "cached_share": round(cached / asks, 4),
        "abstained_share": round(abstained / max(1, worked_on), 4),
        "cited_share": round(cited / max(1, worked_on), 4),
        "top_score": mean(usual.score),
        "prompt_tokens": mean(usual.tokens),
        "p95_ms": times[int(0.95 * (len(times) - 1))] if times else 0.0,
    }


def _some_of(chance: random.Random, count: int, share: float) -> int:
    return sum(chance.random() < share for _ in range(count))


# ----------------------------------------------------------------------------------------------------------- ingests


def ingest_log(
    plan: Plan, story: Story, live: Live, healthy: Morning, before: Morning, today: Morning
) -> bytes:  # fmt: skip
    """Only what the pipeline writes, and what came in. Last night's lines are its own."""
    chance = plan.form.random("ingests")
    rows: list[Mapping[str, Any]] = []
    versions = _versions(chance)
    for back in range(DAYS - 1, 0, -1):
        day = story.today - timedelta(days=back)
        at = datetime.combine(day, story.ingest.timetz()) + timedelta(seconds=chance.randint(3, 9))
        rows += _received(chance, at - timedelta(minutes=chance.randint(22, 36)), 4)
        changed = 0 if day.weekday() >= SUNDAY - 1 else chance.randint(0, 9)
        versions = _versions(chance) if changed else versions
        counts = {**_between(healthy, before, live.share(at)), **versions}
        rows.append(_ingested(chance, at, counts, back, changed))
    rows += _received(chance, story.delivered, 90)
    seconds = round(chance.uniform(21, 34), 2)
    at = story.ingest + timedelta(seconds=seconds)
    times = {"at": at.isoformat(timespec="seconds")}
    rows += [{**row, **times, **({"seconds": seconds} if "seconds" in row else {})} for row in today.ingest]
    return lines_of(rows)


def _received(chance: random.Random, at: datetime, most: int) -> list[Mapping[str, Any]]:
    """What lay in the inbox."""
    found: list[Mapping[str, Any]] = []
    for supplier, what in SUPPLIERS.items():
        at += timedelta(seconds=chance.randint(4, 70))
        files = 1 if what.endswith(".jsonl") else chance.randint(most // 6, most)
        told = {"at": at.isoformat(timespec="seconds"), "level": "info", "event": "received"}
        found.append({**told, "from": supplier, "what": what, "files": files})
    return found


def _between(healthy: Morning, before: Morning, share: float) -> dict[str, Any]:
    """The counts of an ingest when so much of what was committed was out."""
    if not healthy.ingest or not before.ingest:
        return {}
    one, other = healthy.ingest[-1], before.ingest[-1]
    return {
        name: round(value + share * (other[name] - value)) if type(value) is int else value
        for name, value in one.items()
    }


def _versions(chance: random.Random) -> dict[str, str]:
    return {name: f"{chance.getrandbits(128):032x}" for name in ("corpus", "hash")}


def _ingested(
    chance: random.Random, at: datetime, counts: Mapping[str, Any], back: int, changed: int
) -> dict[str, Any]:  # fmt: skip
    full = at.weekday() == SUNDAY
    seconds = round(chance.uniform(14, 22) if full else chance.uniform(1.2, 4.5), 2)
    documents = counts.get("documents", 0) - back // 3
    return {
        **counts,
        "at": (at + timedelta(seconds=seconds)).isoformat(timespec="seconds"),
        "seconds": seconds,
        "mode": "full" if full else "incremental",
        "files": counts.get("files", 0) - back // 2,
        "in_force": counts.get("in_force", 0) - back // 3,
        "documents": documents,
        "reused": 0 if full else documents - changed,
        "removed": changed // 3,
        "chunks": counts.get("chunks", 0) - back // 2,
        "new_vectors": changed + changed // 2,
    }


# ----------------------------------------------------------------------------------------------------------- deploys


def deploys(plan: Plan, story: Story, steps: Sequence[Step]) -> str:
    chance = plan.form.random("deploys")
    told: list[tuple[datetime, str]] = []
    build = chance.randint(310, 480)
    for step, name in zip(steps, identities(steps), strict=True):
        who, at = step.author.partition(" <")[0].partition(" ")[0].lower(), story.deployed(step.number)
        if step.number < IMPORTED - 1:
            continue
        build += chance.randint(1, 4)
        told.append((at, f"deploy  ragdesk build {build} commit {name[:9]} by {who}: started"))
        told.append((at + timedelta(seconds=chance.randint(41, 95)), f"deploy  ragdesk build {build}: healthy, 2 of 2"))
    for back in range(DAYS - 1, -1, -1):
        day = story.today - timedelta(days=back)
        if day.weekday() == 0 or back == DAYS - 1:
            at = datetime(day.year, day.month, day.day, 8, 0, tzinfo=UTC)
            told.append((at, f"rota    on call this week: {story.on_call(day).partition(' <')[0]}"))
        if back:
            reload = datetime.combine(day, story.ready.timetz()) + timedelta(seconds=chance.randint(-40, 40))
            told.append((reload, "nightly reload of the index: ok"))
    host = chance.randint(2, 9)
    told += [
        (story.moved, f"infra   answer cache moves from store-{host - 1} to store-{host} (cost centre): copying"),
        (story.moved + timedelta(minutes=4, seconds=12), f"infra   answer cache is on store-{host}: ok"),
        (story.ingest - timedelta(minutes=1), "nightly full ingest tonight, because of yesterday's deploys"),
        (story.ready, "nightly reload of the index: ok"),
    ]
    return "".join(f"{at:%Y-%m-%dT%H:%M:%SZ} {what}\n" for at, what in sorted(told))
