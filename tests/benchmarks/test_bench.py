"""That a benchmark runs and prints what it promises; how fast anything is, is not a test's business."""

import json
import subprocess
import sys

import pytest

from benchmarks import Figure, grading, recovery


@pytest.mark.docker
def test_the_sandboxs_benchmark_prints_one_document_of_figures() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "web.cli", "bench", "sandbox", "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["bench"] == "sandbox"
    names = {figure["name"] for figure in document["figures"]}
    assert "one run: sandbox.run / docker run" in names
    assert "questions: the hundredth" in names
    for figure in document["figures"]:
        assert figure.keys() == {"name", "value", "unit", "reach", "holds"}
        assert (figure["holds"] is None) == (figure["reach"] is None)


def test_a_figure_holds_when_it_does_not_exceed_its_reach() -> None:
    assert Figure("ratio", 1.1, "times", 1.1).holds is True
    assert Figure("ratio", 1.2, "times", 1.1).holds is False
    assert Figure("ratio", 9.9, "times").holds is None


@pytest.mark.docker
@pytest.mark.crash
def test_gradings_are_measured_against_bare_containers_one_worker_and_an_empty_database() -> None:
    sizes = grading.Sizes(warm_ups=1, rounds=1, nothings=2, own_cost=2, finished=50)
    figures = {figure.name: figure for figure in grading.measure(bool, sizes)}
    assert figures["warm-up: time with two workers / with one"].reach is not None
    assert figures["doing nothing: drained / bare containers"].reach == 1.5
    assert figures["our own cost of a grading"].reach == 100
    assert "our own cost: after 50 finished / before" in figures
    assert all(figure.value > 0 for figure in figures.values())


@pytest.mark.docker
@pytest.mark.crash
def test_recovery_is_measured_against_a_grading_that_is_left_alone() -> None:
    figures = {figure.name: figure for figure in recovery.measure(bool, rounds=1)}
    assert figures["the longest of them, beyond the lease"].reach == 20
    assert figures["after a kill / left alone"].value > 1
