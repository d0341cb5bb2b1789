"""Reports that come twice, late, or again and again without findings."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.rig import CHALLENGES, RigBroken, signal_one, until
from graders.contract import Fault, Finding, GradingReport, Provenance
from tests.crash.plant import WORKERS, Plant, Work
from web.models import Grading, GradingState
from web.queue import Kind, Line

pytestmark = [pytest.mark.docker, pytest.mark.crash]


def report(grading: Grading, fence: int, credit: float) -> str:
    provenance = Provenance(
        challenge_digest=grading.challenge_digest, challenge_version="1.0.0", form="f", form_signature="", image="i",
        limits={}, versions={}, host="elsewhere", seconds={},
    )  # fmt: skip
    finding = Finding(criterion="right", credit=credit, reason="It says so.")
    return GradingReport(grading=grading.id, fence=fence, findings=(finding,), provenance=provenance).to_json()


def test_a_report_counts_once_and_that_of_an_older_try_never(assay: Plant) -> None:
    assay.start("recording-2")
    submission = assay.accept_one(Work.SLOW)
    until(lambda: assay.in_room(submission), "a room")
    signal_one(assay.horse(assay.worker_of(submission)))
    until(lambda: assay.grading(submission).fence == 2 and assay.in_room(submission), "a room for the second try")
    second = assay.grading(submission)
    line = Line(Kind.RECORDING, assay.connection)
    for number in range(10):
        line.send(f"late-{number}", report(second, fence=1, credit=0.0))
        line.send(f"twice-{number}", report(second, fence=2, credit=1.0))
    until(lambda: assay.grading(submission).late_reports == 20, "the worker's own report, which is late now")
    assert assay.grading(submission).state is GradingState.GRADED
    assay.stop("recording-2")


def test_what_fails_three_times_is_given_up_and_a_person_is_told(assay: Plant, tmp_path: Path) -> None:
    """A submission that takes each worker down, and a version that is on no host: neither stops the others."""
    shutil.copytree(CHALLENGES / "plain", tmp_path / "elsewhere" / "other")
    assay.settings["ASSAY_CHALLENGES"] = f"{CHALLENGES}:{tmp_path / 'elsewhere'}"
    assay.call("publish", "other")
    (missing,) = assay.accept(Work.RIGHT, challenge="other")
    version = assay.versions / assay.grading(missing).challenge_digest
    version.rename(tmp_path / "away")
    poison = assay.accept_one(Work.POISON)
    others = assay.accept(Work.RIGHT, 8)
    until(lambda: all(assay.is_graded(other) for other in others), "the others' gradings")
    assert assay.unfinished() == 2  # the two are still being tried
    assay.drain()
    for submission, why in ((missing, "challenge version"), (poison, "ended without a report")):
        grading = assay.grading(submission)
        assert (grading.state, grading.fault_of, grading.tries) == (GradingState.FAILED, Fault.OPERATOR, 3)
        assert why in (grading.failure or "")
    told = json.loads(assay.call("gradings", "--failed", "--json"))["failed"]
    assert {one["grading"] for one in told} >= {assay.grading(missing).id, assay.grading(poison).id}
    assert f"{assay.grading(poison).id} needs a person" in assay.words("clock")
    assert f"{assay.grading(missing).id} needs a person" in assay.words("recording")

    (tmp_path / "away").rename(version)
    assay.call("gradings", "retry", assay.grading(missing).id)
    assay.drain()
    assert [grading.state for grading in assay.gradings(missing)] == [GradingState.FAILED, GradingState.GRADED]


def test_a_missing_image_is_nobodys_score(assay: Plant) -> None:
    record = assay.state / "images.json"
    kept = record.read_text()
    images = json.loads(kept)
    images["images"]["python"]["id"] = f"sha256:{'0' * 64}"
    record.write_text(json.dumps(images))
    (submission,) = assay.accept(Work.RIGHT)
    until(lambda: assay.grading(submission).tries, "a try that fails")
    assert "image is not on this engine" in (assay.grading(submission).failure or "")
    with pytest.raises(RigBroken, match=r"ended with 3: .*engine"):
        assay.restart(WORKERS[0])  # it does not take work that it could only fail at
    record.write_text(kept)
    assay.trust()
    assay.start(WORKERS[0])
    assay.drain()
    assert assay.is_graded(submission)
