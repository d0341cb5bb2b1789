"""The dense arm: passages whose vectors point where the question's does. It finds what is said in other words.

Vectors are divided into cells around centroids, and a question is looked for in the cells nearest to it. Centroids are
kept from ingest to ingest, so that a passage stays in its cell, until the index has grown or shrunk by half.
"""

from pathlib import Path

import numpy as np

from ..records import Flags, Floats, Numbers, Ranked
from ..settings import DenseSettings

CENTROIDS = "centroids.npy"
ROUNDS = 8  # of k-means


class DenseArm:
    def __init__(self, vectors: Floats, centroids: Floats, settings: DenseSettings) -> None:
        self._vectors = vectors
        self._centroids = centroids
        self._probes = settings.probes
        self._cell_of = nearest(vectors, centroids)

    def search(self, vector: Floats, allowed: Flags, pool: int) -> Ranked:
        """The nearest passages that are allowed, with their cosines."""
        candidates = np.flatnonzero(allowed & self._probed(vector)[self._cell_of])
        cosines = self._vectors[candidates] @ vector
        best = np.argsort(-cosines, kind="stable")[:pool]
        return [(int(candidates[place]), float(cosines[place])) for place in best]

    def _probed(self, vector: Floats) -> Flags:
        """Which cells are searched."""
        probed = np.zeros(len(self._centroids), dtype=np.bool_)
        order = np.argsort(-(self._centroids @ vector), kind="stable")
        probed[order[: self._probes]] = True
        return probed


def nearest(vectors: Floats, centroids: Floats) -> Numbers:
    """The cell of each vector."""
    return np.asarray(np.argmax(vectors @ centroids.T, axis=1), dtype=np.int64)


def centroids_for(vectors: Floats, index: Path, chunks_before: int, settings: DenseSettings) -> Floats:
    """Those of the index as it was, or new ones when they fit it no longer."""
    path = index / CENTROIDS
    if path.exists() and abs(len(vectors) - chunks_before) <= chunks_before / 2:
        kept: Floats = np.load(path)
        return kept
    return trained(vectors, settings.cells)


def trained(vectors: Floats, cells: int) -> Floats:
    """k-means on the sphere, beginning with vectors that lie far from each other."""
    centroids = _far_apart(vectors, min(cells, len(vectors)))
    for _ in range(ROUNDS):
        cell_of = nearest(vectors, centroids)
        sums = np.zeros_like(centroids)
        np.add.at(sums, cell_of, vectors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), centroids).astype(np.float32)
    return centroids


def _far_apart(vectors: Floats, count: int) -> Floats:
    chosen = [0]
    closest = vectors @ vectors[0]
    while len(chosen) < count:
        chosen.append(int(np.argmin(closest)))
        closest = np.maximum(closest, vectors @ vectors[chosen[-1]])
    return vectors[chosen]
