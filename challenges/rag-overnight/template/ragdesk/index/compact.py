"""The table of vectors: which row belongs to which passage, and how it is kept without gaps.

An ingest takes the table of the last one, adds rows for new passages at the end, buries the rows of passages that are
gone, and compacts. So the vector of a passage that did not change is neither asked for nor looked up again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..records import Flags, Floats

ROWS = "rows.json"
VECTORS = "vectors.npy"


@dataclass(frozen=True, slots=True)
class VectorTable:
    row_of: dict[str, int]  # by chunk id
    vectors: Floats

    @classmethod
    def load(cls, index: Path, dimensions: int) -> "VectorTable":
        """The table in an index, or an empty one."""
        if not (index / ROWS).exists():
            return cls({}, np.zeros((0, dimensions), dtype=np.float32))
        return cls(json.loads((index / ROWS).read_text(encoding="utf-8")), np.load(index / VECTORS))

    def save(self, index: Path) -> None:
        (index / ROWS).write_text(json.dumps(self.row_of), encoding="utf-8")
        np.save(index / VECTORS, self.vectors)

    def missing(self, chunk_ids: Sequence[str]) -> list[str]:
        return [chunk_id for chunk_id in chunk_ids if chunk_id not in self.row_of]

    def extended(self, chunk_ids: Sequence[str], vectors: Floats) -> "VectorTable":
        """With rows for new passages at the end."""
        end = len(self.vectors)
        added = {chunk_id: end + number for number, chunk_id in enumerate(chunk_ids)}
        return VectorTable({**self.row_of, **added}, np.concatenate([self.vectors, vectors]))

    def tombstones(self, living: Sequence[str]) -> Flags:
        """The rows that belong to no passage any more."""
        dead = np.ones(len(self.vectors), dtype=np.bool_)
        dead[[self.row_of[chunk_id] for chunk_id in living]] = False
        return dead

    def compacted(self, dead: Flags) -> "VectorTable":
        """Without the dead rows; those behind them move up."""
        moved_up = np.cumsum(dead)
        row_of = {name: row - int(moved_up[row]) for name, row in self.row_of.items() if not dead[row]}
        return VectorTable(row_of, self.vectors[~dead])

    def arranged(self, chunk_ids: Sequence[str]) -> "VectorTable":
        """With rows in the order of the passages: how an index came about does not show."""
        order = [self.row_of[chunk_id] for chunk_id in chunk_ids]
        return VectorTable({chunk_id: row for row, chunk_id in enumerate(chunk_ids)}, self.vectors[order])
