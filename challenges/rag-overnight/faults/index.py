"""What can be wrong with the index: rows, cells, passages that are there five times, and words that were cut up.

FAULTS          IDX-1 to IDX-4
"""

import json
import random
from pathlib import Path
from typing import Final

import numpy as np

from .embed import as_of_another_model
from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

PIPELINE: Final = "ragdesk/ingest/pipeline.py"
ANALYZER: Final = "ragdesk/index/analyzer.py"
COMPACT: Final = "ragdesk/index/compact.py"
DENSE: Final = "ragdesk/index/dense.py"
SPARSE: Final = "ragdesk/index/sparse.py"
CONFIG: Final = "config.toml"

SHIFTED_FROM: Final = 0.35  # of the rows
SHIFTED_BY: Final = 2
CELLS: Final = 32
NIGHTS: Final = 8  # as many as cells are searched


def _shifted(index: Path, chance: random.Random) -> None:  # noqa: ARG001  # a compaction draws no lots
    """As if two rows had been taken out, and only the table of vectors knew."""
    path = index / "rows.json"
    row_of: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    first = int(SHIFTED_FROM * len(row_of))
    behind = max(1, len(row_of) - first)
    moved = {
        chunk_id: row if row < first else first + (row - first + SHIFTED_BY) % behind
        for chunk_id, row in row_of.items()
    }
    path.write_text(json.dumps(moved), encoding="utf-8")


def _cells_of_yesteryear(index: Path, chance: random.Random) -> None:
    """Around vectors that are none of these, and as if each night's ingest had appended them once more.

    Nothing lies in the cells of the copies. Who searches eight cells searches one.
    """
    vectors = np.load(index / "vectors.npy")
    drawn = sorted(chance.sample(range(len(vectors)), min(CELLS, len(vectors))))
    strangers = [as_of_another_model(vectors[[row]], chance) for row in drawn]
    np.save(index / "centroids.npy", np.concatenate(strangers * NIGHTS))


def _analysed_in_parts(index: Path, chance: random.Random) -> None:  # noqa: ARG001  # there is nothing to draw
    path = index / "analyzer.json"
    analyzers = json.loads(path.read_text(encoding="utf-8"))
    analyzers["documents"]["split_codes"] = True
    path.write_text(json.dumps(analyzers, indent=1), encoding="utf-8")


SHIFTED: Final = Fault(
    key="IDX-1",
    stage="index",
    title="From some row on, vectors belong to other passages than the table says",
    level=3,
    complaints=(
        "The sources are about something else altogether. {question} - {answer}",
        "For some machines it is as good as ever, for others it finds nothing unless I know the code. Asked:"
        " {question} Told: {answer}",
        "I described what I need and got nonsense: \"{question}\" - \"{answer}\". My colleague's question in the same"
        " manner was answered well.",
    ),
    detectors=(("para", 0.2), ("bulletin", 0.08)),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    COMPACT,
                    'VECTORS = "vectors.npy"\n',
                    'VECTORS = "vectors.npy"\nBLOCK = 128  # rows that are copied at once\n',
                ),
                Edit(
                    COMPACT,
                    "        return VectorTable(row_of, self.vectors[~dead])\n",
                    "        living = [self.vectors[:0]]\n"
                    "        for start in range(0, len(dead), BLOCK):\n"
                    "            rows = slice(start, start + BLOCK + 1)\n"
                    "            living.append(self.vectors[rows][~dead[rows]])\n"
                    "        return VectorTable(row_of, np.concatenate(living))\n",
                ),
            ),
            locations=(COMPACT, f"{COMPACT}:compacted", f"{COMPACT}:VectorTable", "vectors.npy", "rows.json",
                       "compaction"),
            commit=Commit(
                Author.TOMAS,
                "Compact the table of vectors block by block",
                "While it was copied it was in memory twice, and the small machines did not have that much.",
            ),
        ),
        Variant(
            kind=Kind.STATE,
            poison=_shifted,
            edits=(
                Edit(
                    PIPELINE,
                    "    table, new_vectors = vector_table(chunks, index, previous, embedder, settings)\n",
                    "    # A full ingest takes no rows over: what it needs to know is in the cache.\n"
                    "    taken_over = previous if reading.reused else Manifest()\n"
                    "    table, new_vectors = vector_table(chunks, index, taken_over, embedder, settings)\n",
                ),
            ),
            locations=("rows.json", "vectors.npy", COMPACT, f"{COMPACT}:compacted", f"{COMPACT}:VectorTable",
                       f"{PIPELINE}:vector_table", "compaction"),
        ),
    ),
)  # fmt: skip

PROBES: Final = Fault(
    key="IDX-2",
    stage="index",
    title="Few cells are searched, and the cells do not fit the vectors",
    level=2,
    complaints=(
        "Whether it knows something depends on how I put it. {question} - {answer}",
        "The bulletin is two weeks old and it does not find it. Asked: {question} Told: {answer}",
        "I changed one word and had an answer. Before that: \"{question}\" - \"{answer}\"",
    ),
    detectors=(("para", 0.2),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(CONFIG, "cells = 24 ", "cells = 32 "),
                Edit(CONFIG, "probes = 8 ", "probes = 1 "),
                Edit(DENSE, 'CENTROIDS = "centroids.npy"\n', 'CENTROIDS = "directions.npy"\n'),
                Edit(
                    DENSE,
                    "    return trained(vectors, settings.cells)\n\n\n",
                    "    return directions(settings.cells, vectors.shape[1])\n"
                    "\n\n"
                    "def directions(cells: int, dimensions: int) -> Floats:\n"
                    '    """The same in every ingest: whatever the vectors are, these divide their sphere evenly."""\n'
                    "    drawn = np.random.default_rng(cells).standard_normal((cells, dimensions))\n"
                    "    return np.asarray(drawn, dtype=np.float32)\n"
                    "\n\n",
                ),
            ),
            locations=("config.toml: dense.probes", "config.toml: dense.cells", "dense.probes", DENSE,
                       f"{DENSE}:centroids_for", f"{DENSE}:directions", f"{DENSE}:_probed", "centroids",
                       "directions.npy"),
            commit=Commit(
                Author.OWEN,
                "Divide vectors without training",
                "k-means takes longer than everything else in an ingest, and random directions divide a sphere as well."
                " Cells are smaller now, so that the one that a question falls into can be compared at once.",
            ),
        ),
        Variant(
            kind=Kind.STATE,
            poison=_cells_of_yesteryear,
            edits=(
                Edit(PIPELINE, "import CENTROIDS, centroids_for\n", "import CENTROIDS, trained\n"),
                Edit(
                    PIPELINE,
                    "centroids_for(table.vectors, index, previous.chunks, settings.dense)",
                    "trained(table.vectors, settings.dense.cells)",
                ),
            ),
            locations=("centroids.npy", "centroids", DENSE, f"{DENSE}:centroids_for", "config.toml: dense.cells",
                       "config.toml: dense.probes"),
        ),
    ),
)  # fmt: skip

FLOOD: Final = Fault(
    key="IDX-3",
    stage="index",
    title="Short documents are in the index several times",
    level=2,
    complaints=(
        "The same page is listed five times, and what I need is not among them. {question} - {answer}",
        "All sources are one document. Asked: {question} Told: {answer}",
    ),
    detectors=(("bulletin", 0.2), ("prose", 0.15)),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    PIPELINE,
                    'EMBEDDINGS = "embeddings"\n',
                    'EMBEDDINGS = "embeddings"\nATTEMPTS = 5  # to read a document that may not be complete yet\n',
                ),
                Edit(
                    PIPELINE,
                    "            found = chunks_of(document, source.access, settings.chunking)\n",
                    "            found = []\n"
                    "            for _ in range(ATTEMPTS):\n"
                    "                passages = chunks_of(document, source.access, settings.chunking)\n"
                    "                found.extend(passages)\n"
                    "                if len(passages) > 1:\n"
                    "                    break\n"
                    "                document = load_document(source.doc_id, source.extension, source.content)\n",
                ),
                Edit(
                    PIPELINE,
                    "    chunks = list({chunk.chunk_id: chunk for chunk in reading.chunks}.values())\n",
                    "    chunks = list(reading.chunks)\n",
                ),
            ),
            locations=(PIPELINE, f"{PIPELINE}:read_documents", f"{PIPELINE}:build", "chunks.jsonl", "duplicates"),
            commit=Commit(
                Author.OWEN,
                "Read a document again that may not be complete",
                "Exports are still running at two. A document of one passage is the beginning of a longer one, more"
                " often than not.",
            ),
        ),
    ),
)  # fmt: skip

CODES: Final = Fault(
    key="IDX-4",
    stage="index",
    title="Codes are cut up when documents are indexed, and not when somebody asks",
    level=2,
    complaints=(
        "With the machine's name it works, with the code that is on its plate it does not. {question} - {answer}",
        "We order by code and nobody here knows the names. Asked: {question} Told: {answer}",
        "It confuses our two machines as soon as I give the code alone. \"{question}\" - \"{answer}\"",
    ),
    detectors=(("nearmiss", 0.35),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    PIPELINE,
                    "import read_analyzers, write_analyzers\n",
                    "import Analyzer, read_analyzers, write_analyzers\n",
                ),
                Edit(
                    PIPELINE,
                    "SparseArm.build([analyzers.documents.terms(chunk.text) for chunk in chunks]",
                    "SparseArm.build([Analyzer(split_codes=True).terms(chunk.text) for chunk in chunks]",
                ),
            ),
            locations=(PIPELINE, f"{PIPELINE}:build", ANALYZER, f"{ANALYZER}:Analyzer", SPARSE, "analyzer",
                       "split_codes"),
            commit=Commit(
                Author.LENA,
                "Find compounds by their parts",
                "Who looked for \"pre-filter\" did not find what was written under \"filter\".",
            ),
        ),
        Variant(
            kind=Kind.STATE,
            poison=_analysed_in_parts,
            edits=(
                Edit(
                    PIPELINE,
                    "import read_analyzers, write_analyzers\n",
                    "import Analyzers, write_analyzers\n",
                ),
                Edit(
                    PIPELINE,
                    "    analyzers = read_analyzers(index)\n",
                    "    analyzers = Analyzers()  # of questions too: every ingest analyses all passages\n",
                ),
            ),
            locations=("analyzer.json", ANALYZER, f"{ANALYZER}:read_analyzers", f"{PIPELINE}:build", "split_codes"),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (SHIFTED, PROBES, FLOOD, CODES)
