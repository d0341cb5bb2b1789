"""What the re-ranker knows of each passage: its words, and the title and heading that it stands under.

Features follow from the text alone. So they are kept by its digest, and made anew only for text that was not there.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..records import Chunk
from .analyzer import Analyzer

FEATURES = "features.jsonl"


@dataclass(frozen=True, slots=True)
class Features:
    digest: str
    title: str
    heading: str
    terms: tuple[str, ...]  # each once


def features_of(chunks: Sequence[Chunk], index: Path, analyzer: Analyzer, limit: int) -> list[Features]:
    """For each passage, from the index as it was or from the first words of the passage."""
    known = read_features(index)
    found = []
    for chunk in chunks:
        digest = text_digest(chunk, limit)
        found.append(known.get(digest) or computed(digest, chunk, analyzer, limit))
    return found


def text_digest(chunk: Chunk, limit: int) -> str:
    return hashlib.sha256(f"{limit}|{chunk.digest}".encode()).hexdigest()[:16]


def computed(digest: str, chunk: Chunk, analyzer: Analyzer, limit: int) -> Features:
    words = chunk.text.split()[:limit]
    title, heading = chunk.title.split()[:limit], chunk.heading.split()[: max(0, limit - len(chunk.title.split()))]
    terms = tuple(dict.fromkeys(analyzer.terms(" ".join(words))))
    return Features(digest, " ".join(title), " ".join(heading), terms)


def read_features(index: Path) -> dict[str, Features]:
    """By digest; none for a new index."""
    return {one.digest: one for one in in_order(index)} if (index / FEATURES).exists() else {}


def in_order(index: Path) -> list[Features]:
    """One for each passage, as they were written."""
    rows = [json.loads(line) for line in (index / FEATURES).read_text(encoding="utf-8").splitlines()]
    return [Features(row["digest"], row["title"], row["heading"], tuple(row["terms"])) for row in rows]


def write_features(index: Path, features: Sequence[Features]) -> None:
    """In the order of the passages."""
    lines = [json.dumps(asdict(one), ensure_ascii=False) for one in features]
    (index / FEATURES).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
