"""Chance that can be repeated: every draw is an HMAC of a secret and of what is drawn for.

    draws = Seed(secret).draws(digest_of_the_request, occurrence)
    draws.uniform("jitter")        the same whenever this request is made for the same time, whatever else runs

A draw depends on what a request says and on how often the very same was said before; never on the order in which
different requests arrive. Two subjects that ask the same get the same, however their threads were scheduled. When one
request is made twice at the same time the two draws are the same pair, and only who gets which is open.

Nobody without the secret can foretell a draw, and a practice copy has a secret of its own.
"""

import hashlib
import hmac
import random
from collections import Counter
from typing import Final

__all__ = ["Draws", "Occurrences", "Seed"]

Word = str | bytes | int

FRACTION_BITS: Final = 53  # of a float


class Seed:
    def __init__(self, secret: bytes) -> None:
        if not secret:
            raise ValueError("seed: the secret is empty: anybody could foretell its draws")
        self._secret = secret

    def digest(self, *words: Word) -> bytes:
        """32 bytes for these words. Each goes in with its length, so that no two lists of words are the same text."""
        spelled = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        message = b"".join(len(word).to_bytes(4, "big") + word for word in spelled)
        return hmac.digest(self._secret, message, hashlib.sha256)

    def uniform(self, *words: Word) -> float:
        """A number in [0, 1)."""
        return (int.from_bytes(self.digest(*words)[:8], "big") >> (64 - FRACTION_BITS)) * 2.0**-FRACTION_BITS

    def draws(self, *words: Word) -> "Draws":
        return Draws(self.digest(*words))


class Draws(Seed):
    """All that is drawn for one request. Each draw has a name, so that a new one leaves the others as they were."""

    def between(self, low: float, high: float, name: str) -> float:
        return low + (high - low) * self.uniform(name)

    def token(self, name: str) -> str:
        """A name that nobody can guess."""
        return self.digest(name).hex()[:24]

    def beta(self, alpha: float, beta: float, name: str) -> float:
        chance = random.Random(self.digest(name))  # noqa: S311  # its seed is secret; it has to be repeatable
        return chance.betavariate(alpha, beta)


class Occurrences:
    """How often each request was made so far."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def next(self, digest: bytes) -> int:
        self._seen[digest] += 1
        return self._seen[digest] - 1

    def __len__(self) -> int:
        return len(self._seen)
