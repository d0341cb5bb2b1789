"""Forms: what they are derived from, and what a generator may give."""

import hashlib
import hmac
from pathlib import Path

import pytest

from graders import forms
from graders.challenge import read_challenge
from graders.contract import Bundle, ChallengeInvalid, GraderFailed
from graders.watch import Record
from tests.graders.folders import MANIFEST, sums, write_sums
from web.settings import PROJECT

SECRET = b"x" * 32


def generator(body: str, brief: str = "Add {{ count }} numbers.\n") -> dict[str, str | bytes | None]:
    source = "from graders import Bundle\n\ndef generate(form):\n"
    return {"generator.py": source + "".join(f"    {line}\n" for line in body.splitlines()), "brief.md": brief}


def refused(folder: Path, files: dict[str, str | bytes | None]) -> str:
    challenge = sums(folder, files)
    with pytest.raises(GraderFailed) as caught:
        forms.build(challenge, forms.author_form(challenge, "1"))
    return str(caught.value)


# Seeds


def test_a_seed_is_derived_from_challenge_version_and_reference_with_the_secret() -> None:
    form = forms.form_for("sums", "1.0.0", "attempt-1", SECRET)
    assert form.seed == hmac.new(SECRET, b"sums@1.0.0|attempt-1", hashlib.sha256).digest()
    assert (form.challenge, form.version, form.reference, form.signature) == ("sums", "1.0.0", "attempt-1", "")


def test_whatever_differs_gives_another_seed() -> None:
    seeds = {
        forms.form_for("sums", "1.0.0", "attempt-1", SECRET).seed,
        forms.form_for("sum", "1.0.0", "attempt-1", SECRET).seed,
        forms.form_for("sums", "1.0.1", "attempt-1", SECRET).seed,
        forms.form_for("sums", "1.0.0", "attempt-2", SECRET).seed,
        forms.form_for("sums", "1.0.0", "attempt-1", b"y" * 32).seed,
    }
    assert len(seeds) == 5


def test_without_a_secret_there_is_no_form() -> None:
    with pytest.raises(ValueError, match="anybody could make this form"):
        forms.form_for("sums", "1.0.0", "attempt-1", b"")


def test_an_authors_form_is_the_same_on_every_machine(tmp_path: Path) -> None:
    one, other = (forms.author_form(sums(tmp_path / place), "7") for place in "ab")
    assert one == other
    assert one.reference == "seed-7"
    assert one != forms.author_form(sums(tmp_path / "c"), "8")


# Bundles


def test_without_a_generator_the_bundle_is_the_starter(tmp_path: Path) -> None:
    challenge = sums(tmp_path)
    form, bundle = forms.build(challenge, forms.author_form(challenge, "1"))
    assert bundle.files == {"README.md": b"Read the brief.\n", "sum.py": b"def add(a, b): ...\n"}
    assert (bundle.values, bundle.brief) == ({}, "# Sums\n\nAdd.\n")
    assert form.signature == bundle.signature != ""
    assert form == forms.build(challenge, forms.author_form(challenge, "1"))[0]


def test_a_generators_values_stand_in_the_brief(tmp_path: Path) -> None:
    made = (
        'return Bundle(files={"a.py": b"x"}, values={"count": 3, "firm": "{{ count }}", "rate": 0.5}, signature="s-3")'
    )
    challenge = sums(tmp_path, generator(made, "{{count}} of {{ firm }}, {{  rate  }}; {braces} }} stay\n"))
    form, bundle = forms.build(challenge, forms.author_form(challenge, "1"))
    assert bundle.brief == "3 of {{ count }}, 0.5; {braces} }} stay\n"
    assert (form.signature, bundle.signature, bundle.files) == ("s-3", "s-3", {"a.py": b"x"})


def test_forms_with_the_same_content_have_the_same_signature_and_others_not(tmp_path: Path) -> None:
    made = 'return Bundle({"a.py": b"x"}, {"count": form.random("count").randint(1, 2)})'
    challenge = sums(tmp_path, generator(made))
    built = [forms.build(challenge, forms.author_form(challenge, str(seed))) for seed in range(12)]
    by_brief: dict[str, set[str]] = {}
    for form, bundle in built:
        by_brief.setdefault(bundle.brief, set()).add(form.signature)
    assert len(by_brief) == 2
    assert all(len(signatures) == 1 for signatures in by_brief.values())
    assert len(set.union(*by_brief.values())) == 2


def test_the_warm_ups_forms_can_be_built_and_differ() -> None:
    challenge = read_challenge(PROJECT / "challenges" / "warm-up")
    bundles = [forms.build(challenge, forms.author_form(challenge, seed))[1] for seed in ("1", "2", "1")]
    assert bundles[0] == bundles[2] != bundles[1]
    assert "{{" not in bundles[0].brief


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return None", "generator.py: generate returns NoneType: return Bundle(files=..., values=...)"),
        ("return Bundle({}, {'count': 3})", "generator.py: files: there are none"),
        ("return Bundle({'a': 'text'}, {'count': 3})", "generator.py: files: 'a': a name must be text"),
        ("return Bundle({'../a': b''}, {'count': 3})", "generator.py: files: '../a': a name must be relative"),
        ("return Bundle({'a': b'', 'a/b': b''}, {'count': 3})", "generator.py: files: 'a': a file, and the folder"),
        ("return Bundle({str(n): b'' for n in range(201)}, {'count': 3})", "generator.py: files: 201 of 0 kB are more"),
        ("return Bundle({'a': bytes(3 << 20)}, {'count': 3})", "generator.py: files: 1 of 3072 kB are more than"),
        ("return Bundle({'a': b''}, {'Count': 3})", "generator.py: values: 'Count': a name has small letters"),
        ("return Bundle({'a': b''}, {'count': None})", "generator.py: values: count: None: must be a text or"),
        ("return Bundle({'a': b''}, {'count': True})", "generator.py: values: count: True: must be a text or"),
        ("return Bundle({'a': b''}, {'count': float('nan')})", "generator.py: values: count: nan: must be a text or"),
        ("return Bundle({'a': b''}, {'count': 'x' * 10001})", "generator.py: values: count: longer than 10000"),
        ("return Bundle({'a': b''}, {'count': 3}, 'two\\nlines')", "generator.py: signature: must be one line"),
        ("return Bundle({'a': b''}, {'count': 3}, brief='Mine.')", "generator.py: brief: is made from brief.md"),
        ("return Bundle({'a': b''}, {'number': 3})", "brief.md: count: generator.py gives no value of this name"),
        ("return Bundle({'a': b''})", "brief.md: count: generator.py gives no value of this name; it gives none"),
        ("raise KeyError('rows')", "generator.py:4: KeyError: 'rows'"),
        ("raise SystemExit(0)", "generator.py:4: it ends the process"),
        ("return missing", "generator.py:4: NameError: name 'missing' is not defined"),
    ],
)  # fmt: skip
def test_what_a_generator_gives_is_looked_at(tmp_path: Path, body: str, sentence: str) -> None:
    assert refused(tmp_path, generator(body)).startswith(sentence)


def test_a_generator_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "BUILD_SECONDS", 0.2)
    assert refused(tmp_path, generator("while True: pass")).startswith("generator.py:4: no end after 0.2 s")


def test_a_generator_that_cannot_be_imported_is_its_authors_to_mend(tmp_path: Path) -> None:
    assert refused(tmp_path, {"generator.py": "def generate(form)\n"}).startswith("generator.py:1: SyntaxError: ")
    absolute = refused(tmp_path, {"generator.py": "import rows\n", "rows.py": ""})
    assert absolute.startswith(
        "generator.py:1: ModuleNotFoundError: No module named 'rows': it lies beside this file: "
    )
    assert absolute.endswith("write `from . import rows`")
    challenge = sums(tmp_path, {"generator.py": "made = 1\n"})
    with pytest.raises(ChallengeInvalid, match=r"generator\.py: generate: there is no such function"):
        forms.build(challenge, forms.author_form(challenge, "1"))


def test_what_a_generator_prints_is_kept_and_not_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = "import sys\nprint('rows')\nprint('oh', file=sys.stderr)\nreturn Bundle({'a': b''}, {'count': 3})"
    challenge = sums(tmp_path, generator(made))
    record = Record()
    forms.build(challenge, forms.author_form(challenge, "1"), record)
    assert record.printed == "rows\noh\n"
    assert capfd.readouterr() == ("", "")


def test_a_bundle_is_a_plain_copy_of_what_its_generator_gives(tmp_path: Path) -> None:
    made = "class Files(dict): ...\nclass Bundled(Bundle): ...\nreturn Bundled(Files({'a': b'x'}), {'count': 3})"
    challenge = sums(tmp_path, generator(made))
    _, bundle = forms.build(challenge, forms.author_form(challenge, "1"))
    assert (type(bundle), type(bundle.files), bundle.files) == (Bundle, dict, {"a": b"x"})


def test_a_starter_may_hold_what_the_manifest_allows(tmp_path: Path) -> None:
    roomy = MANIFEST + "[submission]\nfiles = 300\ntotal_kb = 4096\n"
    challenge = read_challenge(write_sums(tmp_path, {"challenge.toml": roomy, "starter/big.bin": bytes(3 << 20)}))
    assert len(forms.build(challenge, forms.author_form(challenge, "1"))[1].files["big.bin"]) == 3 << 20
