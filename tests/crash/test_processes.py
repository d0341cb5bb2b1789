"""SIGKILL for every process, in the middle of what it does."""

import signal

import pytest

from benchmarks.rig import QUEUE, signal_one, until
from tests.crash.plant import WORKERS, Plant, Work
from tests.web.worker_process import gone
from web.models import GradingState
from web.queue import Kind, Line

pytestmark = [pytest.mark.docker, pytest.mark.crash]


def test_whichever_half_of_a_worker_is_killed_its_grading_is_done_again(assay: Plant) -> None:
    assay.start("grading-3")
    accepted = assay.accept(Work.SLOW, 3)
    until(lambda: all(assay.in_room(submission) for submission in accepted), "a room for each")
    parent, horse, both = (assay.worker_of(submission) for submission in accepted)
    orphans = [assay.horse(parent), assay.horse(both)]
    signal_one(assay.horse(horse))
    assay.kill(parent)
    signal_one(orphans[1])
    assay.kill(both)
    until(lambda: all(gone(orphan) for orphan in orphans), "the end of a horse without its parent", 5)
    assay.start(parent, both)
    assay.drain()
    for submission in accepted:
        grading = assay.grading(submission)
        assert (grading.state, grading.fence, grading.tries) == (GradingState.GRADED, 2, 1)
        assert grading.late_reports == 0
        assert not assay.has_room(submission)  # the second try has removed what the first one left
    assay.stop("grading-3")


def test_reports_wait_for_a_recording_worker(assay: Plant) -> None:
    assay.kill("recording")
    accepted = assay.accept(Work.RIGHT, 3) + assay.accept(Work.WRONG, 3)
    waiting = Line(Kind.RECORDING, assay.connection)
    until(lambda: waiting.count == len(accepted), "reports in the queue")
    assay.start("recording")
    assay.drain()
    assert {assay.grading(submission).fence for submission in accepted} == {1}


def test_what_is_accepted_without_a_clock_is_graded_when_there_is_one(assay: Plant) -> None:
    assay.kill("clock")
    assay.accept(Work.RIGHT, 4)
    for _ in range(2):
        assay.start("clock")
        assay.kill("clock")
    assay.start("clock")
    assay.drain()


def test_two_clocks_at_once_send_nothing_twice(assay: Plant) -> None:
    assay.start("clock-2")
    accepted = assay.accept(Work.RIGHT, 20)
    assay.drain()
    assay.stop("clock-2")
    told = [assay.grading(submission) for submission in accepted]
    assert {(grading.fence, grading.tries, grading.late_reports) for grading in told} == {(1, 0, 0)}


def test_the_queue_is_killed_and_comes_back_with_what_it_held(assay: Plant) -> None:
    accepted = assay.accept(Work.SLOW, 2) + assay.accept(Work.RIGHT, 6)
    until(lambda: assay.in_room(accepted[0]), "a room")
    assay.restart(QUEUE)
    assay.drain()
    assert {assay.grading(submission).tries for submission in accepted} == {0}


def test_the_queue_is_killed_and_forgets_all_that_it_held(assay: Plant) -> None:
    accepted = assay.accept(Work.SLOW, 2) + assay.accept(Work.RIGHT, 6)
    until(lambda: assay.in_room(accepted[0]), "a room")
    assay.lose_the_queue()
    assay.start(QUEUE)
    assay.drain()
    assert {assay.grading(submission).tries for submission in accepted} == {0}  # nobody's fault


def test_a_worker_that_is_told_to_stop_finishes_what_it_does(assay: Plant) -> None:
    submission = assay.accept_one(Work.SLOW)
    until(lambda: assay.in_room(submission), "a room")
    worker = assay.worker_of(submission)
    assay.running[worker].send_signal(signal.SIGTERM)
    assert assay.running[worker].wait(30) == 0
    assay.drain()
    grading = assay.grading(submission)
    assert (grading.state, grading.fence, grading.tries) == (GradingState.GRADED, 1, 0)


def test_work_goes_on_when_all_workers_were_stopped_at_once(assay: Plant) -> None:
    accepted = assay.accept(Work.RIGHT, 6)
    assay.stop(*WORKERS, "recording", "clock")
    assay.start(*WORKERS, "recording", "clock")
    assay.drain()
    assert {assay.grading(submission).tries for submission in accepted} == {0}
