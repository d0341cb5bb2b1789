"""What would be handed in now, file by file, and what about it may be a mistake. Nothing here stops anybody."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from graders import notebooks
from web import work
from web.gradings import read_manifest
from web.models import Attempt, ChallengeVersion, Origin, Snapshot
from web.speech import gettext, ngettext, written

__all__ = ["Handover", "Item", "look", "spell_size"]


@dataclass(frozen=True, slots=True)
class Item:
    """A file that would be handed in."""

    name: str
    size: int
    is_asked_for: bool
    is_changed: bool  # since the start


@dataclass(frozen=True, slots=True)
class Handover:
    number: int  # of the snapshot
    saved_at: datetime
    origin: Origin
    items: tuple[Item, ...]  # what is asked for comes first
    warnings: tuple[str, ...]  # each a sentence

    @property
    def size(self) -> int:
        return sum(item.size for item in self.items)


def look(session: Session, attempt: Attempt, snapshot: Snapshot) -> Handover:
    deliverables = read_manifest(session.get_one(ChallengeVersion, attempt.challenge_digest)).deliverables
    names, began = snapshot.names or {}, _starter(session, attempt)
    sizes = work.sizes(session, snapshot)
    items = [
        Item(name, sizes[name], _is_of(name, deliverables), began.get(name) != names[name]) for name in sorted(names)
    ]
    return Handover(
        number=snapshot.number,
        saved_at=snapshot.taken_at,
        origin=snapshot.origin,
        items=tuple(sorted(items, key=lambda item: not item.is_asked_for)),
        warnings=tuple(_warnings(session, snapshot, deliverables, items)),
    )


def _starter(session: Session, attempt: Attempt) -> dict[str, str]:
    first = work.numbered(session, attempt.id, 1)
    return (first.names or {}) if first is not None and first.origin is Origin.STARTER else {}


def _is_of(name: str, deliverables: tuple[str, ...]) -> bool:
    """A deliverable is a file, or a folder with what is in it."""
    return any(name == one.rstrip("/") or name.startswith(f"{one.rstrip('/')}/") for one in deliverables)


def _warnings(session: Session, snapshot: Snapshot, deliverables: tuple[str, ...], items: list[Item]) -> Iterator[str]:
    for wanted in deliverables:
        found = [item for item in items if _is_of(item.name, (wanted,))]
        if not found:
            yield gettext("%(name)s is asked for, and it is not there.", name=wanted)
        elif not any(item.is_changed for item in found):
            yield gettext("%(name)s is still as you got it.", name=wanted)
        yield from (gettext("%(name)s is empty.", name=item.name) for item in found if not item.size)
        for item in found:
            if item.size and item.name.endswith(".ipynb") and (why := _no_notebook(session, snapshot, item.name)):
                yield gettext("%(name)s cannot be run: %(why)s.", name=item.name, why=why)


def _no_notebook(session: Session, snapshot: Snapshot, name: str) -> str:
    """Why it is none, in the words in which a grader would say it."""
    try:
        notebooks.read(work.content(session, snapshot, name) or b"")
    except notebooks.NotebookUnreadable as error:
        return str(error).rstrip(".")
    return ""


def spell_size(size: int) -> str:
    """As a person reads it, in the kilobytes of the limits; and two different files never seem to be one."""
    if size < 1 << 10:
        return ngettext("%(num)s byte", "%(num)s bytes", size)
    if size < 1 << 20:
        return gettext("%(count)s kB", count=written(f"{size / (1 << 10):.1f}"))
    return gettext("%(count)s MB", count=written(f"{size / (1 << 20):.1f}"))
