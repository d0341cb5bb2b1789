"""The sparse arm: BM25 over the words of passages. It finds names and codes, which vectors do not tell apart.

arm = SparseArm.build([["k-47", "fuse", "rating"], ...], settings.sparse)
arm.search(["k-47"], allowed, pool=40)
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..records import Flags, Floats, Numbers, Ranked
from ..settings import SparseSettings
from .analyzer import has_digit, one_slip

VOCABULARY = "vocabulary.json"
POSTINGS = "postings.npz"
SHORTEST_MENDED = 5  # letters: one slip in a shorter word makes another word


@dataclass(frozen=True, slots=True)
class SparseArm:
    """Postings of all terms one after another: those of term t are at starts[t]:starts[t + 1]."""

    vocabulary: dict[str, int]
    idf_of: Floats
    starts: Numbers
    rows: Numbers
    weights: Floats
    size: int  # number of passages

    @classmethod
    def build(cls, passages: Sequence[Sequence[str]], settings: SparseSettings) -> "SparseArm":
        words = sorted({term for terms in passages for term in terms})
        vocabulary = {word: number for number, word in enumerate(words)}
        lengths = np.array([len(terms) for terms in passages], dtype=np.int64)
        row_of = np.repeat(np.arange(len(passages), dtype=np.int64), lengths)
        term_of = np.fromiter((vocabulary[term] for terms in passages for term in terms), np.int64, int(lengths.sum()))
        pairs, counts = np.unique(term_of * max(1, len(passages)) + row_of, return_counts=True)
        term_of, rows = np.divmod(pairs, max(1, len(passages)))
        starts = np.searchsorted(term_of, np.arange(len(words) + 1))
        frequencies = np.diff(starts)
        idf = np.log(1 + (len(passages) - frequencies + 0.5) / (frequencies + 0.5))
        held_back = 1 - settings.b + settings.b * lengths[rows] / max(1.0, float(lengths.mean()) if len(lengths) else 1)
        weights = idf[term_of] * counts * (settings.k1 + 1) / (counts + settings.k1 * held_back)
        return cls(vocabulary, _single(idf), starts, rows, _single(weights), len(passages))

    def search(self, terms: Iterable[str], allowed: Flags, pool: int) -> Ranked:
        """The best passages that are allowed, with their scores."""
        scores = np.zeros(self.size, dtype=np.float32)
        for term in dict.fromkeys(terms):
            number = self.vocabulary.get(term)
            if number is not None:
                span = slice(self.starts[number], self.starts[number + 1])
                scores[self.rows[span]] += self.weights[span]
        scores[~allowed] = 0.0
        found = np.argsort(-scores, kind="stable")[:pool]
        return [(int(row), float(scores[row])) for row in found if scores[row] > 0]

    def idf(self, term: str) -> float:
        """How rare a word is; a word that no passage has tells nothing."""
        number = self.vocabulary.get(term)
        return 0.0 if number is None else float(self.idf_of[number])

    def mended(self, term: str) -> str:
        """The word of the documents that was meant, when a word is unknown and one slip away from it."""
        if term in self.vocabulary or len(term) < SHORTEST_MENDED or has_digit(term):
            return term
        return next((word for word in self.vocabulary if one_slip(term, word) and not has_digit(word)), term)

    def save(self, index: Path) -> None:
        np.savez(index / POSTINGS, idf=self.idf_of, starts=self.starts, rows=self.rows, weights=self.weights)
        stored = {"passages": self.size, "words": list(self.vocabulary)}
        (index / VOCABULARY).write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, index: Path) -> "SparseArm":
        stored = json.loads((index / VOCABULARY).read_text(encoding="utf-8"))
        vocabulary = {word: number for number, word in enumerate(stored["words"])}
        with np.load(index / POSTINGS) as arrays:
            return cls(
                vocabulary, arrays["idf"], arrays["starts"], arrays["rows"], arrays["weights"], stored["passages"]
            )


def _single(numbers: np.ndarray) -> Floats:
    return np.asarray(numbers, dtype=np.float32)
