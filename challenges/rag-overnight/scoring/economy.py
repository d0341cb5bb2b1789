"""What a service spends beside what the reference solution spends for the same questions, by the gateway's ledger.

    economy.graded(spent, calibration.economy, recovered=0.72).credit

As much as the reference is full credit, twice as much is none. It counts from a recovery of two fifths: a service
that answers nothing is the cheapest.
"""

from dataclasses import dataclass
from typing import Final

from .score import Economy

__all__ = ["LEAST_RECOVERY", "Thrift", "graded"]

LEAST_RECOVERY: Final = 0.40
TOKENS: Final = 0.5
COST: Final = 0.5
NOTHING_AT: Final = 2.0  # times the reference


@dataclass(frozen=True, slots=True)
class Thrift:
    credit: float
    tokens: float  # times the reference
    cost: float
    counted: bool


def graded(spent: tuple[float, float], reference: Economy, *, recovered: float) -> Thrift:
    """`spent`: prompt tokens and cost for one question, on average."""
    if min(spent) < 0:
        raise ValueError(f"economy: {min(spent):g}: nobody spends less than nothing")
    tokens, cost = spent[0] / reference.prompt_tokens, spent[1] / reference.cost
    counted = recovered >= LEAST_RECOVERY
    credit = TOKENS * _share(tokens) + COST * _share(cost) if counted else 0.0
    return Thrift(credit=credit, tokens=tokens, cost=cost, counted=counted)


def _share(times: float) -> float:
    return min(1.0, max(0.0, NOTHING_AT - times))
