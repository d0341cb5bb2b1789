"""The folder of the state has no room left."""

import errno
from pathlib import Path

import pytest

from benchmarks.rig import until
from tests.crash.as_root import small_disk
from tests.crash.plant import Plant, Work, plant
from web.database import DatabaseUnavailable

pytestmark = [pytest.mark.docker, pytest.mark.crash]


def fill(ballast: Path) -> None:
    """Until not one byte more is taken."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def refuse(full: Plant) -> None:
    """What has a receipt was kept; what was not kept has none. A row may still fit where a page ends."""
    refused = []
    for number in range(20):
        try:
            full.accept(Work.WRONG if number % 2 else Work.RIGHT)
        except (OSError, DatabaseUnavailable) as error:
            refused.append(str(error))
    assert refused, "the disk was not full"
    assert all("No space left" in told or "make room" in told for told in refused), refused


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state", megabytes=24) as state, plant(state) as full:
        slow = full.accept(Work.SLOW, 2)
        until(lambda: all(full.in_room(submission) for submission in slow), "a room for each")
        fill(state / "ballast")
        refuse(full)
        until(lambda: not any(full.in_room(submission) for submission in slow), "the end of what ran")
        refuse(full)
        (state / "ballast").unlink()
        full.mend()
        full.assert_nothing_is_lost()
        assert {full.grading(submission).tries for submission in slow} <= {0, 1}
