"""Finds the passages for a question: two arms, fusion by ranks, re-ranker.

    retriever = Retriever(settings, snapshot, embedder)
    hits = retriever.search("What is our reply time?", user)

Passages that the user may not see are left out before anything is ranked: neither their number nor their place shows.
"""

from collections import defaultdict
from collections.abc import Sequence

from .embed import Embedder
from .index.snapshot import Snapshot
from .ingest.normalise import clean
from .records import Hit, Query, Ranked, User
from .rerank import Reranker
from .settings import Settings

OURS = frozenset(("our", "ours", "we", "us", "my", "mine"))


class Retriever:
    def __init__(self, settings: Settings, snapshot: Snapshot, embedder: Embedder) -> None:
        self._settings = settings.retrieval
        self._snapshot = snapshot
        self._embedder = embedder
        self._reranker = Reranker(snapshot, settings.rerank)

    def search(self, question: str, user: User) -> list[Hit]:
        """The best passages that the user may see, the best first."""
        query = self.query(question, user)
        fused = self.candidates(query, user)
        candidates = [row for row, _ in fused[: self._settings.reranked]]
        ranked = self._reranker.order(candidates, query)
        return [Hit(self._snapshot.chunks[row], score) for row, score in ranked[: self._settings.returned]]

    def query(self, question: str, user: User) -> Query:
        """Words as the documents spell them, and vectors."""
        text = clean(question)
        terms = [self._snapshot.sparse.mended(term) for term in self._snapshot.analyzers.queries.terms(text)]
        if OURS & set(text.lower().replace("'", " ").split()):
            terms.append(user.tenant.lower())
        terms = list(dict.fromkeys(terms))
        vector, of_words = self._embedder.question(text, terms)
        return Query(tuple(terms), vector, of_words)

    def candidates(self, query: Query, user: User) -> Ranked:
        """What the two arms find, fused."""
        allowed = self._snapshot.allowed(user)
        pool = self._settings.pool
        by_meaning = self._snapshot.dense.search(query.vector, allowed, pool)
        by_words = self._snapshot.sparse.search(query.terms, allowed, pool)
        return fused_by_rank([by_meaning, by_words], self._settings.rank_constant)


def fused_by_rank(arms: Sequence[Ranked], rank_constant: int) -> Ranked:
    """Reciprocal rank fusion: scores of different arms cannot be compared, ranks can."""
    fused: dict[int, float] = defaultdict(float)
    for arm in arms:
        for rank, (row, _) in enumerate(arm):
            fused[row] += 1 / (rank_constant + rank)
    return sorted(fused.items(), key=lambda one: (-one[1], one[0]))
