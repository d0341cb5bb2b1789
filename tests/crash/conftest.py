"""Whole installations to break, shared by tests; each of them ends with the same question."""

from collections.abc import Iterator

import pytest

from tests.crash.plant import Plant, plant


@pytest.fixture(scope="package")
def running_plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Queue, clock, recording worker and two grading workers on one machine, with SQLite."""
    with plant(tmp_path_factory.mktemp("plant") / "state") as running:
        yield running


@pytest.fixture
def assay(running_plant: Plant) -> Iterator[Plant]:
    """Afterwards every process is there again, and nothing is lost."""
    yield running_plant
    running_plant.mend()
    running_plant.assert_nothing_is_lost()
