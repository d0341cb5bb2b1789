"""The database goes away while reports come, or is held by somebody else."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.rig import signal_one, until
from tests.crash.plant import Plant, Work, plant
from tests.web.postgres_server import PostgresServer, running_postgres
from web.database import DatabaseUnavailable, lock
from web.models import Grading

pytestmark = [pytest.mark.docker, pytest.mark.crash]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def running_on_postgres(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    state = tmp_path_factory.mktemp("on-postgres") / "state"
    with plant(state, {"ASSAY_DATABASE_URL": postgres.address}) as running:
        yield running


@pytest.fixture
def on_postgres(running_on_postgres: Plant) -> Iterator[Plant]:
    yield running_on_postgres
    running_on_postgres.mend()
    running_on_postgres.assert_nothing_is_lost()


@pytest.mark.postgres
def test_reports_are_recorded_when_the_database_is_back(on_postgres: Plant, postgres: PostgresServer) -> None:
    slow = on_postgres.accept(Work.SLOW, 2)
    on_postgres.accept(Work.RIGHT, 6)
    until(lambda: all(on_postgres.in_room(submission) for submission in slow), "a room for each")
    postgres.stop()
    with pytest.raises(DatabaseUnavailable):
        on_postgres.accept_one()  # no receipt: nobody believes that it was accepted
    until(lambda: on_postgres.children("recording"), "a report that cannot be recorded")
    postgres.start()
    on_postgres.drain()
    told = [on_postgres.grading(submission) for submission in slow]
    assert {(grading.fence, grading.tries) for grading in told} == {(1, 0)}


@pytest.mark.postgres
def test_the_database_is_killed_between_any_two_words(on_postgres: Plant, postgres: PostgresServer) -> None:
    for _ in range(3):
        on_postgres.accept(Work.RIGHT, 4)
        done = on_postgres.unfinished() - 2
        until(lambda done=done: on_postgres.unfinished() <= done, "some of them: an end")  # type: ignore[misc]
        postgres.stop()
        postgres.start()
    on_postgres.drain()


@pytest.mark.postgres
def test_two_clocks_and_two_recorders_share_the_work(on_postgres: Plant) -> None:
    on_postgres.start("clock-2", "recording-2")
    held = on_postgres.accept_one(Work.SLOW)  # not done before we hold its row
    with on_postgres.database.transaction() as session:  # which both want and neither gets
        session.get(Grading, on_postgres.grading(held).id, with_for_update=True)
        others = on_postgres.accept(Work.RIGHT, 10) + on_postgres.accept(Work.WRONG, 6)
        until(lambda: on_postgres.unfinished() == 1, "all others: an end")
        assert not on_postgres.is_graded(held)
    on_postgres.drain()
    on_postgres.stop("clock-2", "recording-2")
    told = [on_postgres.grading(submission) for submission in others]
    assert {(grading.fence, grading.tries, grading.late_reports) for grading in told} == {(1, 0, 0)}


@pytest.mark.postgres
def test_a_recorder_that_is_killed_in_the_middle_has_recorded_nothing(on_postgres: Plant) -> None:
    submission = on_postgres.accept_one(Work.SLOW)
    until(lambda: on_postgres.in_room(submission), "a room")
    with on_postgres.database.transaction() as session:
        lock(session, "audit")  # which a recorder takes last: all that it writes is written by then, and not committed
        until(lambda: waits_for_us(session), "a recorder that waits for us")
        recorder = on_postgres.horse("recording")
        on_postgres.kill("recording")
        signal_one(recorder)
    on_postgres.start("recording")
    on_postgres.drain()
    grading = on_postgres.grading(submission)
    assert (grading.fence, grading.tries, grading.late_reports) == (1, 0, 0)  # found out once, recorded once


def waits_for_us(session: Session) -> bool:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    return bool(session.scalar(waiting))


def test_somebody_writes_to_the_file_for_longer_than_anybody_waits(assay: Plant) -> None:
    slow = assay.accept(Work.SLOW, 2)
    until(lambda: all(assay.in_room(submission) for submission in slow), "a room for each")
    with assay.database.transaction() as session:
        session.get(Grading, assay.grading(slow[0]).id)  # the file is ours from here on
        with pytest.raises(DatabaseUnavailable, match="has been writing for too long"):
            assay.accept_one()
    assay.drain()
    told = [assay.grading(submission) for submission in slow]
    assert {(grading.fence, grading.tries) for grading in told} == {(1, 0)}
