"""Answers that were given before, for people who may see the same, on the same corpus.

    cache = AnswerCache(index / "answers.sqlite", settings.cache)
    cache.get(asked) or cache.put(asked, reply)

Exact: the same words, but for case and spaces. Semantic, if it is turned on: nearly the same vector, and the same
numbers and codes, which vectors do not tell apart.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .index.analyzer import Analyzer, has_digit
from .ingest.normalise import question_key
from .records import Floats, User
from .settings import CacheSettings

ANSWERS = "answers.sqlite"
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS answers"
    " (key TEXT PRIMARY KEY, tenant TEXT, roles TEXT, corpus TEXT, question TEXT, reply TEXT)"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the cache knows it."""

    question: str
    user: User
    corpus: str  # version of the corpus that it is answered from

    @property
    def roles(self) -> str:
        return ",".join(sorted(self.user.roles))

    @property
    def key(self) -> str:
        parts = [self.user.tenant, self.roles, question_key(self.question), self.corpus]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @property
    def codes(self) -> frozenset[str]:
        """Words with a digit in them."""
        return frozenset(term for term in Analyzer().terms(self.question) if has_digit(term))


@dataclass(frozen=True, slots=True)
class Similar:
    """An answer that the semantic cache may give again."""

    asked: Asked
    vector: Floats
    reply: dict[str, Any]


class AnswerCache:
    """May be used by several threads at once."""

    def __init__(self, path: Path, settings: CacheSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._similar: list[Similar] = []
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = MEMORY")
        self._database.execute("PRAGMA synchronous = OFF")  # what is lost is answered again
        self._database.execute(SCHEMA)

    def get(self, asked: Asked, vector_of: Callable[[], Floats]) -> dict[str, Any] | None:
        """The reply to the same question; `vector_of` is called if nearly the same one will do."""
        if not self._settings.enabled:
            return None
        with self._lock:
            found = self._database.execute("SELECT reply FROM answers WHERE key = ?", (asked.key,)).fetchone()
        if found:
            reply: dict[str, Any] = json.loads(found[0])
            return reply
        return self._nearly(asked, vector_of()) if self._settings.semantic else None

    def put(self, asked: Asked, reply: dict[str, Any], vector_of: Callable[[], Floats]) -> None:
        if not self._settings.enabled:
            return
        row = (asked.key, asked.user.tenant, asked.roles, asked.corpus, asked.question, json.dumps(reply))
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)
        if self._settings.semantic:
            self._similar.append(Similar(asked, vector_of(), reply))

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _nearly(self, asked: Asked, vector: Floats) -> dict[str, Any] | None:
        fitting = [one for one in list(self._similar) if interchangeable(one.asked, asked)]
        if not fitting:
            return None
        cosines = np.stack([one.vector for one in fitting]) @ vector
        best = int(np.argmax(cosines))
        return fitting[best].reply if cosines[best] >= self._settings.similarity else None


def interchangeable(one: Asked, other: Asked) -> bool:
    """Whether an answer to one question may be given to who asks the other, if they mean the same."""
    same_reader = (one.user.tenant, one.roles) == (other.user.tenant, other.roles)
    return same_reader and one.corpus == other.corpus and one.codes == other.codes
