"""The stages of a retrieval pipeline, and what people call them."""

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["STAGES", "stage_of"]

CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    "ingest": (
        "ingestion", "ingesting", "loader", "loaders", "loading", "parse", "parser", "parsing", "feed", "revisions",
        "normalise", "normalisation", "normalize", "normalization", "extract", "extraction",
    ),
    "chunk": ("chunks", "chunking", "chunker", "split", "splitting", "splitter", "segmentation"),
    "embed": ("embedding", "embeddings", "embedder", "vectors", "vectorise", "vectorize", "encoder", "encoding"),
    "index": ("indexing", "indexes", "indices", "vector index", "vector store", "store", "bm25", "sparse", "dense"),
    "retrieve": ("retrieval", "retriever", "search", "fusion", "ranking", "query"),
    "rerank": ("reranker", "reranking", "re rank", "re ranker", "re ranking"),
    "prompt": ("prompting", "prompts", "generation", "generate", "llm", "context", "answer", "answering"),
    "cite": ("citation", "citations", "citing", "sources", "attribution"),
    "access": ("acl", "acls", "access control", "permission", "permissions", "authorisation", "authorization",
               "tenancy", "tenant isolation", "tenant filter"),
    "cache": ("caching", "caches", "answer cache", "semantic cache"),
    "security": ("injection", "prompt injection", "sanitisation", "sanitization", "sec"),
    "monitor": ("monitoring", "monitors", "observability", "metrics", "alerting", "alerts", "dashboard", "dashboards"),
}  # fmt: skip
STAGES: Final = tuple(CALLED)
MEANT: Final = {word: stage for stage, words in CALLED.items() for word in (stage, *words)}
BETWEEN_WORDS: Final = re.compile(r"[\s_-]+")


def stage_of(called: str) -> str:
    """The stage that a word means; nothing for a word that means none, or several at once."""
    return MEANT.get(BETWEEN_WORDS.sub(" ", called.strip().casefold()), "")
