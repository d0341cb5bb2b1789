"""Looks at a bundle (see CONTRACT.md) and says what is wrong with it.

    python healthcheck.py BUNDLE

Every probe compares two things that have to agree: files and passages, passages and vectors, replies and sources,
the metrics and the log that they were made from. None compares with yesterday alone: documents and questions may grow.
"""

import csv
import json
import re
import sqlite3
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import StatisticsError, fmean, median
from typing import Any

import numpy as np

Row = dict[str, Any]
Finding = tuple[str, str]  # stage and reason
WORD = re.compile(r"\w+")
CODE = re.compile(r"\b[A-Z]-\d\d\b|\bE\d{3}\b")
STRANGE = 0.2  # cosine of a passage and its own title and heading, below which it is not its vector
SHIFTS = (-3, -2, -1, 1, 2, 3)  # rows
ODD_SIGNS = re.compile("[\u00ad\u200b\u2010\u2011]")


@dataclass(frozen=True)
class Bundle:
    folder: Path

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def rows(self, name: str) -> list[Row]:
        return [json.loads(line) for line in self.text(name).splitlines() if line.strip()]

    @cached_property
    def config(self) -> Row:
        return tomllib.loads(self.text("config.toml"))

    @cached_property
    def files(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted((self.folder / "corpus" / "docs").iterdir())}

    @cached_property
    def owners(self) -> dict[str, str]:
        acl = self.rows("corpus/acl.jsonl")
        return {row["doc_id"]: next((row[name] for name in ("tenant", "org") if name in row), "") for row in acl}

    @cached_property
    def in_force(self) -> set[str]:
        families = defaultdict(list)
        for row in self.rows("corpus/feed.jsonl"):
            families[re.sub(r"#r\d+$", "", row["key"])].append(row)
        newest = [max(family, key=lambda row: iso(row["valid_from"])) for family in families.values()]
        return {row["doc_id"] for row in newest if not row["deleted"]}

    @cached_property
    def indexed(self) -> set[str]:
        return set(json.loads(self.text("index/manifest.json"))["documents"])

    @cached_property
    def chunks(self) -> list[Row]:
        return self.rows("index/chunks.jsonl")

    @cached_property
    def said(self) -> dict[str, str]:
        """The text of each indexed document."""
        said: dict[str, str] = defaultdict(str)
        for chunk in self.chunks:
            said[chunk["doc_id"]] += f" {chunk['text']}"
        return said

    @cached_property
    def log(self) -> list[Row]:
        return [{**line, "ts": str(line["ts"])} for line in self.rows("index/query.log.jsonl")]

    @cached_property
    def today(self) -> list[Row]:
        return [line for line in self.log if line["ts"][:10] == self.log[-1]["ts"][:10]]

    @cached_property
    def metrics(self) -> list[Row]:
        """Rows by the hour, with numbers."""
        rows = csv.DictReader(self.text("logs/metrics.csv").splitlines())
        return [{name: value if name == "hour" else float(value) for name, value in row.items()} for row in rows]

    @cached_property
    def worked_on(self) -> list[Row]:
        return [line for line in self.today if not line["cached"]]


def iso(date: str) -> str:
    return "-".join(reversed(date.split("/"))) if "/" in date else date


def share(flags: list[bool]) -> float:
    return fmean(flags) if flags else 0.0


# ------------------------------------------------------------------------------------------ documents and passages


def revisions(bundle: Bundle) -> Iterator[Finding]:
    known = bundle.in_force & bundle.owners.keys()
    if old := [one for one in bundle.indexed if one in bundle.owners and one not in bundle.in_force]:
        yield "ingest", f"{len(old)} documents are indexed that were replaced or deleted, as {min(old)}"
    if len(missing := known - bundle.indexed) > 0.01 * len(known):
        yield "ingest", f"{len(missing)} documents in force are not indexed, as {min(missing)}"


def access(bundle: Bundle) -> Iterator[Finding]:
    if drafts := bundle.indexed - bundle.owners.keys():
        yield "access", f"{len(drafts)} drafts are indexed, as {min(drafts)}"
    if wrong := [one["doc_id"] for one in bundle.chunks if one["tenant"] != bundle.owners.get(one["doc_id"])]:
        yield "access", f"{len(wrong)} passages do not belong to who owns the document, as one of {wrong[0]}"
    foreign = [
        line for line in bundle.today
        if any(bundle.owners.get(one) not in ("public", line["tenant"]) for one in line["retrieved"])
    ]
    if fresh := [line for line in foreign if not line["cached"]]:
        yield "access", f"{len(fresh)} people were shown documents of others, as in {fresh[0]['qid']}"
    elif foreign:
        yield "cache", f"{len(foreign)} people were given answers of others, as in {foreign[0]['qid']}"


def coverage(bundle: Bundle) -> Iterator[Finding]:
    """How many documents have lost words on their way into passages, by kind of file."""
    lost: dict[str, list[bool]] = defaultdict(list)
    for doc_id in sorted(bundle.indexed & bundle.files.keys()):
        path = bundle.files[doc_id]
        words, kept = WORD.findall(visible(path)), WORD.findall(bundle.said[doc_id])
        missing = len(set(words) - set(kept)) > 0.05 * len(set(words)) + 1
        lost[path.suffix].append(missing or " ".join(words[-3:]) not in " ".join(kept))
    kinds = [kind for kind, flags in lost.items() if share(flags) > 0.05]
    if len(kinds) > 1:
        yield "chunk", f"words of all kinds of documents are lost: {', '.join(sorted(kinds))}"
    elif kinds:
        yield "ingest", f"words of documents of one kind are lost: {kinds[0]}"


def visible(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return " ".join(value for key, value in strings(json.loads(text)) if key != "type")
    return re.sub(r"<[^>]+>|(?m:^title:)", " ", text)


def strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    inner = value.items() if isinstance(value, dict) else [(key, one) for one in value]
    for name, one in inner:
        yield from [(name, one)] if isinstance(one, str) else strings(one, name)


def passages(bundle: Bundle) -> Iterator[Finding]:
    texts = [chunk["text"] for chunk in bundle.chunks]
    if share([ODD_SIGNS.search(text) is not None for text in texts]) > 0.01:
        yield "ingest", "codes are spelt with odd hyphens or signs that cannot be seen"
    if share([re.search(r"</?\s*doc\b", text) is not None for text in texts]) > 0:
        yield "security", "documents hold the delimiter of the prompt"
    if share([re.search(r"<\w+[ >]", text) is not None for text in texts]) > 0.01:
        yield "ingest", "passages hold tags"
    untitled = [not (one["title"] and one["text"].startswith(one["title"])) for one in bundle.chunks]
    headless = [one["heading"] not in one["text"] for one in bundle.chunks]
    marked = [re.search(r"\*\*\w|^---|\btitle: ", text) is not None for text in texts]
    for what, flags in (("title", untitled), ("heading", headless), ("plain text", marked)):
        if share(flags) > 0.02:
            yield "chunk", f"{share(flags):.0%} of the passages have no {what}"
    repeated = len(bundle.chunks) - len({one["chunk_id"] for one in bundle.chunks})
    if repeated > 0.01 * len(texts):
        yield "index", f"{repeated} passages are there more than once"
    nights = [line for line in bundle.rows("index/ingest.log") if line["event"] == "ingested"]
    usual = median(line["chunks"] / line["documents"] for line in nights[:-1])
    now = nights[-1]["chunks"] / nights[-1]["documents"]
    if now > 1.25 * usual and repeated == 0:
        yield "chunk", f"{now:.2f} passages a document, and usually {usual:.2f}"


# ---------------------------------------------------------------------------------------------------------- vectors


def vectors(bundle: Bundle) -> Iterator[Finding]:
    table = np.load(bundle.folder / "index" / "vectors.npy")
    row_of = json.loads(bundle.text("index/rows.json"))
    labels = {text: row for row, text in enumerate(json.loads(bundle.text("index/labels.json")))}
    of_labels = np.load(bundle.folder / "index" / "labels.npy")
    used = int((np.abs(table) > 0).any(axis=0).sum())
    if used < 64:
        yield "embed", f"vectors have {used} numbers"
        return
    order = [row_of[chunk["chunk_id"]] for chunk in bundle.chunks]
    texts_of = defaultdict(set)
    for chunk, row in zip(bundle.chunks, table[order], strict=True):
        texts_of[row.tobytes()].add(chunk["text"])
    if len(texts_of) < 0.7 * len({chunk["text"] for chunk in bundle.chunks}):
        yield "embed", "different passages have the same vector"
        return
    near = table[order] @ of_labels.T
    own = fits(bundle, near, labels)
    strange = own < STRANGE
    if strange.mean() > 0.15:
        moved = max((fits(bundle, np.roll(near, by, axis=0), labels)[strange] >= STRANGE).mean() for by in SHIFTS)
        known = "belong to passages beside them" if moved > 0.6 else "are of another model"
        yield ("index" if moved > 0.6 else "embed"), f"{strange.mean():.0%} of the vectors {known}"
    else:
        yield from cells(bundle, table)


def fits(bundle: Bundle, near: Any, labels: dict[str, int]) -> Any:
    """How near each passage's vector is to that of its title or of its heading."""
    return np.array([
        max((near[place, labels[one[part]]] for part in ("title", "heading") if one[part] in labels), default=1.0)
        for place, one in enumerate(bundle.chunks)
    ])


def cells(bundle: Bundle, table: Any) -> Iterator[Finding]:
    centroids = np.load(bundle.folder / "index" / "centroids.npy")
    fit = float((table @ centroids.T).max(axis=1).mean())
    if fit < 0.3:
        yield "index", f"centroids do not fit the vectors: {fit:.2f} on average"
    if bundle.config["dense"]["probes"] < 0.1 * len(centroids):
        yield "index", f"{bundle.config['dense']['probes']} of {len(centroids)} cells are searched"


def words(bundle: Bundle) -> Iterator[Finding]:
    analyzers = json.loads(bundle.text("index/analyzer.json"))
    known = json.loads(bundle.text("index/vocabulary.json"))["words"]
    if analyzers["documents"] != analyzers["queries"] or not any(re.fullmatch(r"[a-z]-\d\d", word) for word in known):
        yield "index", "documents are not analysed as questions are: codes are cut up"
    features = bundle.rows("index/features.jsonl")
    wrong = []
    for chunk, one in zip(bundle.chunks, features, strict=True):
        there = set(re.findall(r"[^\W_]+", chunk["text"].lower()))
        kept = set(re.findall(r"[^\W_]+", " ".join(one["terms"])))
        wrong.append(len(kept - there) > 2 or len(kept) < 0.4 * len(there))
    if share(wrong) > 0.05:
        yield "rerank", f"the features of {share(wrong):.0%} of the passages do not fit them"


# ---------------------------------------------------------------------------------------------------------- answers


def retrieval(bundle: Bundle) -> Iterator[Finding]:
    few = share([len(line["retrieved"]) < bundle.config["retrieval"]["returned"] for line in bundle.worked_on])
    if few > 0.02:
        yield "retrieve", f"{few:.0%} of the questions found too few passages"
    coded = [(set(CODE.findall(chunk["text"])), chunk) for chunk in bundle.chunks]
    lost = []
    for line in bundle.worked_on:
        asked = set(CODE.findall(line["question"]))
        there = {one["doc_id"] for codes, one in coded if asked <= codes and one["tenant"] in ("public", line["tenant"])}
        if any(code.startswith("E") for code in asked) and there:
            lost.append(there.isdisjoint(line["retrieved"]))
    if sum(lost) > 1 and share(lost) > 0.1:
        yield "retrieve", f"{share(lost):.0%} of the questions with a fault's code do not find its article"


def sources(bundle: Bundle) -> Iterator[Finding]:
    unsaid = share([not is_said(bundle, line) for line in bundle.worked_on])
    if unsaid > 0.04:
        yield "cite", f"{unsaid:.0%} of the answers do not stand in the sources that they name"
        return
    with closing(sqlite3.connect(f"file:{bundle.folder / 'index' / 'answers.sqlite'}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT tenant, corpus, reply FROM answers").fetchall()
    version = json.loads(bundle.text("index/manifest.json"))["corpus"]
    stored = [(tenant, json.loads(reply)) for tenant, corpus, reply in rows if corpus == version]
    foreign = [
        any(bundle.owners.get(one) not in ("public", tenant) for one in reply["citations"]) for tenant, reply in stored
    ]
    if any(foreign):
        yield "cache", f"{sum(foreign)} stored answers are of documents that the customer may not see"
    elif wrong := sum(not is_said(bundle, reply) for _, reply in stored):
        yield "cache", f"{wrong} stored answers do not stand in their sources"


def is_said(bundle: Bundle, reply: Row) -> bool:
    if not reply["value"] or not reply["citations"]:
        return True
    return any(reply["value"] in bundle.said.get(one, "") for one in reply["citations"])


def cache(bundle: Bundle) -> Iterator[Finding]:
    asked = set()
    strangers = []
    for line in bundle.log:
        words = " ".join(line["question"].casefold().split()).rstrip(" ?!.")
        if line["cached"] and words not in asked:
            strangers.append(line["qid"])
        asked.add(words)
    if bundle.config["cache"]["semantic"] and bundle.config["cache"]["similarity"] < 0.95:
        yield "cache", "the semantic cache takes questions for the same that are not"
    if strangers:
        yield "cache", f"{len(strangers)} questions came from the cache that nobody had asked, as {strangers[0]}"
    old = [line for line in bundle.today if line["cached"] and not bundle.indexed.issuperset(line["citations"])]
    if old:
        yield "cache", f"{len(old)} answers are of documents that are gone, as {old[0]['qid']}"


def prompts(bundle: Bundle) -> Iterator[Finding]:
    usual = [row for row in bundle.metrics if row["hour"][:10] != bundle.log[-1]["ts"][:10]]
    before = sum(row["abstained_share"] * row["asks"] for row in usual) / sum(row["asks"] for row in usual)
    now = share([line["abstained"] for line in bundle.today])
    count = len({line["question"] for line in bundle.today})
    by_chance = (before * (1 - before) / count) ** 0.5
    if now < 0.3 * before and before - now > 2.2 * by_chance:
        yield "prompt", f"{now:.0%} of the questions are not answered, and usually {before:.0%}"


def monitoring(bundle: Bundle) -> Iterator[Finding]:
    told = bundle.config["monitoring"]
    if told["quiet_days"] < 1 or told["baseline_days"] < 3:
        yield "monitor", "alerts compare with hours that may be broken themselves"
    by_hour = defaultdict(list)
    for line in bundle.log:
        by_hour[line["ts"][:13]].append(line)
    for row in bundle.metrics:
        lines = [line for line in by_hour[row["hour"][:13]] if not line["cached"]]
        if lines and abs(row["abstained_share"] - share([line["abstained"] for line in lines])) > 0.01:
            yield "monitor", f"metrics.csv does not say what the query log does, as at {row['hour']}"
            return


PROBES: tuple[Callable[[Bundle], Iterator[Finding]], ...] = (
    revisions, access, coverage, passages, vectors, words, retrieval, sources, cache, prompts, monitoring,
)  # fmt: skip


def looked(probe: Callable[[Bundle], Iterator[Finding]], bundle: Bundle) -> list[Finding]:
    """Nothing, where there is too little to compare, as in a folder with an index of six documents and no metrics."""
    try:
        return list(probe(bundle))
    except (FileNotFoundError, StatisticsError, ZeroDivisionError, IndexError):
        return []


def check(bundle_dir: str | Path) -> list[dict[str, str]]:
    """Findings, each with stage, severity and reason."""
    bundle = Bundle(Path(bundle_dir))
    found = [finding for probe in PROBES for finding in looked(probe, bundle)]
    stages = [stage for stage, _ in Counter(stage for stage, _ in found).most_common(3)]
    if not found:
        return [{"stage": "monitor", "severity": "ok", "reason": f"{len(PROBES)} probes found nothing"}]
    return [{"stage": stage, "severity": "error", "reason": reason} for stage, reason in found if stage in stages]


if __name__ == "__main__":
    for finding in check(sys.argv[1]):
        sys.stdout.write(f"{finding['severity']:6} {finding['stage']:9} {finding['reason']}\n")
