"""A worker: takes messages of one kind from the queue and acts on them.

It is two processes. The parent takes a message and says every two seconds that somebody is at work on it; its child,
the horse, does the work. The horse dies with its parent, so a parent that is killed leaves nothing running; and one
that hangs in a system call is still spoken for, until the clock forgets its message or a person stops the worker.
"""

import gc
import logging
import math
import os
import select
import signal
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Final, NoReturn

import rq
from redis.exceptions import RedisError
from rq.exceptions import DeserializationError, StopRequested
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.utils import now
from rq.worker_registration import register, unregister

from graders.contract import GradingRequest, MessageUnreadable
from web.lifeline import tied_to_me
from web.queue import IDLE_SECONDS, Act, Kind, Line, Order, alive_key, forgotten_key, place, unreachable

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 2  # between two signs of life of a worker that is at work
PRESENCE_SECONDS: Final = 15  # after the last word of a worker it no longer counts
RECORDING_LEASE: Final = 6  # seconds without a sign of life until a report is taken from its recorder
LEASES: Final = {Kind.CHECKS: 8, Kind.FORMS: 8}  # and until another worker is asked; a grading's says its own
RECORDERS_AT_MOST: Final = 3  # that one report may cost
UNFIT_SECONDS: Final = 1.0
FAILED: Final = 2  # exit code of a horse that failed, and has noted it
HANDED_BACK: Final = 75  # of one that could not hand its report in


class NoPenalty(BaseDeathPenalty):
    """Limits of time belong to the room and to the clock. RQ's alarm would go off anywhere in our own code."""

    def setup_death_penalty(self) -> None: ...

    def cancel_death_penalty(self) -> None: ...


class Worker(rq.Worker):
    """Works on one line of messages until it is told to stop.

    One only: when RQ takes from two, it loses a message if the worker is killed right then.
    """

    job_class = Order
    death_penalty_class = NoPenalty

    def __init__(
        self,
        kind: Kind,
        act: Act,
        connection: Any,
        *,
        drain_seconds: float = 60,
        fit: Callable[[], bool] = lambda: True,
    ) -> None:
        logging.getLogger("rq.worker").setLevel(logging.CRITICAL)  # what is worth a line is said here
        self.kind = kind
        self.line = Line(kind, connection)
        self._act = act
        self._drain_seconds = drain_seconds
        self._fit = fit  # asked now and then, when no message is at work: may another one be taken?
        self._stop_at: float | None = None  # told to stop: from then on a horse that still runs is killed
        self._at_work = False
        self._kept_up = -math.inf
        self._lease = RECORDING_LEASE
        self._unowned: set[str] = set()
        self._given_back: dict[str, bool] = {}  # messages that were not finished, and whether they are still wanted
        name = f"{kind}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        try:
            super().__init__(
                [self.line], name, connection=connection, serializer=JSONSerializer, worker_ttl=IDLE_SECONDS + 15
            )
        except RedisError as error:
            raise unreachable(connection, error) from None

    def run(self, ready: Callable[[], object] = bool) -> None:
        """`ready` is called once, when it takes messages. Redis may go away and come back meanwhile."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._told_to_stop)
        gc.collect()
        gc.freeze()  # what is loaded by now is shared with each horse, and never copied for the collector's marks
        self.birth_date = self.last_heartbeat = now()
        with suppress(StopRequested):
            self._work_on(ready)
        self._at_work = True  # another signal must not interrupt the farewell
        try:
            self._give_back()
            with self.connection.pipeline() as pipeline:
                unregister(self, pipeline)
                pipeline.delete(self.key)
                pipeline.execute()
        except RedisError as error:
            log.warning("queue: %s: %s", place(self.connection), error)

    def _work_on(self, ready: Callable[[], object]) -> None:
        """StopRequested may strike wherever nothing is at work, also while the queue is away."""
        away = 0.0
        while self._stop_at is None:
            try:
                self._say_that_i_am_there()
                self._give_back()
                ready()
                ready, away = bool, 0.0
                if not self._keep_up():
                    time.sleep(UNFIT_SECONDS)
                elif order := self.line.take():
                    self.execute_job(order, self.line)
            except RedisError as error:
                if not away:
                    log.warning("queue: %s: %s; trying until it answers", place(self.connection), error)
                away = min(1.0, 2 * away + 0.1)
                time.sleep(away)

    def _told_to_stop(self, number: int, _: FrameType | None) -> None:
        """Once: finish what is at work. Twice: at once."""
        hurried = self._stop_at is not None
        self._stop_at = time.monotonic() + (0 if hurried else self._drain_seconds)
        if self._horse_pid:
            log.info("%s: stopping %s", signal.Signals(number).name, "at once" if hurried else "when this is done")
            if hurried:
                self.kill_horse()
        if not self._at_work:
            raise StopRequested

    def _say_that_i_am_there(self) -> None:
        with self.connection.pipeline() as pipeline:
            register(self, pipeline)
            pipeline.hset(self.key, mapping=self.serialize())
            self.heartbeat(pipeline=pipeline)
            pipeline.execute()

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """RQ would let a dead worker look alive for a minute and more."""
        super().heartbeat(min(timeout or PRESENCE_SECONDS, PRESENCE_SECONDS), pipeline)

    def _give_back(self) -> None:
        """Let another worker have what was not finished here: that is nobody's failed try."""
        for name, wanted in list(self._given_back.items()):
            self.line.erase(name, put_back=wanted)
            del self._given_back[name]

    # ------------------------------------------------------------------------------------------------- one message

    def execute_job(self, job: Any, queue: rq.Queue) -> None:
        """Give the message to a horse, and stay until that has ended."""
        self._at_work = True
        try:
            self._lease = self._lease_of(job)
            self._beat(job.id)
            self.prepare_execution(job)
            self._tie = tied_to_me()
            self.fork_work_horse(job, queue)
            self.monitor_work_horse(job, queue)
        finally:
            self._at_work = False

    def _lease_of(self, job: Any) -> int:
        try:
            if self.kind is Kind.GRADING:
                return max(1, round(GradingRequest.from_json(job.text).lease_seconds))
        except (MessageUnreadable, DeserializationError):
            log.warning("%s: is no message of ours", job.id)
        return LEASES.get(self.kind, RECORDING_LEASE)

    def _beat(self, name: str) -> bool:
        """Say that it is being done. False: nobody waits for it any more."""
        with self.connection.pipeline() as pipeline:
            pipeline.exists(forgotten_key(name))
            pipeline.set(alive_key(name), self.name, ex=self._lease)
            register(self, pipeline)
            self.heartbeat(pipeline=pipeline)
            return not pipeline.execute()[0]

    def monitor_work_horse(self, job: Any, queue: rq.Queue) -> None:
        """RQ's own way ends with the first word that Redis does not answer, and then the horse ends too."""
        wanted, ended_by_us = True, False
        horse = os.pidfd_open(self._horse_pid)
        try:
            while not select.select([horse], [], [], BEAT_SECONDS)[0]:
                try:
                    wanted = self._beat(job.id)
                except RedisError as error:
                    log.warning("queue: %s: %s; %s goes on", place(self.connection), error, job.id)
                late = self._stop_at is not None and time.monotonic() > self._stop_at
                if late or not wanted:
                    log.warning("%s: stopped: %s", job.id, "the worker has to end" if late else "nobody waits for it")
                    ended_by_us = True
                    self.kill_horse()
        finally:
            os.close(horse)
        with suppress(ProcessLookupError):  # not waited for yet, so its number is nobody else's
            os.killpg(self._horse_pid, signal.SIGKILL)  # what a grader started and left running
        _, status, _ = self.wait_for_horse()
        self._horse_pid = 0
        code = os.waitstatus_to_exitcode(status or 0)
        hurried = code == -signal.SIGKILL and self._stop_at is not None
        if ended_by_us or hurried or code == HANDED_BACK:
            self._given_back[job.id] = wanted
            return
        if code not in (0, FAILED):
            log.warning("%s: its process ended with %s", job.id, f"signal {-code}" if code < 0 else f"code {code}")
            job.started_at = job.ended_at = now()
            self.handle_job_failure(job, queue, exc_string=f"ended with {code}")
        self.connection.delete(alive_key(job.id))

    def main_work_horse(self, job: Any, queue: rq.Queue) -> NoReturn:
        status = 1
        try:
            self._tie()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal speaks to the parent, which decides
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._is_horse = True
            job.act = self._act
            status = 0 if self.perform_job(job, queue) else FAILED
        finally:
            os._exit(HANDED_BACK if job.undelivered else status)

    # ---------------------------------------------------------------------------------------------- what others left

    def _keep_up(self) -> bool:
        """Between two messages: see to what killed recorders left. False: no message may be taken now."""
        if time.monotonic() - self._kept_up < IDLE_SECONDS:
            return True
        if not self._fit():
            return False
        self._kept_up = time.monotonic()
        self.line.failed_job_registry.cleanup()
        if self.kind is Kind.RECORDING:  # all others need a new fence: the clock sees to those
            self._adopt()
        return True

    def _adopt(self) -> None:
        """Reports whose recorder was killed."""
        taken, begun = self.line.taken(), self.line.begun()
        unowned = {name for name in taken | begun if not self.connection.exists(alive_key(name))}
        for name in unowned & (begun | self._unowned):  # one that was only taken may be on its way to a recorder
            self._record_again(name)
        self._unowned = unowned

    def _record_again(self, name: str) -> None:
        """The report is still here, and recording it again costs less than grading again."""
        times = self.connection.hincrby(Order.key_for(name), "recorders", 1)
        if not self.connection.hexists(Order.key_for(name), "data"):
            self.line.erase(name)
        elif times >= RECORDERS_AT_MOST:
            log.error("%s: has ended %s recorders; its grading counts as a failed try", name, times)
            self.line.erase(name, failed=True)
        else:
            log.warning("%s: its recorder is gone; recorded again", name)
            self.line.erase(name, put_back=True)
