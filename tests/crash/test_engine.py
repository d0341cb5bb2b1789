"""The Docker engine is killed in the middle of everything that a worker does with it."""

from pathlib import Path

import pytest

from benchmarks.rig import until
from sandbox.images import pinned
from tests.crash.as_root import SecondEngine
from tests.crash.plant import WORKERS, Plant, Work

pytestmark = [pytest.mark.docker, pytest.mark.crash]


def test_an_engine_that_is_killed_costs_no_candidate_anything(tmp_path: Path) -> None:
    """One room waits for its program, one streams what its program says, and one is being created."""
    engine = SecondEngine()
    running = Plant(tmp_path / "state", {"ASSAY_DOCKER_HOST": engine.host})
    try:
        engine.start()
        running.prepare(trusted=False)
        engine.load(pinned(running.rooms(), "python"))
        running.trust()
        running.start("queue", "clock", "recording", *WORKERS, "grading-3")
        quiet, chatty = running.accept(Work.SLOW) + running.accept(Work.CHATTY)
        until(lambda: running.in_room(quiet) and running.in_room(chatty), "a room for each")
        created = running.accept_one(Work.SLOW)
        until(lambda: running.has_room(created), "a room that is being made")
        engine.kill()
        accepted = running.accept(Work.RIGHT, 3) + running.accept(Work.WRONG, 3)
        until(lambda: all(running.grading(one).tries for one in (quiet, chatty, created)), "a failed try of each")
        engine.start()
        running.mend()
        running.assert_nothing_is_lost()
        assert {running.grading(one).tries for one in accepted} <= {0, 1}
    finally:
        running.close()
        engine.close()
