"""What happened, in lines: one for each ingest and each question, and by the hour in numbers with alerts.

    index/ingest.log        a line of JSON for each ingest, and one for each document that could not be read
    index/query.log.jsonl   a line for each question
    metrics.csv             a row for each hour, from the query log: `python -m ragdesk metrics`

Shares and latencies of an hour are of the questions that were worked on. What the cache gave again says how the system
was when the answer was made, not how it is.
"""

import csv
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .conversation import seconds_of
from .settings import MonitoringSettings

INGEST_LOG = "ingest.log"
QUERY_LOG = "query.log.jsonl"


@dataclass(frozen=True, slots=True)
class Hour:
    """A row of metrics.csv."""

    hour: str  # 2026-03-02T08:00, UTC
    asks: int
    cached_share: float  # of all questions
    abstained_share: float  # this and what follows: of those that were not answered from the cache
    cited_share: float
    top_score: float  # mean score of the best passage
    prompt_tokens: float  # mean
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Alert:
    hour: str
    metric: str
    value: float
    usual: float


def log_ingest(index: Path, counts: dict[str, object], skipped: Iterable[str], *, seconds: float) -> None:
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    lines: list[dict[str, Any]] = [{"at": stamp, "level": "warning", "event": "skipped", "why": why} for why in skipped]
    lines.append({"at": stamp, "level": "info", "event": "ingested", "seconds": round(seconds, 2), **counts})
    _append(index / INGEST_LOG, lines)


def log_ask(index: Path, body: dict[str, Any], reply: dict[str, Any], *, cached: bool, seconds: float) -> None:
    retrieved = reply["retrieved"]
    line = {
        "ts": body.get("ts"),
        "qid": body.get("qid"),
        "tenant": body["user"]["tenant"],
        "question": body["question"],
        "value": reply["value"],
        "abstained": reply["abstained"],
        "citations": reply["citations"],
        "retrieved": [one["doc_id"] for one in retrieved],
        "top_score": retrieved[0]["score"] if retrieved else 0.0,
        "prompt_tokens": reply["usage"]["prompt_tokens"],
        "cached": cached,
        "ms": round(1000 * seconds, 1),
    }
    _append(index / QUERY_LOG, [line])


def _append(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def read_log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def hourly(lines: Iterable[dict[str, Any]]) -> list[Hour]:
    """The rows of metrics.csv, in order."""
    by_hour: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        at = datetime.fromtimestamp(seconds_of(line["ts"]), UTC)
        by_hour[at.strftime("%Y-%m-%dT%H:00")].append(line)
    return [hour_of(name, by_hour[name]) for name in sorted(by_hour)]


def hour_of(name: str, lines: Sequence[dict[str, Any]]) -> Hour:
    worked_on = [line for line in lines if not line["cached"]]
    return Hour(
        hour=name,
        asks=len(lines),
        cached_share=_mean([bool(line["cached"]) for line in lines]),
        abstained_share=_mean([bool(line["abstained"]) for line in worked_on]),
        cited_share=_mean([bool(line["citations"]) for line in worked_on]),
        top_score=_mean([line["top_score"] for line in worked_on]),
        prompt_tokens=_mean([line["prompt_tokens"] for line in worked_on]),
        p95_ms=_p95([line["ms"] for line in worked_on]),
    )


def alerts(hours: Sequence[Hour], settings: MonitoringSettings) -> list[Alert]:
    """For the last hour: which shares are not what they were on the days before the latest ones."""
    if not hours or hours[-1].asks < settings.least_asks:
        return []
    last = hours[-1]
    usual = baseline(hours[:-1], last, settings)
    found = []
    for metric in ("abstained_share", "cited_share"):
        before = [getattr(hour, metric) for hour in usual]
        if before and abs(getattr(last, metric) - statistics.median(before)) > settings.tolerance:
            found.append(Alert(last.hour, metric, getattr(last, metric), statistics.median(before)))
    return found


def baseline(hours: Sequence[Hour], last: Hour, settings: MonitoringSettings) -> list[Hour]:
    """The hours to compare with. The latest days are left out: what began yesterday would look usual today."""
    end = datetime.fromisoformat(last.hour) - timedelta(days=settings.quiet_days)
    start = end - timedelta(days=settings.baseline_days)
    return [
        hour for hour in hours if start <= datetime.fromisoformat(hour.hour) <= end and hour.asks >= settings.least_asks
    ]


def write_metrics(path: Path, hours: Iterable[Hour]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, [field.name for field in fields(Hour)])
        rows.writeheader()
        rows.writerows(asdict(hour) for hour in hours)


def _mean(numbers: Sequence[float]) -> float:
    return round(statistics.fmean(numbers), 4) if numbers else 0.0


def _p95(numbers: Sequence[float]) -> float:
    return sorted(numbers)[int(0.95 * (len(numbers) - 1))] if numbers else 0.0
