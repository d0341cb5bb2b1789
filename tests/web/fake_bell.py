"""A queue that does what a test says: the outside world of the clock."""

from collections.abc import Mapping, Sequence

from graders.contract import GradingRequest
from web.bell import QueueUnavailable, Sign, Try


class FakeBell:
    def __init__(self, workers: int = 1) -> None:
        self.alive = workers
        self.away = ""
        self.away_to_ring = ""
        self.signs: dict[Try, Sign] = {}
        self.rung: list[GradingRequest] = []
        self.in_front: list[str] = []
        self.forgotten: list[Try] = []

    def ring(self, request: GradingRequest, *, at_front: bool) -> None:
        self._reached(self.away_to_ring)
        self.rung.append(request)
        if at_front:
            self.in_front.append(request.grading)
        self.signs[request.grading, request.fence] = Sign.QUEUED

    def look(self, tries: Sequence[Try]) -> Mapping[Try, Sign]:
        self._reached(self.away)
        return {one: self.signs.get(one, Sign.LOST) for one in tries}

    def workers(self) -> int:
        self._reached(self.away)
        return self.alive

    def forget(self, grading: str, fence: int) -> None:
        self._reached(self.away)
        self.forgotten.append((grading, fence))
        self.signs.pop((grading, fence), None)

    def _reached(self, away: str) -> None:
        if away:
            raise QueueUnavailable(away)

    def say(self, sign: Sign) -> None:
        """The same of all that it knows."""
        self.signs = dict.fromkeys(self.signs, sign)

    def lose(self) -> None:
        self.signs = {}
