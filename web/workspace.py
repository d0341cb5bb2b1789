"""What the workspace's script and the portal say to each other, in JSON.

    GET state   ──► state      the clock, the newest snapshot, its files, the newest check
    POST save   ◄── read_save  {"base", "changes": {name: {"text"} | {"base64"} | null}, "saved_by"}
                ──► saved, or what was changed here and there

A text is sent as one. What is no text, or could not be kept as one, travels as base64.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, TypedDict

from sqlalchemy import BindParameter, Executable, Float, String, bindparam, cast, func, literal, select, union_all
from sqlalchemy.orm import Session

from graders.rubric import Manifest, SubmissionLimits
from graders.strict import NotStrict, loads
from web.attempts import Standing, phase
from web.errors import SubmissionRejected
from web.models import AddedTime, Attempt, Check, Snapshot

__all__ = ["Asked", "Now", "carried", "listed", "look", "most_sent", "read_save", "told"]

SENT_BESIDE: Final = 64 << 10  # bytes of a save that are no file: names, brackets
LONGEST_NUMBER: Final = 2**31 - 1  # of a snapshot; the database knows none beyond
LONGEST_SENDER: Final = 40


class File(TypedDict):
    name: str
    size: int
    digest: str


# ------------------------------------------------------------------------------------------------------------ state


@dataclass(frozen=True, slots=True)
class Now:
    """How an attempt stands. Two that are the same but for the time have one mark, so nobody is told twice."""

    attempt_id: str
    phase: str
    at: datetime
    ends_at: datetime | None
    seconds_left: float
    added: tuple[tuple[str, float], ...]
    number: int
    check: tuple[str, str] | None

    @property
    def mark(self) -> str:
        lasting = (self.attempt_id, self.phase, self.ends_at, self.added, self.number, self.check)
        return hashlib.sha256(repr(lasting).encode()).hexdigest()[:32]


def look(session: Session, attempt: Attempt, at: datetime) -> Now:
    """In one statement, and without reading a file's name: most who ask find that nothing has changed."""
    added: list[tuple[str, float]] = []
    number, check = 0, None
    for kind, words, amount in session.connection().execute(_asked(), {"attempt": attempt.id}):
        match kind:
            case "added":
                added.append((words, amount))
            case "number":
                number = int(amount or 0)
            case state:
                check = (words, state)
    length = timedelta(minutes=attempt.minutes * attempt.multiplier, seconds=sum(seconds for _, seconds in added))
    stands = Standing(phase(attempt, at), at, attempt.ends_at, length)
    return Now(attempt.id, stands.phase.value, at, attempt.ends_at, stands.seconds_left, tuple(added), number, check)


@cache
def _asked() -> Executable:
    """Rows of three: what it is, or a check's state; its words, or the check's id; an amount, if there is one."""
    mine: BindParameter[str] = bindparam("attempt")
    added = select(literal("added"), AddedTime.why, AddedTime.seconds).where(AddedTime.attempt_id == mine)
    checks = select(cast(Check.state, String), Check.id, literal(0.0)).where(Check.attempt_id == mine)
    newest = checks.order_by(Check.asked_at.desc(), Check.id).limit(1).subquery()
    number = select(literal("number"), literal(""), cast(func.max(Snapshot.number), Float))
    return union_all(
        added.order_by(AddedTime.at, AddedTime.id).subquery().select(),
        newest.select(),
        number.where(Snapshot.attempt_id == mine),
    )


def told(now: Now, files: list[File], manifest: Manifest) -> dict[str, Any]:
    """The answer to `state`, and to a save."""
    return {
        "attempt": now.attempt_id,
        "phase": now.phase,
        "now": now.at.isoformat(),
        "ends_at": now.ends_at.isoformat() if now.ends_at else None,
        "seconds_left": now.seconds_left,
        "number": now.number,
        "files": files,
        "deliverables": list(manifest.deliverables),
        "limits": manifest.submission.model_dump(),
        "added": [{"why": why, "seconds": seconds} for why, seconds in now.added],
        "check": {"id": now.check[0], "state": now.check[1]} if now.check else None,
    }


def listed(snapshot: Snapshot, sizes: Mapping[str, int]) -> list[File]:
    names = snapshot.names or {}
    return [File(name=name, size=sizes[name], digest=names[name]) for name in sorted(names)]


# ------------------------------------------------------------------------------------------------------------- save


@dataclass(frozen=True, slots=True)
class Asked:
    base: int
    changes: dict[str, bytes | None]
    saved_by: str


def most_sent(limits: SubmissionLimits) -> int:
    """Bytes of a save that changes every file: each may be base64, or a text of quotes that all are escaped."""
    return 2 * (limits.total_kb << 10) + SENT_BESIDE + 1024 * limits.files


def read_save(sent: bytes, limits: SubmissionLimits) -> Asked:
    """Raises SubmissionRejected when it cannot have come from our script, or holds more than may be kept."""
    try:
        said = loads(sent, most_bytes=most_sent(limits), most_depth=4, most_items=16 + 8 * limits.files)
    except NotStrict as error:
        raise SubmissionRejected(f"What was to be saved cannot be read: {error}. {KEPT}") from None
    if not isinstance(said, dict) or said.keys() - {"base", "changes", "saved_by"}:
        raise _unread("it is not what this page sends")
    base, changes, saved_by = said.get("base"), said.get("changes"), said.get("saved_by", "")
    if type(base) is not int or not 1 <= base <= LONGEST_NUMBER:
        raise _unread("it does not say on top of what")
    if not isinstance(changes, dict) or not isinstance(saved_by, str):
        raise _unread("it does not say what has changed, or by whom")
    made = {name: _content(one) for name, one in changes.items()}
    return Asked(base, made, "".join(filter(str.isprintable, saved_by))[:LONGEST_SENDER])


KEPT: Final = "Nothing was saved; what was saved before is still there, and what you typed is in your browser."


def _unread(why: str) -> SubmissionRejected:
    return SubmissionRejected(f"What was to be saved cannot be read: {why}. {KEPT}")


def _content(one: object) -> bytes | None:
    match one:
        case None:
            return None
        case {"text": str(text), **more} if not more:
            return text.encode()
        case {"base64": str(packed), **more} if not more:
            try:
                return base64.b64decode(packed, validate=True)
            except (binascii.Error, ValueError):
                raise _unread("a file's base64 is damaged") from None
    raise _unread("a file is neither a text nor base64")


def carried(content: bytes | None) -> dict[str, str] | None:
    """A file's content as JSON carries it; None when it is not there."""
    if content is None:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return {"base64": base64.b64encode(content).decode()}
    return {"text": text}
