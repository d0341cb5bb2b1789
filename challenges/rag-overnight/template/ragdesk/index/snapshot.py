"""An index in memory. It never changes: a reload opens another one.

snapshot = open_index(settings, Path("state/index"))
snapshot.dense.search(vector, snapshot.allowed(user), pool=40)
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..ingest.acl import may_read
from ..records import Access, Chunk, Flags, Floats, User
from ..settings import Settings
from .analyzer import Analyzers, read_analyzers
from .compact import VectorTable
from .dense import CENTROIDS, DenseArm
from .features import Features, in_order
from .manifest import Manifest, read_manifest
from .sparse import SparseArm

CHUNKS = "chunks.jsonl"
LABELS = "labels.json"
LABEL_VECTORS = "labels.npy"


@dataclass(frozen=True, slots=True)
class Snapshot:
    manifest: Manifest
    chunks: tuple[Chunk, ...]
    dense: DenseArm
    sparse: SparseArm
    analyzers: Analyzers
    features: tuple[Features, ...]  # one for each chunk
    labels: dict[str, int]  # titles and headings, and the rows of their vectors
    label_vectors: Floats
    _flags: dict[User, Flags] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allowed(self, user: User) -> Flags:
        """Which passages this user may see."""
        with self._lock:
            if user not in self._flags:
                self._flags[user] = self._visible_to(user)
            return self._flags[user]

    def _visible_to(self, user: User) -> Flags:
        verdicts = {access: may_read(user, access) for access in {chunk.access for chunk in self.chunks}}
        return np.array([verdicts[chunk.access] for chunk in self.chunks], dtype=np.bool_)


def open_index(settings: Settings, index: Path) -> Snapshot:
    """The index in a folder; FileNotFoundError when none was made there."""
    chunks = read_chunks(index)
    table = VectorTable.load(index, settings.embedding.dimensions).arranged([chunk.chunk_id for chunk in chunks])
    labels, label_vectors = read_labels(index)
    return Snapshot(
        manifest=read_manifest(index),
        chunks=tuple(chunks),
        dense=DenseArm(table.vectors, np.load(index / CENTROIDS), settings.dense),
        sparse=SparseArm.load(index),
        analyzers=read_analyzers(index),
        features=tuple(in_order(index)),
        labels=labels,
        label_vectors=label_vectors,
    )


def read_chunks(index: Path) -> list[Chunk]:
    rows = [json.loads(line) for line in (index / CHUNKS).read_text(encoding="utf-8").splitlines()]
    known: dict[tuple[str, ...], Access] = {}  # few rules for many passages
    return [_chunk(row, known) for row in rows]


def _chunk(row: dict[str, str], known: dict[tuple[str, ...], Access]) -> Chunk:
    tenant, roles = row.pop("tenant"), tuple(row.pop("roles"))
    return Chunk(**row, access=known.setdefault((tenant, *roles), Access(tenant, roles)))


def write_chunks(index: Path, chunks: Sequence[Chunk]) -> None:
    rows = [
        {"chunk_id": chunk.chunk_id, "doc_id": chunk.doc_id, "title": chunk.title, "heading": chunk.heading,
         "text": chunk.text, "digest": chunk.digest, "tenant": chunk.access.tenant, "roles": chunk.access.roles}
        for chunk in chunks
    ]  # fmt: skip
    (index / CHUNKS).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_labels(index: Path) -> tuple[dict[str, int], Floats]:
    texts = json.loads((index / LABELS).read_text(encoding="utf-8"))
    return {text: row for row, text in enumerate(texts)}, np.load(index / LABEL_VECTORS)


def write_labels(index: Path, texts: Sequence[str], vectors: Floats) -> None:
    (index / LABELS).write_text(json.dumps(list(texts), ensure_ascii=False), encoding="utf-8")
    np.save(index / LABEL_VECTORS, vectors)
