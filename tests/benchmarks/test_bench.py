"""That a benchmark runs and prints what it promises; how fast anything is, is not a test's business."""

import json
import subprocess
import sys

import pytest

from benchmarks import Figure


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
