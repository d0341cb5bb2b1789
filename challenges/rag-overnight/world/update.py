"""The day after: some figures are others, some documents are withdrawn, some are new, and people ask again.

    update = Updating(chance, catalogue, library, documents, questions, dialects).update(scale)
    update.files            to be laid over the corpus
    update.questions        asked before and asked again; what was right is stale now

What changes is what somebody has asked about.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from .catalogue import Catalogue, Fact, Scale
from .documents import Document, acl_row, feed_row, rendered_in
from .library import Library, edited, superseded, updated
from .questions import Question, wanted

__all__ = ["Update", "Updating", "listings"]

T = TypeVar("T")

CHANGED: Final = 24
DELETED: Final = 12
NEW: Final = 6
ASKED_SHARE: Final = 5  # of the questions: the fifth part is about deleted documents, and another about new ones


@dataclass(frozen=True)
class Update:
    files: Mapping[str, bytes]  # new documents, and acl.jsonl and feed.jsonl as they are then
    removed: tuple[str, ...]  # ids of documents that are marked as deleted now; their files stay
    documents: tuple[Document, ...]  # all, as they are then
    questions: tuple[Question, ...]  # stratum "fresh"; all were asked before by the same users in the same words
    unchanged: tuple[str, ...]  # ids of the earlier questions whose answer and sources are what they were


class Updating:
    def __init__(
        self, chance: random.Random, catalogue: Catalogue, library: Library, documents: Sequence[Document],
        questions: Sequence[Question], dialects: frozenset[str],
    ) -> None:  # fmt: skip
        self._chance = chance
        self._catalogue = catalogue
        self._library = library
        self._before = {one.id: one for one in documents}
        self._asked = self._mixed(questions)
        self._dialects = dialects
        self._touched: set[str] = set()  # keys of documents

    def update(self, scale: Scale) -> Update:
        count = wanted("fresh", scale)
        some = max(1, count // ASKED_SHARE)
        deleted = self._those_to_change(("bulletin", "error"), scale.count(DELETED, some))
        changed = self._those_to_change(("bulletin", "error", "prose"), scale.count(CHANGED, count))
        documented = [one for one in self._asked if one.stratum == "unans" and not one.stale][: scale.count(NEW, some)]
        written = [*map(self._revised, changed), *map(self._documented, documented)]
        added = [rendered_in(one, self._dialects) for one in self._mixed(written)]
        removed = {one.relevant[0] for one in deleted}
        kept = [replace(one, deleted=one.deleted or one.id in removed) for one in self._before.values()]
        documents = edited([*kept, *added])
        asked = [*changed[: count - 2 * some], *deleted[:some], *documented[:some]]
        return Update(
            files={one.path: one.body for one in added} | listings(documents, self._dialects),
            removed=tuple(sorted(removed)),
            documents=documents,
            questions=tuple(self._again(one, documents) for one in self._mixed(asked)),
            unchanged=self._unchanged(documents, {one.fact for one in documented}),
        )

    def _those_to_change(self, strata: Sequence[str], count: int) -> list[Question]:
        """Questions about as many documents, none of which changes for another reason."""
        found: list[Question] = []
        for one in self._asked:
            document = self._before[one.relevant[0]] if one.stratum in strata else None
            if document is None or document.key in self._touched or len(found) == count:
                continue
            self._touched.add(document.key)
            found.append(one)
        if len(found) < count:
            raise ValueError(f"world: {len(found)} questions about documents to change, {count} wanted")
        return found

    def _revised(self, question: Question) -> Document:
        fact = self._catalogue.facts[question.fact]
        document = self._before[question.relevant[0]]
        value = self._another(fact)
        label, when = updated(self._chance, document.revision)
        sections = tuple(
            replace(one, text=one.text.replace(fact.value, value)) if one.fact == fact.key else one
            for one in document.sections
        )
        states = tuple((key, value if key == fact.key else figure) for key, figure in document.states)
        return replace(
            document, id=self._library.another_id(), sections=sections, states=states, revision=label, valid_from=when
        )

    def _documented(self, question: Question) -> Document:
        code, _, attribute = question.fact.partition("/")
        product = next(one for one in self._catalogue.products if one.code == code)
        measure = self._catalogue.attributes[attribute]
        return self._library.bulletin(product, measure, self._catalogue.figures.of(measure), updated(self._chance))

    def _another(self, fact: Fact) -> str:
        if fact.source == "error":
            return self._catalogue.figures.step()
        return self._catalogue.figures.of(self._catalogue.attributes[fact.attribute])

    def _again(self, question: Question, documents: Iterable[Document]) -> Question:
        """The same words from the same user, as they have to be answered now."""
        subject = question.fact.partition("/")[0]
        about = [one for one in documents if one.valid and one.is_about(subject)]
        holding = [one for one in about if question.fact in one.facts]
        return replace(
            question,
            id=f"{self._chance.getrandbits(96):024x}",
            stratum="fresh",
            value=dict(holding[0].states)[question.fact] if holding else None,
            stale=(*question.stale, *([question.value] if question.value else [])),
            relevant=tuple(one.id for one in holding),
            related=tuple(one.id for one in about if one not in holding),
        )

    def _mixed(self, things: Sequence[T]) -> list[T]:
        return self._chance.sample(things, len(things))

    def _unchanged(self, documents: Iterable[Document], documented: set[str]) -> tuple[str, ...]:
        valid = {one.id for one in documents if one.valid}
        return tuple(sorted(
            one.id for one in self._asked if valid.issuperset(one.relevant) and one.fact not in documented
        ))  # fmt: skip


def listings(documents: Sequence[Document], dialects: frozenset[str]) -> dict[str, bytes]:
    """acl.jsonl and feed.jsonl."""
    older = superseded(documents)
    acl = [acl_row(one, dialects) for one in documents if one.listed]
    feed = [feed_row(one, older.get(one.id, 0), dialects) for one in documents]
    return {"acl.jsonl": _lines(acl), "feed.jsonl": _lines(feed)}


def _lines(rows: Iterable[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()
