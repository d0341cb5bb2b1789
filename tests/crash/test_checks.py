"""Whatever is killed while a candidate waits for a check: it comes to its end, or the candidate gets the time back."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from benchmarks.rig import QUEUE, signal_one, until
from tests.crash.plant import Plant
from tests.web.worker_process import gone
from web import challenges, checks, work
from web.database import now
from web.models import AddedTime, Attempt, AttemptKind, Check, CheckState, Form, FormState, new_id
from web.queue import Doorbell, Kind, Line, check_name

pytestmark = [pytest.mark.docker, pytest.mark.crash]

QUICK = "print('well')"
SLOW = "import time; print('begun', flush=True); time.sleep(4); print('over')"


@pytest.fixture(autouse=True)
def workers(assay: Plant) -> Iterator[None]:
    assay.start("checks-1", "forms-1")
    yield
    assay.stop("checks-1", "forms-1")


def begin(assay: Plant, program: str) -> str:
    """Somebody at work on this: the id of the attempt."""
    with assay.database.transaction() as session:
        version = challenges.newest(session, "plain")
        assert version is not None
        at = now(session)
        form = Form(
            id=new_id(), challenge_digest=version.digest, reference=new_id(), state=FormState.ISSUED, created_at=at
        )
        session.add(form)
        session.flush()
        attempt = Attempt(
            id=new_id(), kind=AttemptKind.REHEARSAL, challenge_digest=version.digest, form_id=form.id, minutes=60,
            multiplier=1.0, started_at=at, ends_at=at + timedelta(hours=1), created_at=at,
        )  # fmt: skip
        session.add(attempt)
        session.flush()
        work.begin(session, attempt, {"main.py": program.encode()})
    return attempt.id


def press(assay: Plant, program: str) -> Check:
    attempt_id = begin(assay, program)
    with assay.database.reading() as session:
        arrived = now(session)
    check = checks.ask(assay.database, assay.store, attempt_id, arrived)
    assert checks.ring(assay.database, bell(assay), check)
    return check


def bell(assay: Plant) -> Doorbell:
    return Doorbell(assay.connection)


def row(assay: Plant, check: Check) -> Check:
    with assay.database.reading() as session:
        return session.get_one(Check, check.id)


def said(assay: Plant, check: Check) -> bytes:
    found = row(assay, check)
    return bell(assay).listen(check_name(found.id, found.fence)).said


def speaks(assay: Plant, check: Check, fence: int) -> bool:
    return row(assay, check).fence == fence and bool(said(assay, check))


def ended(assay: Plant, check: Check) -> Check:
    until(lambda: row(assay, check).ended_at, "the end of a check")
    return row(assay, check)


def given_back(assay: Plant, check: Check) -> float:
    with assay.database.reading() as session:
        found = session.scalars(select(AddedTime.seconds).where(AddedTime.attempt_id == check.attempt_id))
        return sum(found)


def test_a_check_whose_worker_is_killed_is_run_again(assay: Plant) -> None:
    check = press(assay, SLOW)
    until(lambda: said(assay, check), "its first word")
    horse = assay.horse("checks-1")
    assay.kill("checks-1")
    until(lambda: gone(horse), "the end of a horse without its parent", 5)
    assay.start("checks-1")
    found = ended(assay, check)
    assert (found.state, found.output, found.tries, found.fence) == (CheckState.DONE, "begun\nover\n", 1, 2)


def test_a_check_whose_horse_dies_twice_has_failed_and_all_the_time_is_given_back(assay: Plant) -> None:
    check = press(assay, SLOW)
    for fence in (1, 2):
        until(partial(speaks, assay, check, fence), "its first word")
        signal_one(assay.horse("checks-1"))
    found = ended(assay, check)
    assert (found.state, found.tries) == (CheckState.FAILED, 2)
    assert found.ended_at is not None
    lost = (found.ended_at - found.asked_at).total_seconds()
    assert lost <= given_back(assay, check) <= lost + 1
    again = press(assay, QUICK)  # and the worker is as good as new
    assert ended(assay, again).output == "well\n"


def test_a_queue_that_forgets_all_loses_no_check_and_nobody_is_to_blame(assay: Plant) -> None:
    running, waiting = press(assay, SLOW), press(assay, QUICK)
    until(lambda: said(assay, running), "its first word")
    assay.lose_the_queue()
    assay.start(QUEUE)
    found = [ended(assay, check) for check in (running, waiting)]
    assert [(one.state, one.tries) for one in found] == [(CheckState.DONE, 0)] * 2


def test_a_press_while_the_queue_is_away_is_rung_for_when_it_is_back(assay: Plant) -> None:
    attempt_id = begin(assay, QUICK)
    assay.kill(QUEUE)
    with assay.database.reading() as session:
        arrived = now(session)
    check = checks.ask(assay.database, assay.store, attempt_id, arrived)
    assert not checks.ring(assay.database, bell(assay), check)
    assay.start(QUEUE)
    assert ended(assay, check).state is CheckState.DONE


def test_a_check_needs_no_clock_and_its_report_waits_for_a_recorder(assay: Plant) -> None:
    assay.kill("clock", "recording")
    check = press(assay, QUICK)
    until(lambda: Line(Kind.RECORDING, assay.connection).count, "its report in the queue")
    assert row(assay, check).ended_at is None
    assay.start("recording")
    assert ended(assay, check).state is CheckState.DONE


def test_forms_are_made_whoever_is_killed(assay: Plant) -> None:
    with assay.database.transaction() as session:
        for form in session.scalars(select(Form).where(Form.state == FormState.POOL)):
            form.state = FormState.RETIRED
    assay.kill("forms-1")
    assay.restart("clock")
    assay.lose_the_queue()
    assay.start(QUEUE)
    assay.start("forms-1")

    def ready() -> bool:
        with assay.database.reading() as session:
            return len(session.scalars(select(Form.id).where(Form.state == FormState.POOL)).all()) >= 2

    until(ready, "two forms in the pool")
