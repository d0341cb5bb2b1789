"""A candidate's saved work: one state, whichever way they work, and a history of all of it.

    save(whole)    upload, push, restore        ─┐
    change(parts)  the editor, on top of `base` ─┼─► Snapshot n+1, the newest is the state of the attempt
    begin(bundle)  what they start from         ─┘

A save is one transaction and no file is written: the bytes lie in `contents`, each once, and a snapshot names them.
What is handed in or run goes into the store, from which workers read. Whoever edits says on top of which snapshot;
a file that somebody else has changed since, perhaps the same person in another tab, is never silently overwritten.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Executable, Select, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from graders.rubric import Manifest
from graders.trees import FolderStore, digest_of_hashes
from web import audit
from web.archives import check_names
from web.attempts import may_write
from web.database import clock, dialect_of, now
from web.errors import SubmissionRejected
from web.gradings import read_manifest
from web.models import Attempt, ChallengeVersion, Content, Origin, Snapshot, Table, new_id
from web.speech import gettext as _

__all__ = [
    "Conflict",
    "Difference",
    "Saved",
    "begin",
    "change",
    "compare",
    "content",
    "files",
    "head",
    "history",
    "manifest_of",
    "numbered",
    "restore",
    "save",
    "sizes",
    "some",
    "store",
]

MOST_KNOWN: Final = 100  # versions; there are a few, and whoever has more waits a little for each
_KNOWN: Final[WeakKeyDictionary[object, dict[str, Manifest]]] = WeakKeyDictionary()  # by database, and by digest

MOST_LENGTHS: Final = 50_000  # ten megabytes
_LENGTHS: Final[dict[str, int]] = {}  # by digest

ACTIONS: Final = {Origin.UPLOAD: "uploaded", Origin.PUSH: "pushed", Origin.RESTORED: "restored"}


@dataclass(frozen=True, slots=True)
class Conflict:
    """Files that were changed on both sides. Nothing was saved; `head` is what is there."""

    head: Snapshot
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    snapshot: Snapshot
    sizes: dict[str, int]  # bytes of each of its files


@dataclass(frozen=True, slots=True)
class Difference:
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


# --------------------------------------------------------------------------------------------------------- reading


def manifest_of(session: Session, attempt: Attempt) -> Manifest:
    """What the challenge wants to be handed in, and how much of it. Read once: a published version never changes."""
    known = _KNOWN.setdefault(session.connection().engine.pool, {})  # the same for whoever reads and whoever writes
    found = known.get(attempt.challenge_digest)
    if found is None:
        if len(known) == MOST_KNOWN:
            known.clear()
        found = read_manifest(session.get_one(ChallengeVersion, attempt.challenge_digest))
        known[attempt.challenge_digest] = found
    return found


def head(session: Session, attempt_id: str) -> Snapshot | None:
    """The newest; None before the start."""
    return session.scalar(
        select(Snapshot).where(Snapshot.attempt_id == attempt_id).order_by(Snapshot.number.desc()).limit(1)
    )


def numbered(session: Session, attempt_id: str, number: int) -> Snapshot | None:
    return session.scalar(select(Snapshot).where(Snapshot.attempt_id == attempt_id, Snapshot.number == number))


def history(session: Session, attempt_id: str, most: int = 500, before: int | None = None) -> list[Snapshot]:
    """The newest first; `before`: only those of a lower number."""
    newest = select(Snapshot).where(Snapshot.attempt_id == attempt_id).order_by(Snapshot.number.desc())
    if before is not None:
        newest = newest.where(Snapshot.number < before)
    return list(session.scalars(newest.limit(most)))


def files(session: Session, snapshot: Snapshot) -> dict[str, bytes]:
    return _read(session, _names(snapshot))


def some(session: Session, snapshot: Snapshot, wanted: Iterable[str]) -> dict[str, bytes]:
    """Those of these files that it has."""
    names = _names(snapshot)
    return _read(session, {name: names[name] for name in wanted if name in names})


def _read(session: Session, names: Mapping[str, str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for digests in _portions(set(names.values())):
        rows = session.execute(select(Content.digest, Content.bytes).where(Content.digest.in_(digests)))
        found.update((digest, content) for digest, content in rows)
    return {name: found[digest] for name, digest in names.items()}


def content(session: Session, snapshot: Snapshot, name: str) -> bytes | None:
    digest = _names(snapshot).get(name)
    return None if digest is None else session.scalar(select(Content.bytes).where(Content.digest == digest))


def sizes(session: Session, snapshot: Snapshot) -> dict[str, int]:
    """Bytes of each file, without reading them."""
    names = _names(snapshot)
    lengths = _lengths(session, set(names.values()))
    return {name: lengths[digest] for name, digest in names.items()}


def compare(before: Snapshot, after: Snapshot) -> Difference:
    old, new = _names(before), _names(after)
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(name for name in new.keys() & old.keys() if new[name] != old[name])),
    )


def _names(snapshot: Snapshot) -> dict[str, str]:
    if snapshot.names is None:
        raise SubmissionRejected(_("This saved work is in the store, and cannot be looked at here."))
    return snapshot.names


# ---------------------------------------------------------------------------------------------------------- saving


def begin(session: Session, attempt: Attempt, bundle: Mapping[str, bytes]) -> Snapshot:
    """What the candidate starts from, as the first of the history. Begun twice it is there once."""
    known = head(session, attempt.id)
    if known is not None:
        return known
    return _append(session, attempt, None, _keep(session, bundle), _size(bundle), Origin.STARTER, "")


def save(
    session: Session,
    attempt_id: str,
    whole: Mapping[str, bytes],
    origin: Origin,
    arrived_at: datetime,
    saved_by: str = "",
) -> Snapshot:
    """Make these files the state: what is not among them is no longer there. They were read by web.archives."""
    attempt = may_write(session, attempt_id, arrived_at)
    _check(session, attempt, whole.keys(), _size(whole))
    before = head(session, attempt_id)
    after = _append(session, attempt, before, _keep(session, whole), _size(whole), origin, saved_by)
    return _noted(session, before, after)


def change(
    session: Session,
    attempt_id: str,
    base: int,
    changes: Mapping[str, bytes | None],
    arrived_at: datetime,
    saved_by: str = "",
    origin: Origin = Origin.BROWSER,
) -> Saved | Conflict:
    """Apply what an editor changed on top of snapshot `base`; None removes a file.

    Changes of different files are merged. When a file differs from `base` here and there, nothing is saved. Sent twice,
    because the first answer was lost, it is there once.
    """
    wanted = {name: None if made is None else hashlib.sha256(made).hexdigest() for name, made in changes.items()}
    attempt = may_write(session, attempt_id, arrived_at)
    newest, started_from, at = _newest_and(session, attempt_id, base)
    old, present = _names(started_from), _names(newest)
    torn = tuple(
        sorted(
            name
            for name, digest in wanted.items()
            if present.get(name) != old.get(name) and present.get(name) != digest
        )
    )
    if torn:
        return Conflict(newest, torn)
    after = dict(present)
    for name, digest in wanted.items():
        if digest is None:
            after.pop(name, None)
        else:
            after[name] = digest
    if after == present:
        return Saved(newest, sizes(session, newest))
    made = {name: content for name, content in changes.items() if content is not None}
    made_lengths = {str(wanted[name]): len(made[name]) for name in made}
    lengths = _lengths(session, set(after.values()) - made_lengths.keys()) | made_lengths
    lengths_of_names = {name: lengths[digest] for name, digest in after.items()}
    size = sum(lengths_of_names.values())
    _LENGTHS.update(made_lengths)
    _check(session, attempt, after.keys() if after.keys() - present.keys() else (), size)
    _keep(session, made)
    saved = _append(session, attempt, newest, after, size, origin, saved_by, at)
    return Saved(saved if origin is Origin.BROWSER else _noted(session, newest, saved), lengths_of_names)


def _newest_and(session: Session, attempt_id: str, base: int) -> tuple[Snapshot, Snapshot, datetime]:
    """The newest, and the one that an editor started from, often the same; and what time it is."""
    found = session.execute(_two_of(dialect_of(session)), {"attempt": attempt_id, "base": base}).all()
    if not found:
        raise SubmissionRejected(_("There is nothing to change yet. Load the page anew."))
    if found[-1].Snapshot.number != base:
        raise SubmissionRejected(
            _("This page is of another attempt. Load it anew; what you typed stays in this browser.")
        )
    return found[0].Snapshot, found[-1].Snapshot, found[0].at


@cache
def _two_of(dialect: str) -> Select[*tuple[Any, ...]]:
    mine = Snapshot.attempt_id == bindparam("attempt")
    last = select(func.max(Snapshot.number)).where(mine).scalar_subquery()
    wanted = select(Snapshot, clock(dialect)).where(
        mine, or_(Snapshot.number == bindparam("base"), Snapshot.number == last)
    )
    return wanted.order_by(Snapshot.number.desc())


def restore(session: Session, attempt_id: str, number: int, arrived_at: datetime, saved_by: str = "") -> Snapshot:
    """Make an older snapshot the state again. What is there now stays in the history."""
    attempt = may_write(session, attempt_id, arrived_at)
    old = numbered(session, attempt_id, number)
    if old is None:
        raise SubmissionRejected(_("There is no saved work of that number."))
    before = head(session, attempt_id)
    after = _append(session, attempt, before, _names(old), old.bytes, Origin.RESTORED, saved_by)
    return _noted(session, before, after)


def _noted(session: Session, before: Snapshot | None, after: Snapshot) -> Snapshot:
    """With an event in the audit trail, unless nothing has changed.

    What an editor saves by itself every few seconds has none: the chain has one end, at which all who save would wait
    for each other. A snapshot is such a record already: it has time, origin and sender, and is never changed.
    """
    if before is None or after.number != before.number:
        audit.note(
            session, f"attempt {after.attempt_id}", f"work.{ACTIONS[after.origin]}", "attempt",
            after.attempt_id, number=after.number, tree=after.tree,
        )  # fmt: skip
    return after


def store(session: Session, snapshot: Snapshot, place: FolderStore) -> str:
    """Put it where workers read. The digest is the snapshot's own, so this can be done before or after any commit."""
    return place.put(files(session, snapshot))


def _append(
    session: Session,
    attempt: Attempt,
    newest: Snapshot | None,
    names: Mapping[str, str],
    size: int,
    origin: Origin,
    saved_by: str,
    at: datetime | None = None,
) -> Snapshot:
    tree = digest_of_hashes(names)
    if newest is not None and newest.tree == tree:
        return newest  # nothing has changed, and a history of nothing helps nobody
    made = {
        "id": new_id(),
        "attempt_id": attempt.id,
        "number": 1 + (newest.number if newest else 0),
        "tree": tree,
        "names": dict(names),
        "saved_by": saved_by[:40],
        "files": len(names),
        "bytes": size,
        "origin": origin,
        "taken_at": at or now(session),
    }
    session.connection().execute(_appending(), made)  # a row is never changed, so no session has to keep an eye on it
    return Snapshot(**made)


@cache
def _appending() -> Executable:
    return Table.metadata.tables[Snapshot.__tablename__].insert()


def _keep(session: Session, made: Mapping[str, bytes]) -> dict[str, str]:
    names = {name: hashlib.sha256(content).hexdigest() for name, content in made.items()}
    rows = {names[name]: {"digest": names[name], "bytes": content} for name, content in made.items()}
    if rows:
        # In order: two saves never wait for each other.
        session.connection().execute(_keeping(dialect_of(session)), [rows[digest] for digest in sorted(rows)])
    return names


@cache
def _keeping(dialect: str) -> Executable:
    insert = postgresql_insert if dialect == "postgresql" else sqlite_insert
    return insert(Table.metadata.tables[Content.__tablename__]).on_conflict_do_nothing(index_elements=["digest"])


def _size(made: Mapping[str, bytes]) -> int:
    return sum(map(len, made.values()))


def _lengths(session: Session, digests: set[str]) -> dict[str, int]:
    """Bytes of each, asked for once: a digest never means another content, in whatever database it is."""
    if len(_LENGTHS) > MOST_LENGTHS:
        _LENGTHS.clear()
    found = {digest: length for digest in digests if (length := _LENGTHS.get(digest)) is not None}
    for some in _portions(digests - found.keys()):
        asked = {row.digest: row.length for row in session.execute(_lengths_of(), {"digests": some})}
        _LENGTHS.update(asked)
        found |= asked
    return found


@cache
def _lengths_of() -> Select[*tuple[Any, ...]]:
    wanted = Content.digest.in_(bindparam("digests", expanding=True))
    return select(Content.digest, func.length(Content.bytes).label("length")).where(wanted)


def _portions(digests: set[str]) -> Iterator[list[str]]:
    """As many at a time as either database takes in one statement: all files of one snapshot (graders.rubric)."""
    wanted = sorted(digests)
    return (wanted[at : at + 5000] for at in range(0, len(wanted), 5000))


def _check(session: Session, attempt: Attempt, names: Iterable[str], size: int) -> None:
    limits = manifest_of(session, attempt).submission
    check_names(names, limits)
    if size > limits.total_kb << 10:
        raise SubmissionRejected(
            _(
                "Together the files are larger than %(kb)s kB, which is the most that can be handed in. Make some "
                "smaller or leave some out. Nothing was saved; what was saved before is still there.",
                kb=f"{limits.total_kb:,}",
            )
        )
