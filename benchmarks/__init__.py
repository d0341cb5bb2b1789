"""Programs that print ratios: what Assay costs against something else that ran in the same minute.

A module here has one function, `measure`, and `assay bench NAME` runs it. Speed belongs here and not into tests:
a ratio between two programs that took turns says the same on a busy machine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `reach` is what we want it not to exceed; None where a number only informs."""

    name: str
    value: float
    unit: str
    reach: float | None = None

    @property
    def holds(self) -> bool | None:
        return None if self.reach is None else self.value <= self.reach


Progress = Callable[[str], object]
Measure = Callable[[Progress], Iterator[Figure]]
