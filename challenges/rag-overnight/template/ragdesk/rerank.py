"""Orders the candidates of both arms by what the question names and by what it means.

Naming words (a machine's name, a code) have to stand in the passage; the rarer, the more they count. Words with a
meaning may be said in other words: they count by how near the title or the heading of the passage is to them. Which
words have a meaning is seen from the vectors: they are near to a title or heading that does not hold them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .index.analyzer import has_digit
from .index.snapshot import Snapshot
from .records import Floats, Numbers, Query, Ranked
from .settings import RerankSettings

SHARE = 0.5  # of the best agreement with a word, below which there is none


@dataclass(frozen=True, slots=True)
class Word:
    """What a word of questions is worth in this index."""

    naming: float  # if the passage holds it; 0 for a word with a meaning
    covered_by: Floats | None  # for a word with a meaning: how far each title and heading covers it, and 0 for none


class Reranker:
    """May be used by several threads at once."""

    def __init__(self, snapshot: Snapshot, settings: RerankSettings) -> None:
        self._sparse = snapshot.sparse
        self._settings = settings
        self._terms = [frozenset(one.terms) for one in snapshot.features]
        self._label_vectors = snapshot.label_vectors
        self._label_words = [frozenset(snapshot.analyzers.documents.terms(text)) for text in snapshot.labels]
        self._titles = _rows([one.title for one in snapshot.features], snapshot.labels)
        self._headings = _rows([one.heading for one in snapshot.features], snapshot.labels)
        self._known: dict[str, Word] = {}

    def order(self, candidates: Sequence[int], query: Query) -> Ranked:
        """The candidates with their scores, the best first; of equals the one that came first."""
        words = [self._word(term, vector) for term, vector in zip(query.terms, query.word_vectors, strict=True)]
        meant = self._covered(candidates, words)
        scored = []
        for place, row in enumerate(candidates):
            there = self._terms[row]
            named = sum(word.naming for term, word in zip(query.terms, words, strict=True) if term in there)
            scored.append((row, named + self._settings.meaning_weight * float(meant[place])))
        return sorted(scored, key=lambda one: -one[1])

    def _word(self, term: str, vector: Floats) -> Word:
        if term not in self._known:
            self._known[term] = self._judged(term, vector)
        return self._known[term]

    def _judged(self, term: str, vector: Floats) -> Word:
        related = np.append(self._label_vectors @ vector, np.float32(0))  # the last is for passages without a label
        near = np.flatnonzero(related > self._settings.related_from)
        in_other_words = any(term not in self._label_words[label] for label in near)
        if in_other_words and not has_digit(term):
            shares = related / related.max()
            return Word(0.0, np.where(shares >= SHARE, shares, np.float32(0)))
        rarity = self._sparse.idf(term)
        return Word(rarity * (self._settings.code_weight if has_digit(term) else 1.0), None)

    def _covered(self, candidates: Sequence[int], words: Sequence[Word]) -> Floats:
        """How many of the words with a meaning are covered by each candidate's title or heading."""
        rows = list(candidates)
        total = np.zeros(len(rows), dtype=np.float32)
        for word in words:
            if word.covered_by is not None:
                total += np.maximum(word.covered_by[self._titles[rows]], word.covered_by[self._headings[rows]])
        return total


def _rows(texts: Sequence[str], labels: dict[str, int]) -> Numbers:
    """The row of each text's vector; the one after the last for a text that is empty."""
    return np.array([labels.get(text, len(labels)) for text in texts], dtype=np.int64)
