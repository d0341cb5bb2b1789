"""What happened when: the one calendar that logs, tickets and the history of a form agree on.

    story = Story.of(form.random("story"))
    story.ingest, story.ready, story.until        last night's ingest, since when it is answered from, and now
    story.commits[-1], story.deployed(15)         16 of them, of which the last two went out yesterday

Two forms look like the same company on two different nights. Here is also what was committed that harmed nobody.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from ..faults.model import Author, Commit, Edit

__all__ = ["CACHE_LOOKS", "COMMITS", "DAYS", "EARLIER", "SITE_CHANGES", "Earlier", "Story"]

COMMITS: Final = 16
IMPORTS: Final = 3  # the first ones, all on one day
DAYS: Final = 14  # of metrics
NIGHTS: Final = (date(2026, 3, 3), date(2026, 3, 4), date(2026, 3, 5), date(2026, 3, 6))  # after a day of work each
FIRST_DAYS: Final = (78, 92)  # before today: the import
RECENT: Final = 6  # commits, at least, that the metrics have seen the time before, besides yesterday's
SATURDAY: Final = 5
HOLIDAYS: Final = (date(2025, 12, 24), date(2026, 1, 2))


@dataclass(frozen=True, slots=True)
class Story:
    today: date
    delivered: datetime  # the suppliers' files are there
    ingest: datetime
    ready: datetime
    until: datetime  # the logs end
    moved: datetime  # the answer cache, to another machine
    commits: tuple[datetime, ...]
    waits: tuple[timedelta, ...]  # from each commit to its deploy
    rota: tuple[Author, ...]  # who is on call, by the week, this one last

    @classmethod
    def of(cls, chance: random.Random) -> "Story":
        today = chance.choice(NIGHTS)
        commits = _commits(chance, today)
        waits = [timedelta(minutes=chance.randint(25, 95), seconds=chance.randrange(60)) for _ in commits]
        authors = list(Author)
        return cls(
            today=today,
            delivered=_at(chance, today, 1, 24, 38),
            ingest=_at(chance, today, 2, 0, 0),
            ready=_at(chance, today, 2, 18, 24),
            until=_at(chance, today, 10, 35, 58),
            moved=_at(chance, today - timedelta(days=1), 18, 5, 50),
            commits=commits,
            waits=tuple(waits),
            rota=tuple(chance.sample(authors, len(authors))),
        )

    @property
    def yesterday(self) -> date:
        return self.today - timedelta(days=1)

    @property
    def first_hour(self) -> datetime:
        """Of the metrics, whose last hour is the one that is over."""
        return self.last_hour - timedelta(hours=24 * DAYS - 1)

    @property
    def last_hour(self) -> datetime:
        return self.until.replace(minute=0, second=0) - timedelta(hours=1)

    @property
    def since(self) -> str:
        """As people say it."""
        return f"{self.ready:%H:%M}"

    def deployed(self, commit: int) -> datetime:
        return self.commits[commit] + self.waits[commit]

    def on_call(self, day: date) -> Author:
        weeks = (self.today - timedelta(days=self.today.weekday()) - day).days // 7 + 1
        return self.rota[-1 - weeks % len(self.rota)]


def _at(chance: random.Random, day: date, hour: int, first: int, last: int) -> datetime:
    """Some time between two minutes of an hour."""
    moment = time(hour, chance.randint(first, last), chance.randrange(60) if last > first else 4, tzinfo=UTC)
    return datetime.combine(day, moment)


def _commits(chance: random.Random, today: date) -> tuple[datetime, ...]:
    first = _workday(today - timedelta(days=chance.randint(*FIRST_DAYS)))
    imported = datetime.combine(first, time(9, chance.randint(2, 30), tzinfo=UTC))
    pause = chance.randint(3, 9)
    found = [imported + timedelta(minutes=number * pause) for number in range(IMPORTS)]
    later = COMMITS - IMPORTS - 2
    recent = [_worktime(chance, today - timedelta(days=chance.randint(2, DAYS - 2))) for _ in range(RECENT)]
    older = [
        _worktime(chance, today - timedelta(days=chance.randint(DAYS + 2, FIRST_DAYS[0] - 7)))
        for _ in range(later - RECENT)
    ]
    found += sorted([*older, *recent])
    yesterday = today - timedelta(days=1)
    found += [_at(chance, yesterday, 9, 5, 55), _at(chance, yesterday, 14, 5, 55)]
    return tuple(found)


def _worktime(chance: random.Random, day: date) -> datetime:
    return _at(chance, _workday(day), chance.randint(8, 15), 0, 59)


def _workday(day: date) -> date:
    """The day itself, or the last one before it on which people were at work."""
    while day.weekday() >= SATURDAY or HOLIDAYS[0] <= day <= HOLIDAYS[1]:
        day -= timedelta(days=1)
    return day


# ---------------------------------------------------------------------------------------------- what harms nobody


@dataclass(frozen=True, slots=True)
class Earlier:
    """A change that changes nothing, or nothing that counts. The edits lead back to what was there before it."""

    commit: Commit
    edits: tuple[Edit, ...]


SITE_CHANGES: Final[Mapping[str, Commit]] = {  # by the setting of a house; each looks as if something had been saved
    "dense.cells": Commit(Author.OWEN, "Divide the vectors anew", "The number is that of the sizing sheet."),
    "dense.probes": Commit(Author.OWEN, "Change how many cells are searched", "Measured twice, see the sheet."),
    "embedding.batch": Commit(Author.TOMAS, "Other batches for the provider", "Theirs was a guess, ours is measured."),
    "embedding.passage_words": Commit(Author.LENA, "Change what is embedded of long passages", "It costs nothing."),
    "retrieval.pool": Commit(Author.TOMAS, "Change the pool of both arms", "It had never been looked at since spring."),
    "retrieval.rank_constant": Commit(Author.PRIYA, "Weigh the first ranks differently", "A little, and on purpose."),
    "retrieval.reranked": Commit(Author.LENA, "Re-rank fewer passages", "The last ones never made it to the top ten."),
    "rerank.code_weight": Commit(Author.PRIYA, "Adjust the weight of codes", "By hand, over the sample of January."),
    "rerank.passage_words": Commit(Author.OWEN, "Change what the re-ranker reads", "To what the writers need."),
    "sparse.b": Commit(Author.PRIYA, "Hold long passages back in another measure", "Ours are longer than most."),
    "sparse.k1": Commit(Author.PRIYA, "Let a repeated word count differently", "Our manuals repeat themselves."),
    "cache.similarity": Commit(Author.TOMAS, "Move the threshold of the cache", "In case somebody turns that part on."),
}

CACHE: Final = "ragdesk/cache.py"
CACHE_LOOKS: Final[Sequence[Earlier]] = (
    Earlier(
        Commit(Author.OWEN, "Simplify the look-up of the answer cache", "A key is there once or it is not."),
        (
            Edit(
                CACHE,
                '            found = self._database.execute("SELECT reply FROM answers WHERE key = ?", (asked.key,))'
                ".fetchone()\n"
                "        if found:\n"
                "            reply: dict[str, Any] = json.loads(found[0])\n"
                "            return reply\n",
                '            rows = self._database.execute("SELECT reply FROM answers WHERE key = ?", (asked.key,))'
                ".fetchall()\n"
                "        for row in rows:\n"
                "            reply: dict[str, Any] = json.loads(row[0])\n"
                "            return reply\n",
            ),
        ),
    ),
    Earlier(
        Commit(Author.TOMAS, "Do not wait for the disk when an answer is kept", "It took longer than the model."),
        (
            Edit(
                CACHE,
                '        self._database.execute("PRAGMA synchronous = OFF")  # what is lost is answered again\n',
                "",
            ),
        ),
    ),
    Earlier(
        Commit(Author.PRIYA, "Keep only what the semantic cache needs", "The list was searched although it is off."),
        (
            Edit(
                CACHE,
                "        if self._settings.semantic:\n"
                "            self._similar.append(Similar(asked, vector_of(), reply))\n",
                "        if not self._settings.semantic:\n"
                "            return\n"
                "        vector = vector_of()\n"
                "        self._similar.append(Similar(asked, vector, reply))\n",
            ),
        ),
    ),
)

EARLIER: Final[Sequence[Earlier]] = (
    Earlier(
        Commit(Author.LENA, "Wait longer before each further try", "Three requests in half a second did not help."),
        (
            Edit(
                "ragdesk/models.py",
                "time.sleep(FIRST_PAUSE * 2 ** (number - 1))",
                "time.sleep(FIRST_PAUSE * number)",
            ),
        ),
    ),
    Earlier(
        Commit(Author.LENA, "Take longer questions", "People paste whole mails."),
        (Edit("ragdesk/server.py", "MOST_BYTES = 64 * 1024", "MOST_BYTES = 16 * 1024"),),
    ),
    Earlier(
        Commit(Author.OWEN, "Answer eight at a time", "Most of the time all of them wait for the model."),
        (Edit("ragdesk/server.py", "THREADS = 8\n", "THREADS = 4\n"),),
    ),
    Earlier(
        Commit(Author.TOMAS, "Sort the keys of the manifest", "So that diff shows what is different and nothing else."),
        (Edit("ragdesk/index/manifest.py", "indent=1, sort_keys=True", "indent=1"),),
    ),
    Earlier(
        Commit(Author.PRIYA, "Four digits in the metrics", "With 400 questions in an hour three are too few."),
        (Edit("ragdesk/monitor.py", "round(statistics.fmean(numbers), 4)", "round(statistics.fmean(numbers), 3)"),),
    ),
    Earlier(
        Commit(Author.OWEN, "Close the postings when they are read", "Windows did not let go of the file."),
        (
            Edit(
                "ragdesk/index/sparse.py",
                "        with np.load(index / POSTINGS) as arrays:\n"
                "            return cls(\n"
                '                vocabulary, arrays["idf"], arrays["starts"], arrays["rows"], arrays["weights"],'
                ' stored["passages"]\n'
                "            )\n",
                "        arrays = np.load(index / POSTINGS)\n"
                "        return cls(\n"
                '            vocabulary, arrays["idf"], arrays["starts"], arrays["rows"], arrays["weights"],'
                ' stored["passages"]\n'
                "        )\n",
            ),
        ),
    ),
    Earlier(
        Commit(Author.LENA, "Remember more people", "With the last two customers there are 1,200 of them."),
        (Edit("ragdesk/conversation.py", "MOST_PEOPLE = 2000 ", "MOST_PEOPLE = 1000 "),),
    ),
    Earlier(
        Commit(Author.TOMAS, "Start ranks of the fusion without a look-up", "Shorter, and the same figures."),
        (
            Edit(
                "ragdesk/retrieve.py",
                "            fused[row] += 1 / (rank_constant + rank)\n",
                "            fused[row] = fused[row] + 1.0 / (rank_constant + rank)\n",
            ),
        ),
    ),
    Earlier(
        Commit(Author.PRIYA, "Runbook: what to do about odd vectors", "From what we learnt in autumn."),
        (
            Edit(
                "RUNBOOK.md",
                "## Vectors look odd\n\n"
                "Delete `embeddings/`, `rows.json` and `vectors.npy` in the index folder and run a full ingest. All"
                " passages are embedded\nagain; that takes some seconds and about a cent.\n\n",
                "",
            ),
        ),
    ),
    Earlier(
        Commit(Author.OWEN, "README: how to start without latency", "Asked for by everybody who is new."),
        (
            Edit(
                "README.md",
                "`python -m simgate --still` answers without any latency. What it tells stays the same.\n\n",
                "",
            ),
        ),
    ),
    Earlier(
        Commit(Author.TOMAS, "A target for the metrics", "Nobody can remember where they are written to."),
        (
            Edit(
                "Makefile",
                "metrics:\n\tpython -m ragdesk metrics --index $(INDEX) --out metrics.csv\n\n",
                "",
            ),
        ),
    ),
    Earlier(
        Commit(Author.LENA, "Test that an index can be opened again", "It could not, for an afternoon."),
        (
            Edit(
                "tests/test_smoke.py",
                "def test_an_index_can_be_opened_again(desk, index):\n"
                "    reloaded = desk.reload(index)\n"
                '    assert reloaded["index"] == str(index)\n'
                '    assert reloaded["documents"] > 0\n\n\n',
                "",
            ),
        ),
    ),
    Earlier(
        Commit(Author.PRIYA, "Three digits are enough for an evaluation", "With two, a question more did not show."),
        (
            Edit(
                "ragdesk/evaluate.py",
                '        "recall_at_5": round(sum(found) / max(1, len(found)), 3),\n'
                '        "accuracy": round(sum(right) / max(1, len(right)), 3),\n',
                '        "recall_at_5": round(sum(found) / max(1, len(found)), 2),\n'
                '        "accuracy": round(sum(right) / max(1, len(right)), 2),\n',
            ),
        ),
    ),
    Earlier(
        Commit(Author.OWEN, "Say what kind of document is not known", '"Cannot read" sent us looking for hours.'),
        (
            Edit(
                "ragdesk/ingest/loaders.py",
                'f"{doc_id}: .{extension} is no kind of document that we know"',
                'f"{doc_id}: cannot be read"',
            ),
        ),
    ),
)
