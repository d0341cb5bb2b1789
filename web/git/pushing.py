"""Takes a push: its last commit becomes a snapshot, by the same clock and the same rules as every other save.

    read the pack ──► hold the attempt ──► does it stand on the newest saved work? ──► examine ──► save, keep commits

The pack is read while nobody waits for the database. All that is written is one transaction; a push that is refused
has changed nothing, and its sentence says what to do.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from threading import BoundedSemaphore
from typing import Final

from sqlalchemy.orm import Session

from graders.rubric import Manifest
from web import work
from web.attempts import TooLate, may_write
from web.database import Database
from web.errors import SubmissionRejected
from web.git.objects import Object
from web.git.packs import read_pack
from web.git.protocol import BRANCH, NOTHING, Move, Offered
from web.git.repository import Behind, behind, catch_up, examine, most_inflated, opened, take
from web.models import Attempt, Form, Origin, Snapshot
from web.packing import without_brief
from web.speech import gettext

__all__ = ["Outcome", "push", "refused"]

# Packs that one process reads at a time: each may hold tens of megabytes.
READING: Final = BoundedSemaphore(2)
WAIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a push."""

    fates: tuple[tuple[Move, str], ...]  # why a branch stays where it is, in a few words; empty is well
    unpacked: str = ""  # why the pack could not be read, in a few words
    sentence: str = ""  # what the candidate should know of it
    snapshot: Snapshot | None = None  # the state that it left
    changed: bool = False
    missing: tuple[str, ...] = ()  # what is to be handed in and is not there


def push(
    database: Database, attempt_id: str, offered: Offered, manifest: Manifest, arrived: Callable[[Session], datetime]
) -> Outcome:
    others = tuple((move, "only main is kept here") for move in offered.moves if move.name != BRANCH)
    mine = [move for move in offered.moves if move.name == BRANCH]
    if not mine:
        return Outcome(others, sentence=gettext("Only the branch main is kept here: `git push origin HEAD:main`."))
    if len(mine) > 1 or NOTHING in (mine[0].after, mine[0].before):
        why = gettext("The branch main cannot be removed or made anew. What was saved before is still there.")
        return Outcome((*((move, "main stays") for move in mine), *others), sentence=why)
    outcome = _moved(database, attempt_id, mine[0], offered.pack, manifest, arrived)
    if others and not outcome.sentence:
        outcome = replace(outcome, sentence=gettext("Only the branch main was taken; nothing else is kept here."))
    return replace(outcome, fates=(*outcome.fates, *others))


def refused(offered: Offered, reason: str, sentence: str) -> Outcome:
    """All of it, without a look at the pack."""
    return Outcome(tuple((move, reason) for move in offered.moves), reason, sentence)


def _moved(
    database: Database,
    attempt_id: str,
    move: Move,
    pack: bytes,
    manifest: Manifest,
    arrived: Callable[[Session], datetime],
) -> Outcome:
    try:
        with _turn():
            sent = _read(database, attempt_id, pack, manifest)
            with database.transaction() as session:
                return _taken(session, attempt_id, move, sent, manifest, arrived(session))
    except TooLate as error:
        return Outcome(((move, "too late"),), sentence=str(error))
    except Behind as error:
        return Outcome(((move, "there is newer saved work"),), sentence=str(error))
    except SubmissionRejected as error:
        return Outcome(((move, "refused"),), sentence=_sentence(str(error)))


def _sentence(cause: str) -> str:
    said = cause.removeprefix("upload: ").removeprefix("push: ")
    said = f"{said[:1].upper()}{said[1:]}".rstrip(".")
    if "Nothing was saved" in said:
        return f"{said}."
    return f"{said}. {gettext('Nothing was saved; what was saved before is still there.')}"


@contextmanager
def _turn() -> Iterator[None]:
    if not READING.acquire(timeout=WAIT_SECONDS):
        raise SubmissionRejected("too many push at this moment, which is our fault: push again in a minute")
    try:
        yield
    finally:
        READING.release()


def _read(database: Database, attempt_id: str, pack: bytes, manifest: Manifest) -> dict[str, Object]:
    with database.reading() as session:
        repository = opened(session, attempt_id)
        return read_pack(pack, most_inflated(manifest.submission), lambda base: repository.object(session, base))


def _taken(
    session: Session, attempt_id: str, move: Move, sent: dict[str, Object], manifest: Manifest, at: datetime
) -> Outcome:
    attempt = may_write(session, attempt_id, at)
    if catch_up(session, attempt_id) != move.before:
        raise behind()
    repository = opened(session, attempt_id)
    before = work.head(session, attempt_id)
    pushed = examine(session, repository, sent, move.after, manifest.submission)
    snapshot = _saved(session, attempt, pushed.files, move.after, at)
    take(session, repository, pushed, snapshot)
    names = (snapshot.names or {}).keys()
    return Outcome(
        ((move, ""),),
        snapshot=snapshot,
        changed=before is None or snapshot.number != before.number,
        missing=tuple(
            name
            for name in manifest.deliverables
            if not any(each == name.rstrip("/") or each.startswith(f"{name.rstrip('/')}/") for each in names)
        ),
    )


def _saved(session: Session, attempt: Attempt, files: dict[str, bytes], commit: str, at: datetime) -> Snapshot:
    brief = session.get_one(Form, attempt.form_id).brief or ""
    return work.save(session, attempt.id, without_brief(files, brief), Origin.PUSH, at, f"push {commit[:10]}")
