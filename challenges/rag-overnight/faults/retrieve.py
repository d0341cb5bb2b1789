"""What can be wrong where passages are found: what is left out too late, and what is added that must not be.

FAULTS          RET-1 and RET-2
"""

from typing import Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

RETRIEVE: Final = "ragdesk/retrieve.py"

FILTERED_LATE: Final = Fault(
    key="RET-1",
    stage="retrieve",
    title="What the user may not see is left out after the best were chosen",
    level=2,
    complaints=(
        "It depends on who asks. A colleague from another site gets the figure, I get this: {question} - {answer}",
        "The more tickets the others open about a machine, the less it tells us about it. Asked: {question} Told:"
        " {answer}",
        "I count three sources where there used to be ten. \"{question}\" - \"{answer}\"",
    ),
    detectors=(("bulletin", 0.2), ("prose", 0.15)),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    RETRIEVE,
                    "from collections.abc import Sequence\n\nfrom .embed",
                    "from collections.abc import Sequence\n\nimport numpy as np\n\nfrom .embed",
                ),
                Edit(
                    RETRIEVE,
                    "        pool = self._settings.pool\n"
                    "        by_meaning = self._snapshot.dense.search(query.vector, allowed, pool)\n"
                    "        by_words = self._snapshot.sparse.search(query.terms, allowed, pool)\n",
                    "        everything, wanted = np.ones_like(allowed), self._settings.returned\n"
                    "        near = self._snapshot.dense.search(query.vector, everything, wanted)\n"
                    "        worded = self._snapshot.sparse.search(query.terms, everything, wanted)\n"
                    "        by_meaning = [(row, score) for row, score in near if allowed[row]]\n"
                    "        by_words = [(row, score) for row, score in worded if allowed[row]]\n",
                ),
            ),
            locations=(RETRIEVE, f"{RETRIEVE}:candidates", f"{RETRIEVE}:Retriever", "tenant filter", "retrieval.pool"),
            commit=Commit(
                Author.TOMAS,
                "Search the index once for everybody",
                "A search over a part of the rows copies them first. All rows are searched now, and what a user may"
                " not see is taken out of what was found. No more is fetched than is returned.",
            ),
        ),
    ),
)  # fmt: skip

COSINES: Final = Fault(
    key="RET-2",
    stage="retrieve",
    title="Cosines are added to reciprocal ranks, which are smaller by far",
    level=2,
    complaints=(
        "A code that is on one page only, and it does not find the page. {question} - {answer}",
        "It talks about the machine in general, not about the fault that it shows. Asked: {question} Told: {answer}",
        "Nobody could put it more precisely than this: \"{question}\". It says: \"{answer}\"",
    ),
    detectors=(("error", 0.2),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    RETRIEVE,
                    "        return fused_by_rank([by_meaning, by_words], self._settings.rank_constant)\n",
                    "        fused = dict(fused_by_rank([by_meaning, by_words], self._settings.rank_constant))\n"
                    "        for row, cosine in by_meaning:\n"
                    "            fused[row] += cosine\n"
                    "        return sorted(fused.items(), key=lambda one: (-one[1], one[0]))\n",
                ),
                Edit(
                    RETRIEVE,
                    'OURS = frozenset(("our",',
                    'NEAR_ENOUGH = 0.65  # of the best score, to be ranked again\nOURS = frozenset(("our",',
                ),
                Edit(
                    RETRIEVE,
                    "        candidates = [row for row, _ in fused[: self._settings.reranked]]\n",
                    "        least = NEAR_ENOUGH * fused[0][1] if fused else 0.0\n"
                    "        candidates = [row for row, score in fused[: self._settings.reranked] if score >= least]\n",
                ),
            ),
            locations=(RETRIEVE, f"{RETRIEVE}:candidates", f"{RETRIEVE}:fused_by_rank", f"{RETRIEVE}:Retriever",
                       "fusion"),
            commit=Commit(
                Author.PRIYA,
                "Let it count how near a passage is",
                "By ranks alone, the best of forty poor matches is worth as much as a perfect one. And what is far"
                " behind the best need not be ranked again.",
            ),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (FILTERED_LATE, COSINES)
