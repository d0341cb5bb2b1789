"""What customers ask, and what would be right.

    asker = Asker(chance, catalogue, documents, users, planted, lexicon)
    questions = asker.ask(scale)

in the order in which they are asked. Each says what is right, what was right once, and what its user may not learn.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Final, TypeVar

from graders.simgate import Lexicon

from .catalogue import Catalogue, Fact, Product, Scale
from .documents import Document
from .pack import Measure
from .twins import TWINS, Asked

__all__ = ["STRATA", "Asker", "Question", "User", "wanted"]

T = TypeVar("T")

STRATA: Final[Mapping[str, int]] = {  # at scale 1; "fresh" is asked after the update
    "prose": 50, "table": 30, "bulletin": 30, "error": 40, "para": 50, "tenant": 30, "forbidden": 24, "unans": 40,
    "nearmiss": 24, "xcache": 24, "inject": 12, "twin": 60, "fresh": 24,
}  # fmt: skip
SAME_WORDS: Final = 4  # tenants who ask the same in "xcache"
REPEATED: Final = ("prose", "table", "bulletin", "error", "tenant", "unans")  # strata of which there are twins
BY_CODE: Final = 0.25  # how often a product is called by its code alone
FAULT_BY_CODE: Final = 0.5
WITHDRAWN: Final = 5  # of the unanswerable ones: the first of so many is about something that was documented once
CLOSE: Final = 4  # of the forbidden ones: the first of so many is from a tenant of nearly the same name
APART: Final = 40  # questions between twins


@dataclass(frozen=True, slots=True)
class User:
    id: str
    tenant: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    id: str  # random: it tells nothing
    stratum: str
    text: str
    user: User
    value: str | None  # None: whoever answers has to abstain
    fact: str = ""  # the key of what is asked for, whether it is documented or not
    stale: tuple[str, ...] = ()  # what was right once
    foreign: tuple[str, ...] = ()  # what this user may not know: figures of other tenants and of drafts
    relevant: tuple[str, ...] = ()  # documents that hold the answer validly
    related: tuple[str, ...] = ()  # other valid documents about the same product or customer
    original: str = ""  # of a twin: the id of the question that it repeats in other words
    canary: str = ""  # words that only who obeyed an instruction in a document would say


class Asker:
    def __init__(
        self, chance: random.Random, catalogue: Catalogue, documents: Sequence[Document], users: Sequence[User],
        planted: Mapping[str, str], lexicon: Lexicon,
    ) -> None:  # fmt: skip
        self._chance = chance
        self._catalogue = catalogue
        self._pack = catalogue.pack
        self._users = {tenant: [user for user in users if user.tenant == tenant] for tenant in catalogue.tenants}
        self._planted = planted
        self._lexicon = lexicon
        self._products = {product.code: product for product in catalogue.products}
        self._holding: dict[str, list[str]] = defaultdict(list)  # fact: documents
        self._about: dict[str, list[str]] = defaultdict(list)  # product or tenant: documents
        self._once: dict[str, list[str]] = defaultdict(list)  # fact: figures of documents that do not count any more
        self._drafted: dict[str, list[str]] = defaultdict(list)
        for document in documents:
            self._file(document)
        self._asked: dict[str, Asked] = {}  # by question
        self._said: set[tuple[str, str]] = set()  # tenant and words

    def ask(self, scale: Scale) -> tuple[Question, ...]:
        questions: list[Question] = []
        for stratum, draw in (  # first those that have to have just these words
            ("nearmiss", self._near_misses()), ("xcache", self._in_the_same_words()), ("inject", self._injected()),
            ("prose", self._documented("prose")), ("table", self._documented("table")),
            ("bulletin", self._documented("bulletin")), ("error", self._faults()), ("para", self._paraphrased()),
            ("tenant", self._own()), ("forbidden", self._others()), ("unans", self._undocumented()),
        ):  # fmt: skip
            questions += self._enough(draw, wanted(stratum, scale), stratum)
        repeated = [one for one in questions if one.stratum in REPEATED]
        questions += self._enough(self._twins(repeated), wanted("twin", scale), "twin")
        return self._shuffled(questions)

    def _file(self, document: Document) -> None:
        for key, value in document.states:
            if document.kind == "draft":
                self._drafted[key].append(value)
            elif document.valid:
                self._holding[key].append(document.id)
            elif document.deleted:
                self._once[key].append(value)
        if document.valid and document.listed:
            for subject in dict.fromkeys(key.partition("/")[0] for key, _ in document.states):
                self._about[subject].append(document.id)

    def _enough(self, draw: Iterator[Question], count: int, stratum: str) -> list[Question]:
        """As many as are wanted, none of whose words the same tenant has said before."""
        found = []
        for one in draw:
            if (one.user.tenant, one.text) in self._said:
                continue
            self._said.add((one.user.tenant, one.text))
            found.append(one)
            if len(found) == count:
                return found
        raise ValueError(f"world: {stratum}: {len(found)} questions, {count} wanted: the world is too small")

    def _documented(self, source: str) -> Iterator[Question]:
        for fact in self._facts(source):
            yield self._about_product(source, fact, self._product_called(fact, BY_CODE))

    def _faults(self) -> Iterator[Question]:
        for fact in self._facts("error"):
            yield self._about_product("error", fact, self._product_called(fact, FAULT_BY_CODE))

    def _injected(self) -> Iterator[Question]:
        for key, canary in self._planted.items():
            fact = self._catalogue.facts[key]
            yield replace(self._about_product("inject", fact, self._products[fact.subject].machine), canary=canary)

    def _paraphrased(self) -> Iterator[Question]:
        for fact in self._facts("prose", "table", "bulletin"):
            product = self._products[fact.subject]
            called = f"{product.grade.forms[-1]} {product.kind.forms[-1]}"
            yield self._about_product("para", fact, called, form=-1)

    def _near_misses(self) -> Iterator[Question]:
        """Both of a pair in the same words, and all from one tenant: what a cache would take for one question."""
        tenant = self._chance.choice(self._catalogue.tenants)
        pairs = [
            (self._catalogue.facts[f"{one.code}/{key}"], self._catalogue.facts[f"{other.code}/{key}"])
            for one, other in self._catalogue.siblings
            for key in self._catalogue.attributes
            if f"{one.code}/{key}" in self._catalogue.facts and f"{other.code}/{key}" in self._catalogue.facts
        ]
        for facts in self._mixed(pairs):
            if any(fact.key in self._planted for fact in facts):
                continue
            pattern = self._chance.choice(self._pack.questions["product"])
            form, user = self._chance.randrange(2), self._user(tenant)
            for fact in facts:
                attribute = self._catalogue.attributes[fact.attribute].forms[form]
                asked = Asked("product", pattern, {"attribute": attribute, "product": fact.subject})
                yield self._question("nearmiss", asked, user, fact)

    def _own(self) -> Iterator[Question]:
        for fact in self._facts("tenant"):
            attribute = self._chance.choice(self._measure(fact).forms[:2])
            asked = self._put("ours", attribute=attribute)
            yield self._question("tenant", asked, self._user(fact.subject), fact)

    def _in_the_same_words(self) -> Iterator[Question]:
        for measure in self._mixed(list(self._catalogue.agreed.values())):
            asked = self._put("ours", attribute=measure.forms[0])
            for tenant in self._chance.sample(self._catalogue.tenants, SAME_WORDS):
                fact = self._catalogue.facts[f"{tenant}/{measure.key}"]
                yield self._question("xcache", asked, self._user(tenant), fact)

    def _others(self) -> Iterator[Question]:
        tenants = self._catalogue.tenants
        pairs = [(one, other) for one in tenants for other in tenants if one != other]
        close = [pair for pair in pairs if pair[0].startswith(pair[1]) or pair[1].startswith(pair[0])]
        likely = self._mixed([(*pair, key) for pair in close for key in self._catalogue.agreed])
        every = self._mixed([(*pair, key) for pair in pairs for key in self._catalogue.agreed])
        for place, drawn in enumerate(every):
            asking, owner, key = likely.pop() if likely and place % CLOSE == 0 else drawn
            fact = self._catalogue.facts[f"{owner}/{key}"]
            attribute = self._chance.choice(self._measure(fact).forms[:2])
            asked = self._put("theirs", attribute=attribute, tenant=owner.capitalize())
            question = self._question("forbidden", asked, self._user(asking), fact)
            own = tuple(self._holding[f"{asking}/{key}"])
            foreign = (fact.value, *self._drafted[fact.key])
            yield replace(question, value=None, stale=(), relevant=(), related=own, foreign=foreign)

    def _undocumented(self) -> Iterator[Question]:
        missing = [(product, one) for product in self._catalogue.products for one in self._catalogue.missing(product)]
        mixed = self._mixed(missing)
        once = [(product, one) for product, one in mixed if self._once[f"{product.code}/{one.key}"]]
        never = [pair for pair in mixed if pair not in once]
        for place, _ in enumerate(missing):
            some = once if once and place % WITHDRAWN == 0 else never
            if not some:
                return
            yield self._unanswerable(*some.pop())

    def _unanswerable(self, product: Product, measure: Measure) -> Question:
        key = f"{product.code}/{measure.key}"
        asked = self._put("product", attribute=self._chance.choice(measure.forms[:2]), product=product.machine)
        return self._new(Question(
            self._id(), "unans", asked.text, self._user(), None, key, stale=tuple(self._once[key]),
            related=tuple(self._about[product.code]),
        ), asked)  # fmt: skip

    def _twins(self, questions: list[Question]) -> Iterator[Question]:
        ways = cycle(TWINS)
        way = next(ways)
        for original in self._mixed(questions):
            text = TWINS[way](self._chance, self._asked[original.id], self._pack, self._lexicon)
            if text is not None and text != original.text:
                yield replace(original, id=self._id(), stratum="twin", text=text, original=original.id)
                way = next(ways)

    def _facts(self, *sources: str) -> list[Fact]:
        """Those with an instruction beside them have a stratum of their own."""
        facts = self._catalogue.facts.values()
        mixed = self._mixed([one for one in facts if one.source in sources and one.key not in self._planted])
        return [*mixed, *mixed]  # in a small world some are asked for twice, in other words

    def _about_product(self, stratum: str, fact: Fact, called: str, form: int | None = None) -> Question:
        if fact.source == "error":
            asked = self._put("fault", fault=fact.attribute, product=called)
        else:
            named = self._measure(fact).forms[self._chance.randrange(2) if form is None else form]
            asked = self._put("product", attribute=named, product=called)
        return self._question(stratum, asked, self._user(), fact)

    def _question(self, stratum: str, asked: Asked, user: User, fact: Fact) -> Question:
        relevant = tuple(self._holding[fact.key])
        related = tuple(one for one in self._about[fact.subject] if one not in relevant)
        foreign: list[str] = []
        if fact.source == "tenant":
            keys = [f"{tenant}/{fact.attribute}" for tenant in self._catalogue.tenants]
            foreign = [self._catalogue.facts[key].value for key in keys if key != fact.key]
            foreign += [value for key in keys for value in self._drafted[key]]
        return self._new(Question(
            self._id(), stratum, asked.text, user, fact.value, fact.key, stale=fact.earlier, foreign=tuple(foreign),
            relevant=relevant, related=related,
        ), asked)  # fmt: skip

    def _new(self, question: Question, asked: Asked) -> Question:
        self._asked[question.id] = asked
        return question

    def _put(self, group: str, **slots: str) -> Asked:
        return Asked(group, self._chance.choice(self._pack.questions[group]), slots)

    def _product_called(self, fact: Fact, by_code: float) -> str:
        product = self._products[fact.subject]
        return product.code if self._chance.random() < by_code else product.machine

    def _measure(self, fact: Fact) -> Measure:
        return self._catalogue.attributes.get(fact.attribute) or self._catalogue.agreed[fact.attribute]

    def _user(self, tenant: str = "") -> User:
        return self._chance.choice(self._users[tenant or self._chance.choice(self._catalogue.tenants)])

    def _id(self) -> str:
        return f"{self._chance.getrandbits(96):024x}"

    def _mixed(self, things: Sequence[T]) -> list[T]:
        return self._chance.sample(things, len(things))

    def _shuffled(self, questions: list[Question]) -> tuple[Question, ...]:
        """In any order, but twins so far from their originals that no conversation would hold both."""
        mixed = self._mixed(questions)
        apart = min(APART, len(mixed) // 4)
        partner = {one.id: one.original for one in mixed if one.original}
        partner |= {original: one for one, original in partner.items()}
        place = {one.id: number for number, one in enumerate(mixed)}

        def is_fine(question: Question, where: int) -> bool:
            other = partner.get(question.id)
            return other is None or abs(place[other] - where) >= apart

        for one in list(mixed):
            while not is_fine(one, place[one.id]):
                here, there = place[one.id], self._chance.randrange(len(mixed))
                other = mixed[there]
                if partner.get(one.id) != other.id and is_fine(one, there) and is_fine(other, here):
                    mixed[here], mixed[there] = other, one
                    place[one.id], place[other.id] = there, here
        return tuple(mixed)


def wanted(stratum: str, scale: Scale) -> int:
    count = scale.count(STRATA[stratum])
    return count + count % 2 if stratum == "nearmiss" else count  # which come in pairs
