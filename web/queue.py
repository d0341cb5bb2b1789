"""The queue: who is asked to grade next, and which report waits to be recorded.

The database is the truth and this is its doorbell: everything here may be lost, and is rung again. Whoever can write
to Redis can order gradings and forge reports, and must not get further: messages are JSON, no function is ever found
by a name from Redis, and neither its callbacks nor its commands are heard.

    clock ── ring ──► assay-grading ──► grading worker ── report ──► assay-recording ──► recording worker

Checks of candidates who press Run, and forms to be made, go the same way by lines of their own, so that a bulk regrade
keeps nobody waiting. While a check runs, what it prints lies in the queue for some minutes: a stranger's words.

What takes messages and acts on them is web.horse. These two modules alone know RQ.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import redis
import rq
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq.exceptions import StopRequested
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.worker_registration import clean_worker_registry, get_keys

from graders.contract import (
    LONGEST_OUTPUT,
    CheckReport,
    CheckRequest,
    Failure,
    Fault,
    FormReport,
    FormRequest,
    GradingReport,
    GradingRequest,
    MessageUnreadable,
)
from web import valkey
from web.bell import Bell, QueueUnavailable, Sign, Try
from web.settings import QueueSettings

log = logging.getLogger(__name__)

Act = Callable[[str], object]  # what is done with the text of one message

EMBEDDED: Final = "valkey"  # where the embedded server is, below the folder of the state
ANSWER_SECONDS: Final = 5  # until a server that says nothing counts as away
IDLE_SECONDS: Final = 5  # that a worker waits for a message before it says again that it is there
BETWEEN_SECONDS: Final = 3  # that a message may belong to nobody, on its way from the queue to a worker
FORGOTTEN_SECONDS: Final = 3600
FAILED_SECONDS: Final = 3600
WAITING_SECONDS: Final = 86400  # a message that nobody took in a day was sent again long ago
SAID_SECONDS: Final = 900  # that the words of a check can be read after the last of them
FLUSH_SECONDS: Final = 0.2  # between two looks for new ones
LAST_TURN: Final = "assay:clock"
LAST_TURN_SECONDS: Final = 60


class Kind(StrEnum):
    GRADING = "grading"
    CHECKS = "checks"
    FORMS = "forms"
    RECORDING = "recording"


Asked = GradingRequest | CheckRequest | FormRequest
Answered = GradingReport | CheckReport | FormReport


class Undelivered(Exception):
    """A report could not be handed in: its request is put back into the queue, and nobody is to blame."""


def connect(url: str, embedded: Path, *, patience: float = 0) -> Any:
    """A client of the server at `url`, or of the embedded one. It says each word again for `patience` seconds."""
    options: dict[str, Any] = {
        "socket_connect_timeout": ANSWER_SECONDS,
        "socket_timeout": ANSWER_SECONDS + (IDLE_SECONDS if patience else 0),  # a worker's silence is no failure
        "health_check_interval": 30,
        # Waits of 0.1, 0.2, 0.4, 0.8, then of 1 second. One more try is always made: the server may be a new one.
        "retry": Retry(ExponentialWithJitterBackoff(base=0.1, cap=1), 1 + round(patience)),
    }
    if url:
        return redis.Redis.from_url(url, **options)
    return redis.Redis(unix_socket_path=valkey.address(embedded), **options)


def reach(settings: QueueSettings, state: Path, *, patience: float = 0) -> Any:
    """The server that the settings name, or the embedded one in the folder of the state."""
    url = settings.redis_url.get_secret_value()
    if not url and settings.redis_url_file:
        try:
            url = Path(settings.redis_url_file).read_text().strip()
        except OSError as error:
            raise QueueUnavailable(f"ASSAY_REDIS_URL_FILE: {settings.redis_url_file}: {error.strerror}") from None
    try:
        return connect(url, state / EMBEDDED, patience=patience)
    except ValueError:
        raise QueueUnavailable("ASSAY_REDIS_URL: is no address of a Redis; see docs/operations.md") from None


def place(connection: Any) -> str:
    """Where the server is, without its password."""
    where = connection.connection_pool.connection_kwargs
    return str(where.get("path") or f"{where.get('host')}:{where.get('port')}")


def unreachable(connection: Any, error: RedisError) -> QueueUnavailable:
    return QueueUnavailable(
        f"queue: {place(connection)}: {error} Start the Redis there, or name another one in ASSAY_REDIS_URL."
    )


# ------------------------------------------------------------------------------------------------------- what waits


class Order(Job):
    """One message for a worker. What RQ would find by its name in Redis, and run, is not there."""

    act: Act
    undelivered = False

    @property
    def func(self) -> None:
        return None

    success_callback = failure_callback = stopped_callback = func

    def send_webhooks(self, *_: Any, **__: Any) -> None:
        """Addresses from Redis are not called either."""

    @property
    def text(self) -> str:
        """What was sent, when it looks as if we had sent it."""
        if self.func_name == self.origin and not self.kwargs and len(self.args) == 1 and isinstance(self.args[0], str):
            return self.args[0]
        raise MessageUnreadable(f"{self.id}: is no message of ours")

    def _execute(self) -> None:
        try:
            self.act(self.text)
        except Exception as error:
            self.undelivered = isinstance(error, Undelivered)
            log.error("%s: %s: %s", self.id, type(error).__name__, error)  # noqa: TRY400  RQ keeps the traceback
            raise


class Line(rq.Queue):
    """The messages for one kind of worker, in their order."""

    def __init__(self, kind: Kind, connection: Any) -> None:
        super().__init__(f"assay-{kind}", connection, job_class=Order, serializer=JSONSerializer)
        self.taken_key = IntermediateQueue.get_intermediate_queue_key(self.key)

    def send(self, name: str, text: str, *, at_front: bool = False) -> None:
        message = self.create_job(
            self.name, args=(text,), job_id=name, description=name, timeout=-1, result_ttl=0,
            failure_ttl=FAILED_SECONDS, ttl=WAITING_SECONDS,
        )  # fmt: skip
        self.enqueue_job(message, at_front=at_front)

    def take(self) -> Any:
        """The next message, when there is one before long. RQ's own way falls over one that cannot be read."""
        name = self.connection.blmove(self.key, self.taken_key, IDLE_SECONDS)
        if name is None:
            return None
        try:
            return Order.fetch(_text(name), self.connection, JSONSerializer)
        except (RedisError, StopRequested):
            raise
        except Exception as error:  # noqa: BLE001  whoever wrote that, it was not us
            log.warning("queue: %s: a message that cannot be read: %s", self.name, type(error).__name__)
            self.connection.lrem(self.taken_key, 0, _text(name))
            return None

    def taken(self) -> set[str]:
        """Messages that a worker has taken and not begun."""
        return {_text(name) for name in self.connection.lrange(self.taken_key, 0, -1)}

    def begun(self) -> set[str]:
        return {entry.rpartition(":")[0] for entry in self._executions()}

    def erase(self, name: str, *, put_back: bool = False, failed: bool = False) -> None:
        """Remove all that is known of a message. RQ's own way fails on what a killed worker left.

        `put_back`: and let it wait again, before all others; `failed`: and keep that as its end.
        """
        put_back = put_back and bool(self.connection.hexists(Job.key_for(name), "data"))
        executions = [entry for entry in self._executions() if entry.rpartition(":")[0] == name]
        with self.connection.pipeline() as pipeline:
            pipeline.lrem(self.key, 0, name)
            pipeline.lrem(self.taken_key, 0, name)
            if executions:
                pipeline.zrem(self.started_job_registry.key, *executions)
            pipeline.zrem(self.failed_job_registry.key, name)
            pipeline.delete(f"rq:executions:{name}", alive_key(name))
            if put_back or failed:
                pipeline.hset(Job.key_for(name), "status", JobStatus.FAILED if failed else JobStatus.QUEUED)
                pipeline.expire(Job.key_for(name), FAILED_SECONDS if failed else WAITING_SECONDS)
            else:
                pipeline.delete(Job.key_for(name))
            if put_back:
                pipeline.lpush(self.key, name)
            pipeline.execute()

    def _executions(self) -> list[str]:
        """`message:execution` of all that was begun."""
        return [_text(entry) for entry in self.connection.zrange(self.started_job_registry.key, 0, -1)]


def alive_key(name: str) -> str:
    """What a worker sets again and again while it is at work on a message."""
    return f"assay:alive:{name}"


def forgotten_key(name: str) -> str:
    return f"assay:forgotten:{name}"


def rung_key(name: str) -> str:
    """That somebody has rung for it."""
    return f"assay:rung:{name}"


def said_key(name: str) -> str:
    """What a check has printed so far."""
    return f"assay:said:{name}"


def _grading(grading: str, fence: int) -> str:
    return f"{grading}-{fence}"


def check_name(check: str, fence: int) -> str:
    return f"check-{check}-{fence}"


def form_name(form: str, fence: int) -> str:
    return f"form-{form}-{fence}"


NAMES: Final = {"grading": _grading, "check": check_name, "form": form_name}  # of messages, by what they are about


def _name(message: Asked | Answered) -> str:
    match message:
        case CheckRequest() | CheckReport():
            return check_name(message.check, message.fence)
        case FormRequest() | FormReport():
            return form_name(message.form, message.fence)
        case _:
            return _grading(message.grading, message.fence)


def _recording(name: str) -> str:
    return f"record-{name}"


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


# ------------------------------------------------------------------------------------------------------- who speaks


@dataclass(frozen=True, slots=True)
class Heard:
    """What the queue knows of a check while somebody waits for it."""

    sign: Sign
    position: int | None  # in the line, from 1; None: nobody is before it, or it is not in the line
    said: bytes  # a stranger's


class Doorbell(Bell):
    """The queue, as the clock, the portal and the operator use it. Each of its words fails fast."""

    def __init__(self, connection: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = connection
        self._clock = clock
        self._between: dict[str, float] = {}  # messages that were seen nowhere, and since when

    def ring(self, request: GradingRequest, *, at_front: bool = False) -> None:
        name = _grading(request.grading, request.fence)
        with self._reached():
            Line(Kind.GRADING, self._redis).send(name, request.to_json(), at_front=at_front)

    def look(self, tries: Sequence[Try]) -> dict[Try, Sign]:
        signs = self.look_for(Kind.GRADING, [_grading(*one) for one in tries])
        return {one: signs[_grading(*one)] for one in tries}

    def ask(self, request: CheckRequest | FormRequest, *, at_front: bool = False) -> None:
        """Ring for a check or for a form: each has a line of its own.

        Once for each fence: who presses Run twice would otherwise have two workers at it.
        """
        kind, name = Kind.CHECKS if isinstance(request, CheckRequest) else Kind.FORMS, _name(request)
        with self._reached():
            if self._redis.set(rung_key(name), 1, nx=True, ex=FORGOTTEN_SECONDS):
                Line(kind, self._redis).send(name, request.to_json(), at_front=at_front)

    def look_for(self, kind: Kind, names: Sequence[str]) -> dict[str, Sign]:
        """A sign for each of these messages."""
        with self._reached(), self._redis.pipeline(transaction=True) as pipeline:
            self._ask_about(pipeline, kind, names)
            waiting, *facts = pipeline.execute()
        return self._signs(names, [_text(name) for name in waiting], facts)

    def listen(self, name: str) -> Heard:
        """How it stands with one check, and what it has printed."""
        with self._reached(), self._redis.pipeline(transaction=True) as pipeline:
            self._ask_about(pipeline, Kind.CHECKS, [name])
            pipeline.getrange(said_key(name), 0, LONGEST_OUTPUT - 1)
            waiting, *facts, said = pipeline.execute()
        waiting = [_text(one) for one in waiting]
        position = 1 + waiting.index(name) if name in waiting else None
        return Heard(self._signs([name], waiting, facts)[name], position, said)

    def _ask_about(self, pipeline: Any, kind: Kind, names: Iterable[str]) -> None:
        pipeline.lrange(Line(kind, self._redis).key, 0, -1)
        for name in names:
            pipeline.exists(alive_key(name))
            pipeline.hget(Job.key_for(name), "status")
            pipeline.hget(Job.key_for(_recording(name)), "status")

    def _signs(self, names: Sequence[str], waiting: Sequence[str], facts: Sequence[Any]) -> dict[str, Sign]:
        in_line = set(waiting)
        known = zip(names, facts[0::3], facts[1::3], facts[2::3], strict=True)
        signs = {
            name: self._sign(name, name in in_line, alive, _text(status), _text(recording))
            for name, alive, status, recording in known
        }
        self._between = {name: since for name, since in self._between.items() if self._clock() - since < 60}
        return signs

    def _sign(self, name: str, waiting: bool, alive: int, grading: str, recording: str) -> Sign:
        if recording in (JobStatus.QUEUED, JobStatus.STARTED):
            return Sign.REPORTED
        if alive:
            return Sign.ALIVE
        if waiting:
            return Sign.QUEUED
        if grading == JobStatus.QUEUED:
            # A worker takes it in this moment, or was killed right after it did.
            since = self._between.setdefault(name, self._clock())
            return Sign.QUEUED if self._clock() - since < BETWEEN_SECONDS else Sign.LOST
        # It failed; or it was begun, and nobody is there who does it.
        return Sign.DIED if grading or recording else Sign.LOST

    def workers(self, kind: Kind = Kind.GRADING) -> int:
        """One that was killed counts for some seconds more."""
        with self._reached():
            line = Line(kind, self._redis)
            clean_worker_registry(line)
            return len(get_keys(line))

    def forget(self, grading: str, fence: int) -> None:
        """A worker that has begun stops, too."""
        self.forget_one(Kind.GRADING, _grading(grading, fence))

    def forget_one(self, kind: Kind, name: str) -> None:
        with self._reached():
            self._redis.set(forgotten_key(name), 1, ex=FORGOTTEN_SECONDS)
            Line(kind, self._redis).erase(name)

    def note_turn(self, at: str) -> None:
        """Leave word that the clock turned, for whoever asks whether it does."""
        with self._reached():
            self._redis.set(LAST_TURN, at, ex=LAST_TURN_SECONDS)

    def last_turn(self) -> str | None:
        """When the clock last turned; None when that is more than a minute ago."""
        with self._reached():
            return _text(self._redis.get(LAST_TURN)) or None

    def count(self, key: str, seconds: int) -> int:
        """How often this was counted, with this time. What is counted is forgotten so many seconds after the last."""
        name = f"assay:count:{key}"
        with self._reached(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.incr(name)
            pipeline.expire(name, seconds)
            counted, _ = pipeline.execute()
        return int(counted)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise QueueUnavailable(f"queue: {place(self._redis)}: {error}") from error


class Live:
    """Hands on what a check prints, while it prints it: as much as fits, and to whoever looks within some minutes.

    In a thread, because the room is not read while somebody is listening; and a queue that is away costs nothing but
    the sight of it.
    """

    def __init__(self, connection: Any, name: str) -> None:
        self._redis = connection
        self._key = said_key(name)
        self._new = bytearray()
        self._left = LONGEST_OUTPUT
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> "Live":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def hear(self, piece: bytes) -> None:
        with self._lock:
            kept = piece[: self._left]
            self._left -= len(kept)
            self._new += kept

    def _go_on(self) -> None:
        try:
            self._redis.delete(self._key)  # of a worker that was told to stop, and gave this check back
            while not self._over.wait(FLUSH_SECONDS):
                self._tell()
            self._tell()
        except RedisError as error:
            log.warning("queue: %s: %s; nobody sees what the check prints", place(self._redis), error)

    def _tell(self) -> None:
        with self._lock:
            piece, self._new = bytes(self._new), bytearray()
        if piece:
            with self._redis.pipeline() as pipeline:
                pipeline.append(self._key, piece)
                pipeline.expire(self._key, SAID_SECONDS)
                pipeline.execute()


def answered(perform: Callable[[str], str], excuse: Callable[[str, str], Answered], connection: Any) -> Act:
    """What a worker does with a request: perform it, and send the report on to be recorded.

    This is the queue's edge: what nobody foresaw becomes the operator's failure, and a person is told.
    """

    def act(text: str) -> None:
        try:
            answer = perform(text)
        except Exception as error:
            report = excuse(text, f"worker: {type(error).__name__}: {error}"[:4000])
            log.exception("%s: the worker itself failed", _name(report))
            answer = report.to_json()
        told = json.loads(answer)
        subject = _subject(told)
        name = _recording(NAMES[subject](told[subject], told["fence"]))
        try:
            Line(Kind.RECORDING, connection).send(name, answer)
        except RedisError as error:
            raise Undelivered(f"{place(connection)}: {error}") from error

    return act


def graded(perform: Callable[[str], str], connection: Any) -> Act:
    """What a grading worker does."""
    return answered(perform, _not_graded, connection)


def checked(perform: Callable[[str, Callable[[bytes], object]], str], connection: Any) -> Act:
    """What a checking worker does: whoever waits sees what is printed as it comes."""

    def speak(text: str) -> str:
        with Live(connection, _name(CheckRequest.from_json(text))) as live:
            return perform(text, live.hear)

    return answered(speak, excuse, connection)


def formed(perform: Callable[[str], str], connection: Any) -> Act:
    """What a forming worker does."""
    return answered(perform, excuse, connection)


def _not_graded(text: str, why: str) -> Answered:
    return excuse(GradingRequest.from_json(text).to_json(), why)


def excuse(text: str, why: str) -> Answered:
    """A report that it failed by our own fault, if the message says at least what it is about."""
    told: Any = json.loads(text)
    failure = Failure(fault_of=Fault.OPERATOR, message=why)
    match _subject(told):
        case "check":
            return CheckReport(check=told["check"], fence=told["fence"], failure=failure)
        case "form":
            return FormReport(form=told["form"], fence=told["fence"], failure=failure)
    return GradingReport(grading=told["grading"], fence=told["fence"], failure=failure)


def read_report(text: str) -> Answered:
    """The report that this is. MessageUnreadable when it is none of ours."""
    try:
        subject = _subject(json.loads(text))
    except (ValueError, TypeError):
        subject = ""
    match subject:
        case "check":
            return CheckReport.from_json(text)
        case "form":
            return FormReport.from_json(text)
    return GradingReport.from_json(text)


def _subject(told: Any) -> str:
    """What a message is about. A grading's has a form, too."""
    return next((subject for subject in NAMES if subject in told), "")


def recorded(record: Callable[[str], object], refuse: Callable[[str, str], object]) -> Act:
    """What a recording worker does with a report. One that cannot be written down is refused, with the reason."""

    def act(text: str) -> None:
        try:
            record(text)
        except Exception as error:
            log.exception("a report could not be recorded")
            refuse(text, f"recording worker: {type(error).__name__}: {error}"[:4000])

    return act
