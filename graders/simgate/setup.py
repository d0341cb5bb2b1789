"""What a gateway is set up with. A driver makes it in memory, a practice copy reads it from a file of JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any, Literal

from .brains.competence import Fact, Item
from .brains.lexicon import Lexicon
from .limits import CACHE_SECONDS, Incident
from .prices import CARD, Model, PriceChange

__all__ = ["Setup"]


@dataclass(frozen=True)
class Setup:
    secret: bytes  # all chance comes from it
    key: str  # the subject's API key
    lexicon: Lexicon = field(default_factory=Lexicon)
    brain: Literal["reader", "competence"] = "reader"
    items: tuple[Item, ...] = ()  # that the competence brain knows from the beginning
    card: tuple[Model, ...] = CARD
    budget: int | None = None  # nano-dollars; None: without end
    scale: Fraction = Fraction(1)  # what one call stands for, when a replay is smaller than the month that it plays
    incidents: tuple[Incident, ...] = ()
    price_changes: tuple[PriceChange, ...] = ()
    day_seconds: float = 2.0  # after which batches of a day are done
    cache_seconds: float = CACHE_SECONDS

    def __post_init__(self) -> None:
        if len(self.secret) < 16:
            raise ValueError("setup: the secret is shorter than 16 bytes: a subject could try them all")
        if not self.key.isascii() or not self.key.isprintable() or not self.key.strip() or " " in self.key:
            raise ValueError("setup: the key must be visible ASCII without spaces")
        if self.scale <= 0 or self.day_seconds <= 0 or self.cache_seconds < 0:
            raise ValueError("setup: scale, day_seconds and cache_seconds must be above 0")
        if len({model.name for model in self.card}) < len(self.card):
            raise ValueError("setup: two models of the card have one name")

    def as_json(self) -> str:
        """What `loads` makes this again from."""
        value = {
            **asdict(self),
            "secret": self.secret.hex(), "lexicon": self.lexicon.as_dict(), "scale": str(self.scale),
        }  # fmt: skip
        return json.dumps(value, indent=1, ensure_ascii=False)

    @classmethod
    def loads(cls, text: str) -> "Setup":
        value: dict[str, Any] = json.loads(text)
        made: dict[str, Any] = {
            "secret": bytes.fromhex(value.pop("secret")),
            "lexicon": Lexicon.from_dict(value.pop("lexicon", {})),
            "scale": Fraction(value.pop("scale", "1")),
            "items": tuple(_item(one) for one in value.pop("items", ())),
            "incidents": tuple(Incident(**one) for one in value.pop("incidents", ())),
            "price_changes": tuple(PriceChange(**one) for one in value.pop("price_changes", ())),
        }
        if "card" in value:
            made["card"] = tuple(Model(**one) for one in value.pop("card"))
        return cls(**made, **value)


def _item(value: Mapping[str, Any]) -> Item:
    facts = tuple(Fact(one["value"], tuple(one.get("keys", ()))) for one in value.get("facts", ()))
    return Item(**{**value, "facts": facts})
