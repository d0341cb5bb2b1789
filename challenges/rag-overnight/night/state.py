"""The night and the morning after it, played by any tree of a form in the world that candidates get.

    asks = asks_of(questions, story, chance)
    played = morning(plan, mended, asks)          yesterday's last answers, the ingest, and all that is asked since
    played.failed["<question>"]                   which of its facets went wrong: value, cite, leak
    played.lines, played.index                    what was logged, and what the ingest left in the index folder

What it was like with a single fault, or with none, is found out in the same way.
"""

import json
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ..bench.repository import Opened, opened, write
from ..forms.plan import Plan
from ..forms.worlds import Place
from ..scoring.measures import Asked, measure
from ..world.documents import Document, rendered_in
from ..world.questions import Question
from ..world.update import listings
from ..world.world import World
from .story import Story

__all__ = ["Ask", "Morning", "asks_of", "latency", "morning", "user_row"]

ANSWERS: Final = "answers.sqlite"
QUERY_LOG: Final = "query.log.jsonl"
INGEST_LOG: Final = "ingest.log"
LOGS: Final = frozenset((QUERY_LOG, INGEST_LOG))  # hold the time at which this is played
BY_HOUR: Final[Mapping[int, float]] = {2: 1, 3: 1, 4: 1.5, 5: 3, 6: 9, 7: 22, 8: 36, 9: 40, 10: 38}
IN_EACH_HOUR: Final = 2  # questions, at least
YESTERDAY: Final = timedelta(hours=12)
MOST_OUTDATED: Final = 24  # questions that were answered before the newest documents came
WRITTEN_BY: Final = (3_040_000).to_bytes(4, "big")  # a version of SQLite: which one wrote a file stands in it


@dataclass(frozen=True, slots=True)
class Ask:
    question: Question
    at: datetime
    qid: str

    @property
    def body(self) -> dict[str, Any]:
        return {
            "qid": self.qid, "question": self.question.text, "user": user_row(self.question),
            "ts": self.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }  # fmt: skip


@dataclass(frozen=True)
class Morning:
    ingest: tuple[Mapping[str, Any], ...]  # lines of its log, the last one with its counts
    replies: Mapping[str, Mapping[str, Any]]  # by qid
    failed: Mapping[str, frozenset[str]]  # by question that was replied to: value, cite, leak
    lines: tuple[Mapping[str, Any], ...]  # of the query log
    hours: tuple[Mapping[str, Any], ...]  # of the metrics, as the tree counts them
    whole: Mapping[str, Any]  # the same for the morning as if it were one hour
    index: Mapping[str, bytes]  # as the ingest left it, without logs
    complaint: str = ""  # why it came to no end


def user_row(question: Question) -> dict[str, Any]:
    user = question.user
    return {"id": user.id, "tenant": user.tenant, "roles": list(user.roles)}


def asks_of(questions: Sequence[Question], story: Story, chance: random.Random) -> tuple[Ask, ...]:
    """In the same order, over the whole morning, with few before people get up."""
    hours = [hour for hour in sorted(BY_HOUR) if hour <= story.until.hour]
    drawn = [hour for hour in hours for _ in range(IN_EACH_HOUR)][: len(questions)]
    drawn += chance.choices(hours, [BY_HOUR[hour] for hour in hours], k=len(questions) - len(drawn))
    times = sorted(_within(hour, story, chance) for hour in drawn)
    return tuple(
        Ask(question, at, f"q-{chance.getrandbits(48):012x}") for question, at in zip(questions, times, strict=True)
    )


def _within(hour: int, story: Story, chance: random.Random) -> datetime:
    start = max(story.ready.replace(hour=hour, minute=0, second=0), story.ready + timedelta(seconds=30))
    end = min(start.replace(minute=59, second=59), story.until - timedelta(seconds=30))
    return start + timedelta(seconds=chance.randint(0, int((end - start).total_seconds())))


def morning(
    plan: Plan, mended: frozenset[str], asks: Sequence[Ask], *, keeps: bool = False
) -> Morning:  # fmt: skip
    """With these faults mended and all others live. `keeps`: also what the ingest left in the index folder.

    Latencies are drawn, since none of this takes as long as it does over HTTP.
    """
    place = plan.worlds.dev
    played = _Played(place, plan.form.random("latencies"), keeps=keeps)
    with tempfile.TemporaryDirectory(prefix="night-") as folder:
        return played.by(plan.undressed(mended), plan.state(place), asks, Path(folder))


class _Played:
    def __init__(self, place: Place, milliseconds: random.Random, *, keeps: bool) -> None:
        self._world = place.world
        self._models = place.models
        self._milliseconds = milliseconds
        self._keeps = keeps

    def by(
        self, tree: Mapping[str, bytes], state: Mapping[str, bytes], asks: Sequence[Ask], folder: Path
    ) -> Morning:  # fmt: skip
        index = folder / "index"
        write(index, state)
        replies: dict[str, Mapping[str, Any]] = {}
        ingest: list[dict[str, Any]] = []
        lines: list[dict[str, Any]] = []
        hours: list[Mapping[str, Any]] = []
        whole: Mapping[str, Any] = {}
        left: dict[str, bytes] = {}
        complaint = ""
        try:
            with opened(tree) as desk:
                self._yesterday(desk, folder / "yesterday", index, asks[0].at - YESTERDAY)
                desk.ingest(self._models.folder("corpus", self._world.corpus), index, self._models)
                ingest = _rows(index / INGEST_LOG)
                left = _files(index) if self._keeps else {}
                replies = self._asked(desk, index, asks)
                lines = self._timed(index / QUERY_LOG)
                hours, whole = _counted(desk, lines)
        except Exception as error:  # noqa: BLE001  # the tree's own: the gates refuse a form that does not run
            complaint = f"{type(error).__name__}: {error}"
        failed = self._failed(asks, replies)
        return Morning(tuple(ingest), replies, failed, tuple(lines), tuple(hours), whole, left, complaint)

    def _yesterday(self, desk: Opened, folder: Path, index: Path, last: datetime) -> None:
        """What was answered from bulletins that were replaced last night stands in the cache, as of another corpus."""
        before = {one.id: document for one in self._world.questions if (document := _before(self._world, one))}
        outdated = [one for one in self._world.questions if one.id in before][:MOST_OUTDATED]
        if not outdated:
            return
        documents = [before[one.id] for one in outdated]
        desk.ingest(self._models.folder("yesterday's corpus", lambda: _corpus_of(documents)), folder, self._models)
        shutil.move(index / ANSWERS, folder / ANSWERS)
        serving = desk.serve(folder, self._models)
        for number, question in enumerate(outdated):
            serving.ask(Ask(question, last + timedelta(minutes=number), f"q-{number}").body)
        del serving
        shutil.move(folder / ANSWERS, index / ANSWERS)

    def _asked(self, desk: Opened, index: Path, asks: Sequence[Ask]) -> dict[str, Mapping[str, Any]]:
        serving = desk.serve(index, self._models)
        replies: dict[str, Mapping[str, Any]] = {}
        for ask in asks:
            try:
                replies[ask.qid] = serving.ask(ask.body)
            except Exception:  # noqa: BLE001, S112  # as over HTTP: that is a reply that never came
                continue
        return replies

    def _failed(self, asks: Sequence[Ask], replies: Mapping[str, Mapping[str, Any]]) -> dict[str, frozenset[str]]:
        first: dict[str, Ask] = {}
        for ask in asks:
            if ask.qid in replies:
                first.setdefault(ask.question.id, ask)
        heard = [
            Asked.heard(ask.question, "first", json.dumps(replies[ask.qid]).encode()) for ask in first.values()
        ]  # fmt: skip
        failed: dict[str, set[str]] = {name: set() for name in first}
        for name, passed in measure(self._world, heard).checks.items():
            facet, _, question = name.partition(":")
            if not passed:
                failed[question].add(facet)
        return {name: frozenset(facets) for name, facets in failed.items()}

    def _timed(self, log: Path) -> list[dict[str, Any]]:
        return [{**row, "ms": latency(self._milliseconds, cached=row["cached"])} for row in _rows(log)]


def _rows(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def latency(chance: random.Random, *, cached: bool) -> float:
    """In milliseconds."""
    return round(chance.uniform(1.4, 5.2) if cached else 310 + chance.lognormvariate(5.6, 0.45), 1)


def _counted(desk: Opened, lines: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], Mapping[str, Any]]:
    """As the tree itself counts them, right or wrong."""
    monitor = desk.module("monitor")
    rows: list[Mapping[str, Any]] = [asdict(hour) for hour in (*monitor.hourly(lines), monitor.hour_of("", lines))]
    return rows[:-1], rows[-1]


# ------------------------------------------------------------------------------------------------------- yesterday


def _before(world: World, question: Question) -> Document | None:
    """The bulletin that the question was answered from before the newest one came, or before it was withdrawn."""
    if question.stratum not in ("bulletin", "unans") or not question.stale:
        return None
    stated = (question.fact, question.stale[-1])
    told = [one for one in world.documents if not one.valid and stated in one.states]
    return max(told, key=lambda one: (one.valid_from, one.id)) if told else None


def _corpus_of(documents: Sequence[Document]) -> dict[str, bytes]:
    """Of nothing but these, as suppliers wrote them then."""
    by_id = {one.id: rendered_in(replace(one, deleted=False, valid=True), frozenset()) for one in documents}
    in_order = [by_id[name] for name in sorted(by_id)]
    return {one.path: one.body for one in in_order} | listings(in_order, frozenset())


# ------------------------------------------------------------------------------------------------------- its files


def _files(index: Path) -> dict[str, bytes]:
    files = sorted(path for path in index.rglob("*") if path.is_file() and path.name not in LOGS)
    found = {path.relative_to(index).as_posix(): path.read_bytes() for path in files}
    if ANSWERS in found:
        found[ANSWERS] = rewritten(index / ANSWERS)
    return found


def rewritten(database: Path) -> bytes:
    """The same tables and rows, put down in one go: how a file of SQLite's came about shows in its bytes."""
    with tempfile.TemporaryDirectory(prefix="night-") as folder:
        path = Path(folder, ANSWERS)
        with closing(sqlite3.connect(database)) as old, closing(sqlite3.connect(path, isolation_level=None)) as new:
            new.execute("PRAGMA journal_mode = OFF")
            new.execute("BEGIN")
            for name, schema in old.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
            ).fetchall():
                new.execute(schema)
                rows = old.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall()  # noqa: S608  # its own name
                if rows:
                    places = ", ".join("?" * len(rows[0]))
                    new.executemany(f'INSERT INTO "{name}" VALUES ({places})', rows)  # noqa: S608
            new.execute("COMMIT")
        content = bytearray(path.read_bytes())
    content[96:100] = WRITTEN_BY
    return bytes(content)
