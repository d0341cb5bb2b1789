"""Receipts: valid as they were signed, and in no other way; checked by anybody, at a terminal or by themselves."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from graders.trees import digest_of
from tests.web.portal_process import PortalProcess
from web import receipts
from web.receipts import Body, KeyUnusable, NotValid, Signed, Signer
from web.settings import PROJECT

SEED: Final = "0a" * 32
SIGNER: Final = Signer(SEED)
FILES: Final = {"windows.py": b"def split(): ...\n", "notes/größe.md": b"Because.\n"}


def body(files: dict[str, bytes] | None = None, **changed: Any) -> Body:
    files = FILES if files is None else files
    said: dict[str, Any] = {
        "code": "K7QF-2MXA-9R4T-W3HD",
        "attempt": "a" * 32,
        "submission": 1,
        "content": digest_of(files),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "received_at": "2026-03-29T00:59:59Z",
        "handed_in_by": "candidate",
        "challenge": "warm-up",
        "challenge_version": "1.0.0",
        "challenge_digest": "c" * 64,
        "form": "f" * 64,
        "portal": "https://assay.example.org",
        "key": SIGNER.key_id,
    }
    return Body.model_validate(said | changed)


def text(**changed: Any) -> str:
    return SIGNER.sign(body(**changed)).document()


def altered(**changed: Any) -> str:
    """Somebody writes something else into a receipt and keeps the signature."""
    said = json.loads(text())
    said["receipt"] |= changed
    return json.dumps(said)


# ---------------------------------------------------------------------------------------------------------- verifying


def test_what_was_signed_is_valid() -> None:
    assert receipts.verify(text(), SIGNER.public_key) == body()


def test_the_program_in_the_manual_checks_it_with_nothing_of_ours(tmp_path: Path) -> None:
    manual = (PROJECT / "docs" / "receipts.md").read_text()
    program = manual.partition("```python\n")[2].partition("```")[0]
    program = program.replace("<the portal's public key>", SIGNER.public_key)

    def run(receipt: str) -> int:
        (tmp_path / "receipt.json").write_text(receipt)
        return subprocess.run(
            [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, check=False
        ).returncode

    assert run(text()) == 0
    assert run(altered(submission=2)) != 0


@pytest.mark.parametrize(
    "spelled",
    [
        lambda said: json.dumps(said),
        lambda said: json.dumps(said, indent=7, ensure_ascii=False),
        lambda said: "\ufeff\r\n" + json.dumps(said, sort_keys=True) + "\r\n\r\n",
        lambda said: json.dumps(said).replace(",", " ,\n"),
        lambda said: json.dumps(said, ensure_ascii=False).encode(),
        lambda said: b"\xef\xbb\xbf" + json.dumps(said).encode(),
    ],
)
def test_how_it_is_printed_does_not_matter(spelled: Any) -> None:
    assert receipts.verify(spelled(json.loads(text())), SIGNER.public_key) == body()


@pytest.mark.parametrize(
    "changed",
    [
        {"received_at": "2026-03-29T00:59:58Z"},
        {"submission": 2},
        {"attempt": "b" * 32},
        {"code": "K7QF-2MXA-9R4T-W3HE"},
        {"challenge_digest": "d" * 64},
        {"form": None},
        {"handed_in_by": "clock"},
        {"portal": "https://assay.example.com"},
        {"content": digest_of({"x": b"x"}), "files": {"x": hashlib.sha256(b"x").hexdigest()}},
    ],
)
def test_whatever_is_changed_the_signature_does_not_fit(changed: dict[str, Any]) -> None:
    with pytest.raises(NotValid, match="was changed after it was signed"):
        receipts.verify(altered(**changed), SIGNER.public_key)


def test_a_file_list_that_is_not_of_the_content_is_refused_even_if_it_is_signed() -> None:
    said = json.loads(text())
    said["receipt"]["files"] = {"other.py": "0" * 64}
    spelled = json.dumps(said["receipt"], sort_keys=True, separators=(",", ":"))
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED))
    said["signature"] = base64.b64encode(private.sign(receipts.MARK + spelled.encode())).decode()
    with pytest.raises(NotValid, match="not that of the files"):
        receipts.verify(json.dumps(said), SIGNER.public_key)


def test_a_receipt_of_another_key_is_not_ours() -> None:
    with pytest.raises(NotValid, match=f"says that key {SIGNER.key_id} signed it, and this is key"):
        receipts.verify(text(), Signer("0b" * 32).public_key)


def test_a_receipt_that_names_another_key_than_the_one_that_signed_is_refused() -> None:
    with pytest.raises(NotValid, match="says that it was"):
        receipts.verify(text(key=Signer("0b" * 32).key_id), SIGNER.public_key)


def test_a_signature_of_our_key_for_something_else_is_no_receipt() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED))
    without_mark = base64.b64encode(private.sign(body().spelled().encode())).decode()
    with pytest.raises(NotValid):
        receipts.verify(Signed(receipt=body(), signature=without_mark).document(), SIGNER.public_key)


def test_a_key_that_stands_there_twice_is_refused() -> None:
    twice = text().replace('"submission": 1', '"submission": 7,\n    "submission": 1')
    with pytest.raises(NotValid, match="twice"):
        receipts.verify(twice, SIGNER.public_key)


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "   ",
        "hello",
        "{}",
        "[]",
        "null",
        '{"receipt": {}, "signature": ""}',
        "{" * 200_000,
        '{"receipt":' * 50_000,
        '{"receipt": NaN, "signature": "x"}',
        b"\xff\xfe\x00",
        "x" * (receipts.MOST_CHARACTERS + 1),
        text()[:-30],
        text().replace('"signature": "', '"signature": "?'),
        text().replace('"version": 1', '"version": 2'),
        text().replace('"version": 1', '"version": "1"'),
        text().replace('"submission": 1', '"submission": 1.0'),
        text().replace('"portal"', '"more": 1, "portal"'),
    ],
)
def test_nonsense_is_refused_in_a_sentence(nonsense: str | bytes) -> None:
    with pytest.raises(NotValid) as told:
        receipts.verify(nonsense, SIGNER.public_key)
    assert str(told.value).endswith(".")
    assert len(str(told.value)) < 300


@given(st.text() | st.binary())
def test_nothing_that_somebody_pastes_breaks_it(pasted: str | bytes) -> None:
    with pytest.raises(NotValid):
        receipts.verify(pasted, SIGNER.public_key)


NAMES: Final = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=8))
def test_any_file_names_are_signed_and_read_back_as_they_are(files: dict[str, bytes]) -> None:
    said = body(files)
    assert receipts.verify(SIGNER.sign(said).document(), SIGNER.public_key) == said


@pytest.mark.parametrize("key", ["", "0a", "z" * 64, "0a" * 33])
def test_what_is_no_key_is_said_to_be_none(key: str) -> None:
    with pytest.raises(KeyUnusable, match="64 hexadecimal digits"):
        receipts.verify(text(), key)
    with pytest.raises(KeyUnusable, match="ASSAY_RECEIPT_KEY"):
        Signer(key)


def test_codes_are_of_chance_and_read_back_however_they_are_typed() -> None:
    codes = {receipts.new_code() for _ in range(500)}
    assert len(codes) == 500
    for code in codes:
        assert body(code=code).code == code
        typed = code.lower().replace("1", "l").replace("0", "o").replace("-", " ")
        assert receipts.normal(typed) == code


# -------------------------------------------------------------------------------------------------------- at a terminal


def assay(*arguments: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "web.cli", "receipt", *arguments],
        cwd=PROJECT, env=ours | environment, input=given, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "receipt.json"
    made.write_text(text())
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "handed in"
    for name, content in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    return made


def test_the_command_says_valid_and_what_the_receipt_says(file: Path) -> None:
    ended = assay("verify", str(file), "--key", SIGNER.public_key)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"valid: signed by key {SIGNER.key_id}\n")
    assert "2026-03-29T00:59:59Z (by the candidate)" in ended.stdout


def test_the_command_reads_standard_input_and_answers_in_json() -> None:
    ended = assay("verify", "-", "--key", SIGNER.public_key, "--json", given=text())
    assert ended.returncode == 0
    said = json.loads(ended.stdout)
    assert (said["valid"], said["reason"], said["folder"]) == (True, None, None)
    assert said["receipt"]["code"] == "K7QF-2MXA-9R4T-W3HD"


def test_a_changed_receipt_is_one_and_the_reason(tmp_path: Path) -> None:
    forged = tmp_path / "receipt.json"
    forged.write_text(altered(received_at="2026-03-28T00:00:00Z"))
    ended = assay("verify", str(forged), "--key", SIGNER.public_key)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout == "not valid: The signature does not fit: something in it was changed after it was signed.\n"
    told = json.loads(assay("verify", str(forged), "--key", SIGNER.public_key, "--json").stdout)
    assert (told["valid"], told["receipt"]) == (False, None)


def test_a_folder_with_exactly_the_files_is_well(file: Path, folder: Path) -> None:
    ended = assay("verify", str(file), "--key", SIGNER.public_key, "--folder", str(folder))
    assert ended.returncode == 0
    assert "exactly the files" in ended.stdout


def test_a_folder_with_other_files_is_one_and_each_is_named(file: Path, folder: Path) -> None:
    (folder / "windows.py").write_text("def split(): return []\n")
    (folder / "notes" / "größe.md").rename(folder / "later.md")
    ended = assay("verify", str(file), "--key", SIGNER.public_key, "--folder", str(folder))
    assert ended.returncode == 1
    for line in ("missing: notes/größe.md", "not handed in: later.md", "different: windows.py"):
        assert f"  {line}\n" in ended.stdout
    said = json.loads(assay("verify", str(file), "--key", SIGNER.public_key, "--folder", str(folder), "--json").stdout)
    assert (said["valid"], said["folder"]["changed"]) == (False, ["windows.py"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--key", "0a"),
        ("--key", "a" * 64, "--url", "https://assay.example.org"),
        ("--url", "ftp://assay.example.org"),
        ("--folder", "/nowhere/at/all"),
    ],
)
def test_wrong_usage_is_two(file: Path, arguments: tuple[str, ...]) -> None:
    ended = assay("verify", str(file), *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr


def test_without_a_key_it_is_that_of_this_installation_or_nobodys(file: Path, tmp_path: Path) -> None:
    ended = assay("verify", str(file), ASSAY_STATE=str(tmp_path / "none"))
    assert ended.returncode == 2
    assert "--key" in ended.stderr
    assert assay("verify", str(file), ASSAY_RECEIPT_KEY=SEED).returncode == 0


def test_the_installations_key_is_printed_for_others(tmp_path: Path) -> None:
    ended = assay("key", ASSAY_RECEIPT_KEY=SEED)
    assert (ended.returncode, ended.stdout) == (0, f"{SIGNER.public_key}\n")
    told = json.loads(assay("key", "--json", ASSAY_RECEIPT_KEY=SEED).stdout)
    assert told == {"key_id": SIGNER.key_id, "public_key": SIGNER.public_key}
    none = assay("key", ASSAY_STATE=str(tmp_path / "none"))
    assert (none.returncode, none.stdout) == (3, "")
    assert none.stderr.count("\n") == 1


def test_the_key_is_asked_of_the_portal_that_is_named(file: Path, portal: PortalProcess) -> None:
    ended = assay("verify", str(file), "--url", portal.url)
    assert ended.returncode == 1, "that portal has a key of its own"
    assert f"says that key {SIGNER.key_id} signed it" in ended.stdout
    nobody = assay("verify", str(file), "--url", "http://127.0.0.1:9")
    assert (nobody.returncode, nobody.stdout) == (3, "")
    assert "does the portal answer there?" in nobody.stderr
    other = assay("verify", str(file), "--url", f"{portal.url}/nowhere")
    assert other.returncode == 3
