"""A form that is costly to judge is judged once, before anybody gets it; and an author's are remembered."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from graders import forms
from graders.author.calibrations import Calibrations
from graders.challenge import Challenge, read_challenge
from graders.contract import LONGEST_CALIBRATION, ChallengeInvalid, Form, FormUnfit, GraderFailed
from tests.graders.calibrating import calibrating, calls, references
from tests.graders.folders import sums, write_files

SECRET = b"x" * 32
REFUSES_ALL = "def calibrate(form):\n    from graders import FormUnfit\n    raise FormUnfit('gate 1: dull')\n"
GENERATE = "from graders import Bundle\n\ndef generate(form):\n    return Bundle({'a.py': b'x'}, signature='s')\n\n"


def form_of(challenge: Challenge, reference: str) -> Form:
    return forms.form_for(challenge.slug, challenge.manifest.version, reference, SECRET)


def with_calibrate(folder: Path, body: str) -> Challenge:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return sums(folder, {"generator.py": f"{GENERATE}def calibrate(form):\n{lines}"})


def failure(challenge: Challenge) -> str:
    with pytest.raises(GraderFailed) as caught:
        forms.calibrated(challenge, form_of(challenge, "1"))
    return str(caught.value)


# Private files


def test_a_generator_reads_the_challenges_private_files_and_packs_lie_over_them(tmp_path: Path) -> None:
    challenge = calibrating(tmp_path)
    built, bundle = forms.build(challenge, form_of(challenge, "1"))
    assert bundle.values["most"] == 5
    assert built.load_private("answers.json") == [3, 5]
    write_files(tmp_path / "pack", {"sums/private/answers.json": "[8, 13]"})
    packed = read_challenge(challenge.folder, [tmp_path / "pack"])
    assert forms.build(packed, form_of(packed, "1"))[1].values["most"] == 13
    assert packed.digest != challenge.digest


def test_a_private_file_that_a_generator_misses_is_its_authors_to_mend(tmp_path: Path) -> None:
    challenge = calibrating(tmp_path, {"private/answers.json": None})
    with pytest.raises(ChallengeInvalid, match=r"private/answers\.json: there is no such file"):
        forms.build(challenge, form_of(challenge, "1"))


# Calibrating


def test_a_form_is_given_what_its_challenge_found_out_about_it(tmp_path: Path) -> None:
    challenge = calibrating(tmp_path)
    reference = references(challenge, SECRET, fit=True)[0]
    built, _ = forms.build(challenge, form_of(challenge, reference))
    calibrated = forms.calibrated(challenge, built)
    assert json.loads(calibrated.calibration) == {"of": built.signature, "answers": [3, 5]}
    assert replace(calibrated, calibration="") == built


def test_a_form_that_was_not_built_is_built_before_it_is_judged(tmp_path: Path) -> None:
    challenge = calibrating(tmp_path)
    form = form_of(challenge, references(challenge, SECRET, fit=True)[0])
    assert forms.calibrated(challenge, form) == forms.calibrated(challenge, forms.build(challenge, form)[0])


def test_a_challenge_refuses_a_form_and_says_which_gate_and_why(tmp_path: Path) -> None:
    challenge = calibrating(tmp_path)
    reference = references(challenge, SECRET, fit=False)[0]
    with pytest.raises(FormUnfit, match=f"^gate 3: {reference} tells nobody from nobody$"):
        forms.calibrated(challenge, form_of(challenge, reference))


@pytest.mark.parametrize("generator", [None, GENERATE])
def test_where_nothing_is_calibrated_a_form_stays_as_it_is(generator: str | None, tmp_path: Path) -> None:
    challenge = sums(tmp_path, {"generator.py": generator} if generator else {})
    form = form_of(challenge, "1")
    assert forms.calibrated(challenge, form) == form
    assert form.calibration == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return {'a': 1}", "generator.py: calibrate returns dict: return JSON text, such as json.dumps(...)"),
        ("return 'yes'", "generator.py: calibrate: is no JSON: Expecting value: line 1 column 1"),
        ("return ''", "generator.py: calibrate: is no JSON: "),
        ("return '[NaN]'", "generator.py: calibrate: is no JSON: NaN is no number of JSON's"),
        ("return '[' * 100000", "generator.py: RecursionError"),
        ("return '\"\\ud800\"'", "generator.py: UnicodeEncodeError"),
        (f"return '\"' + 'x' * {LONGEST_CALIBRATION} + '\"'", "generator.py: calibrate: 512 kB are more than 512"),
        ("return 1 / 0", "generator.py:7: ZeroDivisionError: division by zero"),
        ("raise SystemExit", "generator.py:7: it ends the process"),
    ],
)
def test_what_is_no_calibration_is_its_authors_to_mend(body: str, said: str, tmp_path: Path) -> None:
    assert failure(with_calibrate(tmp_path, body)).startswith(said)


def test_a_calibration_that_never_ends_is_ended(tmp_path: Path) -> None:
    challenge = with_calibrate(tmp_path, "while True: pass")
    manifest = challenge.manifest.model_copy(update={"calibration_seconds": 0.3})
    said = failure(replace(challenge, manifest=manifest))
    assert said.startswith("generator.py:7: no end after 0.3 s")
    assert "calibration_seconds" in said


def test_only_calibrate_refuses_a_form(tmp_path: Path) -> None:
    source = "from graders import FormUnfit\n\ndef generate(form):\n    raise FormUnfit('gate 1: dull')\n"
    challenge = sums(tmp_path, {"generator.py": source})
    with pytest.raises(GraderFailed, match=r"^generator\.py:4: FormUnfit: gate 1: dull$"):
        forms.build(challenge, form_of(challenge, "1"))


# An author's forms


def test_an_authors_seed_gives_the_first_form_that_is_fit(tmp_path: Path) -> None:
    challenge = calibrating(tmp_path)
    told: list[str] = []
    found = {str(seed): forms.author_form(challenge, str(seed), told=told.append) for seed in range(8)}
    assert {form.reference.removeprefix(f"seed-{seed}") for seed, form in found.items()} > {"", "-2"}
    taken = {form.reference for form in found.values()}
    discarded = [reference for reference in calls(tmp_path) if reference not in taken]
    assert told == [
        f"form {reference}: is discarded: gate 3: {reference} tells nobody from nobody" for reference in discarded
    ]
    assert all(form.calibration and form.signature for form in found.values())


def test_a_challenge_that_refuses_all_forms_is_its_authors_to_mend(tmp_path: Path) -> None:
    challenge = sums(tmp_path, {"generator.py": GENERATE + REFUSES_ALL})
    told: list[str] = []
    with pytest.raises(GraderFailed, match="refuses 12 forms of seed 7, the last because of gate 1: dull"):
        forms.author_form(challenge, "7", told=told.append)
    assert [sentence.split(":")[0] for sentence in told] == [
        f"form seed-7{more}" for more in ("", *(f"-{number}" for number in range(2, 13)))
    ]


def test_what_came_of_an_authors_form_is_remembered_until_the_challenge_changes(tmp_path: Path) -> None:
    challenge, kept = calibrating(tmp_path), Calibrations(tmp_path / "kept")
    first = [forms.author_form(challenge, str(seed), kept.calibrated) for seed in range(6)]
    asked = calls(tmp_path)
    assert len(asked) > 6  # some were refused
    told: list[str] = []
    again = [forms.author_form(challenge, str(seed), kept.calibrated, told.append) for seed in range(6)]
    assert calls(tmp_path) == asked
    assert len(told) == len(asked) - 6
    assert [(one.reference, one.calibration) for one in again] == [(one.reference, one.calibration) for one in first]
    assert {path.name for path in (tmp_path / "kept" / challenge.digest).iterdir()} == {f"{one}.json" for one in asked}
    changed = calibrating(tmp_path, {"private/answers.json": "[4]"})
    assert json.loads(forms.author_form(changed, "1", kept.calibrated).calibration)["answers"] == [4]
    assert len(calls(tmp_path)) > len(asked)


def test_what_is_remembered_and_damaged_is_made_anew(tmp_path: Path) -> None:
    challenge, kept = calibrating(tmp_path), Calibrations(tmp_path / "kept")
    form = forms.author_form(challenge, "1", kept.calibrated)
    place = tmp_path / "kept" / challenge.digest / f"{form.reference}.json"
    for damaged in ("", "[", "[1]", '{"calibration": 7}'):
        place.write_text(damaged)
        assert forms.author_form(challenge, "1", kept.calibrated).calibration == form.calibration
        assert json.loads(place.read_text()) == {"calibration": form.calibration}


def test_several_may_remember_the_same_at_once(tmp_path: Path) -> None:
    challenge, kept = calibrating(tmp_path), Calibrations(tmp_path / "kept")
    form = form_of(challenge, references(challenge, SECRET, fit=True)[0])
    found: list[str] = []

    def calibrate() -> None:
        for _ in range(20):
            found.append(kept.calibrated(challenge, form).calibration)
            (tmp_path / "kept" / challenge.digest / f"{form.reference}.json").unlink(missing_ok=True)

    kept.calibrated(challenge, form)
    threads = [threading.Thread(target=calibrate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (60, 1)
    assert not list((tmp_path / "kept").rglob(".new-*"))


def test_where_nothing_is_calibrated_nothing_is_remembered(tmp_path: Path) -> None:
    forms.author_form(sums(tmp_path), "1", Calibrations(tmp_path / "kept").calibrated)
    assert not (tmp_path / "kept").exists()
