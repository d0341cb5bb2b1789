"""The words of a world: which phrases mean the same, what counts as a value, what is a name.

The embedding and the reader know a world's language from this, and nothing of what its documents say.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

__all__ = ["STOP_WORDS", "Lexicon", "Mention", "Word", "is_code", "words"]

# U+2011 is a hyphen that does not break. It joins a word as the common one does, and makes it another word: whoever
# does not normalise documents finds that a model does not either.
WORD: Final = re.compile("[^\\W_]+(?:[-\u2011][^\\W_]+)*")

STOP_WORDS: Final = frozenset((
    "the", "a", "an", "of", "is", "for", "what", "which", "how", "does", "do", "to", "in", "on", "at", "and", "or",
    "be", "with", "our", "we", "you", "it", "its", "this", "that", "please", "can", "tell", "me", "are", "i", "my",
    "by", "from", "per", "value", "current", "apply", "applies", "when", "should", "unit", "figure",
))  # fmt: skip

SHORTEST_MENDED: Final = 5  # of four letters too many are one slip from another word


class Word(NamedTuple):
    text: str  # in small letters
    start: int
    end: int


class Mention(NamedTuple):
    concept: str
    start: int
    end: int


def words(text: str) -> list[Word]:
    return [Word(found[0].lower(), *found.span()) for found in WORD.finditer(text)]


@dataclass(frozen=True)
class Lexicon:
    """`attributes` are what can be asked about, `traits` what a thing is called by (its kind, its grade); each by a
    name of ours, with all the phrases that mean it. `names` are words that name one thing or customer, and `units`
    what stands behind a number. `steps` are words before a code that together are a value, as in "step K412".
    """

    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    traits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    names: Sequence[str] = ()
    units: Sequence[str] = ()
    steps: Sequence[str] = ("step",)

    _phrases: dict[str, list[tuple[tuple[str, ...], str]]] = field(init=False, repr=False, compare=False)
    _meanings: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _value: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _known: frozenset[str] = field(init=False, repr=False, compare=False)
    _vocabulary: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if both := self.attributes.keys() & self.traits.keys():
            raise ValueError(f"lexicon: {min(both)}: is an attribute and a trait")
        phrases: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        meanings: dict[str, set[str]] = defaultdict(set)
        for concept, forms in (*self.attributes.items(), *self.traits.items()):
            for form in forms:
                spelled = tuple(word.text for word in words(form))
                if not spelled:
                    raise ValueError(f"lexicon: {concept}: {form!r}: has no word")
                phrases[spelled[0]].append((spelled, concept))
                for word in spelled:
                    meanings[word].add(concept)
        units = "|".join(re.escape(unit) for unit in sorted(self.units, key=len, reverse=True)) or "(?!)"
        steps = "|".join(re.escape(step) for step in sorted(self.steps, key=len, reverse=True)) or "(?!)"
        value = rf"(?<![\w.,-])(?:\d[\d.,]{{0,20}}[ \u00a0]?(?:{units})(?!\w)|(?:{steps}) [A-Z]{{1,3}}-?\d{{1,6}}\b)"
        known = {word.text for name in self.names for word in words(name)}
        for name, made in (
            ("_phrases", dict(phrases)), ("_value", re.compile(value)), ("_known", frozenset(known)),
            ("_vocabulary", tuple(sorted({*meanings, *known}))),
            ("_meanings", {word: tuple(sorted(concepts)) for word, concepts in meanings.items()}),
        ):  # fmt: skip
            object.__setattr__(self, name, made)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Lexicon":
        return cls(**value)

    def as_dict(self) -> dict[str, Any]:
        return {
            "attributes": {concept: list(forms) for concept, forms in self.attributes.items()},
            "traits": {concept: list(forms) for concept, forms in self.traits.items()},
            "names": list(self.names), "units": list(self.units), "steps": list(self.steps),
        }  # fmt: skip

    def meanings(self, word: str) -> tuple[str, ...]:
        """The concepts in whose phrases a word stands."""
        return self._meanings.get(word, ())

    def is_name(self, word: str) -> bool:
        return word in self._known

    def mended(self, word: str) -> str:
        """The word that was meant by one with a single slip in it. Short words and codes are taken as they are."""
        if len(word) < SHORTEST_MENDED or word in self._meanings or word in STOP_WORDS or self.is_name(word):
            return word
        if is_code(word):
            return word
        return next((one for one in self._vocabulary if _one_slip(word, one)), word)

    def mentions(self, said: Sequence[Word]) -> list[Mention]:
        """The phrases that stand in a text whole, in order."""
        found = []
        for place, word in enumerate(said):
            for phrase, concept in self._phrases.get(word.text, ()):
                end = place + len(phrase)
                if tuple(one.text for one in said[place:end]) == phrase:
                    found.append(Mention(concept, word.start, said[end - 1].end))
        return found

    def values(self, text: str) -> Iterator[re.Match[str]]:
        return self._value.finditer(text)


def is_code(word: str) -> bool:
    """A product or fault code: letters and digits in one word."""
    return any(sign.isdigit() for sign in word) and any(sign.isalpha() for sign in word)


def _one_slip(word: str, meant: str) -> bool:
    """One letter too many, too few, another one, or two that changed places."""
    if abs(len(word) - len(meant)) > 1:
        return False
    start = 0
    while start < min(len(word), len(meant)) and word[start] == meant[start]:
        start += 1
    rest, other = word[start:], meant[start:]
    swapped = rest[1:2] + rest[:1] + rest[2:]
    return rest[1:] == other[1:] or rest[1:] == other or rest == other[1:] or swapped == other
