"""Run: the challenge's public checks over a candidate's saved work, while the candidate waits.

    ask ──► waiting ──► running ──► record ──► done
              ▲            │          └──────► failed, by our own fault
              └────────────┘ once more, under a new fence

Pressing Run rings for a worker at once; the clock looks after what was rung for, and rings again for what got lost. No
score comes of a check. An attempt has one open at a time: who presses again gets the one that is there. What we kept
the candidate waiting beyond some seconds is added to their clock, and all of it when nothing came of it.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from graders.contract import LONGEST_OUTPUT, CheckReport, CheckRequest
from graders.trees import FolderStore
from graders.watch import storable
from web import audit, work
from web.attempts import add_time, may_write
from web.bell import QueueUnavailable, Sign
from web.database import Database, now
from web.errors import SubmissionRejected
from web.gradings import Outcome, Recorded, read_manifest
from web.models import AddedTime, Attempt, ChallengeVersion, Check, CheckState, Form, new_id
from web.queue import Doorbell, Heard, Kind, check_name
from web.relay import SETTLING_SECONDS, Turn
from web.speech import gettext

__all__ = ["Seen", "Watch", "ask", "credited", "decide", "find", "look", "offered", "record", "ring", "settle"]

log = logging.getLogger(__name__)

TokenFor = Callable[[str], str]

CLOCK: Final = "clock"
RECORDER: Final = "recording worker"
PATIENCE: Final = timedelta(seconds=10)  # of waiting that are nobody's fault
BELL: Final = timedelta(seconds=3)  # after which one that nobody has heard of is rung for again
WAIT_AT_MOST: Final = timedelta(minutes=5)  # for a free worker; then the candidate had better be told
RUN_AT_MOST: Final = timedelta(minutes=12)  # from its beginning: a manifest may allow ten, and a room takes its time
TRIES: Final = 2  # that may end badly by our own fault
LEAST_CREDIT: Final = timedelta(seconds=1)
LEAST_AT_THE_END: Final = timedelta(seconds=15)  # in advance, so that a clock at its end does not stutter


# ----------------------------------------------------------------------------------------------------------- asking


def ask(database: Database, store: FolderStore, attempt_id: str, arrived_at: datetime) -> Check:
    """The attempt's open check; a new one of the newest saved work when there is none. `ring` is what comes next.

    The store has the work before any row speaks of it, and is written to while nobody waits for the database.
    """
    kept = ""
    while True:
        with database.reading() as session:
            head = work.head(session, attempt_id)
            if head is not None and head.tree != kept:
                kept = work.store(session, head, store)
        with database.transaction() as session:
            attempt = may_write(session, attempt_id, arrived_at)  # holds it: of two at once the second finds the first
            if (known := _open_of(session, attempt_id)) is not None:
                return known
            if not offered(session, attempt):
                raise SubmissionRejected(
                    gettext("This challenge has nothing to run here. Try your work on your own machine.")
                )
            head = work.head(session, attempt_id)
            if head is None:
                raise SubmissionRejected(gettext("There is nothing to run yet. Save something first."))
            if head.tree != kept:
                continue  # saved in this moment, in another tab perhaps
            at = now(session)
            check = Check(
                id=new_id(), attempt_id=attempt_id, snapshot_id=head.id, tree=head.tree, state=CheckState.WAITING,
                asked_at=at, rung_at=at, fence=1, tries=0,
            )  # fmt: skip
            session.add(check)
            session.flush()
            audit.note(
                session, f"attempt {attempt_id}", "check.asked", "check", check.id, snapshot=head.number, tree=head.tree
            )
            return check


def ring(database: Database, bell: Doorbell, check: Check, token_for: TokenFor = lambda _: "") -> bool:
    """For a check that was committed a moment ago. False: the queue is away, and the clock will ring."""
    if (check.state, check.fence) != (CheckState.WAITING, 1):
        return True
    with database.reading() as session:
        request = request_for(session, check, token_for)
    try:
        bell.ask(request)
    except QueueUnavailable as error:
        log.warning("check %s: %s; the clock rings again", check.id, error)
        return False
    return True


def request_for(session: Session, check: Check, token_for: TokenFor) -> CheckRequest:
    attempt = session.get_one(Attempt, check.attempt_id)
    manifest = read_manifest(session.get_one(ChallengeVersion, attempt.challenge_digest))
    bundle = session.get_one(Form, attempt.form_id).bundle
    return CheckRequest(
        check=check.id,
        fence=check.fence,
        command=manifest.check,
        seconds=manifest.check_seconds,
        image=manifest.image,
        limits=manifest.limits,
        work=check.tree,
        token=token_for(check.tree),
        bundle=bundle,
        bundle_token=token_for(bundle) if bundle else "",
        deliverables=manifest.deliverables,
    )


def _open_of(session: Session, attempt_id: str) -> Check | None:
    return session.scalar(select(Check).where(Check.attempt_id == attempt_id, Check.ended_at.is_(None)).limit(1))


# ---------------------------------------------------------------------------------------------------------- looking


@dataclass(frozen=True, slots=True)
class Seen:
    """A check as its candidate sees it at this moment."""

    id: str
    state: CheckState
    position: int | None  # in the line, from 1
    output: str  # a stranger's words, shown as text and never as anything else
    exit_code: int | None
    ending: str | None
    seconds: float | None
    credited_seconds: float


def find(session: Session, attempt_id: str, check_id: str) -> Check | None:
    return session.scalar(select(Check).where(Check.id == check_id, Check.attempt_id == attempt_id))


def offered(session: Session, attempt: Attempt) -> bool:
    """Whether the attempt's challenge has checks that can be run."""
    return bool(read_manifest(session.get_one(ChallengeVersion, attempt.challenge_digest)).check)


def look(session: Session, bell: Doorbell, check: Check) -> Seen:
    """While it is open the queue knows most; when the queue is away, the row still says that it is open."""
    state, position, output = check.state, None, check.output or ""
    if check.ended_at is None:
        heard = _listen(bell, check)
        position, output = heard.position, storable(heard.said.decode(errors="replace"))
        if heard.sign in (Sign.ALIVE, Sign.REPORTED):
            state = CheckState.RUNNING
    return Seen(
        id=check.id,
        state=state,
        position=position,
        output=output,
        exit_code=check.exit_code,
        ending=check.ending,
        seconds=check.seconds,
        credited_seconds=credited(session, check),
    )


def _listen(bell: Doorbell, check: Check) -> Heard:
    try:
        return bell.listen(check_name(check.id, check.fence))
    except QueueUnavailable:
        return Heard(Sign.LOST, None, b"")


# -------------------------------------------------------------------------------------------------------- recording


def record(session: Session, report: CheckReport) -> Recorded:
    """Write down what a worker reported, if it is the try that we wait for. Twice is as good as once."""
    check = session.get(Check, report.check, with_for_update=True, populate_existing=True)
    if check is None:
        return Recorded(Outcome.LATE, f"check {report.check}: there is none; its report is dropped")
    if check.ended_at is not None or check.fence != report.fence:
        what = f"try {report.fence} reports, and it is {check.state} at try {check.fence}"
        return Recorded(Outcome.LATE, f"check {check.id}: {what}; the report is dropped")
    at = now(session)
    if report.failure is not None:
        return _end_badly(session, check, report.failure.message, at, RECORDER)
    check.state, check.ended_at, check.failure = CheckState.DONE, at, None
    check.ending, check.exit_code = str(report.ending), report.exit_code
    check.seconds, check.output = report.seconds, storable(report.output)[: LONGEST_OUTPUT + 200]
    check.began_at = max(check.asked_at, at - timedelta(seconds=report.seconds))  # its program, not its room
    settle(session, check, at, RECORDER)
    return Recorded(Outcome.DONE, f"check {check.id}: {report.ending} after {report.seconds:g} s")


def _end_badly(session: Session, check: Check, why: str, at: datetime, actor: str) -> Recorded:
    """One try ended by our own fault: once more, or never."""
    check.tries += 1
    check.failure = storable(why)[:4000]
    if check.tries < TRIES:
        check.state, check.rung_at, check.began_at = CheckState.WAITING, None, None
        return Recorded(Outcome.AGAIN, f"check {check.id}: try {check.fence}: {check.failure}; it is run again")
    return _give_up(session, check, at, actor)


def _give_up(session: Session, check: Check, at: datetime, actor: str) -> Recorded:
    check.state, check.ended_at = CheckState.FAILED, at
    settle(session, check, at, actor)
    audit.note(
        session, actor, "check.failed", "check", check.id,
        message=check.failure, tries=check.tries, fence=check.fence, credited=credited(session, check),
    )  # fmt: skip
    return Recorded(Outcome.FAILED, f"check {check.id} failed, which no candidate can mend: {check.failure}")


# -------------------------------------------------------------------------------------------------------- crediting


def settle(session: Session, check: Check, at: datetime, actor: str, *, least: timedelta = LEAST_CREDIT) -> None:
    """Give back the time that this check has cost its candidate so far, less what was given back already.

    Whoever handed in does not wait any more. Whose clock came to its end meanwhile does: minutes open it again.
    """
    attempt = session.get_one(Attempt, check.attempt_id, with_for_update=True, populate_existing=True)
    if attempt.ends_at is None or attempt.withdrawn_at is not None:
        return
    if attempt.ended_at is not None and attempt.ended_at < attempt.ends_at:
        return
    waited = _waited(check, at)
    owed = waited if check.state is CheckState.FAILED else waited - PATIENCE
    owed -= timedelta(seconds=credited(session, check))
    if owed < LEAST_CREDIT:
        return
    most = timedelta(minutes=attempt.minutes * attempt.multiplier) - _credited_to(session, attempt)
    owed = min(max(owed, least), most)
    if owed < LEAST_CREDIT:
        return
    added = timedelta(seconds=math.ceil(owed.total_seconds()))
    why = f"The sandbox kept you waiting for {math.ceil(waited.total_seconds())} seconds."
    add_time(session, attempt.id, added, _cause(session, check), why, actor)


def _waited(check: Check, at: datetime) -> timedelta:
    """All that was not the candidate's own program: the line, the room, the report."""
    if check.state is CheckState.RUNNING and check.began_at is not None:
        at = check.began_at
    spent = timedelta(seconds=check.seconds or 0) if check.state is CheckState.DONE else timedelta(0)
    return max(timedelta(0), (check.ended_at or at) - check.asked_at - spent)


def credited(session: Session, check: Check) -> float:
    """Seconds that were added to the clock because of this check."""
    total = select(func.sum(AddedTime.seconds)).where(_because_of(check), AddedTime.attempt_id == check.attempt_id)
    return float(session.scalar(total) or 0)


def _credited_to(session: Session, attempt: Attempt) -> timedelta:
    """Because of all checks. It is bounded: whoever finds out how to make our machinery fail has no endless clock."""
    total = select(func.sum(AddedTime.seconds)).where(AddedTime.attempt_id == attempt.id)
    return timedelta(seconds=float(session.scalar(total.where(AddedTime.cause.like("check %"))) or 0))


def _cause(session: Session, check: Check) -> str:
    """A wait may be given back in pieces: one as the clock comes to its end, and the rest when the check does."""
    pieces = select(func.count()).select_from(AddedTime)
    before = session.scalar(pieces.where(_because_of(check), AddedTime.attempt_id == check.attempt_id)) or 0
    return f"check {check.id} {before + 1}" if before else f"check {check.id}"


def _because_of(check: Check) -> Any:
    return or_(AddedTime.cause == f"check {check.id}", AddedTime.cause.like(f"check {check.id} %"))


# ------------------------------------------------------------------------------------------------ looking after them


@dataclass(frozen=True, slots=True)
class Row:
    """An open check, as far as the clock needs it."""

    id: str
    fence: int
    state: CheckState
    asked_at: datetime
    rung_at: datetime | None
    began_at: datetime | None
    ends_at: datetime | None  # its attempt's clock

    @property
    def name(self) -> str:
        return check_name(self.id, self.fence)


@dataclass(frozen=True, slots=True)
class Begun:
    row: Row


@dataclass(frozen=True, slots=True)
class Again:
    """Ring for it. `why`: it was begun, and ended badly."""

    row: Row
    why: str = ""


@dataclass(frozen=True, slots=True)
class GiveUp:
    row: Row
    why: str


@dataclass(frozen=True, slots=True)
class Credit:
    """The candidate's clock is at its end, and we still keep them waiting."""

    row: Row


Intent = Begun | Again | GiveUp | Credit


def decide(rows: Iterable[Row], signs: Mapping[str, Sign], at: datetime, *, settled: bool = True) -> list[Intent]:
    """What should happen to these checks. Not `settled`: we have just begun to watch, and silence says nothing."""
    intents: list[Intent] = []
    for row in rows:
        intent = _look_after(row, signs.get(row.name, Sign.LOST), at, settled=settled)
        if intent is not None:
            intents.append(intent)
        elif row.ends_at is not None and row.ends_at <= at:
            intents.append(Credit(row))
    return intents


def _look_after(row: Row, sign: Sign, at: datetime, *, settled: bool) -> Begun | Again | GiveUp | None:
    begun = row.began_at is not None
    if sign in (Sign.ALIVE, Sign.REPORTED):
        if row.began_at is None:
            return Begun(row)
        return GiveUp(row, "it does not come to its end") if at - row.began_at > RUN_AT_MOST else None
    if not begun and at - row.asked_at > WAIT_AT_MOST:
        return GiveUp(row, f"nobody was free to run it for {WAIT_AT_MOST.total_seconds():g} seconds")
    if row.rung_at is None:
        return Again(row)
    if sign is Sign.QUEUED or not settled:
        return None
    if sign is Sign.DIED:
        return Again(row, "the checking process ended without a report")
    if at - row.rung_at < BELL:
        return None  # it is committed, and its bell about to be rung
    return Again(row, "its worker gives no sign of life" if begun else "")


def open_rows(session: Session) -> list[Row]:
    columns = (Check.id, Check.fence, Check.state, Check.asked_at, Check.rung_at, Check.began_at, Attempt.ends_at)
    found = select(*columns).join(Attempt, Attempt.id == Check.attempt_id).where(Check.ended_at.is_(None))
    return [Row(*one) for one in session.execute(found.order_by(Check.asked_at, Check.id))]


class Watch:
    """The clock's part in it. Two clocks at once do no harm: what one intends holds for rows as it saw them."""

    def __init__(
        self,
        database: Database,
        bell: Doorbell,
        token_for: TokenFor = lambda _: "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._bell = bell
        self._token_for = token_for
        self._monotonic = monotonic
        self._watching_since: float | None = None  # None: not watching

    def turn(self) -> Turn:
        with self._database.reading() as session:
            at = now(session)
            rows = open_rows(session)
        away, signs = "", {}
        try:
            signs = self._bell.look_for(Kind.CHECKS, [row.name for row in rows]) if rows else {}
        except QueueUnavailable as error:
            away, self._watching_since = str(error), None
        if not away and self._watching_since is None:
            self._watching_since = self._monotonic()
        settled = self._watching_since is not None and self._monotonic() - self._watching_since >= SETTLING_SECONDS
        intents = decide(rows, signs, at, settled=settled)
        if away:  # then nobody would hear a bell; but those who wait are told when it has taken too long
            intents = [one for one in intents if isinstance(one, GiveUp | Credit)]
        turn = self._act(intents) if intents else Turn()
        return Turn(len(rows), turn.sent, turn.given_back, turn.told, away or turn.queue_away)

    def _act(self, intents: Sequence[Intent]) -> Turn:
        told: list[Recorded] = []
        requests: list[CheckRequest] = []
        unwanted: list[str] = []
        with self._database.transaction() as session:
            at = now(session)
            for intent in intents:
                check = _held(session, intent.row)
                if check is None:
                    continue
                match intent:
                    case Begun():
                        check.state, check.began_at = CheckState.RUNNING, at
                    case Credit():
                        settle(session, check, at, CLOCK, least=LEAST_AT_THE_END)
                    case GiveUp(why=why):
                        check.failure = why
                        told.append(_give_up(session, check, at, CLOCK))
                        unwanted.append(intent.row.name)
                    case Again(why=why):
                        unwanted.append(intent.row.name)
                        if why:
                            told.append(_end_badly(session, check, why, at, CLOCK))
                        if check.ended_at is None:
                            check.fence += 1
                            check.rung_at = at
                            requests.append(request_for(session, check, self._token_for))
        away = self._tell(requests, unwanted)
        again = tuple(one.sentence for one in told if one.outcome is Outcome.AGAIN)
        failed = tuple(one.sentence for one in told if one.outcome is Outcome.FAILED)
        return Turn(0, len(requests), again, failed, away)

    def _tell(self, requests: Sequence[CheckRequest], unwanted: Sequence[str]) -> str:
        """All is committed: what the queue does not hear now, it is told again in some seconds."""
        try:
            for name in unwanted:
                self._bell.forget_one(Kind.CHECKS, name)
            for request in requests:
                self._bell.ask(request)
        except QueueUnavailable as error:
            self._watching_since = None
            return str(error)
        return ""


def _held(session: Session, row: Row) -> Check | None:
    """The row, if it is still as it was seen. Who holds it already is deciding about it: let them."""
    wanted = select(Check).where(Check.id == row.id, Check.fence == row.fence, Check.state == row.state)
    wanted = wanted.where(Check.rung_at.is_not_distinct_from(row.rung_at))
    return session.scalar(wanted.with_for_update(skip_locked=True))
