"""The line-up of models: what they cost, how fast and how able they are. Money is integers, never floats.

A price is in nano-dollars for a million tokens, an amount in nano-dollars. Amounts are rounded up once, at the end of
one call's sum, so that a bill is the exact sum of its rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from .clock import NANO
from .seeds import Seed

__all__ = ["CARD", "Model", "PriceChange", "cost", "in_dollars", "on_sale", "perturbed"]

MILLION: Final = 1_000_000
BATCH_DISCOUNT: Final = Fraction(1, 2)

# By how much the card of a form may differ from the public one. Enough that a table learned by heart misleads,
# too little for the models to change places.
PRICE_SPREAD: Final = 1500  # in ten-thousandths, to either side
LATENCY_SPREAD: Final = 0.15
ABILITY_SPREAD: Final = 0.15


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    vendor: str
    input: int  # nano-dollars for a million tokens
    output: int
    cached: int | None  # None: this vendor has no prefix cache
    context: int  # tokens of prompt and answer together
    first_token: float  # seconds until an idle model begins to answer
    reads: int  # tokens of a prompt in a second
    writes: int  # tokens of an answer in a second; 0: it embeds
    requests_per_minute: int  # for a model that embeds: texts
    tokens_per_minute: int
    ability: float = 0.0  # theta of the item response model; candidates are not told
    noise: float = 0.0  # what a thousand tokens that are no evidence take from it; nor this

    @property
    def embeds(self) -> bool:
        return self.writes == 0


def _chat(
    name: str, vendor: str, cents: tuple[int, int | None, int], context: int, speed: tuple[float, int], rpm: int,
    ability: tuple[float, float],
) -> Model:  # fmt: skip
    """One line of the card, with prices in cents for a million tokens. Two thousand tokens are a usual request."""
    price, cached, output = (None if one is None else one * NANO // 100 for one in cents)
    return Model(
        name, vendor, price or 0, output or 0, cached, context, speed[0], 9000, speed[1], rpm, rpm * 2000, *ability
    )


def _embedding(name: str) -> Model:
    """Embeddings are read much faster than prompts: a night's ingest of some 60,000 tokens must not take minutes."""
    return Model(name, "aster", 2 * NANO // 100, 0, None, 2048, 0.03, 200_000, 0, 20_000, 40_000_000)


# The public card. Prices, speeds and limits are made up, with the proportions that real line-ups have: a factor of
# 75 between the cheapest and the best, a quarter of the price for what is cached, four tokens of input for one of
# output. Abilities and noise were calibrated with prototypes so that every way to save pays and none is enough.
CARD: Final = (
    _chat("nano-1", "aster", (4, 1, 16), 16_000, (0.25, 220), 3000, (-0.60, 0.45)),
    _chat("swift-2", "aster", (12, 3, 48), 64_000, (0.35, 140), 2400, (0.45, 0.30)),
    _chat("core-3", "aster", (60, 15, 240), 128_000, (0.55, 90), 1500, (1.35, 0.18)),
    _chat("apex-4", "aster", (300, 75, 1500), 200_000, (0.90, 55), 500, (2.50, 0.08)),
    _chat("relay-2", "borealis", (15, None, 60), 64_000, (0.45, 120), 2000, (0.35, 0.30)),
    _chat("summit-3", "borealis", (80, None, 320), 128_000, (0.70, 80), 1200, (1.25, 0.18)),
    _embedding("embed-s-v1"),
    _embedding("embed-s-v2"),
)


def perturbed(card: Sequence[Model], seed: Seed) -> tuple[Model, ...]:
    """The card of one form. A model's prices move together, so what is cached stays a quarter of what is not."""
    return tuple(_perturbed(model, seed.draws("card", model.name)) for model in card)


def _perturbed(model: Model, draws: Seed) -> Model:
    share = 10_000 - PRICE_SPREAD + int(draws.uniform("price") * (2 * PRICE_SPREAD + 1))
    slower = 1 + LATENCY_SPREAD * (2 * draws.uniform("latency") - 1)
    return replace(
        model,
        input=model.input * share // 10_000,
        output=model.output * share // 10_000,
        cached=None if model.cached is None else model.cached * share // 10_000,
        first_token=round(model.first_token * slower, 4),
        writes=round(model.writes / slower),
        ability=model.ability if model.embeds else model.ability + ABILITY_SPREAD * (2 * draws.uniform("ability") - 1),
    )


@dataclass(frozen=True, slots=True)
class PriceChange:
    """From `start` on a model costs `percent` of what its card says. Announced with the price card."""

    start: float
    model: str
    percent: int

    def __post_init__(self) -> None:
        if self.start < 0 or not 1 <= self.percent <= 10_000:
            raise ValueError(f"price change: {self.model}: start must be above 0 and percent between 1 and 10000")


def on_sale(model: Model, changes: Iterable[PriceChange], now: int) -> Model:
    """With the price that holds now."""
    for change in changes:
        if change.model == model.name and now >= round(change.start * NANO):
            model = replace(
                model,
                input=model.input * change.percent // 100,
                output=model.output * change.percent // 100,
                cached=None if model.cached is None else model.cached * change.percent // 100,
            )
    return model


def cost(model: Model, prompt: int, cached: int, answer: int, *, factor: Fraction = Fraction(1)) -> int:
    """What a call costs in nano-dollars, rounded up. `cached` of the `prompt` tokens were in the prefix cache."""
    cheap = model.input if model.cached is None else model.cached
    exact = ((prompt - cached) * model.input + cached * cheap + answer * model.output) * factor / MILLION
    return -(-exact.numerator // exact.denominator)


def in_dollars(amount: int) -> str:
    """All nine digits of an amount, for people and headers."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // NANO}.{abs(amount) % NANO:09d}"
