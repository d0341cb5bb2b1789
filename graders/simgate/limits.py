"""What stands between a request and its answer: rate limits, the prefix cache, and what goes wrong on a given day.

All of this follows the gateway's clock and the order of arrival, as it does at a real provider. With a StillClock
rate limits are off, and incidents last until the driver moves the time.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from . import simtok
from .clock import NANO
from .prices import Model

__all__ = ["Bucket", "Incident", "Incidents", "PrefixCache", "RateLimits"]

BURST_SECONDS: Final = 10  # of a minute's allowance that may be used at once: OpenAI refills all the time as well
NANO_MINUTE: Final = 60 * NANO


class Bucket:
    """An allowance that refills all the time. Integers only: a thousand small steps are one large step."""

    def __init__(self, per_minute: int, now: int) -> None:
        self.per_minute = per_minute
        self.size = max(1, per_minute * BURST_SECONDS // 60)
        self._level = self.size * NANO_MINUTE  # what is left, in units of a 60 billionth
        self._at = now

    @property
    def left(self) -> int:
        return self._level // NANO_MINUTE

    @property
    def use(self) -> float:
        """How much of it is used: 0 when idle, 1 when nothing is left."""
        return 1 - self._level / (self.size * NANO_MINUTE)

    def refill(self, now: int, share: float = 1.0) -> None:
        """`share` of what is usual comes back; a limit that is halved for a while refills half as fast."""
        gained = (now - self._at) * self.per_minute * round(share * 1000) // 1000
        self._level = min(self.size * NANO_MINUTE, self._level + gained)
        self._at = now

    def lacks(self, amount: int) -> int:
        """Nanoseconds until there will be this much. What is larger than the bucket needs only a full one."""
        missing = min(amount, self.size) * NANO_MINUTE - self._level
        return 0 if missing <= 0 else -(-missing // max(1, self.per_minute))

    def take(self, amount: int) -> None:
        self._level = max(0, self._level - amount * NANO_MINUTE)


class RateLimits:
    """Requests and tokens in a minute, of each model."""

    def __init__(self, models: Iterable[Model], now: int) -> None:
        self._buckets = {
            model.name: (Bucket(model.requests_per_minute, now), Bucket(model.tokens_per_minute, now))
            for model in models
        }

    def of(self, model: str) -> tuple[Bucket, Bucket]:
        return self._buckets[model]

    def take(self, model: str, requests: int, tokens: int, now: int, share: float) -> tuple[int, str]:
        """Take what the call needs, or say for how many nanoseconds it has to wait, and of what there is too little."""
        wait, lacking = 0, ""
        for name, bucket, amount in zip(("requests", "tokens"), self.of(model), (requests, tokens), strict=True):
            bucket.refill(now, share)
            if (missing := bucket.lacks(amount)) > wait:
                wait, lacking = missing, name
        if not wait:
            for bucket, amount in zip(self.of(model), (requests, tokens), strict=True):
                bucket.take(amount)
        return wait, lacking


# As OpenAI documents it: exact prefixes, 1,024 tokens at least, in steps of 128.
CACHE_FROM: Final = 1024
CACHE_STEP: Final = 128
CACHE_SECONDS: Final = 5.0  # of a replay in which a month takes a minute
MOST_PREFIXES: Final = 20_000


class PrefixCache:
    """Which beginnings of prompts a model has read a short while ago.

    Of two prompts with one beginning that arrive together, the first pays in full: which one that is depends on the
    order of arrival, the sum of both does not.
    """

    def __init__(self, seconds: float = CACHE_SECONDS, most: int = MOST_PREFIXES) -> None:
        self._lifetime = round(seconds * NANO)
        self._most = most
        self._until: OrderedDict[bytes, int] = OrderedDict()  # the one that ends first is first

    def read(self, owner: str, model: str, messages: Sequence[tuple[str, str]], now: int) -> int:
        """How many tokens were cached; and from now on, all that can be is."""
        while self._until and (len(self._until) > self._most or next(iter(self._until.values())) <= now):
            self._until.popitem(last=False)
        cached = 0
        for tokens, prefix in _prefixes(owner, model, messages):
            if prefix in self._until:
                cached = tokens
            self._until[prefix] = now + self._lifetime
            self._until.move_to_end(prefix)
        return cached


def _prefixes(owner: str, model: str, messages: Sequence[tuple[str, str]]) -> Iterator[tuple[int, bytes]]:
    running = hashlib.sha256(f"{owner}\0{model}\0".encode())
    waiting: list[str] = []
    tokens = simtok.PER_PROMPT
    for role, text in messages:
        tokens += simtok.PER_MESSAGE + simtok.count(role)
        waiting.append(f"\0{role}\0")  # a role's own tokens end no step: those of the text do
        for piece in simtok.pieces(text):
            waiting.append(piece)
            tokens += 1
            if tokens >= CACHE_FROM and tokens % CACHE_STEP == 0:
                running.update("".join(waiting).encode())
                waiting.clear()
                yield tokens, running.copy().digest()


# -------------------------------------------------------------------------------------------------- what goes wrong

Kind = Literal["outage", "error", "slow", "hang", "cut", "limit"]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong from `start` for `seconds`, for every model or a vendor's, or one.

    outage  503 overloaded                     hang   no byte for 30 s, then the connection ends
    error   500 server_error                   cut    the answer ends after `amount` tokens, without an end
    slow    `amount` times the latency         limit  `amount` of the usual requests in a minute

    `share` of the calls are hit; which ones, each call's own draw decides.
    """

    kind: Kind
    start: float
    seconds: float
    target: str = ""  # a model or a vendor; empty: all
    share: float = 1.0
    amount: float = 1.0

    def __post_init__(self) -> None:
        if self.start < 0 or self.seconds <= 0 or not 0 < self.share <= 1 or self.amount <= 0:
            raise ValueError(
                f"incident: {self.kind}: start, seconds, share and amount must be above 0, share at most 1"
            )

    def concerns(self, model: Model) -> bool:
        return self.target in ("", model.name, model.vendor)

    def active(self, now: int) -> bool:
        start = round(self.start * NANO)
        return start <= now < start + round(self.seconds * NANO)


class Incidents:
    def __init__(self, incidents: Iterable[Incident]) -> None:
        self._all = tuple(incidents)

    def at(self, now: int, model: Model) -> list[Incident]:
        return [one for one in self._all if one.active(now) and one.concerns(model)]

    def known(self, now: int) -> list[Incident]:
        """What a status page tells at this time."""
        return [one for one in self._all if one.active(now)]

    def also(self, incident: Incident) -> "Incidents":
        return Incidents((*self._all, incident))
