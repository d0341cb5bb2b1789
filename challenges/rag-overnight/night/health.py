"""Folders for a candidate's health check: what a night leaves behind, after which all is well or one thing is wrong.

    for bundle, files in bundles(chance, pack, ALL):
        bundle.faulty, bundle.stage             True, "embed"
        files["index/manifest.json"]            as in CONTRACT.md: corpus/, index/, logs/metrics.csv, config.toml

Each is a small company on one evening. Its index, its query log and the last two days of its metrics were made by
running the repository: on the day before without faults, and since the ingest at two with the one of the bundle. What
lies before that is drawn from what a day without faults looks like. Four are healthy, two of which look as if they were
not: documents and questions have grown by a lot, or it is a quiet weekend.
"""

import csv
import importlib
import io
import json
import random
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from ..bench.models import LocalModels
from ..bench.repository import Opened, opened, write
from ..bench.signatures import template
from ..faults.model import Fault, Kind, Variant, apply
from ..scoring.health import Bundle
from ..world.pack import Pack
from ..world.questions import Question
from ..world.world import Scale, World, make_world

Line: TypeAlias = dict[str, Any]  # of a log or a table
T = TypeVar("T")

__all__ = ["SMALL", "VISIBLE", "bundles"]

SMALL: Final = Scale(products=8, tenants=4, share=0.15)
BROKEN: Final = 8  # bundles, each with a fault of another stage

# What can be seen without asking a model, by kinds. The others leave no trace in files: a check that named them would
# have guessed.
VISIBLE: Final[Mapping[str, tuple[Kind, ...]]] = {
    "ING-1": (Kind.CODE, Kind.FEED), "ING-2": (Kind.CODE, Kind.FEED), "ING-3": (Kind.CODE, Kind.FEED),
    "ING-4": (Kind.CODE, Kind.FEED), "ING-5": (Kind.CODE, Kind.FEED),
    "CHK-1": (Kind.CODE, Kind.CONFIG, Kind.FEED), "CHK-2": (Kind.CODE, Kind.FEED), "CHK-3": (Kind.CODE,),
    "ACL-1": (Kind.CODE,), "ACL-2": (Kind.CODE, Kind.FEED),
    "EMB-1": (Kind.CODE, Kind.STATE), "EMB-3": (Kind.CODE, Kind.CONFIG, Kind.STATE),
    "EMB-4": (Kind.CONFIG, Kind.STATE),
    "IDX-1": (Kind.STATE,), "IDX-2": (Kind.CODE, Kind.STATE), "IDX-3": (Kind.CODE,),
    "IDX-4": (Kind.CODE, Kind.STATE),
    "RET-1": (Kind.CODE,), "RET-2": (Kind.CODE,),
    "RRK-1": (Kind.CODE, Kind.STATE), "RRK-2": (Kind.CODE, Kind.CONFIG),
    "PRM-2": (Kind.CODE, Kind.CONFIG), "CIT-1": (Kind.CODE,),
    "CCH-1": (Kind.CODE, Kind.STATE), "CCH-2": (Kind.CODE,), "CCH-3": (Kind.CODE, Kind.CONFIG), "CCH-4": (Kind.STATE,),
    "SEC-1": (Kind.FEED,),
    "MON-1": (Kind.CODE,), "MON-2": (Kind.CONFIG,),
}  # fmt: skip

LATENT: Final = frozenset(("CCH-2",))  # what the cache gives again has to have been put there in the same way

MONDAY: Final = datetime(2026, 3, 2, tzinfo=UTC)
DAYS: Final = 14  # of metrics, the last of which is today
NIGHT: Final = timedelta(hours=2)  # when documents are read
HOURS: Final = range(7, 19)  # in which people ask
SATURDAY: Final = 5
SUNDAY: Final = 6
QUIET: Final = 0.35  # of a working day's questions, on a day of the weekend
ASKS: Final = 72  # on a working day
AGAIN: Final = 0.25  # of them, in words that the same person used before on that day
YESTERDAY_AGAIN: Final = 0.2  # that somebody asked the day before
GROWTH: Final = 1.6  # of questions, when everything grows
NEW_SINCE_YESTERDAY: Final = 0.25  # of the noise, when everything grows
TELLING: Final = frozenset(("xcache", "nearmiss", "unans", "forbidden"))  # strata that are asked about on every day
MOST_TELLING: Final = 0.7  # of a day's different questions
NOISE: Final = frozenset(("ticket", "guide"))
COUNTED: Final = ("files", "in_force", "documents", "chunks")  # in the ingest log, which grow from night to night
FROM_CACHE: Final = (0.8, 3.5)  # milliseconds
WORKED_OUT: Final = (140.0, 420.0)
LONGEST_DATE: Final = len("2026-03-02")
QUERY_LOG: Final = "query.log.jsonl"
INGEST_LOG: Final = "ingest.log"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a bundle is of."""

    name: str
    today: datetime
    asks: tuple[int, int]  # yesterday and today
    stage: str | None = None
    variant: Variant | None = None
    grows: bool = False  # there were fewer documents yesterday
    changes: bool = False  # some documents are others than yesterday
    latent: bool = False  # the fault was there yesterday, and only now it shows

    @property
    def dialects(self) -> frozenset[str]:
        return frozenset((self.variant.dialect,)) if self.variant and self.variant.dialect else frozenset()


def bundles(
    chance: random.Random, pack: Pack, faults: Iterable[Fault], scale: Scale = SMALL
) -> list[tuple[Bundle, dict[str, bytes]]]:
    """Twelve of them, the broken ones in different stages. The same chance gives the same bundles."""
    seed = chance.getrandbits(64)
    company = _Company(seed, pack, scale)
    made = []
    for plan in [*_healthy(chance), *_broken(chance, faults)]:
        bundle = Bundle(plan.name, plan.variant is not None, plan.stage)
        made.append((bundle, company.evening(plan, random.Random(chance.getrandbits(64)))))  # noqa: S311  # seeded
    return made


def _healthy(chance: random.Random) -> list[Plan]:
    tuesday = MONDAY + timedelta(days=chance.randrange(1, 5))
    weekend = MONDAY + timedelta(days=SATURDAY + chance.randrange(2))
    after = MONDAY + timedelta(days=7)
    return [
        Plan("steady", tuesday, (ASKS, ASKS), changes=True),
        Plan("after the weekend", after, (round(QUIET * ASKS), ASKS)),
        Plan("growing", tuesday, (ASKS, round(GROWTH * ASKS)), grows=True, changes=True),
        Plan("weekend", weekend, (ASKS if weekend.weekday() == SATURDAY else round(QUIET * ASKS), round(QUIET * ASKS))),
    ]


def _broken(chance: random.Random, faults: Iterable[Fault]) -> list[Plan]:
    by_stage: dict[str, list[tuple[Fault, list[Variant]]]] = {}
    for fault in faults:
        if seen := [one for one in fault.variants if one.kind in VISIBLE.get(fault.key, ())]:
            by_stage.setdefault(fault.stage, []).append((fault, seen))
    plans = []
    for stage in chance.sample(sorted(by_stage), BROKEN):
        fault, seen = chance.choice(by_stage[stage])
        variant = chance.choice(seen)
        plans.append(Plan(
            name=f"{fault.key} {variant.kind}",
            today=MONDAY + timedelta(days=chance.randrange(1, 5)),
            asks=(ASKS, ASKS),
            stage=stage,
            variant=variant,
            changes=variant.kind is not Kind.STATE,  # what was planted waits for the same documents
            latent=fault.key in LATENT,
        ))  # fmt: skip
    return plans


@dataclass(frozen=True, slots=True)
class Yesterday:
    """When all was well."""

    index: Mapping[str, bytes]
    asked: Sequence[Question]
    log: Sequence[Line]


class _Company:
    """A world, what its models said, and the repository without faults."""

    def __init__(self, seed: int, pack: Pack, scale: Scale) -> None:
        self._seed = seed
        self._pack = pack
        self._scale = scale
        self._healthy = template()
        self._world = self._in(frozenset())
        self._models = LocalModels(self._world.lexicon)
        # About documents that change, what a cache could mix up, and what must not be answered.
        always = [one for one in self._world.questions if one.stratum in TELLING]
        self._yesterdays: dict[tuple[int, bool, str], Yesterday] = {}
        self._telling = [*self._world.update.questions, *always]

    def _in(self, dialects: frozenset[str]) -> World:
        return make_world(random.Random(self._seed), self._pack, self._scale, dialects)  # noqa: S311  # seeded

    def evening(self, plan: Plan, chance: random.Random) -> dict[str, bytes]:
        """The files of a bundle."""
        variant = plan.variant
        tree = apply(self._healthy, variant.edits) if variant and variant.breaks else self._healthy
        world = self._in(plan.dialects) if plan.dialects else self._world
        corpus = world.updated_corpus() if plan.changes else world.corpus()
        before = self._yesterday(plan, tree if plan.latent else self._healthy, chance)
        yesterday = _on(plan.today - timedelta(days=1), before.log)
        asked = [*_some(before.asked, YESTERDAY_AGAIN, chance), *self._world.questions]
        with tempfile.TemporaryDirectory(prefix="bundle-") as place, opened(tree) as desk:
            there = _Place(Path(place), desk, self._models)
            write(there.index, before.index)
            if variant and variant.poison:
                variant.poison(there.index, chance)
            there.ingest(corpus)
            today = _on(plan.today, there.ask(_conversation(self._telling, asked, plan.asks[1], chance), chance))
            earlier = [line for ago in range(DAYS - 1, 1, -1) for line in _like(before.log, plan, ago, chance)]
            hours = there.hours([*earlier, *yesterday, *today])
            _write(there.index / QUERY_LOG, [*yesterday, *today])
            _write(there.index / INGEST_LOG, _nights(_read(there.index / INGEST_LOG), plan.today, chance))
            index = {f"index/{name}": content for name, content in _files(there.index).items()}
        given = {f"corpus/{name}": content for name, content in corpus.items()}
        return {**given, **index, "logs/metrics.csv": _table(hours), "config.toml": tree["config.toml"]}

    def _yesterday(self, plan: Plan, tree: Mapping[str, bytes], chance: random.Random) -> Yesterday:
        """Remembered: it does not depend on what went wrong afterwards, unless that was there already."""
        key = (plan.asks[0], plan.grows, plan.name if plan.latent else "")
        if key not in self._yesterdays:
            asked = _conversation(self._telling, self._world.questions, plan.asks[0], chance)
            with tempfile.TemporaryDirectory(prefix="bundle-") as place, opened(tree) as desk:
                there = _Place(Path(place), desk, self._models)
                there.ingest(self._corpus_of_yesterday(plan, chance))
                log = there.ask(asked, chance)
                self._yesterdays[key] = Yesterday(_files(there.index), asked, log)
        return self._yesterdays[key]

    def _corpus_of_yesterday(self, plan: Plan, chance: random.Random) -> dict[str, bytes]:
        corpus = self._world.corpus()
        if plan.grows:
            noise = [one for one in self._world.documents if one.kind in NOISE]
            for one in _some(noise, NEW_SINCE_YESTERDAY, chance):
                del corpus[one.path]
        return corpus


class _Place:
    """An index folder, and a repository that works on it."""

    def __init__(self, folder: Path, desk: Opened, models: LocalModels) -> None:
        self.index = folder / "index"
        self._folder = folder
        self._desk = desk
        self._models = models
        self._package = ""

    def ingest(self, corpus: Mapping[str, bytes]) -> None:
        write(self._folder / "corpus", corpus)
        self._desk.ingest(self._folder / "corpus", self.index, self._models)

    def ask(self, questions: Sequence[Question], chance: random.Random) -> list[Line]:
        """What the query log says of it, with times of a day on which somebody waited for a model."""
        (self.index / QUERY_LOG).unlink(missing_ok=True)
        serving = self._desk.serve(self.index, self._models)
        self._package = type(serving).__module__.rpartition(".")[0]
        for number, (at, question) in enumerate(zip(_times(len(questions), chance), questions, strict=True)):
            user = question.user
            serving.ask({
                "qid": f"{number:04}",
                "question": question.text,
                "user": {"id": user.id, "tenant": user.tenant, "roles": list(user.roles)},
                "ts": f"{MONDAY:%Y-%m-%d}T{at}",
            })  # fmt: skip
        return [
            {**line, "ms": round(chance.uniform(*(FROM_CACHE if line["cached"] else WORKED_OUT)), 1)}
            for line in _read(self.index / QUERY_LOG)
        ]

    def hours(self, lines: Sequence[Line]) -> list[Line]:
        """Rows of the metrics, as this repository counts."""
        monitor = importlib.import_module(f"{self._package}.monitor")
        return [asdict(hour) for hour in monitor.hourly(lines)]


def _conversation(
    telling: Sequence[Question], others: Sequence[Question], count: int, chance: random.Random
) -> list[Question]:
    """The questions of a day, some of which come again. Unless it is a quiet one, all telling ones are among them."""
    different = round((1 - AGAIN) * count)
    first = chance.sample(telling, min(len(telling), round(MOST_TELLING * different)))
    some = [*first, *chance.sample(others, len(others))][:different]
    fresh = iter(chance.sample(some, len(some)))
    asked: list[Question] = []
    for _ in range(count):
        new = next(fresh, None) if not asked or chance.random() >= AGAIN else None
        asked.append(new or chance.choice(asked))
    return asked


def _some(things: Sequence[T], share: float, chance: random.Random) -> list[T]:
    return chance.sample(things, round(share * len(things)))


def _times(count: int, chance: random.Random) -> list[str]:
    seconds = sorted(chance.randrange(3600 * HOURS.start, 3600 * HOURS.stop) for _ in range(count))
    return [f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z" for second in seconds]


def _on(day: datetime, log: Sequence[Line]) -> list[Line]:
    """The log of a day, as that of this one."""
    return [
        {**line, "ts": f"{day:%Y-%m-%d}{line['ts'][LONGEST_DATE:]}", "qid": f"{day:%m%d}-{line['qid']}"} for line in log
    ]


def _like(log: Sequence[Line], plan: Plan, ago: int, chance: random.Random) -> list[Line]:
    """The log of an earlier day, drawn from the lines of one that we know."""
    day = plan.today - timedelta(days=ago)
    count = round(ASKS * chance.uniform(0.85, 1.1) * (QUIET if day.weekday() >= SATURDAY else 1))
    drawn = [chance.choice(log) for _ in range(count)]
    times = _times(count, chance)
    return _on(day, [{**line, "ts": f"{MONDAY:%Y-%m-%d}T{at}"} for at, line in zip(times, drawn, strict=True)])


def _nights(lines: Sequence[Line], today: datetime, chance: random.Random) -> list[Line]:
    """The ingest log: earlier nights are like the one that we know, with ever fewer documents."""
    first = next(place for place, line in enumerate(lines) if line["event"] == "ingested")
    known, last = lines[first], lines[first + 1 :]
    found: list[Line] = []
    fewer = 0
    for ago in range(1, DAYS):
        night = today - timedelta(days=ago)
        counts = {name: known[name] - fewer for name in COUNTED}
        new = chance.randrange(4)
        found.append({
            **known, **counts, "at": _stamp(night, 4, chance), "seconds": round(chance.uniform(3, 5), 2),
            "mode": "full" if night.weekday() == SUNDAY else "incremental",
            "reused": 0 if night.weekday() == SUNDAY else counts["documents"] - new, "new_vectors": new,
            **({} if ago == 1 else {name: f"{chance.getrandbits(128):032x}" for name in ("corpus", "hash")}),
        })  # fmt: skip
        fewer += new
    return [*reversed(found), *({**line, "at": _stamp(today, 9, chance)} for line in last[:-1]),
            {**last[-1], "at": _stamp(today, 9, chance), "seconds": round(chance.uniform(6, 9), 2)}]  # fmt: skip


def _stamp(night: datetime, second: int, chance: random.Random) -> str:
    return (night + NIGHT + timedelta(seconds=chance.randrange(second, second + 4))).isoformat(timespec="seconds")


def _read(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _write(path: Path, lines: Iterable[Line]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def _table(rows: Sequence[Line]) -> bytes:
    written = io.StringIO()
    table = csv.DictWriter(written, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    return written.getvalue().encode()


def _files(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
