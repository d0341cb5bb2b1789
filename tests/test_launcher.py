"""The launcher itself, run on copies of the project that need one small package instead of fifty."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from web.settings import PROJECT

pytestmark = pytest.mark.installer

# Instead of web/cli.py: says how it was started, and ends with the status that it is told to.
COMMAND_LINE: Final = """
import json, os, sys
import click
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), "prefix": sys.prefix, "file": __file__,
                  "click": click.__file__}))
sys.exit(int(sys.argv[2]) if sys.argv[1:2] == ["exit"] else 0)
"""

# What the launcher uses besides a shell and Python. A PATH with nothing else is a machine with nothing else.
TOOLS: Final = ("sh", "cat", "chmod", "cmp", "cp", "env", "grep", "head", "id", "ln", "ls", "mkdir", "mv",
                "readlink", "rm", "sleep", "touch")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of the project, and a machine to start it on."""

    folder: Path
    machine: Path  # the only folder on PATH when `bare`

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def environment(self, *, bare: bool, extra: dict[str, str]) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("ASSAY_", "PYTHON"))}
        python = str(Path(sys.executable).resolve().parent)
        path = str(self.machine) if bare else f"{self.machine}:{python}:{ours['PATH']}"
        return ours | {"PATH": path} | extra

    def popen(
        self, *arguments: str, bare: bool = False, program: Path | None = None, folder: Path | None = None, **extra: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [program or self.folder / "assay", *arguments],
            cwd=folder or self.folder, env=self.environment(bare=bare, extra=extra), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def start(self, *arguments: str, **how: Any) -> "Start":
        running = self.popen(*arguments, **how)
        out, err = running.communicate()
        return Start(running.returncode, out, err)

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Which files say what is installed, and when each was written."""
        return {
            path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in [self.venv / "pyvenv.cfg", *(self.venv / "assay").iterdir()]
        }

    def has(self, package: str) -> bool:
        return bool(list(self.venv.glob(f"lib/python3.*/site-packages/{package}/__init__.py")))


@dataclass(frozen=True, slots=True)
class Start:
    status: int
    out: str
    err: str

    @property
    def said(self) -> dict[str, Any]:
        assert self.out, self.err
        return dict(json.loads(self.out))


def pin(package: str) -> str:
    """What the real lock says about one package that needs no other."""
    entries = re.split(r"^(?=[a-z0-9-]+==)", (PROJECT / "requirements-dev.lock").read_text(), flags=re.MULTILINE)
    return next(entry for entry in entries if entry.startswith(f"{package}=="))


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def copied(folder: Path) -> Copy:
    project = folder / "it's a copy"
    (project / "web").mkdir(parents=True)
    shutil.copy(PROJECT / "assay", project)
    (project / "web" / "__init__.py").touch()
    (project / "web" / "cli.py").write_text(COMMAND_LINE)
    (project / "requirements.lock").write_text(pin("click"))
    (project / "requirements-dev.lock").write_text(pin("click") + pin("iniconfig"))
    machine = folder / "machine"
    machine.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (machine / tool).symlink_to(found)
    return Copy(project, machine)


@pytest.fixture
def fresh(tmp_path: Path) -> Copy:
    return copied(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy that was started once, for tests that leave it as it is."""
    copy = copied(tmp_path_factory.mktemp("installed"))
    first = copy.start("up")
    assert first.status == 0, first.err
    assert "assay: making" in first.err
    assert first.said["prefix"] == str(copy.venv)
    return copy


# ---------------------------------------------------------------------------------------------------- later starts


def test_a_second_start_installs_nothing(installed: Copy) -> None:
    before = installed.stamps()
    # On this machine there is neither a Python nor a package index any more.
    second = installed.start("up", bare=True, PIP_INDEX_URL="http://127.0.0.1:9/")
    assert (second.status, second.err) == (0, "")
    assert installed.stamps() == before


def test_arguments_and_the_exit_code_pass_through(installed: Copy) -> None:
    started = installed.start("exit", "7", "two words", "", "--no-install", "it's")
    assert started.status == 7
    assert started.said["arguments"] == ["exit", "7", "two words", "", "--no-install", "it's"]


def test_it_runs_from_another_folder(installed: Copy, tmp_path: Path) -> None:
    said = installed.start("up", folder=tmp_path).said
    assert said["folder"] == str(tmp_path)
    assert said["file"] == str(installed.folder / "web" / "cli.py")


def test_it_runs_through_links_to_links(installed: Copy, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "first").symlink_to(installed.folder / "assay")
    (tmp_path / "bin" / "second").symlink_to("../first")
    said = installed.start("up", program=tmp_path / "bin" / "second", folder=Path("/")).said
    assert said["file"] == str(installed.folder / "web" / "cli.py")


def test_it_runs_when_the_shell_is_given_its_bare_name(installed: Copy) -> None:
    ended = subprocess.run(["sh", "assay", "up"], cwd=installed.folder, capture_output=True, check=False)
    assert ended.returncode == 0


def test_modules_in_the_current_folder_are_not_ours(installed: Copy, tmp_path: Path) -> None:
    """The current folder may be a candidate's submission: none of its files may run outside a room."""
    (tmp_path / "web").mkdir()
    for name in ("click.py", "json.py", "web/__init__.py", "web/cli.py"):
        (tmp_path / name).write_text("raise SystemExit('the candidate was here')")
    started = installed.start("up", folder=tmp_path)
    assert started.status == 0, started.err
    assert started.said["click"].startswith(str(installed.venv))


# ---------------------------------------------------------------------------------------------------- installations


def test_tests_get_packages_of_their_own_and_keep_them(fresh: Copy) -> None:
    fresh.start("up")
    assert (fresh.has("click"), fresh.has("iniconfig")) == (True, False)
    fresh.start("test")
    assert (fresh.has("click"), fresh.has("iniconfig")) == (True, True)
    assert [fresh.start(command).err for command in ("up", "test", "up")] == ["", "", ""]


def test_a_changed_lock_is_installed(fresh: Copy) -> None:
    fresh.start("up")
    (fresh.folder / "requirements.lock").write_text(pin("click") + pin("iniconfig"))
    assert "new or have changed" in fresh.start("up").err
    assert fresh.has("iniconfig")
    assert fresh.start("up").err == ""


def test_a_package_with_another_hash_is_refused(fresh: Copy) -> None:
    lock = fresh.folder / "requirements.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", lock.read_text()))
    for _ in range(2):
        started = fresh.start("up")
        assert (started.status, started.out) == (3, "")
        assert "HASH" in started.err.upper()
        assert not fresh.has("click")


def test_a_moved_project_gets_a_new_environment(fresh: Copy) -> None:
    fresh.start("up")
    moved = Copy(fresh.folder.rename(fresh.folder.with_name("moved")), fresh.machine)
    assert moved.start("up").said["click"].startswith(str(moved.venv))
    assert moved.start("up").err == ""


def test_two_first_starts_at_the_same_time_both_succeed(fresh: Copy) -> None:
    running = [fresh.popen("up"), fresh.popen("test")]
    told = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert "waiting for it" in told[0][1] + told[1][1]
    assert [fresh.start(command).err for command in ("up", "test")] == ["", ""]


def test_an_install_that_was_killed_is_made_anew(fresh: Copy) -> None:
    running = fresh.popen("up")
    while not list(fresh.venv.glob("lib/python3.*/site-packages/pip")):
        assert running.poll() is None
        time.sleep(0.005)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    again = fresh.start("up")
    assert again.status == 0, again.err
    assert fresh.start("up").err == ""


def test_half_a_package_of_an_interrupted_install_is_not_taken_for_a_whole_one(fresh: Copy) -> None:
    fresh.start("up")
    (core,) = fresh.venv.glob("lib/python3.*/site-packages/click/core.py")
    core.unlink()  # pip would say: Requirement already satisfied
    (fresh.venv / "assay" / "unfinished").touch()
    (fresh.venv / "assay" / "requirements.lock").unlink()
    assert fresh.start("up").status == 0
    assert core.exists()


# ------------------------------------------------------------------------------------------------- what cannot be done


def test_a_folder_that_holds_other_files_is_left_alone(fresh: Copy, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "lib").mkdir(parents=True)
    (home / "lib" / "letter").write_text("dear")
    started = fresh.start("up", ASSAY_VENV=str(home))
    assert started.status == 3
    assert "holds files that are not Assay's" in started.err
    assert [path.name for path in home.rglob("*")] == ["lib", "letter"]


def test_the_environment_of_another_checkout_is_left_alone(fresh: Copy, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = copied(tmp_path / "other")
    other.start("up")
    started = fresh.start("up", ASSAY_VENV=str(other.venv))
    assert started.status == 3
    assert f"belongs to {other.folder}" in started.err
    assert other.start("up").err == ""


def test_the_environment_may_live_elsewhere(fresh: Copy, tmp_path: Path) -> None:
    started = fresh.start("up", folder=tmp_path, ASSAY_VENV="else where")
    assert started.said["prefix"] == str(tmp_path / "else where")
    assert not fresh.venv.exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(fresh: Copy) -> None:
    started = fresh.start("up", ASSAY_VENV="/proc/assay")
    assert started.status == 3
    assert started.err.count("\n") == 1
    assert "/proc/assay: cannot be written" in started.err


def test_no_python_and_no_apt_is_one_sentence(fresh: Copy) -> None:
    started = fresh.start("up", bare=True)
    assert (started.status, started.out) == (3, "")
    assert started.err.count("\n") == 1
    assert "no Python 3.11 or newer" in started.err


def test_a_python_that_was_named_and_is_not_one_is_refused(fresh: Copy) -> None:
    started = fresh.start("up", ASSAY_PYTHON="/bin/false")
    assert started.status == 3
    assert "ASSAY_PYTHON: /bin/false: is no Python 3.11" in started.err


def fake_apt(copy: Copy) -> Path:
    """An apt-get that writes down how it was called, and whose packages are one link to the real Python."""
    calls = copy.machine / "calls"
    real = Path(sys.executable).resolve()
    script(
        copy.machine / "apt-get",
        f"""echo "$*" >>{calls}
        if [ "$1" = install ]; then rm -f {copy.machine}/python3.11; ln -s {real} {copy.machine}/python3.11; fi""",
    )
    script(copy.machine / "sudo", 'exec "$@"')
    return calls


def test_a_machine_without_python_gets_one(fresh: Copy) -> None:
    calls = fake_apt(fresh)
    started = fresh.start("up", bare=True)
    assert started.status == 0, started.err
    assert "There is no Python 3.11 or newer" in started.err
    update, install = calls.read_text().splitlines()
    assert update == "update"
    assert install.startswith("install --yes --no-install-recommends python3-venv")


def test_a_python_without_ensurepip_gets_it(fresh: Copy) -> None:
    fake_apt(fresh)
    (fresh.machine / "lacking.py").write_text("import sys; sys.modules['ensurepip'] = None\n")
    script(fresh.machine / "python3.11", f'exec {sys.executable} -I -c "$(cat {fresh.machine}/lacking.py; echo "$3")"')
    started = fresh.start("test", bare=True)
    assert started.status == 0, started.err
    assert re.search(r"installs python3(\.\d+)?-venv:", started.err)


@pytest.mark.parametrize("arguments", [("up", "--no-install"), ("test", "--no-install"), ("settings",)])
def test_nothing_is_installed_unasked_and_the_commands_are_printed(arguments: tuple[str, ...], fresh: Copy) -> None:
    calls = fake_apt(fresh)
    started = fresh.start(*arguments, bare=True)
    assert (started.status, started.out) == (3, "")
    assert re.search(r"^    (sudo )?apt-get update$", started.err, re.MULTILINE)
    assert re.search(r"^    .*apt-get install --yes --no-install-recommends python3-venv$", started.err, re.MULTILINE)
    assert not calls.exists()
    assert not fresh.venv.exists()


def test_an_apt_that_fails_is_our_own_fault(fresh: Copy) -> None:
    script(fresh.machine / "apt-get", '[ "$1" = update ] || { echo "E: no such package" >&2; exit 100; }')
    script(fresh.machine / "sudo", 'exec "$@"')
    started = fresh.start("up", bare=True)
    assert started.status == 3
    assert "E: no such package" in started.err
    assert "could not be installed" in started.err
