"""manifest.json: what an index was made from, and a hash of what it holds.

`corpus` changes with any byte of the corpus. `hash` is the same for two indexes that answer alike, however they came
about: by one ingest, by two, or step by step.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..records import Chunk, Floats

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    corpus: str = ""
    hash: str = ""
    settings: str = ""  # fingerprint of those that shape an index
    embedding: str = ""  # how its vectors were made
    chunks: int = 0
    documents: dict[str, str] = field(default_factory=dict)  # id of each indexed document: digest of its source


def read_manifest(index: Path) -> Manifest:
    """That of the index, or an empty one."""
    path = index / MANIFEST
    return Manifest(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Manifest()


def write_manifest(index: Path, manifest: Manifest) -> None:
    (index / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True), encoding="utf-8")


def corpus_version(files: Mapping[str, bytes]) -> str:
    """A digest of all files of a corpus, by name."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return total.hexdigest()[:32]


def index_hash(chunks: Sequence[Chunk], vectors: Floats) -> str:
    total = hashlib.sha256()
    for chunk in chunks:
        roles = ",".join(chunk.access.roles)
        total.update(f"{chunk.chunk_id}\0{chunk.digest}\0{chunk.access.tenant}\0{roles}\n".encode())
    total.update(vectors.tobytes())
    return total.hexdigest()[:32]
