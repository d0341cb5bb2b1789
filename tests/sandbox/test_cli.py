"""The commands as a person or a program calls them: what is on stdout, and with what exit code."""

import base64
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.container import KIND
from sandbox.docker import Engine

pytestmark = pytest.mark.docker


def assay(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "web.cli", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text("print(6 * 7)\nopen('out.csv', 'w').write('a,b')\n")
    return tmp_path


def test_a_folder_goes_in_and_one_document_comes_out(folder: Path) -> None:
    done = assay("sandbox", "exec", "--collect", "./out.csv", "--json", str(folder), "--", "python3", "main.py")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert {"ending", "exit_code", "stdout", "stderr", "seconds", "files"} <= document.keys()
    assert (document["ending"], document["exit_code"]) == ("exited", 0)
    assert base64.b64decode(document["stdout"]) == b"42\n"
    assert base64.b64decode(document["files"]["out.csv"]) == b"a,b"


def test_options_may_also_stand_behind_the_folder(folder: Path) -> None:
    done = assay("sandbox", "exec", str(folder), "--json", "--", "python3", "-c", "print('--json')")
    assert base64.b64decode(json.loads(done.stdout)["stdout"]) == b"--json\n"


@pytest.mark.parametrize(
    ("program", "options", "ending"),
    [
        ("while True: pass", ["--seconds", "1"], "timed out"),
        ("bytearray(10**9)", ["--memory-mb", "64"], "out of memory"),
        ("while True: print('x' * 99)", ["--output-kb", "4"], "too much output"),
        ("import os; os.kill(os.getpid(), 9)", [], "exited"),
    ],
)
def test_a_programs_misbehaviour_is_an_answer_and_no_failure(
    folder: Path, program: str, options: list[str], ending: str
) -> None:
    done = assay("sandbox", "exec", *options, "--json", str(folder), "--", "python3", "-c", program)
    assert done.returncode == 0
    assert json.loads(done.stdout)["ending"] == ending


def test_a_file_becomes_the_programs_stdin(folder: Path) -> None:
    (folder / "question").write_bytes(b"\x00\xffhello")
    done = assay("sandbox", "exec", "--stdin", str(folder / "question"), "--json", str(folder), "--", "cat")
    assert base64.b64decode(json.loads(done.stdout)["stdout"]) == b"\x00\xffhello"


def test_for_people_the_programs_words_and_ours_are_kept_apart(folder: Path) -> None:
    done = assay("sandbox", "exec", "--collect", "out.csv", str(folder), "--", "python3", "main.py")
    assert done.stdout == "42\n"
    assert "exited with 0" in done.stderr
    assert "out.csv" in done.stderr


def rooms(engine: Engine) -> set[str]:
    """Those of commands like ours. One that a crash left may be swept at any time."""
    return {room for room, _ in engine.containers([f"{KIND}=exec"])}


@pytest.mark.alone  # other tests run commands in rooms, too
@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["exec", "--image", "nope", "{folder}", "--", "ls"], 2, "there is no such image; there are: python"),
        (["exec", "{folder}/nowhere", "--", "ls"], 2, "there is no such folder"),
        (["exec", "{folder}/main.py", "--", "ls"], 2, "name the folder that holds it"),
        (["exec", "{folder}", "--", "nosuch"], 2, "name a program of the image"),
        (["exec", "{folder}", "--", "./main.csv"], 2, "name a program of the image"),
        (["exec", "{folder}"], 2, "Missing argument"),
        (["exec", "--seconds", "0", "{folder}", "--", "ls"], 2, "--seconds"),
        (["exec", "--memory-mb", "1", "{folder}", "--", "ls"], 2, "--memory-mb"),
        (["exec", "--memory-mb", "lots", "{folder}", "--", "ls"], 2, "--memory-mb"),
        (["exec", "--collect", "../main.py", "{folder}", "--", "ls"], 2, "must not contain '..'"),
        (["exec", "--collect", "/etc/passwd", "{folder}", "--", "ls"], 2, "must be relative"),
        (["exec", "--stdin", "{folder}/nowhere", "{folder}", "--", "ls"], 2, "No such file"),
        (["exec", "--stdin", "/dev/zero", "{folder}", "--", "ls"], 2, "more than disk_mb"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(
    folder: Path, engine: Engine, words: list[str], status: int, sentence: str
) -> None:
    before = rooms(engine)
    done = assay("sandbox", *(word.format(folder=folder) for word in words))
    assert done.returncode == status, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert rooms(engine) <= before


def test_a_folder_of_five_gigabytes_is_refused_before_it_is_read(folder: Path) -> None:
    with (folder / "giant").open("wb") as file:
        file.truncate(5 << 30)
    done = assay("sandbox", "exec", str(folder), "--", "ls")
    assert done.returncode == 2
    assert "more than the 32 MB" in done.stderr


def test_a_link_in_the_folder_is_refused_and_not_followed(folder: Path) -> None:
    (folder / "innocent").symlink_to("/etc/passwd")
    done = assay("sandbox", "exec", str(folder), "--", "cat", "innocent")
    assert (done.returncode, done.stdout) == (2, "")
    assert "innocent" in done.stderr


@pytest.mark.alone  # other tests run commands in rooms, too
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_command_takes_its_room_down(folder: Path, engine: Engine, number: signal.Signals) -> None:
    before = rooms(engine)
    command = [sys.executable, "-P", "-m", "web.cli", "sandbox", "exec", str(folder), "--", "sleep", "60"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
        deadline = time.monotonic() + 30
        while rooms(engine) <= before and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(number)
        assert running.wait(30) == 130
        assert running.stderr is not None
        assert b"Traceback" not in running.stderr.read()
    assert rooms(engine) <= before


def test_a_full_disk_behind_our_output_is_a_sentence(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-P", "-m", "web.cli", "sandbox", "exec", "--json", str(folder), "--", "true"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "No space left" in done.stderr) == (3, True)
    assert "Traceback" not in done.stderr


def test_a_reader_who_has_seen_enough_is_no_error(folder: Path) -> None:
    (folder / "long.py").write_text("print('x' * 200_000)")
    command = [sys.executable, "-P", "-m", "web.cli", "sandbox", "exec", str(folder), "--", "python3", "long.py"]
    shell = f"set -o pipefail; {shlex.join(command)} | head -c 3"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "xxx")
    assert "Traceback" not in done.stderr


def test_a_name_cannot_write_lines_of_ours(folder: Path) -> None:
    (folder / "x  5 bytes\nexited with 0 after 0.01 s").write_text("")
    done = assay("sandbox", "exec", "--collect", "/box", str(folder), "--", "sh", "-c", "exit 3")
    assert [line for line in done.stderr.splitlines() if line.startswith("exited")] == [done.stderr.splitlines()[0]]
    assert "exited with 3" in done.stderr


def test_a_name_with_a_newline_is_a_name(folder: Path) -> None:
    (folder / "two\nlines").write_text("here")
    done = assay("sandbox", "exec", "--json", str(folder), "--", "cat", "two\nlines")
    assert base64.b64decode(json.loads(done.stdout)["stdout"]) == b"here"


def test_without_an_engine_the_sentence_says_how_to_get_one(folder: Path) -> None:
    done = assay("sandbox", "exec", str(folder), "--", "ls", ASSAY_DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 3
    assert done.stderr == (
        "assay: connect: unix:///nowhere/docker.sock: no Docker engine is there: "
        "install or start it; `./assay up` does both\n"
    )


def test_a_runtime_that_the_engine_does_not_know_is_our_own_fault(folder: Path) -> None:
    done = assay("sandbox", "exec", str(folder), "--", "ls", ASSAY_SANDBOX_RUNTIME="nosuch")
    assert done.returncode == 3
    assert "ASSAY_SANDBOX_RUNTIME" in done.stderr


def test_the_doctors_document_is_one_document() -> None:
    done = assay("doctor", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], done.stderr) == (0, True, "")
    assert len(document["checks"]) >= 15
    assert all(check.keys() == {"name", "ok", "found", "advice"} for check in document["checks"])


def test_a_doctor_who_finds_no_engine_ends_with_one() -> None:
    done = assay("doctor", "--json", ASSAY_DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False


def test_images_are_listed_by_the_id_that_rooms_are_made_from() -> None:
    done = assay("images", "list")
    assert done.returncode == 0
    assert done.stdout.startswith("python  sha256:")
