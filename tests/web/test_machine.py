"""What is missing on a machine, what would be done about it, and how. Nothing here is really installed."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from sandbox.settings import SandboxSettings
from web import machine as machine_module
from web.machine import (
    FOR_TEST,
    FOR_UP,
    Command,
    Facts,
    Leftover,
    MachineUnready,
    Program,
    Reach,
    await_engine,
    decide,
    find_compose,
    knock,
    look,
    prepare,
)

READY: Final = Facts(
    system="Debian GNU/Linux 12 (bookworm)",
    distribution="debian",
    user="ada",
    is_root=False,
    has_sudo=True,
    has_systemd=False,
    engine_host="unix:///var/run/docker.sock",
    engine=Reach.ANSWERS,
    leftover=Leftover.NOTHING,
    missing=frozenset(),
)
BARE: Final = replace(READY, engine=Reach.SILENT, missing=FOR_TEST - {Program.DEBOOTSTRAP})


def lines(facts: Facts) -> list[str]:
    return [" ".join(command.by(facts)) for step in decide(facts) for command in step.commands]


def reasons(facts: Facts) -> str:
    return " ".join(reason for step in decide(facts) for reason in step.reasons)


# ------------------------------------------------------------------------------------------------------- decisions


def test_nothing_is_done_on_a_machine_that_has_everything() -> None:
    assert decide(READY) == ()


def test_one_apt_call_installs_all_that_is_missing_and_says_why() -> None:
    *_, update, install, start = lines(BARE)
    assert update.endswith("apt-get update")
    assert install.startswith("sudo env DEBIAN_FRONTEND=noninteractive")
    for words in (
        "--no-install-recommends",
        "DPkg::Lock::Timeout=300",
        "docker.io",
        "chromium",
        "postgresql",
        "docker-compose",
    ):
        assert words in install
    assert "dockerd" in start
    for name in ("Docker Engine is missing: ", "Chromium is missing: ", "PostgreSQL is missing: "):
        assert name in reasons(BARE)


def test_only_what_is_missing_is_installed() -> None:
    (update, install) = lines(replace(READY, missing=frozenset({Program.CHROMIUM})))
    assert update.endswith("update")
    assert install.endswith(" chromium")


def test_postgresql_makes_no_database_of_its_own() -> None:
    without = lines(replace(READY, missing=frozenset({Program.POSTGRES})))
    assert "create_main_cluster = false" in without[0]
    assert "install" in without[2]
    assert not [line for line in lines(replace(READY, missing=FOR_UP)) if "postgresql" in line]


def test_root_needs_no_sudo() -> None:
    assert not [line for line in lines(replace(BARE, is_root=True)) if "sudo" in line]
    assert all(line.startswith("sudo ") for line in lines(BARE))


def test_ubuntu_gets_the_browser_that_is_no_snap() -> None:
    ubuntu = replace(BARE, distribution="ubuntu", system="Ubuntu 24.04")
    assert not [line for line in lines(ubuntu) if "apt-get" in line and "chromium" in line]
    assert [line for line in lines(ubuntu) if line.endswith("-m playwright install --with-deps chromium")]
    assert "only as a snap" in reasons(ubuntu)


def test_ubuntu_gets_the_compose_of_today() -> None:
    ubuntu = replace(READY, distribution="ubuntu", missing=frozenset({Program.COMPOSE}))
    assert lines(ubuntu)[-1].endswith(" docker-compose-v2")
    assert lines(replace(ubuntu, distribution="debian"))[-1].endswith(" docker-compose")


def test_another_system_is_told_what_to_install() -> None:
    fedora = replace(BARE, distribution="fedora", system="Fedora Linux 41")
    missing = "Docker Engine, Chromium, libatomic, PostgreSQL, Docker Compose, libfaketime, git"
    with pytest.raises(MachineUnready, match=rf"Linux 41: missing: {missing}\."):
        decide(fedora)


def test_another_system_that_has_everything_is_welcome() -> None:
    assert decide(replace(READY, distribution="fedora")) == ()


def test_an_engine_that_stands_still_is_started_by_systemd_where_there_is_one() -> None:
    silent = replace(READY, engine=Reach.SILENT)
    assert lines(replace(silent, has_systemd=True)) == ["sudo systemctl start docker"]
    assert "setsid dockerd" in lines(silent)[0]


def test_a_stale_pid_file_is_removed_before_the_engine_starts() -> None:
    remove, start = lines(replace(READY, engine=Reach.SILENT, leftover=Leftover.STALE))
    assert remove == "sudo rm -f /var/run/docker.pid"
    assert "dockerd" in start


def test_a_second_engine_is_never_started() -> None:
    (step,) = decide(replace(READY, engine=Reach.SILENT, leftover=Leftover.ALIVE))
    assert step.commands == ()
    assert step.starts_engine


def test_who_may_not_open_the_socket_is_told_about_the_group() -> None:
    with pytest.raises(MachineUnready, match="permission denied: ada is not in the group docker"):
        decide(replace(READY, engine=Reach.FORBIDDEN))


def test_an_engine_elsewhere_is_not_replaced_by_one_here() -> None:
    with pytest.raises(MachineUnready, match=r"tcp://build:2376: does not answer\. .*ASSAY_DOCKER_HOST"):
        decide(replace(BARE, engine_host="tcp://build:2376"))


# ----------------------------------------------------------------------------------------------------------- facts


@contextmanager
def listening(path: Path, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK") -> Iterator[None]:
    """Somebody at the socket who gives every caller the same answer."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()

        def serve() -> None:
            while True:
                try:
                    caller, _ = door.accept()
                except OSError:
                    return  # closed
                with caller:
                    caller.recv(4096)
                    caller.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join()


def asking(path: Path) -> SandboxSettings:
    return SandboxSettings(_env_file=None, ASSAY_DOCKER_HOST=f"unix://{path}", docker_timeout=1)


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path, as sockets need it, that everybody may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_an_engine_that_answers_is_heard(place: Path) -> None:
    with listening(place / "engine"):
        assert knock(asking(place / "engine")) is Reach.ANSWERS


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 Oh\r\n\r\n", b"\0\0\0 not http"])
def test_somebody_else_at_the_socket_is_not_an_engine(answer: bytes, place: Path) -> None:
    with listening(place / "engine", answer):
        assert knock(asking(place / "engine")) is Reach.SILENT


def test_nobody_at_the_socket_is_silence(place: Path) -> None:
    assert knock(asking(place / "engine")) is Reach.SILENT
    with listening(place / "engine"):
        pass
    assert knock(asking(place / "engine")) is Reach.SILENT


def test_a_socket_that_we_may_not_open_is_told_from_silence(place: Path) -> None:
    with listening(place / "engine"):
        (place / "engine").chmod(0)
        ours = os.geteuid()
        if ours == 0:
            os.seteuid(65534)  # to root every door is open
        try:
            assert knock(asking(place / "engine")) is Reach.FORBIDDEN
        finally:
            os.seteuid(ours)


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n', "debian"),
        ("ID=ubuntu\nID_LIKE=debian\n", "ubuntu"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "ubuntu"),
        ("ID=fedora\n", "fedora"),
        ("", ""),
    ],
)
def test_a_system_is_known_by_what_it_was_made_from(text: str, distribution: str, place: Path) -> None:
    (place / "os-release").write_text(text)
    with listening(place / "engine"):
        assert look(asking(place / "engine"), [], place / "os-release").distribution == distribution


def test_compose_is_found_as_a_program_and_as_a_plugin(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = place / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setattr(machine_module, "COMPOSE_PLACES", ())
    executable(programs / "docker")
    assert find_compose() is None

    plugin = place / ".docker" / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir(parents=True)
    executable(plugin)
    assert find_compose() == (str(programs / "docker"), "compose")

    executable(programs / "docker-compose")
    assert find_compose() == (str(programs / "docker-compose"),)


def executable(path: Path) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


# --------------------------------------------------------------------------------------------------------- actions

# Prepares for Chromium alone on a machine whose PATH is one folder: no other program can be asked for by accident.
DRIVER: Final = """
import sys
from pathlib import Path
from sandbox.settings import SandboxSettings
from web.machine import MachineUnready, Program, prepare
try:
    prepare(SandboxSettings(_env_file=None), [Program.CHROMIUM], may_install=sys.argv[1] == "install",
            os_release=Path(sys.argv[2]))
except MachineUnready as error:
    sys.exit(f"unready: {error}")
"""
INSTALLS: Final = 'case "$*" in *install*) printf "#!/bin/sh\\n" >$here/chromium; chmod +x $here/chromium;; esac'


@pytest.fixture
def machine(place: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs `prepare` on a Debian with a fake apt-get that does what the test says."""
    programs = place / "programs"
    programs.mkdir()
    for tool in ("sh", "env", "chmod", "sleep"):
        (programs / tool).symlink_to(
            next(path for path in (Path("/usr/bin") / tool, Path("/bin") / tool) if path.exists())
        )
    (place / "os-release").write_text("ID=debian\n")

    def run(apt: str, *, may_install: bool = True, system: str = "ID=debian\n") -> subprocess.CompletedProcess[str]:
        (place / "os-release").write_text(system)
        words = f'#!/bin/sh\nhere={programs}\necho "$*" >>{place}/calls\n{apt}\n'
        for name, text in {"apt-get": words, "sudo": '#!/bin/sh\nexec "$@"\n'}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        return subprocess.run(
            [sys.executable, "-c", DRIVER, "install" if may_install else "no", str(place / "os-release")],
            env={"PATH": str(programs), "HOME": str(place), "ASSAY_DOCKER_HOST": f"unix://{place}/engine"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    with listening(place / "engine"):
        yield run


Run = Callable[..., subprocess.CompletedProcess[str]]


def calls(place: Path) -> list[str]:
    path = place / "calls"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def test_what_is_missing_is_told_and_then_installed(machine: Run, place: Path) -> None:
    ended = machine(INSTALLS)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert "assay: Chromium is missing: the tests look at the portal's pages in it." in ended.stderr
    assert calls(place) == ["update", "install"]


def test_what_was_installed_is_not_installed_again(machine: Run, place: Path) -> None:
    machine(INSTALLS)
    assert machine(INSTALLS).stderr == ""
    assert calls(place) == ["update", "install"]


def test_with_no_install_the_commands_are_printed_and_not_run(machine: Run, place: Path) -> None:
    ended = machine(INSTALLS, may_install=False)
    assert ended.returncode == 1
    assert "apt-get update\n" in ended.stderr
    assert "--no-install-recommends" in ended.stderr
    assert "unready: nothing was installed or started, as --no-install asks." in ended.stderr
    assert calls(place) == []


def test_an_apt_that_fails_stops_everything_with_its_own_words(machine: Run, place: Path) -> None:
    ended = machine('echo "E: no network" >&2; exit 100')
    assert "E: no network" in ended.stderr
    assert "ended with 100. Its own words are above." in ended.stderr
    assert calls(place) == ["update"]


def test_an_update_waits_for_another_program_that_holds_the_lists(machine: Run, place: Path) -> None:
    first = f'[ "$1" = update ] && [ ! -e {place}/tried ]'
    busy = f'if {first}; then : >{place}/tried; echo "E: Could not get lock" >&2; exit 100; fi'
    ended = machine(f"{busy}\n{INSTALLS}")
    assert ended.returncode == 0, ended.stderr
    assert calls(place) == ["update", "update", "install"]


def test_an_install_that_changes_nothing_is_not_tried_for_ever(machine: Run, place: Path) -> None:
    ended = machine("exit 0")
    assert "ended well, and it is still so" in ended.stderr
    assert calls(place) == ["update", "install"]


def test_nothing_is_tried_on_another_system(machine: Run, place: Path) -> None:
    ended = machine(INSTALLS, system='ID=arch\nPRETTY_NAME="Arch Linux"\n')
    assert "unready: Arch Linux: missing: Chromium." in ended.stderr
    assert calls(place) == []


def test_an_engine_that_answers_late_is_waited_for(place: Path) -> None:
    with listening(place / "engine"):
        await_engine(asking(place / "engine"), place / "log", seconds=5)


def test_an_engine_that_does_not_start_shows_the_end_of_its_log_and_advice(place: Path) -> None:
    (place / "log").write_text("line one\nfailed to start daemon: mount: operation not permitted\n")
    with pytest.raises(MachineUnready) as error:
        await_engine(asking(place / "engine"), place / "log", seconds=0.1)
    assert "failed to start daemon: mount: operation not permitted" in str(error.value)
    assert "needs --privileged" in str(error.value)


def test_the_log_of_an_earlier_start_is_not_blamed(place: Path) -> None:
    (place / "log").write_text("failed to start daemon: long ago\n")
    os.utime(place / "log", (1, 1))
    with pytest.raises(MachineUnready) as error:
        await_engine(asking(place / "engine"), place / "log", seconds=0.1)
    assert "long ago" not in str(error.value)


def test_a_command_is_what_a_person_would_type() -> None:
    assert Command(("true",)).by(READY) == ("sudo", "true")
    assert Command(("true",), as_root=False).by(READY) == ("true",)


def test_a_prepared_machine_is_left_as_it_is(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening(place / "engine"):
        prepare(asking(place / "engine"), [], may_install=True)
    assert capsys.readouterr() == ("", "")
