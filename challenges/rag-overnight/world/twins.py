"""The same question once more, as another day's mood or hurry would put it. A twin has the answer of its original.

    asked.text                                       "What is the oil charge of the Barven K-74?"
    TWINS["case"](chance, asked, pack, lexicon)      "WHAT IS THE OIL CHARGE OF THE BARVEN K-74?"

None comes back where a question cannot be put in that way.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from graders.simgate import Lexicon

from .pack import Pack

__all__ = ["TWINS", "Asked"]

LONG: Final = 6  # letters of a word that is worth a slip
TRIES: Final = 20
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Asked:
    """How a question came about: a pattern of the pack and what was put into it."""

    group: str
    pattern: str
    slots: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.pattern.format(**self.slots)


def _typo(chance: random.Random, asked: Asked, pack: Pack, lexicon: Lexicon) -> str | None:  # noqa: ARG001
    """One slip in a word that a reader still knows: in a name, or else in what is asked for."""
    named = [word for word in asked.slots.get("product", "").split() if len(word) >= LONG and word.isalpha()]
    meant = [word for word in asked.slots.get("attribute", "").split() if len(word) >= LONG]
    for _ in range(TRIES):
        candidates = named if named and (not meant or chance.random() < 0.5) else meant
        if not candidates:
            return None
        word = chance.choice(candidates)
        slipped = _slip(chance, word)
        if slipped.lower() != word.lower() and lexicon.mended(slipped.lower()) == word.lower():
            return asked.text.replace(word, slipped, 1)
    return None


def _slip(chance: random.Random, word: str) -> str:
    """Within the word: people see to its beginning."""
    place = chance.randrange(1, len(word) - 1)
    before, here, after = word[:place], word[place], word[place + 1 :]
    return chance.choice((
        before + after,
        before + here + here + after,
        before + after[0] + here + after[1:],
        before + chance.choice(LETTERS) + after,
    ))  # fmt: skip


def _case(chance: random.Random, asked: Asked, pack: Pack, lexicon: Lexicon) -> str | None:  # noqa: ARG001
    return asked.text.upper() if chance.random() < 0.5 else asked.text.lower()


def _order(chance: random.Random, asked: Asked, pack: Pack, lexicon: Lexicon) -> str | None:  # noqa: ARG001
    turned = pack.questions.get(f"{asked.group}_turned")
    return chance.choice(turned).format(**asked.slots) if turned else None


def _politeness(chance: random.Random, asked: Asked, pack: Pack, lexicon: Lexicon) -> str | None:  # noqa: ARG001
    return chance.choice(pack.questions["polite"]).format(question=asked.text)


TWINS: Final[Mapping[str, Callable[[random.Random, Asked, Pack, Lexicon], str | None]]] = {
    "typo": _typo, "case": _case, "order": _order, "politeness": _politeness,
}  # fmt: skip
