"""What candidates see of their own history: each saved state, what it changed, and any two side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup
from sqlalchemy.orm import Session

from web import inert, work
from web.models import Origin, Snapshot
from web.speech import gettext as _
from web.work import Difference

__all__ = ["PAGE", "Comparison", "Entry", "Page", "compared", "page", "words"]

PAGE: Final = 50  # entries
MOST_SHOWN: Final = 100  # files of one comparison, side by side


@dataclass(frozen=True, slots=True)
class Entry:
    snapshot: Snapshot
    difference: Difference | None  # to the one before; None: it is the first

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """What happened to which file: a few words and a name."""
        if self.difference is None:
            return ()
        return (
            *((_("changed"), name) for name in self.difference.changed),
            *((_("new"), name) for name in self.difference.added),
            *((_("removed"), name) for name in self.difference.removed),
        )


@dataclass(frozen=True, slots=True)
class Page:
    entries: tuple[Entry, ...]
    older: int | None  # what `before` is on the next page; None: this is the last


def page(session: Session, attempt_id: str, before: int | None = None) -> Page:
    """The newest first. One more than is shown is read: with what the last one is compared."""
    found = work.history(session, attempt_id, PAGE + 1, before)
    pairs = zip(found[:PAGE], [*found[1:], None], strict=False)
    entries = tuple(Entry(one, work.compare(older, one) if older is not None else None) for one, older in pairs)
    return Page(entries, found[PAGE - 1].number if len(found) > PAGE else None)


def words(origin: Origin) -> str:
    """How a state came to be, as its candidate would say it."""
    match origin:
        case Origin.STARTER:
            return _("what you began with")
        case Origin.RESTORED:
            return _("restored from the history")
        case Origin.BROWSER:
            return _("saved in the browser")
        case Origin.UPLOAD:
            return _("uploaded")
        case Origin.PUSH:
            return _("pushed with git")
        case Origin.REHEARSAL:
            return _("rehearsed")


@dataclass(frozen=True, slots=True)
class Comparison:
    difference: Difference
    tables: tuple[Markup, ...]
    not_shown: int  # files for which there was no room

    @property
    def is_empty(self) -> bool:
        return not (self.difference.added or self.difference.removed or self.difference.changed)


def compared(session: Session, before: Snapshot, after: Snapshot) -> Comparison:
    difference = work.compare(before, after)
    touched = sorted({*difference.added, *difference.removed, *difference.changed})
    tables = tuple(_tables(session, before, after, touched[:MOST_SHOWN]))
    return Comparison(difference, tables, len(touched) - len(tables))


def _tables(session: Session, before: Snapshot, after: Snapshot, names: Sequence[str]) -> list[Markup]:
    old, new = work.some(session, before, names), work.some(session, after, names)
    return [inert.diff(old.get(name, b""), new.get(name, b""), name) for name in names]
