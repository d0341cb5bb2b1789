"""config.toml, read once at the start and handed to whoever needs a part of it.

settings = load(Path("."))
settings.retrieval.pool
"""

import hashlib
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

CONFIG = "config.toml"
# What is in an index depends on these parts; a change to one of them makes every document new.
SHAPING = ("models", "chunking", "embedding", "rerank")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    chat: str
    embedding: str
    timeout_seconds: float
    tries: int


@dataclass(frozen=True, slots=True)
class ChunkingSettings:
    window: int
    step: int


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    batch: int
    passage_words: int
    dimensions: int


@dataclass(frozen=True, slots=True)
class DenseSettings:
    cells: int
    probes: int


@dataclass(frozen=True, slots=True)
class SparseSettings:
    k1: float
    b: float


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    pool: int
    rank_constant: int
    reranked: int
    returned: int


@dataclass(frozen=True, slots=True)
class RerankSettings:
    passage_words: int
    meaning_weight: float
    code_weight: float
    related_from: float


@dataclass(frozen=True, slots=True)
class PromptSettings:
    passages: int
    budget_tokens: int
    abstain: bool


@dataclass(frozen=True, slots=True)
class CacheSettings:
    enabled: bool
    semantic: bool
    similarity: float


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    turns: int
    minutes: int


@dataclass(frozen=True, slots=True)
class MonitoringSettings:
    baseline_days: int
    quiet_days: int
    least_asks: int
    tolerance: float


@dataclass(frozen=True, slots=True)
class Settings:
    models: ModelSettings
    chunking: ChunkingSettings
    embedding: EmbeddingSettings
    dense: DenseSettings
    sparse: SparseSettings
    retrieval: RetrievalSettings
    rerank: RerankSettings
    prompt: PromptSettings
    cache: CacheSettings
    conversation: ConversationSettings
    monitoring: MonitoringSettings

    @property
    def fingerprint(self) -> str:
        """The same for settings that make the same index."""
        shaping = [sorted(asdict(getattr(self, part)).items()) for part in SHAPING]
        return hashlib.sha256(repr(shaping).encode()).hexdigest()[:16]


def load(folder: Path) -> Settings:
    """The settings in the folder's config.toml. What is wrong with them is a ValueError that says where."""
    tables = tomllib.loads((folder / CONFIG).read_text(encoding="utf-8"))
    parts = {part.name: part.type for part in fields(Settings)}
    if unknown := sorted(tables.keys() - parts.keys()):
        raise ValueError(f"{CONFIG}: [{unknown[0]}]: is no part of the settings")
    return Settings(**{name: _part(kind, name, tables.get(name, {})) for name, kind in parts.items()})


def _part(kind: Any, name: str, table: dict[str, Any]) -> Any:
    known = {field.name: field.type for field in fields(kind)}
    if wrong := sorted(known.keys() ^ table.keys()):
        raise ValueError(f"{CONFIG}: [{name}] {wrong[0]}: {'unknown' if wrong[0] in table else 'missing'}")
    for key, value in table.items():
        if type(value) is not known[key]:
            raise ValueError(f"{CONFIG}: [{name}] {key}: is no {getattr(known[key], '__name__', known[key])}")
    return kind(**table)
