"""A message in, a message out: what a forming worker makes, and whose fault it is when it makes nothing."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr

from graders import forms
from graders.challenge import Challenge
from graders.contract import Failure, Fault, FormReport, FormRequest, MessageUnreadable
from graders.forming import FormingWorker
from graders.settings import GradersSettings, SecretUnusable
from graders.trees import FolderStore
from graders.versions import Versions
from tests.graders.calibrating import calibrating, calls, references
from tests.graders.folders import sums

SECRET: Final = "0123456789abcdef" * 2
GENERATOR: Final = """
from graders import Bundle

def generate(form):
    number = form.random("number").randint(1, 10**9)
    return Bundle(files={"sum.py": b"# %d" % number}, values={"number": number}, signature=f"number {number}")
"""


class Host:
    def __init__(self, folder: Path, generator: str | None = GENERATOR, secret: str = SECRET) -> None:
        files = {"generator.py": generator, "brief.md": "# Sums\n\nAdd {{ number }}.\n"} if generator else {}
        self.challenge: Challenge = sums(folder, files)
        self.settings = GradersSettings(
            state=folder / "state", store="", versions="", portal_url="", instance_secret=SecretStr(secret)
        )
        self.store = FolderStore(self.settings.store_folder)
        self.digest = Versions(self.settings.versions_folder).keep(self.challenge)

    def request(self, **changed: Any) -> str:
        asked = FormRequest(form="f1", fence=1, challenge="sums", challenge_digest=self.digest, reference="attempt-1")
        return json.dumps(asked.model_dump(mode="json") | changed)

    def report(self, **changed: Any) -> FormReport:
        return FormReport.from_json(FormingWorker(self.settings).perform(self.request(**changed)))

    def failure(self, **changed: Any) -> Failure:
        report = self.report(**changed)
        assert report.failure is not None
        assert (report.bundle, report.brief) == (None, "")
        return report.failure


def test_a_form_is_made_as_graders_will_make_it_again(tmp_path: Path) -> None:
    host = Host(tmp_path)
    report = host.report()
    form = forms.form_for("sums", "1.0.0", "attempt-1", SECRET.encode())
    expected, bundle = forms.build(host.challenge, form)
    assert (report.form, report.fence, report.failure) == ("f1", 1, None)
    assert report.bundle is not None
    assert host.store.get(report.bundle) == bundle.files
    assert (report.brief, report.signature) == (bundle.brief, expected.signature)
    assert "Add " in report.brief
    assert "{{" not in report.brief


def test_the_same_form_comes_out_the_same_and_another_does_not(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.report() == host.report()
    assert host.report().bundle != host.report(reference="attempt-2").bundle


def test_a_challenge_without_a_generator_gives_its_starter(tmp_path: Path) -> None:
    host = Host(tmp_path, generator=None)
    report = host.report()
    assert report.bundle is not None
    assert host.store.get(report.bundle).keys() == {"sum.py", "README.md"}


def test_neither_seed_nor_secret_stands_in_a_report(tmp_path: Path) -> None:
    host = Host(tmp_path)
    told = FormingWorker(host.settings).perform(host.request())
    seed = forms.form_for("sums", "1.0.0", "attempt-1", SECRET.encode()).seed
    assert seed.hex() not in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("generator", "why"),
    [
        ("def generate(form):\n    return 1 / 0\n", "generator.py:2: ZeroDivisionError"),
        ("def generate(form):\n    while True: pass\n", "no end after"),
        (GENERATOR.replace('"number": number', ""), "number: generator.py gives no value of this name"),
        (GENERATOR.replace('{"number": number}', '{"number": "x" * 9999}'), ""),
    ],
)
def test_a_generator_that_fails_is_its_authors_fault(
    generator: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "BUILD_SECONDS", 0.5)
    monkeypatch.setattr("graders.forming.LONGEST_BRIEF", 5000)
    failure = Host(tmp_path, generator).failure()
    assert failure.fault_of is Fault.AUTHOR
    assert (why or "brief.md: longer than 5,000 characters") in failure.message


def test_a_version_that_this_host_lacks_is_the_operators_fault(tmp_path: Path) -> None:
    failure = Host(tmp_path).failure(challenge_digest="f" * 64)
    assert failure.fault_of is Fault.OPERATOR
    assert failure.message.startswith("challenge version ffffffffffff: ")


def test_a_version_of_another_challenge_is_refused(tmp_path: Path) -> None:
    failure = Host(tmp_path).failure(challenge="windows")
    assert (failure.fault_of, "is one of sums, not of windows" in failure.message) == (Fault.OPERATOR, True)


def test_a_store_that_cannot_be_written_is_the_operators_fault(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.store.folder.write_text("a file where the store should be")
    assert host.failure().fault_of is Fault.OPERATOR


def test_without_a_secret_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(SecretUnusable):
        Host(tmp_path, secret="short").report()


@pytest.mark.parametrize("changed", [{"version": 2}, {"reference": "a b"}, {"challenge_digest": "x"}, {"seed": "1"}])
def test_a_request_that_is_none_of_ours_is_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    host = Host(tmp_path)
    with pytest.raises(MessageUnreadable, match=r"^FormRequest: "):
        FormingWorker(host.settings).perform(host.request(**changed))


def test_a_report_has_a_bundle_or_says_why_there_is_none() -> None:
    failure = Failure(fault_of=Fault.AUTHOR, message="no")
    for amiss in ({}, {"bundle": "a" * 64, "failure": failure}, {"bundle": "a" * 64, "unfit": "gate 1: dull"}):
        with pytest.raises(ValueError, match="a bundle, or says that the form is unfit, or has a failure"):
            FormReport(form="f1", fence=1, **amiss)


# Calibrating


@pytest.fixture
def calibrated(tmp_path: Path) -> Host:
    host = Host(tmp_path, generator=None)
    host.challenge = calibrating(tmp_path)
    host.digest = Versions(host.settings.versions_folder).keep(host.challenge)
    return host


def test_a_form_is_calibrated_where_it_is_made_and_once(calibrated: Host, tmp_path: Path) -> None:
    reference = references(calibrated.challenge, SECRET.encode(), fit=True)[0]
    report = calibrated.report(reference=reference)
    assert report.bundle is not None
    assert json.loads(report.calibration) == {"of": report.signature, "answers": [3, 5]}
    assert calls(tmp_path) == [reference]


def test_a_form_that_its_challenge_refuses_is_reported_as_unfit_and_nothing_is_stored(calibrated: Host) -> None:
    reference = references(calibrated.challenge, SECRET.encode(), fit=False)[0]
    report = calibrated.report(reference=reference)
    assert report.unfit == f"gate 3: {reference} tells nobody from nobody"
    assert (report.bundle, report.failure, report.brief, report.calibration) == (None, None, "", "")
    assert not calibrated.store.folder.exists()


def test_a_calibration_that_fails_is_its_authors_fault(tmp_path: Path) -> None:
    failure = Host(tmp_path, GENERATOR + "\ndef calibrate(form):\n    return None\n").failure()
    assert failure.fault_of is Fault.AUTHOR
    assert failure.message == "generator.py: calibrate returns NoneType: return JSON text, such as json.dumps(...)"


def test_where_nothing_is_calibrated_a_report_says_nothing_of_it(tmp_path: Path) -> None:
    assert Host(tmp_path).report().calibration == ""
