"""What the clock does in one turn: sends what waits for a grading, and looks after what was sent.

    rows ──┐
    signs ─┼─► decide ──► Intents ──► rows changed, committed ──► bells rung
    time ──┘

`decide` is a function of what it is shown and touches nothing. What it intends holds only for rows that still have
the fence and the state that it saw, so two clocks at once do no harm, nor does one that dies between any two lines.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from graders.contract import Fault, GradingRequest
from web.bell import Bell, QueueUnavailable, Sign, Try
from web.database import Database, DatabaseUnavailable, now
from web.gradings import PAUSES, give_back, give_up, pause_after
from web.models import Attempt, ChallengeVersion, Form, Grading, GradingState, Submission
from web.settings import GradingSettings

__all__ = ["Intents", "Relay", "Row", "Turn", "decide", "due_rows", "sent_rows"]

CLOCK: Final = "clock"
FOR_EACH_WORKER: Final = 2  # gradings: one that it does, and one that it finds when that is done
BELL: Final = timedelta(seconds=5)  # after which a bell that nobody has heard of is rung again
MOST_FENCES: Final = 50  # bells that may get lost before we stop believing that this is nobody's fault
SETTLING_SECONDS: Final = 5  # of watching, before silence says anything: workers give a sign every two seconds
JUMP_SECONDS: Final = 2  # by which the database's time may run away from ours between two turns
SLACK: Final = timedelta(minutes=5)  # beyond twice what the grader may take: rooms are slow on a busy host


@dataclass(frozen=True, slots=True)
class Row:
    """An open grading, as far as the clock needs it."""

    id: str
    fence: int
    state: GradingState
    tries: int
    urgency: int
    candidate: str
    grading_seconds: int
    created_at: datetime
    not_before: datetime | None = None
    alive_at: datetime | None = None
    lease_until: datetime | None = None

    @property
    def bell(self) -> Try:
        return self.id, self.fence

    def is_due(self, at: datetime) -> bool:
        """A pause that ends later than any pause can was written before the database's time was put back."""
        return self.not_before is None or self.not_before <= at or self.not_before > at + 2 * max(PAUSES)

    @property
    def longest(self) -> timedelta:
        """That a grading can take while all is well."""
        return 2 * timedelta(seconds=self.grading_seconds) + SLACK


@dataclass(frozen=True, slots=True)
class Keep:
    row: Row
    alive_at: datetime | None
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class GiveBack:
    row: Row
    not_before: datetime
    counted: bool
    why: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    row: Row
    why: str


@dataclass(frozen=True, slots=True)
class Send:
    row: Row
    at_front: bool


@dataclass(frozen=True, slots=True)
class Intents:
    keep: tuple[Keep, ...] = ()
    give_back: tuple[GiveBack, ...] = ()
    give_up: tuple[GiveUp, ...] = ()
    send: tuple[Send, ...] = ()

    @property
    def rows(self) -> list[Row]:
        intents: tuple[Keep | GiveBack | GiveUp | Send, ...] = (*self.keep, *self.give_back, *self.give_up, *self.send)
        return [one.row for one in intents]


# --------------------------------------------------------------------------------------------------------- deciding


def decide(
    rows: Sequence[Row],
    signs: Mapping[Try, Sign],
    at: datetime,
    workers: int,
    settings: GradingSettings,
    *,
    settled: bool = True,
) -> Intents:
    """What should happen to these gradings. Not `settled`: we have just begun to watch, and silence says nothing."""
    keep: list[Keep] = []
    back: list[GiveBack] = []
    up: list[GiveUp] = []
    sent = [row for row in rows if row.state is GradingState.SENT]
    for row in sent:
        match _look_after(row, signs.get(row.bell, Sign.LOST), at, settings, settled=settled):
            case Keep() as intent:
                keep.append(intent)
            case GiveBack() as intent:
                back.append(intent)
            case GiveUp() as intent:
                up.append(intent)
    gone = {intent.row.id for intent in back} | {intent.row.id for intent in up}
    busy = [row for row in sent if row.id not in gone and signs.get(row.bell) is not Sign.REPORTED]
    waiting = [row for row in rows if row.state is GradingState.WAITING and row.is_due(at)]
    queued = [row.urgency for row in busy if signs.get(row.bell) is Sign.QUEUED]
    send = _choose(waiting, busy, FOR_EACH_WORKER * workers - len(busy), settings.gradings_per_candidate)
    return Intents(
        tuple(keep),
        tuple(back),
        tuple(up),
        tuple(Send(row, at_front=any(urgency > row.urgency for urgency in queued)) for row in send),
    )


def _look_after(
    row: Row, sign: Sign, at: datetime, settings: GradingSettings, *, settled: bool
) -> Keep | GiveBack | GiveUp | None:
    lease = timedelta(seconds=settings.lease_seconds)
    begun = row.alive_at is not None
    if not settled:
        # As if each had just shown itself: also after the clock jumped, in whichever direction.
        begun = begun or sign in (Sign.ALIVE, Sign.REPORTED)
        return _keep(row, at if begun else None, at, lease if begun else BELL)
    match sign:
        case Sign.DIED:
            return _bad_try(row, at, "the grading process ended without a report", settings)
        case Sign.ALIVE | Sign.REPORTED:
            alive_at = row.alive_at or at
            if at - alive_at > row.longest:
                what = "its worker lives" if sign is Sign.ALIVE else "its report waits to be recorded"
                why = f"not done after {row.longest.total_seconds():g} seconds, though {what}"
                return _bad_try(row, at, why, settings)
            return _keep(row, alive_at, at, lease)
        case Sign.QUEUED:
            return _keep(row, row.alive_at, at, BELL)
        case Sign.LOST:
            if row.lease_until is not None and at < row.lease_until:
                return None
            if begun:
                why = f"its worker has given no sign of life for {settings.lease_seconds:g} seconds"
                return _bad_try(row, at, why, settings)
            if row.fence >= MOST_FENCES:
                return GiveUp(row, f"the queue lost it {row.fence} times")
            return GiveBack(row, at, counted=False, why="the queue lost it before anybody began")
        case _:
            assert_never(sign)


def _keep(row: Row, alive_at: datetime | None, at: datetime, lease: timedelta) -> Keep | None:
    """Written when a quarter of the lease is over, or when it ends later than it can; not in every turn."""
    used = at + lease - row.lease_until if row.lease_until is not None else lease
    if row.alive_at == alive_at and timedelta(0) <= used < lease / 4:
        return None
    return Keep(row, alive_at, at + lease)


def _bad_try(row: Row, at: datetime, why: str, settings: GradingSettings) -> GiveBack | GiveUp:
    pause = pause_after(row.tries, settings)
    return GiveUp(row, why) if pause is None else GiveBack(row, at + pause, counted=True, why=why)


def _choose(waiting: Sequence[Row], busy: Sequence[Row], room: int, for_each: int) -> list[Row]:
    """The most urgent first; of these whoever has the fewest under way; of these who has waited longest."""
    under_way = Counter(row.candidate for row in busy)
    left = list(waiting)
    chosen: list[Row] = []
    while room > len(chosen):
        left = [row for row in left if under_way[row.candidate] < for_each]
        if not left:
            break
        first = min(left, key=lambda row: (row.urgency, under_way[row.candidate], row.created_at, row.id))
        left.remove(first)
        under_way[first.candidate] += 1
        chosen.append(first)
    return chosen


# ---------------------------------------------------------------------------------------------------------- reading

COLUMNS: Final = (
    Grading.id,
    Grading.fence,
    Grading.state,
    Grading.tries,
    Grading.urgency,
    Grading.candidate,
    Grading.grading_seconds,
    Grading.created_at,
    Grading.not_before,
    Grading.alive_at,
    Grading.lease_until,
)


def sent_rows() -> Select[*tuple[Any, ...]]:
    return select(*COLUMNS).where(Grading.finished_at.is_(None), Grading.state == GradingState.SENT)


def due_rows(at: datetime, room: int, busy: int, for_each: int) -> Select[*tuple[Any, ...]]:
    """As many as it takes to fill `room`, even if each candidate who is `busy` stands first in line.

    One who handed in a thousand times is read `for_each` times, not a thousand.
    """
    due = or_(Grading.not_before.is_(None), Grading.not_before <= at, Grading.not_before > at + 2 * max(PAUSES))
    turn = func.row_number().over(
        partition_by=Grading.candidate, order_by=(Grading.urgency, Grading.created_at, Grading.id)
    )
    waiting = select(*COLUMNS, turn.label("turn")).where(
        Grading.finished_at.is_(None), Grading.state == GradingState.WAITING, due
    )
    line = waiting.subquery()
    first = select(*(line.c[column.key] for column in COLUMNS)).where(line.c.turn <= for_each)
    in_order = first.order_by(line.c.urgency, line.c.turn, line.c.created_at, line.c.id)
    return in_order.limit(room + busy * for_each)


# ----------------------------------------------------------------------------------------------------------- acting


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn did."""

    open: int = 0  # gradings that are under way
    sent: int = 0
    given_back: tuple[str, ...] = ()  # a sentence for each, for the log
    told: tuple[str, ...] = ()  # a sentence for each that now needs a person
    queue_away: str = ""  # why the queue could not be asked; nothing was decided then

    @property
    def busy(self) -> bool:
        """Something may happen soon."""
        return bool(self.open or self.sent)


class Relay:
    def __init__(
        self,
        database: Database,
        bell: Bell,
        settings: GradingSettings,
        monotonic: Callable[[], float] = time.monotonic,
        token_for: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._database = database
        self._bell = bell
        self._settings = settings
        self._monotonic = monotonic
        self._token_for = token_for  # what opens a tree to a grading host that shares no folder with us
        self._last: tuple[float, datetime] | None = None  # our time and the database's, at the last turn
        self._watching_since: float | None = None  # None: not watching

    def turn(self) -> Turn:
        """Look, decide, act. DatabaseUnavailable when nothing could be seen; nothing is half done then."""
        try:
            return self._turn()
        except DatabaseUnavailable:
            self._watching_since = None
            raise

    def _turn(self) -> Turn:
        with self._database.reading() as session:
            at = now(session)
            sent = [Row(*found) for found in session.execute(sent_rows())]
        self._notice_jump(at)
        try:
            signs = self._bell.look([row.bell for row in sent]) if sent else {}
            workers = self._bell.workers()
        except QueueUnavailable as error:
            self._watching_since = None
            return Turn(len(sent), queue_away=str(error))
        if self._watching_since is None:
            self._watching_since = self._monotonic()
        settled = self._monotonic() - self._watching_since >= SETTLING_SECONDS
        rows = sent + self._due(at, sent, signs, workers)
        intents = decide(rows, signs, at, workers, self._settings, settled=settled)
        return self._act(intents, len(sent)) if intents.rows else Turn(len(sent))

    def _notice_jump(self, at: datetime) -> None:
        """A clock that was set, or a machine that slept: leases were written in another time."""
        ours = self._monotonic()
        if self._last is not None:
            passed = (at - self._last[1]).total_seconds()
            if abs(passed - (ours - self._last[0])) > JUMP_SECONDS:
                self._watching_since = None
        self._last = ours, at

    def _due(self, at: datetime, sent: Sequence[Row], signs: Mapping[Try, Sign], workers: int) -> list[Row]:
        busy = sum(signs.get(row.bell) is not Sign.REPORTED for row in sent)
        room = FOR_EACH_WORKER * workers - sum(signs.get(row.bell) in (Sign.ALIVE, Sign.QUEUED) for row in sent)
        if room <= 0:
            return []
        with self._database.reading() as session:
            found = session.execute(due_rows(at, room, busy, self._settings.gradings_per_candidate))
            return [Row(*one) for one in found]

    def _act(self, intents: Intents, under_way: int) -> Turn:
        given_back: list[str] = []
        told: list[str] = []
        unwanted: list[Try] = []
        requests: list[tuple[GradingRequest, bool]] = []
        with self._database.transaction() as session:
            at = now(session)
            held = _hold(session, intents)
            for keep in intents.keep:
                if (grading := held.get(keep.row.id)) is not None:
                    grading.alive_at, grading.lease_until = keep.alive_at, keep.lease_until
            for back in intents.give_back:
                if (grading := held.get(back.row.id)) is not None:
                    given_back.append(give_back(grading, back.why, back.not_before, counted=back.counted))
                    unwanted.append(back.row.bell)
            for up in intents.give_up:
                if (grading := held.get(up.row.id)) is not None:
                    told.append(give_up(session, grading, Fault.OPERATOR, up.why, at, CLOCK))
                    unwanted.append(up.row.bell)
            for send in intents.send:
                if (grading := held.get(send.row.id)) is not None:
                    _send(grading, at)
                    requests.append((_request(session, grading, self._settings, self._token_for), send.at_front))
        away = self._tell(requests, unwanted)
        return Turn(under_way, len(requests), tuple(given_back), tuple(told), away)

    def _tell(self, requests: Sequence[tuple[GradingRequest, bool]], unwanted: Sequence[Try]) -> str:
        """All is committed: what the queue does not hear now, it is told again when the lease is over."""
        in_front = [one for one in requests if one[1]]
        try:
            for grading, fence in unwanted:
                self._bell.forget(grading, fence)
            for request, at_front in (*reversed(in_front), *(one for one in requests if not one[1])):
                self._bell.ring(request, at_front=at_front)
        except QueueUnavailable as error:
            self._watching_since = None
            return str(error)
        return ""


def _hold(session: Session, intents: Intents) -> dict[str, Grading]:
    """The rows that are still as they were seen. Who holds one already is deciding about it: let them."""
    seen = {row.id: row for row in intents.rows}
    found = session.scalars(select(Grading).where(Grading.id.in_(seen)).with_for_update(skip_locked=True))
    return {one.id: one for one in found if (one.fence, one.state) == (seen[one.id].fence, seen[one.id].state)}


def _send(grading: Grading, at: datetime) -> None:
    grading.fence += 1
    grading.state = GradingState.SENT
    grading.sent_at = at
    grading.lease_until = at + BELL
    grading.not_before = None


def _request(
    session: Session, grading: Grading, settings: GradingSettings, token_for: Callable[[str], str]
) -> GradingRequest:
    own = aliased(ChallengeVersion)  # of which the form is
    found = session.execute(
        select(
            ChallengeVersion.slug,
            Form.reference,
            Form.challenge_digest,
            Form.signature,
            Form.calibration,
            own.version,
            Submission.tree,
        )
        .select_from(Submission)
        .join(Attempt, Attempt.id == Submission.attempt_id)
        .join(Form, Form.id == Attempt.form_id)
        .join(own, own.digest == Form.challenge_digest)
        .join(ChallengeVersion, ChallengeVersion.digest == grading.challenge_digest)
        .where(Submission.id == grading.submission_id)
    ).one()
    # What another version of the challenge found out about the form says nothing to this one's grader.
    known = found.challenge_digest == grading.challenge_digest
    return GradingRequest(
        grading=grading.id,
        fence=grading.fence,
        challenge=found.slug,
        challenge_digest=grading.challenge_digest,
        form=found.reference,
        form_version=found.version,
        form_signature=(found.signature or "") if known else "",
        calibration=(found.calibration or "") if known else "",
        submission=found.tree,
        token=token_for(found.tree),
        lease_seconds=settings.lease_seconds,
    )
