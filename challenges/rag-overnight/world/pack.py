"""The words of a company's world: what machines there are, what can be asked about them, and how documents talk.

    pack = Pack.loads((FOLDER / "private" / "pack.json").read_text())

The pack that lies beside the code is public. Whoever screens with it in earnest puts one of their own in its place;
what is wrong in it is told as a sentence: "pack: attributes: 3: forms: 2 given, 3 needed".

Beyond its shape a pack keeps rules of language, so that every question has one right answer and each arm of a search
something to do: documents and questions share no word that means something else to a model, and the third form of a
concept, by which paraphrasing questions call it, has no word that stands in any document.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from graders.simgate.brains.lexicon import STOP_WORDS, Lexicon, words

from .shapes import Misshapen, items, members, patterns, text, texts, whole_number

__all__ = ["AGREED", "DOCUMENTED", "Concept", "Measure", "Pack", "PackError"]

FORMS: Final = 3  # ways of naming a thing: documents use the first two
DOCUMENTED: Final = 14  # attributes of products in a world
AGREED: Final = 6  # facts of a contract
KINDS: Final = 20
GRADES: Final = 2
LEAST_FIGURES: Final = 90  # different ones of a measure

# The slots of each kind of pattern; {company} may stand in lines of documents besides.
TITLES: Final[Mapping[str, tuple[str, ...]]] = {
    "manual": ("product",), "sheet": ("product",), "bulletin": ("product",), "article": ("fault", "machine"),
    "contract": ("tenant",), "draft": ("tenant",), "ticket": ("number", "tenant"), "guide": ("attribute",),
    "kind_guide": ("attribute", "kind"),
}  # fmt: skip
QUESTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "product": ("attribute", "product"), "product_turned": ("attribute", "product"), "ours": ("attribute",),
    "ours_turned": ("attribute",), "theirs": ("attribute", "tenant"), "fault": ("fault", "product"),
    "fault_turned": ("fault", "product"), "polite": ("question",),
}  # fmt: skip
LINES: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {  # how many at least, and their slots
    "fillers": (40, ()), "clauses": (16, ()),
    "figures": (6, ("value",)), "agreed_figures": (4, ("tenant", "value")), "remedies": (4, ("value",)),
    "ticket_lines": (4, ("product", "attribute")), "guide_lines": (4, ("attribute",)),
    "instructions": (3, ("canary",)), "breakouts": (3, ("canary",)), "canaries": (3, ("name",)),
}  # fmt: skip
LISTS: Final = {"companies": 1, "syllables": 20, "suffixes": 3, "branches": 1, "headings": 6}
QUOTING: Final = ("instructions", "breakouts")  # a model obeys what stands in quotation marks
ALLOWED: Final = str.maketrans("", "", '"<>:')  # in these

FORM: Final = re.compile(r"[a-z]{3,}(?: [a-z]{2,})*")
PART: Final = re.compile(r"[a-z]{2,5}")
UNIT: Final = re.compile(r"[A-Za-z%]+(?:/[A-Za-z]+)?")
SLOT: Final = re.compile(r"\{\w+\}")
MARKUP: Final = re.compile(r"""[0-9<>"\u201c\u201d{}\[\]*#`_|:]""")  # would be taken for a figure, a quotation, a mark
OURS: Final = frozenset(("our", "ours", "we", "us", "my", "mine"))  # makes a question one about the customer


class PackError(ValueError):
    """What is wrong in a pack, as a sentence."""


@dataclass(frozen=True, slots=True)
class Concept:
    key: str
    forms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measure(Concept):
    """What has a figure: `low`, `low + step` and so on, up to `high`."""

    unit: str
    low: int
    high: int
    step: int

    @property
    def figures(self) -> range:
        return range(self.low, self.high + 1, self.step)


@dataclass(frozen=True)
class Pack:
    companies: tuple[str, ...]
    kinds: tuple[Concept, ...]
    grades: tuple[Concept, ...]
    attributes: tuple[Measure, ...]
    agreed: tuple[Measure, ...]  # what stands in a customer's contract
    syllables: tuple[str, ...]  # two of them name a product; two and a suffix a tenant
    suffixes: tuple[str, ...]
    branches: tuple[str, ...]  # behind a tenant's name they make another tenant's
    fillers: tuple[str, ...]  # sentences that say nothing that is asked
    clauses: tuple[str, ...]  # the same in contracts
    headings: tuple[str, ...]  # of sections without a figure
    figures: tuple[str, ...]
    agreed_figures: tuple[str, ...]
    remedies: tuple[str, ...]
    ticket_lines: tuple[str, ...]
    guide_lines: tuple[str, ...]
    instructions: tuple[str, ...]
    breakouts: tuple[str, ...]
    canaries: tuple[str, ...]
    titles: Mapping[str, tuple[str, ...]]
    questions: Mapping[str, tuple[str, ...]]

    @classmethod
    def loads(cls, written: str) -> "Pack":
        try:
            given = json.loads(written)
        except ValueError as cause:
            raise PackError(f"pack: is not JSON: {cause}") from cause
        try:
            pack = cls._read(given)
        except Misshapen as cause:
            raise PackError(str(cause)) from cause
        for mistake in pack._mistakes():
            raise PackError(f"pack: {mistake}")
        return pack

    @classmethod
    def _read(cls, given: Any) -> "Pack":
        others = ("kinds", "grades", "attributes", "agreed", "titles", "questions")
        top = members(given, "pack", (*LISTS, *LINES, *others))
        return cls(
            **{name: texts(top[name], f"pack: {name}", least) for name, least in LISTS.items()},
            **{name: patterns(top[name], f"pack: {name}", *shape, ("company",)) for name, shape in LINES.items()},
            kinds=_concepts(top["kinds"], "pack: kinds", KINDS),
            grades=_concepts(top["grades"], "pack: grades", GRADES),
            attributes=_measures(top["attributes"], "pack: attributes", DOCUMENTED),
            agreed=_measures(top["agreed"], "pack: agreed", AGREED),
            titles=_groups(top["titles"], "pack: titles", TITLES),
            questions=_groups(top["questions"], "pack: questions", QUESTIONS),
        )

    @property
    def concepts(self) -> tuple[Concept, ...]:
        return (*self.kinds, *self.grades, *self.attributes, *self.agreed)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """All words that a world of this pack may hold, names of its own apart."""
        said = (SLOT.sub(" ", line) for _, line in (*self._lines(), *self._asked(), *self._planted()))
        forms = (form for concept in self.concepts for form in concept.forms)
        units = (measure.unit for measure in (*self.attributes, *self.agreed))
        return frozenset(word.text for one in (*said, *forms, *units, *self.companies) for word in words(one))

    def _lines(self) -> Iterator[tuple[str, str]]:
        """What stands in documents, with the place in the pack."""
        for name in ("companies", "headings", *(name for name in LINES if name not in (*QUOTING, "canaries"))):
            yield from ((f"{name}: {place}", line) for place, line in enumerate(getattr(self, name), 1))
        for name, lines in self.titles.items():
            yield from ((f"titles: {name}: {place}", line) for place, line in enumerate(lines, 1))

    def _asked(self) -> Iterator[tuple[str, str]]:
        for name, lines in self.questions.items():
            yield from ((f"questions: {name}: {place}", line) for place, line in enumerate(lines, 1))

    def _planted(self) -> Iterator[tuple[str, str]]:
        for name in (*QUOTING, "canaries"):
            yield from ((f"{name}: {place}", line) for place, line in enumerate(getattr(self, name), 1))

    def _mistakes(self) -> Iterator[str]:
        yield from self._in_concepts()
        yield from self._in_names()
        yield from self._in_lines()
        yield from self._in_questions()

    def _in_concepts(self) -> Iterator[str]:
        owners: dict[str, str] = {}
        early = {word for concept in self.concepts for form in concept.forms[:-1] for word in form.split()}
        keys: set[str] = set()
        for concept in self.concepts:
            if concept.key in keys:
                yield f"{concept.key}: two concepts are called so"
            keys.add(concept.key)
            for form in concept.forms:
                if not FORM.fullmatch(form) or STOP_WORDS & set(form.split()):
                    yield f"{concept.key}: {form!r}: a form is words of small letters, none of them as common as 'the'"
                for word in form.split():
                    if owners.setdefault(word, concept.key) != concept.key:
                        yield f"{concept.key}: {form!r}: {word!r} belongs to {owners[word]}"
            if twice := sorted(early & set(concept.forms[-1].split())):
                yield f"{concept.key}: {concept.forms[-1]!r}: {twice[0]!r} stands in a form that documents use"
        for measure in (*self.attributes, *self.agreed):
            if not UNIT.fullmatch(measure.unit):
                yield f"{measure.key}: unit: {measure.unit!r}: must be letters"
            if len(measure.figures) < LEAST_FIGURES:
                yield f"{measure.key}: has {len(measure.figures)} different figures, {LEAST_FIGURES} needed"

    def _in_names(self) -> Iterator[str]:
        for name in ("syllables", "suffixes", "branches"):
            for part in getattr(self, name):
                if not PART.fullmatch(part):
                    yield f"{name}: {part!r}: must be 2 to 5 small letters"
        for branch in self.branches:
            if len(branch) < FORMS:
                yield f"branches: {branch!r}: must have 3 letters, or it is taken for a slip of the pen"

    def _in_lines(self) -> Iterator[str]:
        meant = {word: concept.key for concept in self.concepts for form in concept.forms for word in form.split()}
        for where, line in self._lines():
            if found := MARKUP.search(SLOT.sub("", line)):
                yield f"{where}: {found[0]!r} must not stand in a document"
        for where, line in self._planted():
            quoted = where.startswith(QUOTING)
            if quoted and '"{canary}"' not in line:
                yield f"{where}: {{canary}} must stand in quotation marks"
            if found := MARKUP.search(SLOT.sub("", line).translate(ALLOWED if quoted else {})):
                yield f"{where}: {found[0]!r} must not stand in it"
        for where, line in (*self._lines(), *self._planted()):
            for word in words(SLOT.sub(" ", line)):
                if word.text in meant:
                    yield f"{where}: {word.text!r} means {meant[word.text]}"

    def _in_questions(self) -> Iterator[str]:
        language = Lexicon(attributes={concept.key: concept.forms for concept in self.concepts})
        for where, line in self._asked():
            said = {word.text for word in words(SLOT.sub(" ", line))}
            own = where.startswith(("questions: ours: ", "questions: ours_turned: "))
            if own != bool(said & OURS):
                yield f"{where}: must {'' if own else 'not '}say 'our', 'we' or 'my'"
            for word in sorted(said):
                if meant := language.meanings(language.mended(word)):
                    yield f"{where}: {word!r} is taken for a word of {meant[0]}"


def _concepts(given: Any, where: str, least: int) -> tuple[Concept, ...]:
    read = []
    for place, one in enumerate(items(given, where, least), 1):
        top = members(one, f"{where}: {place}", ("key", "forms"))
        read.append(Concept(*_named(top, f"{where}: {place}")))
    return tuple(read)


def _measures(given: Any, where: str, least: int) -> tuple[Measure, ...]:
    read = []
    for place, one in enumerate(items(given, where, least), 1):
        here = f"{where}: {place}"
        top = members(one, here, ("key", "forms", "unit", "low", "high", "step"))
        low, high, step = (whole_number(top[name], f"{here}: {name}") for name in ("low", "high", "step"))
        read.append(Measure(*_named(top, here), text(top["unit"], f"{here}: unit"), low, high, step))
    return tuple(read)


def _named(top: dict[str, Any], where: str) -> tuple[str, tuple[str, ...]]:
    forms = texts(top["forms"], f"{where}: forms", FORMS)
    if len(forms) > FORMS:
        raise Misshapen(f"{where}: forms: {len(forms)} given, {FORMS} needed")
    return text(top["key"], f"{where}: key"), forms


def _groups(given: Any, where: str, shape: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    top = members(given, where, shape)
    return {name: patterns(top[name], f"{where}: {name}", 1, slots) for name, slots in shape.items()}
