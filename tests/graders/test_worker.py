"""A message in, a message out: what a grading worker reports, whatever happens."""

import hashlib
import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from graders import forms
from graders.challenge import Challenge
from graders.contract import Failure, Fault, GradingReport, GradingRequest, MessageUnreadable
from graders.settings import GradersSettings, SecretUnusable
from graders.trees import FolderStore
from graders.versions import Versions
from graders.worker import LARGEST_REPORT, GradingWorker
from sandbox.container import GRADING, Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings
from tests.graders.calibrating import calibrating, calls, references
from tests.graders.folders import sums
from web.settings import PROJECT

SECRET = "0123456789abcdef" * 2
SUM = {"sum.py": b"print(sum(map(int, input().split())))\n"}
GRADER = """
from graders import Evidence, Finding

def grade(submission, sandbox):
    print("form", submission.form.derive("x").hex())
    said = sandbox.run(["python3", "sum.py"], files=submission.files, stdin=b"3 4", limits=submission.limits)
    yield Finding(criterion="adds", credit=float(said.stdout == b"7\\n"), reason="3 and 4 were added")
    yield Finding(criterion="refuses", credit=None, reason="not looked at")
"""


@dataclass
class Host:
    """A grading host: its folders, and a worker."""

    folder: Path
    challenge: Challenge
    sandbox: SandboxSettings

    @property
    def settings(self) -> GradersSettings:
        return GradersSettings(
            state=self.folder / "state",
            store=str(self.folder / "store"),
            versions=str(self.folder / "versions"),
            instance_secret=SecretStr(SECRET),
        )

    @property
    def worker(self) -> GradingWorker:
        return GradingWorker(self.settings, self.sandbox, "0.0.1")

    def request(self, files: Mapping[str, bytes] = SUM, **changed: Any) -> str:
        asked = GradingRequest(
            grading="test-grading",
            fence=1,
            challenge="sums",
            challenge_digest=Versions(self.settings.versions_folder).keep(self.challenge),
            form="attempt-1",
            submission=FolderStore(self.settings.store_folder).put(files),
            lease_seconds=30,
        )
        return json.dumps(asked.model_dump(mode="json") | changed)

    def report(self, text: str | None = None) -> GradingReport:
        return GradingReport.from_json(self.worker.perform(self.request() if text is None else text))

    def failure(self, text: str | None = None) -> Failure:
        report = self.report(text)
        assert report.failure is not None
        assert report.findings == ()
        return report.failure


def host_with(folder: Path, files: Mapping[str, str | bytes | None], **sandbox: Any) -> Host:
    return Host(folder, sums(folder, {"grader.py": GRADER, **files}), SandboxSettings(**sandbox))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return host_with(tmp_path, {})


# With an engine


@pytest.mark.docker
def test_a_request_becomes_a_report_with_findings_and_all_that_it_takes_to_repeat_them(
    host: Host, engine: Engine
) -> None:
    report = host.report()
    assert (report.grading, report.fence, report.failure) == ("test-grading", 1, None)
    assert [(finding.criterion, finding.credit) for finding in report.findings] == [("adds", 1), ("refuses", None)]
    known = report.provenance
    assert known is not None
    assert known.challenge_digest == host.challenge.digest
    assert (known.challenge_version, known.form, known.form_signature != "") == ("1.0.0", "attempt-1", True)
    assert known.image == pinned(host.sandbox, "python")
    assert known.limits["memory_mb"] == 256
    assert known.versions["assay"] == "0.0.1"
    assert known.versions["engine"] == engine.version()["Version"]
    assert {"files", "challenge", "form", "engine", "sweep", "grader", "programs", "rooms"} == set(known.seconds)
    assert [exchange.kind for exchange in known.exchanges] == ["run"]
    form = forms.form_for("sums", "1.0.0", "attempt-1", SECRET.encode())
    assert known.printed == f"form {form.derive('x').hex()}\n"
    assert engine.containers([f"{GRADING}=test-grading"]) == []


@pytest.mark.docker
def test_the_same_request_gives_the_same_findings(host: Host) -> None:
    assert host.report().findings == host.report(host.request(fence=2)).findings


@pytest.mark.docker
def test_a_candidates_failure_is_a_finding_and_no_failure(host: Host) -> None:
    report = host.report(host.request({"sum.py": b"raise SystemExit(3)\n"}))
    assert report.failure is None
    assert report.findings[0].credit == 0
    nothing = host.report(host.request({}))
    assert (nothing.failure, nothing.findings[0].credit) == (None, 0)


@pytest.mark.docker
def test_the_version_that_was_published_grades_and_not_the_folder_of_today(host: Host) -> None:
    text = host.request()
    (host.challenge.folder / "grader.py").write_text("raise AssertionError('the folder of today')\n")
    assert host.report(text).findings[0].credit == 1


@pytest.mark.docker
def test_a_grader_that_fails_is_the_authors_fault_with_what_it_printed(tmp_path: Path) -> None:
    host = host_with(tmp_path, {"grader.py": "def grade(submission, sandbox):\n    print('row 3')\n    1 / 0\n"})
    report = host.report()
    assert report.failure == Failure(fault_of=Fault.AUTHOR, message="grader.py:3: ZeroDivisionError: division by zero")
    assert report.provenance is not None
    assert report.provenance.printed == "row 3\n"


@pytest.mark.docker
def test_what_an_older_try_left_behind_is_removed_first(host: Host, engine: Engine, settings: SandboxSettings) -> None:
    rooms = DockerSandbox(engine, pinned(settings, "python"), settings, Owner(grading="test-grading", fence=1))
    room = rooms.open(lifetime=300)
    room.__enter__()
    try:
        assert len(engine.containers([f"{GRADING}=test-grading"])) == 1
        assert host.report(host.request(fence=2)).failure is None
        assert engine.containers([f"{GRADING}=test-grading"]) == []
    finally:
        room.__exit__(None, None, None)


@pytest.mark.docker
def test_a_report_has_an_end_however_much_a_grader_says(tmp_path: Path) -> None:
    loud = """
    from graders import Evidence, Finding

    def grade(submission, sandbox):
        print("\\x1b" * 100_000)
        for _ in range(3):
            sandbox.run(["python3", "-c", "print('x' * 9000)"], limits=submission.limits)
        for key in ("adds", "refuses"):
            pieces = tuple(Evidence(text="\\x1b" * 4000, file="f" * 500) for _ in range(50))
            yield Finding(criterion=key, credit=1, reason="\\x1b" * 2000, evidence=pieces)
    """
    host = host_with(tmp_path, {"grader.py": loud})
    answer = host.worker.perform(host.request())
    assert len(answer.encode()) <= LARGEST_REPORT
    report = GradingReport.from_json(answer)
    assert [(finding.criterion, finding.credit) for finding in report.findings] == [("adds", 1), ("refuses", 1)]
    assert 0 < len(report.findings[0].evidence) < 50
    assert report.provenance is not None
    assert report.provenance.exchanges_left_out == 3


@pytest.mark.docker
def test_an_image_that_is_not_built_is_the_operators_to_build(tmp_path: Path) -> None:
    manifest = (sums(tmp_path / "a").folder / "challenge.toml").read_text()
    host = host_with(
        tmp_path, {"challenge.toml": manifest.replace("minutes = 30", 'minutes = 30\nimage = "fortran"', 1)}
    )
    failure = host.failure()
    assert failure.fault_of is Fault.OPERATOR
    assert "fortran" in failure.message


@pytest.mark.docker
def test_a_grader_is_given_what_was_found_out_about_the_form(tmp_path: Path) -> None:
    source = """
    from graders import Finding

    def grade(submission, sandbox):
        yield Finding(criterion="adds", credit=1, reason=submission.form.calibration or "nothing")
        yield Finding(criterion="refuses", credit=0, reason=str(submission.form.load_private("answers.json")))
    """
    host = Host(tmp_path, calibrating(tmp_path, {"grader.py": source}), SandboxSettings())
    findings = host.report(host.request(calibration='{"kept": 1}')).findings
    assert [finding.reason for finding in findings] == ['{"kept": 1}', "[3, 5]"]
    assert calls(tmp_path) == []


# Without one


@pytest.fixture
def calibrated(tmp_path: Path) -> Host:
    """A host that comes as far as the engine, which is away."""
    return Host(tmp_path, calibrating(tmp_path), SandboxSettings(docker_host=f"unix://{tmp_path}/no.sock"))


def test_a_form_that_was_calibrated_is_not_calibrated_again(calibrated: Host, tmp_path: Path) -> None:
    known = calibrated.report(calibrated.request(calibration='{"kept": 1}')).provenance
    assert known is not None
    assert known.calibration == hashlib.sha256(b'{"kept": 1}').hexdigest()
    assert calls(tmp_path) == []


def test_a_form_of_another_version_is_calibrated_where_it_is_graded(calibrated: Host, tmp_path: Path) -> None:
    reference = references(calibrated.challenge, SECRET.encode(), fit=True)[0]
    known = calibrated.report(calibrated.request(form=reference)).provenance
    assert known is not None
    form = forms.form_for("sums", "1.0.0", reference, SECRET.encode())
    assert calls(tmp_path) == [reference]
    expected = forms.calibrated(calibrated.challenge, form)
    assert known.calibration == hashlib.sha256(expected.calibration.encode()).hexdigest()
    assert known.form_signature == expected.signature


def test_a_form_that_another_version_refuses_is_that_versions_author_to_mend(calibrated: Host) -> None:
    reference = references(calibrated.challenge, SECRET.encode(), fit=False)[0]
    assert calibrated.failure(calibrated.request(form=reference)) == Failure(
        fault_of=Fault.AUTHOR,
        message="generator.py: calibrate: refuses the form of this submission, in this version: "
        f"gate 3: {reference} tells nobody from nobody",
    )


def test_an_engine_that_is_away_is_the_operators_fault(tmp_path: Path) -> None:
    host = host_with(tmp_path, {}, docker_host=f"unix://{tmp_path}/no.sock")
    failure = host.failure()
    assert failure.fault_of is Fault.OPERATOR
    assert "no Docker engine is there" in failure.message


def test_a_generator_that_fails_is_the_authors_fault(tmp_path: Path) -> None:
    host = host_with(tmp_path, {"generator.py": "def generate(form):\n    raise ValueError('no rows')\n"})
    assert host.failure() == Failure(fault_of=Fault.AUTHOR, message="generator.py:2: ValueError: no rows")


def test_files_that_are_missing_or_damaged_are_the_operators_fault(host: Host) -> None:
    missing = host.failure(host.request(submission="0" * 64))
    assert (missing.fault_of, missing.message[:18]) == (Fault.OPERATOR, "tree 000000000000:")
    text = host.request()
    for place in host.settings.store_folder.rglob("*"):
        if place.is_file():
            place.write_bytes(b"damaged")
    assert host.failure(text).fault_of is Fault.OPERATOR
    assert "is damaged: restore the store from a backup" in host.failure(text).message


def test_a_version_that_is_not_here_is_the_operators_fault_and_never_the_authors(host: Host) -> None:
    failure = host.failure(host.request(challenge_digest="0" * 64))
    assert failure.fault_of is Fault.OPERATOR
    assert failure.message.startswith("challenge version 000000000000: ")


def test_a_version_of_another_challenge_is_not_graded_with(host: Host) -> None:
    failure = host.failure(host.request(challenge="adds"))
    assert (failure.fault_of, "is one of sums, not of adds" in failure.message) == (Fault.OPERATOR, True)


@pytest.mark.docker
def test_files_that_the_portal_should_have_refused_are_nobodys_score(host: Host) -> None:
    failure = host.failure(host.request({"../../etc/passwd": b"x"}))
    assert failure.fault_of is Fault.OPERATOR
    assert failure.message.startswith("submission: files: '../../etc/passwd': ")


def test_a_message_of_another_version_is_answered_if_it_says_which_grading_it_is(host: Host) -> None:
    report = host.report(host.request(version=2, new_field=[1]))
    assert (report.grading, report.fence) == ("test-grading", 1)
    assert report.failure is not None
    assert report.failure.fault_of is Fault.OPERATOR
    assert "are portal and worker of one release?" in report.failure.message


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"grading": "g"}', '{"grading": "a/b", "fence": 1}', "[" * 100_000]
)
def test_a_message_that_names_no_grading_is_unreadable(host: Host, text: str) -> None:
    with pytest.raises(MessageUnreadable):
        host.worker.perform(text)


def test_a_worker_without_the_instance_secret_does_not_begin(tmp_path: Path) -> None:
    with pytest.raises(SecretUnusable, match=r"instance secret: .*: No such file or directory: "):
        GradingWorker(GradersSettings(state=tmp_path), SandboxSettings(), "0.0.1")


def test_a_machine_without_memory_is_the_operators_fault(tmp_path: Path) -> None:
    """A submission's files are large, the process may not grow: as in a container that is too small."""
    host = host_with(tmp_path, {})
    text = host.request({"big.bin": bytes(200 << 20)})
    program = textwrap.dedent(f"""
        import resource, sys
        from pathlib import Path
        from graders.settings import GradersSettings
        from graders.worker import GradingWorker
        from sandbox.settings import SandboxSettings
        folder = Path({str(tmp_path)!r})
        settings = GradersSettings(state=folder, store=str(folder / "store"), versions=str(folder / "versions"),
                                   instance_secret={SECRET!r})
        worker = GradingWorker(settings, SandboxSettings(), "0.0.1")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20),) * 2)
        print(worker.perform(sys.stdin.read()))
    """)
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program], input=text, env={"PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    failure = GradingReport.from_json(ended.stdout).failure
    assert failure is not None
    assert (failure.fault_of, failure.message[:40]) == (Fault.OPERATOR, "the worker has no memory left: give it m")


def test_what_was_not_foreseen_is_not_hidden(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the queue's edge that catches it, and nobody's score."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    text = host.request()
    monkeypatch.setattr(forms, "form_for", broken)
    with pytest.raises(ZeroDivisionError):
        host.worker.perform(text)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_form_stays_what_it_was_when_the_version_is_raised(calibrated: Host) -> None:
    reference = references(calibrated.challenge, SECRET.encode(), fit=True)[0]
    own = calibrated.report(calibrated.request(form=reference)).provenance
    same = calibrated.report(calibrated.request(form=reference, form_version="1.0.0")).provenance
    another = calibrated.report(calibrated.request(form=reference, form_version="0.9.0", calibration="{}")).provenance
    assert own is not None
    assert same is not None
    assert another is not None
    assert own.form_signature == same.form_signature != another.form_signature


def test_a_form_whose_signature_is_known_is_not_built_again(calibrated: Host) -> None:
    known = calibrated.report(calibrated.request(form_signature="as it was made", calibration="{}")).provenance
    assert known is not None
    assert known.form_signature == "as it was made"
