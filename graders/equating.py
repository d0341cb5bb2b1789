"""Puts raw scores of all forms on one scale.

Faults mask each other: whoever mends the first of six gains little, whoever mends the last gains much. So when a form
is made, what is measured with some of its faults mended is stored as a curve, and a raw score is reported as the share
of the faults that it is worth:

    curve = Curve.from_lattice({frozenset(): 0, frozenset({"a"}): 8, frozenset({"b"}): 12, frozenset({"a", "b"}): 100})
    curve.points          (0, 10, 100)
    curve.equate(10)      50.0
"""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from math import fsum
from typing import Annotated, Self

from pydantic import Field, model_validator

from graders.contract import Message

__all__ = ["Curve"]

RawScore = Annotated[float, Field(ge=0, le=100)]


class Curve(Message):
    """The mean raw score after 0, 1, 2, ... of a form's faults are mended."""

    points: tuple[RawScore, ...] = Field(min_length=2, max_length=101)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        for mended, (before, after) in enumerate(pairwise(self.points), 1):
            if after < before:
                raise ValueError(f"the curve falls from {before:g} to {after:g} with {mended} mended")
        if self.points[0] >= self.points[-1]:
            raise ValueError("the curve does not rise: mending everything is worth nothing")
        return self

    @classmethod
    def from_lattice(cls, scores: Mapping[frozenset[str], float]) -> Self:
        """From raw scores by which faults were mended: none, all, and for each number between some sets of it."""
        faults = frozenset[str]().union(*scores)
        means = []
        for mended in range(len(faults) + 1):
            found = [score for mending, score in scores.items() if len(mending) == mended]
            if not found:
                raise ValueError(f"lattice: no score with {mended} of {len(faults)} faults mended")
            means.append(fsum(found) / len(found))
        return cls(points=tuple(means))

    def equate(self, raw: float) -> float:
        """0 to 100. Between two points of the curve it is a straight line; of a plateau, the end counts."""
        after = bisect_right(self.points, raw)
        if after == 0:
            return 0.0
        if after == len(self.points):
            return 100.0
        low, high = self.points[after - 1], self.points[after]
        return 100 * (after - 1 + (raw - low) / (high - low)) / (len(self.points) - 1)
