"""The worker processes: what each is made of, from its settings. `assay worker KIND` runs one."""

import logging
import math
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy.orm import Session

from graders.checking import CheckingWorker
from graders.contract import CheckReport, FormReport
from graders.forming import FormingWorker
from graders.settings import GradersSettings
from graders.worker import GradingWorker
from sandbox import SandboxUnavailable
from sandbox.container import Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings
from sandbox.trust import Trust
from web import __version__, checks, forms, gradings, outages
from web.clock import Trouble, keep_turning
from web.closing import Closing
from web.database import Database, DatabaseUnavailable, connect
from web.errors import one_line
from web.gradings import Outcome, Recorded
from web.horse import Worker
from web.portal import read_receipt_key
from web.postman import Postman, way_of
from web.queue import (
    Act,
    Answered,
    Doorbell,
    Kind,
    checked,
    excuse,
    formed,
    graded,
    reach,
    read_report,
    recorded,
)
from web.receipts import Signer
from web.rehearsals import warm_up
from web.relay import Relay
from web.settings import DatabaseSettings, GradingSettings, MailSettings, PortalSettings, QueueSettings, TreeSettings
from web.submissions import Desk
from web.trees import form_token, secret_of, store_of, token_for

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 20  # that a worker says the same word to Redis again, before what it does is lost
SWEEP_SECONDS: Final = 15.0
UNFIT_SECONDS: Final = 5.0  # until an engine that was away is looked for again
LEAST_FREE_MB: Final = 8  # of the state's disk, to begin a grading
LONGEST_PAUSE: Final = 5.0  # between two tries to record a report while the database is away
LEVELS: Final = {Outcome.FAILED: logging.ERROR, Outcome.GRADED: logging.INFO, Outcome.DONE: logging.INFO}


def grade(ready: Callable[[], object]) -> None:
    """The grading worker. It holds Docker, challenges and the instance secret, and no database."""
    rooms, queue = SandboxSettings(), QueueSettings()
    worker = GradingWorker(GradersSettings(), rooms, __version__)
    host = Host(rooms)
    host.begin()
    connection = reach(queue, rooms.state, patience=PATIENCE_SECONDS)
    act = graded(worker.perform, connection)
    Worker(Kind.GRADING, act, connection, drain_seconds=queue.drain_seconds, fit=host.is_fit).run(ready)


def run_checks(ready: Callable[[], object]) -> None:
    """The checking worker. It holds Docker; neither challenges nor the instance secret, and no database."""
    rooms, queue = SandboxSettings(), QueueSettings()
    worker = CheckingWorker(GradersSettings(), rooms)
    host = Host(rooms)
    host.begin()
    connection = reach(queue, rooms.state, patience=PATIENCE_SECONDS)
    act = checked(worker.perform, connection)
    Worker(Kind.CHECKS, act, connection, drain_seconds=queue.drain_seconds, fit=host.is_fit).run(ready)


def make_forms(ready: Callable[[], object]) -> None:
    """The forming worker. It holds challenges and the instance secret; neither Docker nor a database."""
    settings, queue = GradersSettings(), QueueSettings()
    act_on = FormingWorker(settings).perform
    connection = reach(queue, settings.state, patience=PATIENCE_SECONDS)
    Worker(Kind.FORMS, formed(act_on, connection), connection, drain_seconds=queue.drain_seconds).run(ready)


def record_reports(ready: Callable[[], object]) -> None:
    """The recording worker. It holds the database, and no Docker."""
    where, queue = DatabaseSettings(), QueueSettings()
    settings, database = GradingSettings(), connect(where)
    act = recorder(database, settings)
    warm_up(database, settings)
    connection = reach(queue, where.state, patience=PATIENCE_SECONDS)
    Worker(Kind.RECORDING, act, connection, drain_seconds=queue.drain_seconds).run(ready)


def keep_time(ready: Callable[[], object]) -> None:
    """The clock. It holds database, queue and trees, and what signs receipts: at zero it hands in for the candidate.
    It sends the letters, too."""
    where, queue, portal = DatabaseSettings(), QueueSettings(), PortalSettings()
    database, bell = connect(where), Doorbell(reach(queue, where.state))
    secret = secret_of(TreeSettings())
    token = partial(token_for, secret=secret)
    watch = checks.Watch(database, bell, token)
    pool = forms.Pool(database, bell, queue.forms_ready, partial(form_token, secret=secret))
    desk = Desk(store_of(TreeSettings(), where.state), Signer(read_receipt_key(portal, where)), portal.public_url)
    closing = Closing(database, desk, outages.Watch(database))
    postman = Postman(database, way_of(MailSettings()))
    parts = (closing.turn, watch.turn, pool.turn, postman.turn)
    try:
        keep_turning(Relay(database, bell, GradingSettings(), token_for=token), bell, ready, parts)
    finally:
        postman.stop()


class Host:
    """This machine, as long as it keeps the sandbox's promise: a worker that takes no work cannot fail at it."""

    def __init__(self, rooms: SandboxSettings) -> None:
        self._rooms = rooms
        self._trust = Trust(rooms)
        self._look_at = -math.inf
        self._trouble = ""

    def begin(self) -> None:
        """Raises SandboxUnavailable when nothing can be graded here."""
        if self._trust.prove():
            log.info("the sandbox keeps its promise on this host")
        self._sweep()

    def is_fit(self) -> bool:
        """Asked between two gradings. Now and then it removes what crashes left, and proves the limits anew."""
        if time.monotonic() < self._look_at:
            return not self._trouble
        self._look_at = time.monotonic() + SWEEP_SECONDS
        try:
            self._look_at_disk()
            self._sweep()
            self._trust.prove()
        except SandboxUnavailable as error:
            self._look_at = time.monotonic() + UNFIT_SECONDS
            if not self._trouble:
                log.error("takes no work until this is mended: %s", error)  # noqa: TRY400  a sentence says it
            self._trouble = str(error)
            return False
        if self._trouble:
            log.info("takes work again")
        self._trouble = ""
        return True

    def _look_at_disk(self) -> None:
        """The doctor asks for more, and is believed for an hour, in which a disk can fill."""
        free = shutil.disk_usage(self._rooms.state).free >> 20
        if free < LEAST_FREE_MB:
            raise SandboxUnavailable(f"disk of {self._rooms.state}: {free} MB are free: make room")

    def _sweep(self) -> None:
        with Engine(self._rooms) as engine:
            sandbox = DockerSandbox(engine, pinned(self._rooms, "python"), self._rooms, Owner(kind="sweep"))
            for container in sandbox.sweep():
                log.warning("removed a room that a crash had left: %s", container[:12])


def recorder(database: Database, settings: GradingSettings) -> Act:
    """What a recording worker does with a report: it is written down, however long the database is away."""

    def write(report: Answered) -> None:
        trouble, pause = Trouble(), 0.1
        while True:
            try:
                with database.transaction() as session:
                    done = _record(session, report, settings)
                break
            except DatabaseUnavailable as error:
                trouble.note(str(error))
                time.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
        level = LEVELS.get(done.outcome, logging.WARNING)
        log.log(level, "%s", done.sentence)

    def refuse(text: str, why: str) -> None:
        """The operator's failure of what it names; if it names nothing, only the log knows of it."""
        write(excuse(text, why))

    return recorded(lambda text: write(read_report(text)), refuse)


def _record(session: Session, report: Answered, settings: GradingSettings) -> Recorded:
    match report:
        case CheckReport():
            return checks.record(session, report)
        case FormReport():
            return forms.record(session, report)
    return gradings.record(session, report, settings)


class OneLine(logging.Formatter):
    """A traceback, or what a candidate had printed, must not look like lines of ours."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record))


def log_in_lines() -> None:
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[lines], force=True)
    logging.captureWarnings(True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
