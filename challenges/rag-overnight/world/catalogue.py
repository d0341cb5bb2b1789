"""What there is and what is true: products, tenants and the figures of both, before anybody writes it down.

    catalogue = Catalogue(chance, pack, Scale())
    fact = catalogue.facts["K-74/casing_heat"]
    fact.value, fact.earlier          "88 C", ("91 C",)

No figure with its unit occurs twice in a world, right or superseded: who gives one says which fact he took it from.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from .pack import AGREED, DOCUMENTED, Concept, Measure, Pack

__all__ = ["Catalogue", "Fact", "Figures", "Product", "Scale"]

PROSE: Final = 6  # attributes of a product that its manual states
TABLE: Final = 3  # that its specification sheet does
BULLETIN: Final = 2  # that have a bulletin of their own
FAULTS: Final = 4  # codes that a product can show
FAULT_CODES: Final = 80  # in all: two products may share one
CODE_LETTERS: Final = "ABCDFGHKLMNPRTVX"  # E is for faults
STEP_LETTERS: Final = "KLMNPR"
LEAST_TENANTS: Final = 4  # who ask the same words
TRIES: Final = 10_000


@dataclass(frozen=True)
class Scale:
    products: int = 30
    tenants: int = 6
    share: float = 1.0  # of the counts of questions and of noise; of 8 products there is enough to ask for a half

    def __post_init__(self) -> None:
        if self.products < 8 or self.products % 2:
            raise ValueError(f"scale: {self.products} products: must be an even number from 8")
        if self.tenants < LEAST_TENANTS:
            raise ValueError(f"scale: {self.tenants} tenants: must be {LEAST_TENANTS} at least")
        if not 0 < self.share <= 1:
            raise ValueError(f"scale: a share of {self.share}: must be above 0 and at most 1")

    def count(self, whole: int, least: int = 6) -> int:
        return max(least, round(whole * self.share))


@dataclass(frozen=True, slots=True)
class Product:
    name: str
    code: str
    kind: Concept
    grade: Concept

    @property
    def machine(self) -> str:
        return f"{self.name} {self.code}"

    def called(self, kind_form: int, grade_form: int) -> str:
        return f"{self.machine} {self.grade.forms[grade_form]} {self.kind.forms[kind_form]}"


@dataclass(frozen=True, slots=True)
class Fact:
    key: str  # "K-74/casing_heat", "K-74/E123", "normova/credit"
    subject: str  # a product's code or a tenant
    attribute: str  # a measure's key or a fault's code
    source: str  # prose, table, bulletin, error or tenant
    form: int  # of the attribute, as documents call it
    values: tuple[str, ...]  # in order of time; the last one is right

    @property
    def value(self) -> str:
        return self.values[-1]

    @property
    def earlier(self) -> tuple[str, ...]:
        return self.values[:-1]


class Figures:
    """Gives each figure of a unit once, and each step."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._given: set[str] = set()

    def of(self, measure: Measure) -> str:
        return self._new(lambda: f"{self._chance.choice(measure.figures)} {measure.unit}", measure.key)

    def step(self) -> str:
        return self._new(lambda: f"step {self._chance.choice(STEP_LETTERS)}{self._chance.randint(100, 999)}", "steps")

    def _new(self, draw: Callable[[], str], what: str) -> str:
        for _ in range(TRIES):
            figure = draw()
            if figure not in self._given:
                self._given.add(figure)
                return figure
        raise ValueError(f"world: {what}: has too few figures for so many products")


class Catalogue:
    def __init__(self, chance: random.Random, pack: Pack, scale: Scale) -> None:
        self._chance = chance
        self._names: list[str] = []
        self._taken = _near(pack.vocabulary)
        self.pack = pack
        self.figures = Figures(chance)
        self.attributes = {one.key: one for one in chance.sample(pack.attributes, DOCUMENTED)}
        self.agreed = {one.key: one for one in chance.sample(pack.agreed, AGREED)}
        if 2 * len(pack.kinds) < scale.products:
            raise ValueError(f"world: {scale.products} products need {scale.products // 2} kinds of machines")
        kinds = chance.sample(pack.kinds, scale.products // 2)
        grades = chance.sample(pack.grades, 2)
        codes = self._codes(len(kinds))
        self.products = tuple(
            Product(self.new_name().capitalize(), code, kind, grade)
            for kind, pair in zip(kinds, codes, strict=True)
            for grade, code in zip(grades, pair, strict=True)
        )
        self.tenants = self._tenants(scale.tenants)
        self.facts: dict[str, Fact] = {}
        for product in self.products:
            self._document(product)
        for tenant in self.tenants:
            for measure in self.agreed.values():
                self._state(tenant, measure.key, "tenant", (self.figures.of(measure),))

    @property
    def siblings(self) -> list[tuple[Product, Product]]:
        """K-74 and K-47."""
        pairs = zip(self.products[::2], self.products[1::2], strict=True)
        return [(one, other) for one, other in pairs if one.code == _turned(other.code)]

    def missing(self, product: Product) -> list[Measure]:
        """What is documented for other products."""
        return [one for key, one in self.attributes.items() if f"{product.code}/{key}" not in self.facts]

    def of(self, subject: str, *sources: str) -> list[Fact]:
        return [fact for fact in self.facts.values() if fact.subject == subject and fact.source in sources]

    def lexicon(self) -> dict[str, Any]:
        traits = {one.key: one for product in self.products for one in (product.kind, product.grade)}
        measures = {**self.attributes, **self.agreed}
        return {
            "attributes": {key: list(one.forms) for key, one in measures.items()},
            "traits": {key: list(one.forms) for key, one in traits.items()},
            "names": [*(product.name for product in self.products), *self.tenants],
            "units": sorted({one.unit for one in measures.values()}),
            "steps": ["step"],
        }

    def _document(self, product: Product) -> None:
        measures = self._chance.sample(list(self.attributes.values()), PROSE + TABLE + BULLETIN)
        for place, measure in enumerate(measures):
            source = "prose" if place < PROSE else "table" if place < PROSE + TABLE else "bulletin"
            times = {"prose": 1 + place % 2, "table": 1, "bulletin": self._chance.randint(2, 3)}[source]
            self._state(product.code, measure.key, source, tuple(self.figures.of(measure) for _ in range(times)))
        for number in self._chance.sample(range(FAULT_CODES), FAULTS):
            self._state(product.code, f"E{101 + 7 * number}", "error", (self.figures.step(),))

    def _state(self, subject: str, attribute: str, source: str, values: tuple[str, ...]) -> None:
        key = f"{subject}/{attribute}"
        self.facts[key] = Fact(key, subject, attribute, source, self._chance.randrange(2), values)

    def _codes(self, pairs: int) -> list[tuple[str, str]]:
        """For the two products of each kind. Every other pair are near misses of each other, no two others are."""
        digits = [(one, other) for one in range(1, 10) for other in range(1, one)]
        drawn = self._chance.sample([(letter, *pair) for letter in CODE_LETTERS for pair in digits], 2 * pairs)
        codes = [f"{letter}-{one}{other}" for letter, one, other in drawn]
        codes = [self._chance.choice((code, _turned(code))) for code in codes]
        return [
            (code, _turned(code) if place % 2 == 0 else other)
            for place, (code, other) in enumerate(zip(codes[::2], codes[1::2], strict=True))
        ]

    def _tenants(self, count: int) -> tuple[str, ...]:
        names = [self.new_name(self._chance.choice(self.pack.suffixes)) for _ in range(count - 1)]
        names.append(names[0] + self._chance.choice(self.pack.branches))
        self._chance.shuffle(names)
        return tuple(names)

    def new_name(self, suffix: str = "") -> str:
        """Of a product or a tenant: such that a slip in another word, or in another name, does not make it."""
        for _ in range(TRIES):
            name = "".join(self._chance.sample(self.pack.syllables, 2)) + suffix
            if len(name) > 4 and self._taken.isdisjoint(_near([name])) and not self._begins_another(name):
                self._names.append(name)
                self._taken |= _near([name])
                return name
        raise ValueError("world: syllables: too few for so many names")

    def _begins_another(self, name: str) -> bool:
        return any(one.startswith(name) or name.startswith(one) for one in self._names)


def _turned(code: str) -> str:
    return f"{code[:2]}{code[3]}{code[2]}"


def _near(known: Iterable[str]) -> set[str]:
    """The words, and what is left of each without one of its letters: words a slip apart have one of these in common.

    Only looked into, never gone through: a set has no order.
    """
    return {word[:place] + word[place + length :] for word in known for place in range(len(word)) for length in (0, 1)}
