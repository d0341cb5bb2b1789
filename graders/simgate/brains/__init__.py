"""What answers: a Brain is given a prompt and says a text. None of them holds an answer that is not in the prompt."""

from dataclasses import dataclass
from typing import Protocol

from ..asking import ChatRequest
from ..prices import Model
from ..seeds import Draws

__all__ = ["Brain", "Said"]


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    confidence: float  # in (0, 1): what the log-probabilities of the answer's tokens tell
    item: str | None = None  # which of the driver's items it was about
    correct: bool | None = None  # for the ledger alone


class Brain(Protocol):
    def answer(self, asked: ChatRequest, model: Model, draws: Draws) -> Said:
        """At once, and the same for the same request and draws. It may take a few milliseconds, and never raises."""
        ...
