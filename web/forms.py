"""Forms, made by workers that hold the challenge's generator, some of them before anybody needs one.

    fill: short of the pool ──► making ──► record ──► pool, or issued when an attempt holds it already
    an attempt without one  ──►    ▲        ├───────► unfit: its challenge refuses it, and another is made at once
                                   │        └───────► failed, by the author's fault, and a person is told
                                   └── our own fault, or nobody knows of it: asked for again, ever more slowly

The seed of a form is derived where it is made, from a secret that is not here. The same form comes out the same each
time, so whoever makes one twice does no harm.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from graders.contract import Fault, FormReport, FormRequest
from graders.watch import storable
from web import audit
from web.bell import QueueUnavailable, Sign
from web.database import Database, lock, now
from web.gradings import Outcome, Recorded
from web.models import Attempt, ChallengeVersion, Form, FormState, new_id
from web.queue import Doorbell, Kind, form_name
from web.relay import SETTLING_SECONDS, Turn

__all__ = ["Pool", "due", "fill", "record"]

log = logging.getLogger(__name__)

CLOCK: Final = "clock"
RECORDER: Final = "recording worker"
AT_ONCE: Final = 20  # forms that are asked for at a time; those first that somebody waits for
FIRST_PAUSE: Final = timedelta(seconds=5)  # before a form is asked for again; twice as long each time, up to:
LONGEST_PAUSE: Final = timedelta(minutes=5)
FIRST_REST: Final = timedelta(minutes=1)  # after a generator failed; twice as long each time, up to:
LONGEST_REST: Final = timedelta(days=1)
OTHERS: Final = 3  # forms that an attempt may be given in place of failed ones
UNFIT_IN_A_ROW: Final = 20  # after which it is no matter of the seed
LOOK_SECONDS: Final = 1.0  # between two looks at the pool


# ---------------------------------------------------------------------------------------------------------- the pool


def fill(session: Session, ready: int, at: datetime) -> list[Form]:
    """Begin as many as the newest version of each challenge is short of."""
    if not ready:
        return []
    lock(session, "the pool of forms")  # two clocks would both find it short
    made = []
    for digest in session.scalars(_newest_versions()).all():
        short = ready - (session.scalar(_free(digest)) or 0)
        if short > 0 and not _rests(session, digest, at):
            made += [
                Form(id=new_id(), challenge_digest=digest, reference=new_id(), state=FormState.MAKING, created_at=at)
                for _ in range(min(short, AT_ONCE))
            ]
    session.add_all(made)
    session.flush()
    return made


def short_of(session: Session, ready: int) -> bool:
    """Whether `fill` may have anything to do; asked without keeping anybody from writing."""
    return bool(ready) and any(
        (session.scalar(_free(digest)) or 0) < ready for digest in session.scalars(_newest_versions()).all()
    )


def _newest_versions() -> Any:
    place = func.row_number().over(
        partition_by=ChallengeVersion.slug,
        order_by=(ChallengeVersion.published_at.desc(), ChallengeVersion.digest),
    )
    placed = select(ChallengeVersion.digest, place.label("place")).subquery()
    return select(placed.c.digest).where(placed.c.place == 1).order_by(placed.c.digest)


def _free(digest: str) -> Any:
    free = select(func.count(Form.id)).where(
        Form.challenge_digest == digest, Form.state.in_((FormState.POOL, FormState.MAKING))
    )
    return free.where(~exists().where(Attempt.form_id == Form.id))


def _rests(session: Session, digest: str, at: datetime) -> bool:
    """A generator that fails is not tried all day: the sooner the fewer times it has."""
    failed = select(func.count(), func.max(Form.asked_at)).where(
        Form.challenge_digest == digest, Form.state == FormState.FAILED
    )
    times, last = session.execute(failed).one()
    if not times or last is None:
        return False
    return bool(at < last + min(LONGEST_REST, FIRST_REST * 2 ** min(times - 1, 20)))


# ---------------------------------------------------------------------------------------------------------- making


@dataclass(frozen=True, slots=True)
class Row:
    """A form that is to be made, as far as the clock needs it."""

    id: str
    fence: int
    asked_at: datetime | None
    awaited: bool = False  # by an attempt

    @property
    def name(self) -> str:
        return form_name(self.id, self.fence)


def making(session: Session) -> list[Row]:
    """Those first that an attempt waits for, then the oldest."""
    held = exists().where(Attempt.form_id == Form.id)
    found = select(Form.id, Form.fence, Form.asked_at, held).where(Form.state == FormState.MAKING)
    return [Row(*one) for one in session.execute(found.order_by(held.desc(), Form.created_at, Form.id))]


def due(rows: Iterable[Row], signs: Mapping[str, Sign], at: datetime, *, settled: bool = True) -> list[Row]:
    """Those for which a worker has to be asked now. Not `settled`: silence says nothing yet."""
    busy, wanted = 0, []
    for row in rows:
        if row.asked_at is None:
            wanted.append(row)
        elif signs.get(row.name, Sign.LOST) in (Sign.QUEUED, Sign.ALIVE, Sign.REPORTED):
            busy += 1
        elif settled and at - row.asked_at >= pause(row.fence):
            wanted.append(row)
    return wanted[: max(0, AT_ONCE - busy)]


def pause(fence: int) -> timedelta:
    doubled: int = 1 << min(max(fence, 1) - 1, 20)
    return min(LONGEST_PAUSE, FIRST_PAUSE * doubled)


def record(session: Session, report: FormReport) -> Recorded:
    """Write down what a worker made. Its bytes are in the store by now."""
    form = session.get(Form, report.form, with_for_update=True, populate_existing=True)
    if form is None:
        return Recorded(Outcome.LATE, f"form {report.form}: there is none; its report is dropped")
    if form.state is not FormState.MAKING or (report.failure is not None and report.fence != form.fence):
        what = f"try {report.fence} reports, and it is {form.state} at try {form.fence}"
        return Recorded(Outcome.LATE, f"form {form.id}: {what}; the report is dropped")
    at = now(session)
    if report.failure is not None:
        form.failure, form.asked_at = storable(report.failure.message), at
        if report.failure.fault_of is Fault.AUTHOR:
            return _fail(session, form, at)
        again = f"{form.failure}; asked for again in {pause(form.fence).total_seconds():g} s"
        return Recorded(Outcome.AGAIN, f"form {form.id}: try {form.fence}: {again}")
    if report.unfit:
        form.failure, form.asked_at = storable(report.unfit), at
        return _discard(session, form, at)
    held = session.scalar(select(Attempt.id).where(Attempt.form_id == form.id).limit(1)) is not None
    form.state = FormState.ISSUED if held else FormState.POOL
    form.bundle, form.brief, form.signature = report.bundle, storable(report.brief), storable(report.signature)
    form.calibration, form.failure = report.calibration or None, None
    return Recorded(Outcome.DONE, f"form {form.id}: made, and {form.state}")


def _discard(session: Session, form: Form, at: datetime) -> Recorded:
    """Nobody gets this one. The pool is filled up at the clock's next turn."""
    version = session.get_one(ChallengeVersion, form.challenge_digest)
    in_a_row = 1 + (session.scalar(_unfit_since_the_last_fit_one(version.digest)) or 0)
    if in_a_row >= UNFIT_IN_A_ROW:
        form.failure = f"generator.py: {in_a_row} forms in a row were unfit, the last because of {form.failure}"
        return _fail(session, form, at)
    form.state = FormState.UNFIT
    _note(session, form, version)
    replaced = _give_others(session, form, at)
    why = f"{form.failure}; whoever waits for it gets another" if replaced else form.failure
    return Recorded(Outcome.DONE, f"form {form.id} of {version.slug} {version.version}: unfit: {why}")


def _unfit_since_the_last_fit_one(digest: str) -> Any:
    fit = aliased(Form)
    followed = select(fit.id).where(
        fit.challenge_digest == digest, fit.bundle.is_not(None), fit.created_at >= Form.created_at
    )
    unfit = select(func.count(Form.id)).where(Form.challenge_digest == digest, Form.state == FormState.UNFIT)
    return unfit.where(~followed.exists())


def _fail(session: Session, form: Form, at: datetime) -> Recorded:
    """The generator cannot make this one. It may make others: so nobody who waits has to wait for its author."""
    form.state = FormState.FAILED
    version = session.get_one(ChallengeVersion, form.challenge_digest)
    _note(session, form, version)
    session.flush()
    failed = select(func.count(Form.id)).where(Form.challenge_digest == version.digest, Form.state == FormState.FAILED)
    replaced = (session.scalar(failed) or 0) <= OTHERS and _give_others(session, form, at)
    why = "; whoever waits for it gets another" if replaced else ""
    return Recorded(
        Outcome.FAILED,
        f"form {form.id} of {version.slug} {version.version}: its author has to mend it: {form.failure}{why}",
    )


def _note(session: Session, form: Form, version: ChallengeVersion) -> None:
    audit.note(
        session, RECORDER, f"form.{form.state}", "form", form.id,
        challenge=version.slug, digest=version.digest, message=form.failure,
    )  # fmt: skip


def _give_others(session: Session, form: Form, at: datetime) -> bool:
    """To whoever waits for this one; whether there is anybody."""
    waiting = session.scalars(select(Attempt).where(Attempt.form_id == form.id, Attempt.started_at.is_(None))).all()
    for attempt in waiting:
        other = _another(session, form.challenge_digest, at)
        attempt.form_id = other.id
        audit.note(
            session, RECORDER, "attempt.form_changed", "attempt", attempt.id, form=other.id, instead_of=form.id
        )  # fmt: skip
    return bool(waiting)


def _another(session: Session, digest: str, at: datetime) -> Form:
    free = select(Form).where(Form.challenge_digest == digest, Form.state == FormState.POOL)
    form = session.scalar(free.order_by(Form.created_at).limit(1).with_for_update(skip_locked=True))
    if form is not None:
        form.state = FormState.ISSUED
        return form
    form = Form(id=new_id(), challenge_digest=digest, reference=new_id(), state=FormState.MAKING, created_at=at)
    session.add(form)
    session.flush()
    return form


# ------------------------------------------------------------------------------------------------ the clock's part


class Pool:
    """Keeps forms ready, and asks for what is to be made. Two clocks at once do no harm."""

    def __init__(
        self,
        database: Database,
        bell: Doorbell,
        ready: int,
        token_for: Callable[[str], str] = lambda _: "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._bell = bell
        self._ready = ready
        self._token_for = token_for  # what lets a worker elsewhere hand in the files of the form of this id
        self._monotonic = monotonic
        self._watching_since: float | None = None  # None: not watching
        self._looked_at = -LOOK_SECONDS

    def turn(self) -> Turn:
        if self._monotonic() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = self._monotonic()
            self._fill()
        with self._database.reading() as session:
            at = now(session)
            rows = making(session)
        if not rows:
            return Turn()
        try:
            signs = self._bell.look_for(Kind.FORMS, [row.name for row in rows if row.asked_at])
        except QueueUnavailable as error:
            self._watching_since = None
            return Turn(queue_away=str(error))
        if self._watching_since is None:
            self._watching_since = self._monotonic()
        settled = self._monotonic() - self._watching_since >= SETTLING_SECONDS
        wanted = due(rows, signs, at, settled=settled)
        return self._ask(wanted) if wanted else Turn()

    def _fill(self) -> None:
        with self._database.reading() as session:
            if not short_of(session, self._ready):
                return
        with self._database.transaction() as session:
            fill(session, self._ready, now(session))

    def _ask(self, wanted: Sequence[Row]) -> Turn:
        requests: list[tuple[FormRequest, bool]] = []
        seen = {row.id: row for row in wanted}
        with self._database.transaction() as session:
            at = now(session)
            held = select(Form).where(Form.id.in_(seen), Form.state == FormState.MAKING)
            for form in session.scalars(held.with_for_update(skip_locked=True)).all():
                if form.fence == seen[form.id].fence:
                    form.fence += 1
                    form.asked_at = at
                    requests.append((self._request(session, form), seen[form.id].awaited))
        try:
            for row in wanted:
                if row.asked_at is not None:
                    self._bell.forget_one(Kind.FORMS, row.name)
            for request, awaited in requests:
                self._bell.ask(request, at_front=awaited)
        except QueueUnavailable as error:
            self._watching_since = None
            return Turn(queue_away=str(error))
        return Turn(sent=len(requests))

    def _request(self, session: Session, form: Form) -> FormRequest:
        version = session.get_one(ChallengeVersion, form.challenge_digest)
        return FormRequest(
            form=form.id,
            fence=form.fence,
            challenge=version.slug,
            challenge_digest=version.digest,
            reference=form.reference,
            token=self._token_for(form.id),
        )
