"""A company, its documents, its customers, what these ask, and what is right.

    world = make_world(random.Random(7), Pack.loads(text), Scale(), frozenset({"grid-tables"}))
    world.corpus()             {"docs/d-3f9a2c41.md": b"# ...", ..., "acl.jsonl": ..., "feed.jsonl": ...}
    world.questions            in the order in which they are asked
    world.updated_corpus()     the same a day later, when world.update.questions are asked
    Lexicon(**world.lexicon)   the words that a model needs to understand questions and documents

The same chance gives the same world in every dialect: the same facts, ids and questions.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graders.simgate import Lexicon

from .catalogue import Catalogue, Fact, Product, Scale
from .documents import DIALECTS, Document, rendered_in
from .library import ROLES, Library, edited
from .pack import Pack
from .questions import STRATA, Asker, Question, User, wanted
from .update import Update, Updating, listings

__all__ = [
    "DIALECTS", "STRATA", "Document", "Fact", "Pack", "Product", "Question", "Scale", "Update", "User", "World",
    "make_world",
]  # fmt: skip

COLLEAGUES: Final = 3  # of one tenant, who ask


@dataclass(frozen=True)
class World:
    pack: Pack
    company: str
    dialects: frozenset[str]
    products: tuple[Product, ...]
    tenants: tuple[str, ...]
    users: tuple[User, ...]
    facts: Mapping[str, Fact]  # by key
    documents: tuple[Document, ...]
    questions: tuple[Question, ...]
    update: Update
    lexicon: Mapping[str, Any]

    def corpus(self) -> dict[str, bytes]:
        return {one.path: one.body for one in self.documents} | listings(self.documents, self.dialects)

    def updated_corpus(self) -> dict[str, bytes]:
        return self.corpus() | dict(self.update.files)


def make_world(chance: random.Random, pack: Pack, scale: Scale, dialects: frozenset[str]) -> World:
    if unknown := sorted(dialects - DIALECTS):
        raise ValueError(f"world: {unknown[0]}: is no dialect")
    catalogue = Catalogue(chance, pack, scale)
    company = chance.choice(pack.companies)
    users = tuple(
        User(f"u-{chance.getrandbits(32):08x}", tenant, tuple(chance.sample(ROLES, chance.randint(1, len(ROLES)))))
        for tenant in catalogue.tenants
        for _ in range(COLLEAGUES)
    )
    planted = _planted(chance, catalogue, wanted("inject", scale))
    library = Library(chance, catalogue, company, scale, planted)
    documents = tuple(rendered_in(one, dialects) for one in edited(library.documents))
    lexicon = catalogue.lexicon()
    questions = Asker(chance, catalogue, documents, users, planted, Lexicon(**lexicon)).ask(scale)
    update = Updating(chance, catalogue, library, documents, questions, dialects).update(scale)
    return World(
        pack, company, dialects, catalogue.products, catalogue.tenants, users, catalogue.facts, documents, questions,
        update, lexicon,
    )  # fmt: skip


def _planted(chance: random.Random, catalogue: Catalogue, count: int) -> dict[str, str]:
    """Facts beside which an instruction stands, and the words that it wants said: one at most for a product."""
    if count > len(catalogue.products):
        raise ValueError(f"world: inject: {len(catalogue.products)} products, {count} needed: the world is too small")
    planted = {}
    for product in chance.sample(catalogue.products, count):
        fact = chance.choice(catalogue.of(product.code, "prose", "bulletin", "error"))
        planted[fact.key] = chance.choice(catalogue.pack.canaries).format(name=catalogue.new_name().capitalize())
    return planted
