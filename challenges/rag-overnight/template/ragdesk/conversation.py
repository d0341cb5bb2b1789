"""What a person asked just before, for a question that cannot be understood without it ("And for the K-47?").

memory.earlier(user, "And for the K-47?", now)      [("What is the fuse rating of the K-74?", "It is 16 A.")]
memory.keep(user, question, answer, now)
"""

import re
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime

from .records import User
from .settings import ConversationSettings

MOST_PEOPLE = 2000  # that are remembered
FOLLOW_UP = re.compile(r"^(?:and|what about|how about|same for|also)\b", re.IGNORECASE)
LONGEST_FOLLOW_UP = 10  # words: a longer question speaks for itself


@dataclass(frozen=True, slots=True)
class Turn:
    question: str
    answer: str
    at: float


class Memory:
    """May be used by several threads at once."""

    def __init__(self, settings: ConversationSettings) -> None:
        self._settings = settings
        self._turns: OrderedDict[tuple[str, str], deque[Turn]] = OrderedDict()
        self._lock = threading.Lock()

    def earlier(self, user: User, question: str, now: float) -> list[tuple[str, str]]:
        """The turns that a follow-up refers to; none for a question that speaks for itself."""
        if not is_follow_up(question):
            return []
        with self._lock:
            turns = list(self._turns.get(_person(user), ()))
        return [(turn.question, turn.answer) for turn in turns if now - turn.at <= 60 * self._settings.minutes]

    def keep(self, user: User, question: str, answer: str, now: float) -> None:
        with self._lock:
            turns = self._turns.setdefault(_person(user), deque(maxlen=self._settings.turns))
            turns.append(Turn(question, answer, now))
            self._turns.move_to_end(_person(user))
            if len(self._turns) > MOST_PEOPLE:
                self._turns.popitem(last=False)


def _person(user: User) -> tuple[str, str]:
    return user.tenant, user.user_id


def is_follow_up(question: str) -> bool:
    return FOLLOW_UP.search(question.strip()) is not None and len(question.split()) <= LONGEST_FOLLOW_UP


def seconds_of(stamp: object) -> float:
    """The time of a question, which is given in seconds or as an ISO date; 0 for anything else."""
    if isinstance(stamp, (int, float)):
        return float(stamp)
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return 0.0
