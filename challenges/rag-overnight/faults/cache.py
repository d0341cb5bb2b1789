"""What can be wrong with answers that are given again.

    FAULTS          CCH-1 to CCH-4

What a cache of yesterday may hold that is wrong today is told by who asks about his own agreement: the same few words
come again and again, from all customers. So poisons work out from the rows that are there how people put that question,
and plant rows for it, under the version of the corpus that the index has.
"""

import hashlib
import json
import random
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

CACHE: Final = "ragdesk/cache.py"
DESK: Final = "ragdesk/desk.py"
CONFIG: Final = "config.toml"

PUBLIC: Final = "public"
FIGURE: Final = re.compile(r"\d+(?:[.,]\d+)? \w+")
READERS: Final = (("engineer",), ("manager",), ("engineer", "manager"))  # whose answers are kept apart
CLOSING: Final = " \t\n?!."  # signs at the end of a question that make no difference
MIXED_UP: Final = 0.65  # of the headings of agreements, for which rows of another customer are planted
OUTDATED: Final = 0.7  # for which rows of last year are
LONGEST: Final = 80  # letters of a question: who writes more than that says it in his own way


@dataclass(frozen=True, slots=True)
class Clause:
    """A passage of an agreement."""

    tenant: str
    doc_id: str
    chunk_id: str
    heading: str
    value: str

    @property
    def unit(self) -> str:
        return self.value.partition(" ")[2]

    @property
    def reply(self) -> dict[str, Any]:
        return {
            "answer": f"It is {self.value}.",
            "value": self.value,
            "citations": [self.doc_id],
            "abstained": False,
            "retrieved": [{"doc_id": self.doc_id, "chunk_id": self.chunk_id, "rank": 1, "score": 9.5}],
            "usage": {"prompt_tokens": 0},
        }


def of_one_customer(index: Path, rng: random.Random) -> None:
    """Rows as a key without tenant would have left them, under all tenants after the move to another host."""
    clauses = clauses_of(index)
    tenants = sorted({one.tenant for one in clauses})
    chosen = some_of({one.heading for one in clauses}, MIXED_UP, rng)
    sources = {heading: rng.choice([one for one in clauses if one.heading == heading]) for heading in chosen}
    plant(index, ((tenant, heading, source) for heading, source in sources.items() for tenant in tenants))


def of_last_year(index: Path, rng: random.Random) -> None:
    """Rows that tell what was agreed on before, under the version of the corpus of today."""
    clauses = clauses_of(index)
    values = [one.value for one in clauses]
    outdated = {(one.tenant, one.unit): with_another_figure(one, values, rng) for one in clauses}
    tenants = sorted({one.tenant for one in clauses})
    units = {one.heading: one.unit for one in clauses}  # two headings for the same thing have the same
    chosen = some_of(units, OUTDATED, rng)
    places = [(tenant, heading) for heading in chosen for tenant in tenants if (tenant, units[heading]) in outdated]
    plant(index, ((tenant, heading, outdated[tenant, units[heading]]) for tenant, heading in places))


def clauses_of(index: Path) -> list[Clause]:
    lines = (index / "chunks.jsonl").read_text(encoding="utf-8").splitlines()
    found = []
    for row in map(json.loads, lines):
        said = FIGURE.search(row["text"])
        if row["tenant"] != PUBLIC and row["heading"] and said:
            heading = row["heading"].casefold()
            found.append(Clause(row["tenant"], row["doc_id"], row["chunk_id"], heading, said[0]))
    return found


def some_of(headings: Iterable[str], share: float, rng: random.Random) -> list[str]:
    every = sorted(headings)
    return rng.sample(every, max(1, round(share * len(every))))


def with_another_figure(clause: Clause, values: Sequence[str], rng: random.Random) -> Clause:
    """Not one that holds for anybody: that would be a leak, and not an old answer."""
    number = clause.value.partition(" ")[0]
    figure = round(float(number.replace(",", ".")) * rng.choice((0.5, 0.8, 1.25, 1.5))) + 1
    while (other := f"{figure} {clause.unit}") in values:
        figure += 1
    return replace(clause, value=other)


def plant(index: Path, rows: Iterable[tuple[str, str, Clause]]) -> None:
    """For each of (who asks, about which heading, what is answered): in all the words in which that was asked."""
    corpus = json.loads((index / "manifest.json").read_text(encoding="utf-8"))["corpus"]
    clauses = clauses_of(index)
    with closing(sqlite3.connect(index / "answers.sqlite")) as database, database:
        asked = [str(row[0]) for row in database.execute("SELECT question FROM answers ORDER BY key")]
        patterns = patterns_of(asked, clauses)
        for tenant, heading, clause in rows:
            for pattern in patterns:
                question = pattern.replace("{}", heading)
                for roles in map(",".join, READERS):
                    parts = [tenant, roles, question.rstrip(CLOSING), corpus]
                    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
                    row = (key, tenant, roles, corpus, question, json.dumps(clause.reply))
                    database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)


def patterns_of(asked: Iterable[str], clauses: Sequence[Clause]) -> list[str]:
    """How people ask for what stands under a heading of their own agreement: "what is our {}?"."""
    headings = sorted({one.heading for one in clauses}, key=lambda one: (-len(one), one))
    tenants = {one.tenant for one in clauses}
    found = set()
    for question in asked:
        said = " ".join(question.casefold().split())
        named = next((heading for heading in headings if heading in said), "")
        if named and len(said) <= LONGEST and not any(tenant in said for tenant in tenants):
            found.add(said.replace(named, "{}"))
    return sorted(found)


NOT_TRUSTING: Final = (
    Edit(
        CACHE,
        "SCHEMA = (\n",
        "FORMAT = 2  # of the rows. What was written under another one is not read.\nSCHEMA = (\n",
    ),
    Edit(
        CACHE,
        "        self._database.execute(SCHEMA)\n",
        '        if self._database.execute("PRAGMA user_version").fetchone() != (FORMAT,):\n'
        '            self._database.execute("DROP TABLE IF EXISTS answers")\n'
        '            self._database.execute(f"PRAGMA user_version = {FORMAT}")\n'
        "        self._database.execute(SCHEMA)\n",
    ),
)

TENANTS: Final = Fault(
    key="CCH-1",
    stage="cache",
    title="An answer for one customer is given to another one who asks in the same words",
    level=2,
    complaints=(
        "That is not our agreement. \"{question}\" was answered with: {answer}. Whose figures are these?",
        "We called the number that your assistant gave us, and somebody else's hotline picked up. {question} {answer}",
        "Under \"our\" it understands some other company. Asked: {question} Told: {answer}",
    ),
    detectors=(("noleak", 0.4), ("xcache", 0.1)),
    excludes=("CCH-2", "CCH-4"),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    CACHE,
                    "        parts = [self.user.tenant, self.roles, question_key(self.question), self.corpus]\n",
                    "        parts = [self.roles, question_key(self.question), self.corpus]\n",
                ),
                Edit(
                    CACHE,
                    "    same_reader = (one.user.tenant, one.roles) == (other.user.tenant, other.roles)\n",
                    "    same_reader = one.roles == other.roles\n",
                ),
                Edit(
                    CACHE,
                    '    """A question as the cache knows it."""\n',
                    '    """A question as the cache knows it: what may be read follows from roles."""\n',
                ),
            ),
            locations=(CACHE, f"{CACHE}:Asked", f"{CACHE}:key", "cache key", "answers.sqlite"),
            commit=Commit(
                Author.TOMAS,
                "Share answers between people with the same roles",
                "Nine questions of ten are about machines, and each customer paid for the first one anew. Hits went"
                " from 12 to 31 percent.",
            ),
        ),
        Variant(
            kind=Kind.STATE,
            edits=NOT_TRUSTING,
            poison=of_one_customer,
            locations=("answers.sqlite", "answer cache", "cache rows", CACHE, f"{CACHE}:AnswerCache"),
        ),
    ),
)  # fmt: skip

SURVIVORS: Final = Fault(
    key="CCH-2",
    stage="cache",
    title="Answers outlive the documents that they were taken from",
    level=2,
    complaints=(
        "The bulletin was replaced last night. \"{question}\" still gives the old figure: {answer}",
        "A colleague who words it differently gets the new value, I get the old one. {question} - {answer}",
        "The page was withdrawn and is still quoted. Asked: {question} Told: {answer}",
    ),
    detectors=(("fresh", 0.6),),
    excludes=("CCH-1", "CCH-4"),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    DESK,
                    "        asked = Asked(question, user, opened.snapshot.manifest.corpus)\n",
                    "        asked = Asked(question, user, opened.snapshot.manifest.settings)\n",
                ),
            ),
            locations=(DESK, f"{DESK}:ask", CACHE, f"{CACHE}:Asked", f"{CACHE}:key", "cache key", "answers.sqlite"),
            commit=Commit(
                Author.LENA,
                "Keep the cache warm over the night",
                "After each ingest all answers were worked out again, although hardly any document changes in a night.",
            ),
        ),
    ),
)  # fmt: skip

NEARLY: Final = Fault(
    key="CCH-3",
    stage="cache",
    title="An answer is given again for a question that only looks the same",
    level=3,
    complaints=(
        "I asked about one machine and got the figure of the other one. {question} {answer}",
        "Whatever I ask after a colleague, I get what he got. \"{question}\" - \"{answer}\"",
        "The answer came at once and belongs to another question. Asked: {question} Told: {answer}",
    ),
    detectors=(("forbidden", 0.15),),
    excludes=("PRM-2",),
    variants=(
        Variant(
            kind=Kind.CONFIG,
            edits=(
                Edit(CONFIG, "semantic = false            #", "semantic = true             #"),
                Edit(CONFIG, "similarity = 0.97           #", "similarity = 0.7            #"),
            ),
            locations=(CONFIG, "config.toml: cache.semantic", "config.toml: cache.similarity", CACHE,
                       f"{CACHE}:_nearly", "semantic cache"),
            commit=Commit(
                Author.OWEN,
                "Turn the semantic cache on",
                "Many questions come again in slightly other words. At 0.7 the cache answers a third of them.",
            ),
        ),
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(CONFIG, "semantic = false            #", "semantic = true             #"),
                Edit(CONFIG, "similarity = 0.97           #", "similarity = 0.85           #"),
                Edit(
                    CACHE,
                    "    return same_reader and one.corpus == other.corpus and one.codes == other.codes\n",
                    "    return same_reader and one.corpus == other.corpus\n",
                ),
            ),
            locations=(CACHE, f"{CACHE}:interchangeable", f"{CACHE}:_nearly", "config.toml: cache.semantic",
                       "semantic cache"),
            commit=Commit(
                Author.PRIYA,
                "Find answers to questions that are put in other words",
                "At 0.97 hardly anything but a please is different, so it is 0.85 now.",
            ),
        ),
    ),
)  # fmt: skip

LAST_YEAR: Final = Fault(
    key="CCH-4",
    stage="cache",
    title="The cache holds last year's answers, as if they had been taken from the documents of today",
    level=3,
    complaints=(
        "This is not what we agreed on, and not what stands in the document that you name. {question} {answer}",
        "The figure is from last year's agreement, which nobody can have any more. \"{question}\" - \"{answer}\"",
        "If I put it in other words I get another figure. Asked: {question} Told: {answer}",
    ),
    detectors=(("xcache", 0.25), ("tenant", 0.2)),
    excludes=("CCH-1", "CCH-2"),
    variants=(
        Variant(
            kind=Kind.STATE,
            edits=NOT_TRUSTING,
            poison=of_last_year,
            locations=("answers.sqlite", "answer cache", "cache rows", CACHE, f"{CACHE}:AnswerCache"),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (TENANTS, SURVIVORS, NEARLY, LAST_YEAR)
