"""Vectors of texts, from the provider or from what it told before.

with the cache of an index:   embedder = Embedder(models, settings, VectorCache(index / "embeddings"))
                              embedder.passages(["..."])
for questions:                vector, of_words = embedder.question("...", ["limit", "pump"])
"""

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .ingest.normalise import clean
from .records import Floats, Models
from .settings import Settings

KEYS = "keys.json"
VECTORS = "vectors.npy"


class VectorCache:
    """Vectors on disk, by a digest of model and text. What is embedded once is never asked for again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, int] = {}
        self._stored: list[Floats] = []
        if (folder / KEYS).exists():
            keys = json.loads((folder / KEYS).read_text(encoding="utf-8"))
            self._rows = {key: row for row, key in enumerate(keys)}
            self._stored = list(np.load(folder / VECTORS))

    def get(self, key: str) -> Floats | None:
        row = self._rows.get(key)
        return None if row is None else self._stored[row]

    def put(self, key: str, vector: Floats) -> None:
        self._rows[key] = len(self._stored)
        self._stored.append(vector)

    def save(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._stored:
            np.save(self._folder / VECTORS, np.stack(self._stored))
            (self._folder / KEYS).write_text(json.dumps(list(self._rows)), encoding="utf-8")


def cache_key(model: str, text: str) -> str:
    return hashlib.sha256(f"{model}|{text}".encode()).hexdigest()


def prepared(text: str) -> str:
    """Passages and questions are treated alike: a vector tells nothing if its text was changed in another way."""
    return " ".join(clean(text).split())


def kept(vectors: Floats, dimensions: int) -> Floats:
    """The first dimensions of each vector, and of length one again if that shortened it."""
    if dimensions >= vectors.shape[1]:
        return vectors
    short = vectors[:, :dimensions]
    lengths = np.linalg.norm(short, axis=1, keepdims=True)
    return np.asarray(short / np.maximum(lengths, 1e-9), dtype=np.float32)


class Embedder:
    """May be used by several threads at once, but for `passages`, which belongs to an ingest."""

    def __init__(self, models: Models, settings: Settings, cache: VectorCache | None = None) -> None:
        self._models = models
        self._settings = settings
        self._cache = cache
        self._words: dict[str, Floats] = {}
        self._lock = threading.Lock()

    def passages(self, texts: Sequence[str]) -> Floats:
        """A row for each text; those that the cache knows are not asked for."""
        model = self._settings.models.embedding
        limit = self._settings.embedding.passage_words
        inputs = [" ".join(prepared(text).split()[:limit]) for text in texts]
        keys = [cache_key(model, text) for text in inputs]
        known = {key: self._known(key) for key in keys}
        missing = {key: text for key, text in zip(keys, inputs, strict=True) if known[key] is None}
        for key, vector in zip(missing, self._asked(list(missing.values()), model), strict=True):
            known[key] = vector
            if self._cache is not None:
                self._cache.put(key, vector)
        rows = [vector for key in keys if (vector := known[key]) is not None]
        return np.stack(rows) if rows else self._nothing()

    def question(self, question: str, words: Sequence[str]) -> tuple[Floats, Floats]:
        """The vector of a question, and one for each of its words: the provider is asked once for all of them."""
        with self._lock:
            new = [word for word in dict.fromkeys(words) if word not in self._words]
        vectors = self._asked([prepared(question), *new], self._settings.models.embedding)
        with self._lock:
            self._words.update(zip(new, vectors[1:], strict=True))
            of_words = [self._words[word] for word in words]
        return vectors[0], np.stack(of_words) if of_words else self._nothing()

    def _known(self, key: str) -> Floats | None:
        return None if self._cache is None else self._cache.get(key)

    def _asked(self, texts: Sequence[str], model: str) -> Floats:
        size = self._settings.embedding.batch
        batches = [list(texts[start : start + size]) for start in range(0, len(texts), size)]
        found = [np.asarray(self._models.embed(batch, model), dtype=np.float32) for batch in batches]
        return kept(np.concatenate(found), self._settings.embedding.dimensions) if found else self._nothing()

    def _nothing(self) -> Floats:
        return np.zeros((0, self._settings.embedding.dimensions), dtype=np.float32)
