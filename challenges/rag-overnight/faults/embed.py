"""What can be wrong with vectors: of another model, of other words, of too few words, of too few numbers.

    FAULTS          EMB-1 to EMB-4

Stored vectors lie in two places, in the cache of embeddings and in the table of the index. Whoever mends the one and
goes on with the other has mended nothing.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS", "as_of_another_model"]

Vectors: TypeAlias = NDArray[np.float32]

EMBED: Final = "ragdesk/embed.py"
PIPELINE: Final = "ragdesk/ingest/pipeline.py"
CONFIG: Final = "config.toml"
STORED: Final = (
    "embeddings cache", "embeddings/vectors.npy", "embeddings", "vectors.npy", EMBED, f"{EMBED}:VectorCache",
)  # fmt: skip

# The mend of all that is wrong with stored vectors: none of them is believed any more, neither in the cache nor in the
# table, and none is asked for twice.
ANEW: Final = (
    Edit(
        EMBED,
        'VECTORS = "vectors.npy"\n',
        'VECTORS = "vectors.npy"\nEPOCH = 2  # raised when vectors that were stored before must not be used any more\n',
    ),
    Edit(EMBED, 'f"{model}|{text}"', 'f"{EPOCH}|{model}|{text}"'),
    Edit(PIPELINE, "import Embedder, VectorCache\n", "import EPOCH, Embedder, VectorCache\n"),
    Edit(PIPELINE, "{shape.passage_words}/{shape.dimensions}", "{shape.passage_words}/{shape.dimensions}/{EPOCH}"),
)

SHARE_OF_OTHERS: Final = 0.5
KEPT_NUMBERS: Final = 16


# ----------------------------------------------------------------------------------------------------- stored vectors


def _changed(index: Path, change: Callable[[Vectors, Vectors], Vectors]) -> None:
    """Changes vectors in the cache and wherever they were taken from there.

    `change` gets the cached vectors and those of the table, and gives others for the cached ones.
    """
    stored, table = index / "embeddings" / "vectors.npy", index / "vectors.npy"
    cached: Vectors = np.load(stored)
    of_passages: Vectors = np.load(table)
    changed = change(cached, of_passages)
    place = _places(cached)
    np.save(stored, changed)
    np.save(table, np.stack([changed[place[row.tobytes()]] for row in of_passages]))


def _places(cached: Vectors) -> dict[bytes, int]:
    return {row.tobytes(): place for place, row in enumerate(cached)}


def as_of_another_model(vectors: Vectors, chance: random.Random) -> Vectors:
    """As far from each other as they were, and near to nothing that this model has made.

    Numbers change places and signs, which is exact on every machine.
    """
    lanes = chance.sample(range(vectors.shape[1]), vectors.shape[1])
    signs = np.array([chance.choice((-1, 1)) for _ in lanes], dtype=np.float32)
    return vectors[:, lanes] * signs


def _with_another_models(index: Path, chance: random.Random) -> None:
    def change(cached: Vectors, _: Vectors) -> Vectors:
        others = chance.sample(range(len(cached)), round(SHARE_OF_OTHERS * len(cached)))
        changed = cached.copy()
        changed[others] = as_of_another_model(cached[others], chance)
        return changed

    _changed(index, change)


def _of_titles_alone(index: Path, chance: random.Random) -> None:  # noqa: ARG001  # all of them
    """What a passage begins with is its title, of which the index has a vector."""
    labels = {text: row for row, text in enumerate(json.loads((index / "labels.json").read_text(encoding="utf-8")))}
    of_labels = np.load(index / "labels.npy")
    lines = (index / "chunks.jsonl").read_text(encoding="utf-8").splitlines()
    titles = [" ".join(json.loads(line)["title"].split()) for line in lines]

    def change(cached: Vectors, of_passages: Vectors) -> Vectors:
        place = _places(cached)
        changed = cached.copy()
        for row, title in zip(of_passages, titles, strict=True):
            if title in labels:
                changed[place[row.tobytes()]] = of_labels[labels[title]]
        return changed

    _changed(index, change)


def _cut_short(index: Path, chance: random.Random) -> None:  # noqa: ARG001  # all of them
    def change(cached: Vectors, _: Vectors) -> Vectors:
        changed = cached.copy()
        changed[:, KEPT_NUMBERS:] = 0
        return changed

    _changed(index, change)


# ------------------------------------------------------------------------------------------------------------- faults

TWO_MODELS: Final = Fault(
    key="EMB-1",
    stage="embed",
    title="Half of the vectors are those of the previous model",
    level=3,
    complaints=(
        "If I use the words of the handbook it answers, if I use my own it does not. {question} - {answer}",
        "Half of our machines it only finds by their exact names. Asked: {question} Told: {answer}",
        "My apprentices do not know the proper terms, and it used to understand them. \"{question}\" -> \"{answer}\"",
    ),
    detectors=(("para", 0.25), ("bulletin", 0.1)),
    excludes=("EMB-3", "EMB-4"),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    EMBED,
                    'KEYS = "keys.json"\n',
                    'SPARE = "embed-s-v1"  # as many numbers, and a quota of its own\nKEYS = "keys.json"\n',
                ),
                Edit(
                    EMBED,
                    "def prepared(text: str) -> str:\n",
                    "def quota_of(text: str, model: str) -> str:\n"
                    '    """The model that is asked: always the same for a text, and each for every other one."""\n'
                    "    return model if int(cache_key(model, text)[0], 16) % 2 else SPARE\n"
                    "\n\n"
                    "def prepared(text: str) -> str:\n",
                ),
                Edit(
                    EMBED,
                    "        keys = [cache_key(model, text) for text in inputs]\n",
                    "        keys = [cache_key(quota_of(text, model), text) for text in inputs]\n",
                ),
                Edit(
                    EMBED,
                    "        for key, vector in zip(missing, self._asked(list(missing.values()), model), "
                    "strict=True):\n"
                    "            known[key] = vector\n"
                    "            if self._cache is not None:\n"
                    "                self._cache.put(key, vector)\n",
                    "        for quota in (model, SPARE):\n"
                    "            mine = {key: text for key, text in missing.items()"
                    " if quota_of(text, model) == quota}\n"
                    "            for key, vector in zip(mine, self._asked(list(mine.values()), quota), strict=True):\n"
                    "                known[key] = vector\n"
                    "                if self._cache is not None:\n"
                    "                    self._cache.put(key, vector)\n",
                ),
                Edit(PIPELINE, "{shape.dimensions}", "{shape.dimensions}/both quotas"),
            ),
            locations=(EMBED, f"{EMBED}:passages", f"{EMBED}:Embedder", f"{EMBED}:quota_of", "embed-s-v1",
                       "embeddings cache"),
            commit=Commit(
                Author.TOMAS,
                "Embed with both quotas at night",
                "The ingest waits for the rate limit for most of its time, and the older model's quota lies idle. A"
                " text always goes to the same one, so that a second ingest finds it in the cache.",
            ),
        ),
        Variant(
            kind=Kind.STATE,
            poison=_with_another_models,
            edits=ANEW,
            locations=(*STORED, "embed-s-v1", f"{EMBED}:cache_key", f"{PIPELINE}:embedding_name"),
        ),
    ),
)  # fmt: skip

STEMMED: Final = Fault(
    key="EMB-2",
    stage="embed",
    title="Words of questions lose their endings before they are embedded, words of passages do not",
    level=3,
    complaints=(
        "As soon as I describe the machine instead of naming it, it is lost. {question} - {answer}",
        "It understands the codes and nothing else. Asked: {question} Told: {answer}",
        "In plain words: \"{question}\". The reply: \"{answer}\". Somebody who has the handbook understands what I"
        " mean.",
    ),
    detectors=(("para", 0.2),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(EMBED, "import json\nimport threading\n", "import json\nimport re\nimport threading\n"),
                Edit(
                    EMBED,
                    "def kept(vectors: Floats, dimensions: int) -> Floats:\n",
                    'ENDING = re.compile(r"(?<=\\b[a-z]{4})[a-z]+")\n'
                    "\n\n"
                    "def stems(text: str) -> str:\n"
                    '    """Pumps, pumped and pumping are one word."""\n'
                    '    return ENDING.sub("", text.lower())\n'
                    "\n\n"
                    "def kept(vectors: Floats, dimensions: int) -> Floats:\n",
                ),
                Edit(EMBED, "[prepared(question), *new]", "[stems(prepared(question)), *new]"),
            ),
            locations=(EMBED, f"{EMBED}:question", f"{EMBED}:Embedder", f"{EMBED}:prepared", f"{EMBED}:stems"),
            commit=Commit(
                Author.PRIYA,
                "Understand plurals and other forms of a word",
                "\"Which pumps\" found less than \"which pump\". What is asked is now reduced to its stems.",
            ),
        ),
    ),
)  # fmt: skip

FIRST_WORDS: Final = Fault(
    key="EMB-3",
    stage="embed",
    title="Vectors of passages are made from their first words only",
    level=2,
    complaints=(
        "Only the title of a document seems to count, not what it says. {question} - {answer}",
        "I get the right machine and the wrong chapter. Asked: {question} Told: {answer}",
        "It says that nothing is known about this, and there is a whole section about it. \"{question}\" -"
        " \"{answer}\"",
    ),
    detectors=(("bulletin", 0.12), ("prose", 0.07)),
    excludes=("EMB-1", "EMB-4"),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    EMBED,
                    "def prepared(text: str) -> str:\n",
                    "def first_sentence(text: str) -> str:\n"
                    '    """What a passage is about. What follows are figures and warnings, alike in all."""\n'
                    '    return text.partition(". ")[0]\n'
                    "\n\n"
                    "def prepared(text: str) -> str:\n",
                ),
                Edit(EMBED, "prepared(text).split()[:limit]", "first_sentence(prepared(text)).split()[:limit]"),
                Edit(PIPELINE, "{shape.dimensions}", "{shape.dimensions}/first sentence"),
            ),
            locations=(EMBED, f"{EMBED}:passages", f"{EMBED}:Embedder", f"{EMBED}:first_sentence",
                       "embeddings cache"),
            commit=Commit(
                Author.LENA,
                "Embed what a passage says first",
                "Warnings and general remarks pull all passages together. The first sentence tells them apart, and"
                " costs a tenth.",
            ),
        ),
        Variant(
            kind=Kind.CONFIG,
            edits=(Edit(CONFIG, "passage_words = 400 ", "passage_words = 6   "),),
            locations=("config.toml: embedding.passage_words", "embedding.passage_words", EMBED, f"{EMBED}:passages"),
            commit=Commit(
                Author.OWEN,
                "Embed no more than is needed",
                "The bill for embeddings was three times that of the month before. What a passage is about stands at"
                " its beginning.",
            ),
        ),
        Variant(
            kind=Kind.STATE,
            poison=_of_titles_alone,
            edits=ANEW,
            locations=(*STORED, f"{EMBED}:cache_key", f"{PIPELINE}:embedding_name"),
        ),
    ),
)  # fmt: skip

FEW_NUMBERS: Final = Fault(
    key="EMB-4",
    stage="embed",
    title="Of each vector only the first numbers are kept",
    level=2,
    complaints=(
        "The sources have little to do with what I ask. {question} - {answer}",
        "It mixes up things that only sound alike to a machine. Asked: {question} Told: {answer}",
        "Everything has become a little worse, and free questions much worse: \"{question}\" - \"{answer}\"",
    ),
    detectors=(("nearmiss", 0.25), ("bulletin", 0.12)),
    excludes=("EMB-1", "EMB-3"),
    variants=(
        Variant(
            kind=Kind.CONFIG,
            edits=(
                Edit(CONFIG, "dimensions = 256 ", "dimensions = 16  "),
                Edit(
                    EMBED,
                    "    short = vectors[:, :dimensions]\n"
                    "    lengths = np.linalg.norm(short, axis=1, keepdims=True)\n"
                    "    return np.asarray(short / np.maximum(lengths, 1e-9), dtype=np.float32)\n",
                    "    return vectors[:, :dimensions]\n",
                ),
                Edit(EMBED, ", and of length one again if that shortened it.", "."),
                Edit(
                    PIPELINE,
                    "VectorCache(index / EMBEDDINGS)",
                    'VectorCache(index / f"{EMBEDDINGS}-{settings.embedding.dimensions}")',
                ),
                Edit(
                    PIPELINE,
                    "        table = table.compacted(table.tombstones([]))\n",
                    "        table = VectorTable({}, np.zeros((0, settings.embedding.dimensions), dtype=np.float32))\n"
                    "        (index / CENTROIDS).unlink(missing_ok=True)\n",
                ),
            ),
            locations=("config.toml: embedding.dimensions", "embedding.dimensions", EMBED, f"{EMBED}:kept"),
            commit=Commit(
                Author.TOMAS,
                "Keep shorter vectors",
                "The first numbers say most, and the index is a sixteenth of what it was. What was stored with all of"
                " them is not mixed with what is new.",
            ),
        ),
        Variant(
            kind=Kind.STATE,
            poison=_cut_short,
            edits=ANEW,
            locations=(*STORED, f"{EMBED}:cache_key", f"{EMBED}:kept", f"{PIPELINE}:embedding_name"),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (TWO_MODELS, STEMMED, FIRST_WORDS, FEW_NUMBERS)
