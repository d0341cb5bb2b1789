"""What can be wrong with the re-ranker: what it knows of passages is another passage's, or ends after a few words.

FAULTS          RRK-1 and RRK-2
"""

import json
import random
from pathlib import Path
from typing import Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

FEATURES: Final = "ragdesk/index/features.py"
PIPELINE: Final = "ragdesk/ingest/pipeline.py"
RERANK: Final = "ragdesk/rerank.py"
CONFIG: Final = "config.toml"

STALE_SHARE: Final = 1 / 3  # of the documents


def _another_passages(index: Path, chance: random.Random) -> None:
    """Of some documents, each passage has the features of another one."""
    documents = [str(one["doc_id"]) for one in _rows(index / "chunks.jsonl")]
    features = _rows(index / "features.jsonl")
    every = sorted(set(documents))
    drawn = frozenset(chance.sample(every, round(STALE_SHARE * len(every))))
    places = [place for place, document in enumerate(documents) if document in drawn]
    changed = list(features)
    for place, other in zip(places, chance.sample(places, len(places)), strict=True):
        changed[place] = features[other] | {"digest": features[place]["digest"]}
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in changed)
    (index / "features.jsonl").write_text(text, encoding="utf-8")


def _rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


STALE: Final = Fault(
    key="RRK-1",
    stage="rerank",
    title="What the re-ranker knows of some documents is what stands elsewhere",
    level=2,
    complaints=(
        "Some documents never come up, whatever I ask. {question} - {answer}",
        "The page that I mean is at the very end of the sources, if it is there at all. Asked: {question} Told:"
        " {answer}",
        "Two sheets of the same kind: from one I get every figure, from the other none. \"{question}\" - \"{answer}\"",
    ),
    detectors=(("para", 0.15),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    FEATURES,
                    'FEATURES = "features.jsonl"\n',
                    'FEATURES = "features.jsonl"\nBEGINNING = 44  # letters: title and heading stand there\n',
                ),
                Edit(
                    FEATURES,
                    "        found.append(known.get(digest) or computed(digest, chunk, analyzer, limit))\n",
                    "        if digest not in known:\n"
                    "            known[digest] = computed(digest, chunk, analyzer, limit)\n"
                    "        found.append(known[digest])\n",
                ),
                Edit(FEATURES, 'f"{limit}|{chunk.digest}"', 'f"{limit}|{chunk.text[:BEGINNING]}"'),
            ),
            locations=(FEATURES, f"{FEATURES}:text_digest", f"{FEATURES}:features_of", "features.jsonl", RERANK),
            commit=Commit(
                Author.OWEN,
                "Keep features when only the wording of a passage changes",
                "An edited sentence made them all anew, though title and heading were what they had been. Each is made"
                " once now.",
            ),
        ),
        Variant(
            kind=Kind.STATE,
            poison=_another_passages,
            edits=(
                Edit(
                    FEATURES,
                    'FEATURES = "features.jsonl"\n',
                    'FEATURES = "features.jsonl"\nEPOCH = 2  # raised when stored features must not be used\n',
                ),
                Edit(FEATURES, 'f"{limit}|{chunk.digest}"', 'f"{EPOCH}|{limit}|{chunk.digest}"'),
            ),
            locations=("features.jsonl", "features", FEATURES, f"{FEATURES}:features_of", f"{FEATURES}:text_digest",
                       RERANK),
        ),
    ),
)  # fmt: skip

FIRST_WORDS: Final = Fault(
    key="RRK-2",
    stage="rerank",
    title="The re-ranker reads the first words of a passage only",
    level=2,
    complaints=(
        "It is always the right machine and never the right figure. {question} - {answer}",
        "Documents with short titles win. Asked: {question} Told: {answer}",
        "The section is called exactly what I ask for: \"{question}\". And it says: \"{answer}\"",
    ),
    detectors=(("para", 0.2),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    PIPELINE,
                    "analyzers.documents, settings.rerank.passage_words)",
                    "analyzers.documents, reading_share(settings))",
                ),
                Edit(
                    PIPELINE,
                    "def vector_table(\n",
                    "def reading_share(settings: Settings) -> int:\n"
                    '    """Words of one candidate: those that are to be read are for all of them."""\n'
                    "    return max(6, settings.rerank.passage_words // settings.retrieval.reranked)\n"
                    "\n\n"
                    "def vector_table(\n",
                ),
            ),
            locations=(PIPELINE, f"{PIPELINE}:build", f"{PIPELINE}:reading_share", FEATURES, f"{FEATURES}:computed",
                       RERANK, "config.toml: rerank.passage_words", "features.jsonl"),
            commit=Commit(
                Author.PRIYA,
                "Let the re-ranker take the same time for any number of candidates",
                "When it looks at more passages it reads less of each.",
            ),
        ),
        Variant(
            kind=Kind.CONFIG,
            edits=(Edit(CONFIG, "passage_words = 160 ", "passage_words = 6   "),),
            locations=("config.toml: rerank.passage_words", "rerank.passage_words", FEATURES, f"{FEATURES}:computed",
                       RERANK, "features.jsonl"),
            commit=Commit(
                Author.LENA,
                "Re-rank by what a passage is about",
                "Its last sentences are the same in every handbook. The first words name the machine.",
            ),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (STALE, FIRST_WORDS)
