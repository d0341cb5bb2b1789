"""Writes down what a catalogue knows, and a good deal that nobody asks for.

    library = Library(chance, catalogue, company, scale, planted={"K-74/fuse": "Upgrade to Barven Care today"})
    library.documents           as they are meant, in no dialect
    edited(library.documents)   with what follows from one another: which are superseded, which facts hold

Most of it is noise: tickets, guides, drafts, and editions that another one has replaced.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from .catalogue import Catalogue, Fact, Product, Scale
from .documents import PUBLIC, Document, Section
from .pack import Measure

__all__ = ["ROLES", "Library", "edited", "superseded", "updated"]

ROLES: Final = ("engineer", "manager")
TICKETS: Final = 22  # of each tenant
GUIDES: Final = 80
WITHDRAWN: Final = 6  # bulletins
DRAFTED: Final = 4  # facts of each tenant's contract that somebody wants to change

LABELS: Final = ("A", "B", "C", "D", "2", "3", "3b", "7", "10", "11a", "R1", "R4")  # of no order, as authors are
DAYS: Final = ((22, 28), (15, 21), (8, 14))  # of a key's first, second and third revision: where days come first, as
UPDATED_DAYS: Final = (1, 7)  # text the last one looks like the oldest
FIRST_YEAR: Final = 2019
UPDATED_YEAR: Final = 2025


class Library:
    def __init__(
        self, chance: random.Random, catalogue: Catalogue, company: str, scale: Scale, planted: Mapping[str, str]
    ) -> None:
        self._chance = chance
        self._catalogue = catalogue
        self._pack = catalogue.pack
        self._company = company
        self._planted = planted
        self._ids: set[str] = set()
        self.documents: list[Document] = []
        for product in catalogue.products:
            self._write_manual(product)
            self._write_sheet(product)
            self._write_bulletins(product)
            self._write_articles(product)
        for tenant in catalogue.tenants:
            self._write_contracts(tenant)
            for _ in range(scale.count(TICKETS, 2)):
                self._write_ticket(tenant)
        for place in range(scale.count(GUIDES, 4)):
            self._write_guide(of_a_kind=place % 2 == 0)
        for product in chance.sample(catalogue.products, scale.count(WITHDRAWN, 2)):
            self._write_withdrawn(product)
        chance.shuffle(self.documents)

    def bulletin(self, product: Product, measure: Measure, value: str, edition: tuple[str, date]) -> Document:
        """One more, about something that was not documented. It is not in `documents` yet."""
        key = f"{product.code}/{measure.key}"
        section = self._stating(key, _heading(self._chance.choice(measure.forms[:2])), value)
        title = self._title("bulletin", product=self._called(product))
        return self._made("bulletin", "md", title, [section], states={key: value}, edition=edition)

    def another_id(self) -> str:
        while True:
            drawn = f"d-{self._chance.getrandbits(32):08x}"
            if drawn not in self._ids:
                self._ids.add(drawn)
                return drawn

    def _write_manual(self, product: Product) -> None:
        facts = self._catalogue.of(product.code, "prose")
        self._chance.shuffle(facts)
        opening = Section(self._chance.choice(self._pack.headings), self._filler(2, 3))
        title = self._title("manual", product=self._called(product))
        last = [self._stating(fact.key, self._form(fact), fact.value) for fact in facts]
        first = [
            replace(one, text=one.text.replace(fact.value, fact.values[0]), planted="", breakout="")
            for one, fact in zip(last, facts, strict=True)
        ]
        key = self._key("manual")
        for edition, sections in zip(editions(self._chance, 2), (first, last), strict=True):
            values = {fact.key: fact.values[0] if sections is first else fact.value for fact in facts}
            self._add("manual", "md", title, [opening, *sections], states=values, key=key, edition=edition)

    def _write_sheet(self, product: Product) -> None:
        rows = [Section(self._form(fact), fact.value, fact.key) for fact in self._catalogue.of(product.code, "table")]
        title = self._title("sheet", product=self._called(product))
        self._add("sheet", "html", title, [Section("", self._filler(2, 2)), *rows])

    def _write_bulletins(self, product: Product) -> None:
        for fact in self._catalogue.of(product.code, "bulletin"):
            title = self._title("bulletin", product=self._called(product))
            key = self._key("bulletin")
            for edition, value in zip(editions(self._chance, len(fact.values)), fact.values, strict=True):
                section = self._stating(fact.key, self._form(fact), value)
                if value != fact.value:
                    section = replace(section, planted="", breakout="")
                self._add("bulletin", "md", title, [section], states={fact.key: value}, key=key, edition=edition)

    def _write_articles(self, product: Product) -> None:
        for fact in self._catalogue.of(product.code, "error"):
            title = self._title("article", fault=fact.attribute, machine=product.machine)
            remedy = self._fill(self._chance.choice(self._pack.remedies), value=fact.value)
            text = self._around(remedy, self._pack.fillers, before=(1, 1), after=(1, 2))
            self._add("article", "json", title, [self._section_of(fact.key, "", text)])

    def _write_contracts(self, tenant: str) -> None:
        facts = self._catalogue.of(tenant, "tenant")
        for fact in facts:
            self._write_agreed("contract", fact, fact.value)
        for fact in self._chance.sample(facts, DRAFTED):
            self._write_agreed("draft", fact, self._catalogue.figures.of(self._catalogue.agreed[fact.attribute]))

    def _write_agreed(self, kind: str, fact: Fact, value: str) -> None:
        named = fact.subject.capitalize()
        said = self._fill(self._chance.choice(self._pack.agreed_figures), tenant=named, value=value)
        text = self._around(said, self._pack.clauses, before=(1, 1), after=(1, 2))
        section = Section(self._form(fact), text, fact.key)
        self._add(kind, "md", self._title(kind, tenant=named), [section], owner=fact.subject, states={fact.key: value})

    def _write_ticket(self, tenant: str) -> None:
        product = self._chance.choice(self._catalogue.products)
        asked = self._chance.choice(self._chance.choice(list(self._catalogue.attributes.values())).forms[:2])
        said = self._fill(self._chance.choice(self._pack.ticket_lines), product=self._called(product), attribute=asked)
        number = f"T{self._chance.randint(1000, 9999)}"
        title = self._title("ticket", number=number, tenant=tenant.capitalize())
        self._add("ticket", "json", title, [Section("", f"{said} {self._filler(2, 3)}")], owner=tenant)

    def _write_guide(self, *, of_a_kind: bool) -> None:
        attribute = self._chance.choice(self._chance.choice(list(self._catalogue.attributes.values())).forms[:2])
        kind = self._chance.choice(self._chance.choice(self._catalogue.products).kind.forms[:2])
        title = self._title("guide", attribute=attribute)
        if of_a_kind:
            title = self._title("kind_guide", attribute=attribute, kind=kind)
        said = self._fill(self._chance.choice(self._pack.guide_lines), attribute=attribute)
        self._add("guide", "md", title, [Section("", f"{said} {self._filler(3, 4)}")])

    def _write_withdrawn(self, product: Product) -> None:
        measure = self._chance.choice(self._catalogue.missing(product))
        [edition] = editions(self._chance, 1)
        bulletin = self.bulletin(product, measure, self._catalogue.figures.of(measure), edition)
        self.documents.append(replace(bulletin, deleted=True))

    def _add(
        self, kind: str, extension: str, title: str, sections: Sequence[Section], *, owner: str = PUBLIC,
        states: Mapping[str, str] | None = None, key: str = "", edition: tuple[str, date] | None = None,
    ) -> None:  # fmt: skip
        self.documents.append(self._made(kind, extension, title, sections, owner, states, key, edition))

    def _made(
        self, kind: str, extension: str, title: str, sections: Sequence[Section], owner: str = PUBLIC,
        states: Mapping[str, str] | None = None, key: str = "", edition: tuple[str, date] | None = None,
    ) -> Document:  # fmt: skip
        if states is None:
            states = {one.fact: self._catalogue.facts[one.fact].value for one in sections if one.fact}
        label, when = edition or editions(self._chance, 1)[0]
        return Document(
            self.another_id(), kind, extension, title, tuple(sections), tuple(states.items()), owner, ROLES,
            listed=kind != "draft", key=key or self._key(kind), revision=label, valid_from=when,
        )  # fmt: skip

    def _stating(self, fact: str, heading: str, value: str) -> Section:
        said = self._fill(self._chance.choice(self._pack.figures), value=value)
        text = self._around(said, self._pack.fillers, before=(1, 2), after=(1, 3))
        return self._section_of(fact, heading, text)

    def _section_of(self, fact: str, heading: str, text: str) -> Section:
        """With an instruction, if one is planted there."""
        instruction, breakout = self._chance.choice(self._pack.instructions), self._chance.choice(self._pack.breakouts)
        if canary := self._planted.get(fact):
            return Section(heading, text, fact, instruction.format(canary=canary), breakout.format(canary=canary))
        return Section(heading, text, fact)

    def _form(self, fact: Fact) -> str:
        measure = self._catalogue.attributes.get(fact.attribute) or self._catalogue.agreed[fact.attribute]
        return _heading(measure.forms[fact.form])

    def _called(self, product: Product) -> str:
        return product.called(self._chance.randrange(2), self._chance.randrange(2))

    def _title(self, kind: str, /, **slots: str) -> str:
        return self._fill(self._chance.choice(self._pack.titles[kind]), **slots)

    def _filler(self, least: int, most: int) -> str:
        lines = self._chance.sample(self._pack.fillers, self._chance.randint(least, most))
        return " ".join(self._fill(one) for one in lines)

    def _around(self, said: str, lines: Sequence[str], *, before: tuple[int, int], after: tuple[int, int]) -> str:
        first, last = self._chance.randint(*before), self._chance.randint(*after)
        drawn = [self._fill(one) for one in self._chance.sample(lines, first + last)]
        return " ".join([*drawn[:first], said, *drawn[first:]])

    def _fill(self, pattern: str, **slots: str) -> str:
        return pattern.format(company=self._company, **slots)

    def _key(self, kind: str) -> str:
        return f"{kind}-{self._chance.getrandbits(40):010x}"


def _heading(form: str) -> str:
    return form[0].upper() + form[1:]


def editions(chance: random.Random, count: int) -> list[tuple[str, date]]:
    """Labels and dates of a key's revisions, the oldest first."""
    labels = chance.sample(LABELS, count)
    days = DAYS[:count] if count > 1 else ((1, 28),)
    return [
        (label, date(FIRST_YEAR + 2 * place + chance.randrange(2), chance.randint(1, 12), chance.randint(*between)))
        for place, (label, between) in enumerate(zip(labels, days, strict=True))
    ]


def updated(chance: random.Random, replaced: str = "") -> tuple[str, date]:
    """Label and date of a revision that comes after all others."""
    label = chance.choice([one for one in LABELS if one != replaced])
    return label, date(UPDATED_YEAR, chance.randint(1, 12), chance.randint(*UPDATED_DAYS))


def edited(documents: Iterable[Document]) -> tuple[Document, ...]:
    """With what follows from one another: which documents are valid, and which facts they therefore hold."""
    every = tuple(documents)
    older = superseded(every)
    settled = []
    for one in every:
        valid = not (one.id in older or one.deleted)
        facts = tuple(fact for fact, _ in one.states) if valid and one.listed else ()
        settled.append(replace(one, valid=valid, facts=facts))
    return tuple(settled)


def superseded(documents: Iterable[Document]) -> dict[str, int]:
    """Ids of documents that a later one of the same key replaces; the oldest of a key is number 1."""
    revisions: dict[str, list[Document]] = defaultdict(list)
    for one in documents:
        revisions[one.key].append(one)
    return {
        one.id: number
        for group in revisions.values()
        for number, one in enumerate(sorted(group, key=lambda one: one.valid_from)[:-1], 1)
    }
