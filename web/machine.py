"""Prepares this machine for `assay up` and `assay test`: says what is missing and why, then installs it.

    look → Facts → decide → Steps → tell → act → look again, until nothing is left to be done

`decide` only thinks. Everything that is done is a command that a person could have typed, and is shown first.
"""

import http.client
import os
import platform
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import IO, Final

import click

from sandbox import SandboxUnavailable, images
from sandbox.docker import Engine
from sandbox.images import debian
from sandbox.settings import SandboxSettings

OS_RELEASE: Final = Path("/etc/os-release")
OWN_HOSTS: Final = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")  # where `dockerd` listens unasked
COMPOSE_PLACES: Final = ("local/lib", "local/libexec", "lib", "libexec")  # below /usr, of Docker's plugins
PID_FILE: Final = Path("/var/run/docker.pid")
ENGINE_LOG: Final = Path("/var/log/assay-dockerd.log")
ENGINE_SECONDS: Final = 60
LOCK_SECONDS: Final = 300

# What dockerd says when the cause is the machine, and what to do about it.
ENGINE_ADVICE: Final = {
    "not permitted": "This machine may not run containers. If it is a container itself, it needs --privileged.",
    "permission denied": "This machine may not run containers. If it is a container itself, it needs --privileged.",
    "cgroup": "Control groups are not mounted: install the package cgroupfs-mount, or boot with systemd.",
    "no space left": "The disk is full: make room, and start again.",
}


class MachineUnready(Exception):
    """The machine lacks something that we cannot or may not provide. The message says what to do."""


class Program(Enum):
    """What does not come with Python packages: what we call it, and what it is for."""

    ENGINE = "Docker Engine", "it runs candidates' programs in the sandbox"
    DEBOOTSTRAP = "debootstrap", "it makes the Debian that the sandbox images start from; no registry answers"
    CHROMIUM = "Chromium", "the tests look at the portal's pages in it"
    LIBATOMIC = "libatomic", "Playwright, which drives Chromium, does not start without it"
    POSTGRES = "PostgreSQL", "the tests run its server programs in a folder of their own"
    COMPOSE = "Docker Compose", "the tests bring up the production set with it, and take it down"
    FAKETIME = "libfaketime", "the tests set the clock of a whole installation with it, and of nothing else"
    GIT = "git", "the tests clone and push with it, as a candidate does; the portal itself runs none"


FOR_UP: Final = frozenset({Program.ENGINE, Program.DEBOOTSTRAP})
FOR_TEST: Final = frozenset(Program)

# apparmor and ca-certificates are only recommended by docker.io, but where the kernel has AppArmor no container
# starts without its parser, and without certificates no registry is trusted.
PACKAGES: Final = {
    Program.ENGINE: ("docker.io", "apparmor", "ca-certificates"),
    Program.DEBOOTSTRAP: ("debootstrap", "debian-archive-keyring", "gpgv"),
    Program.CHROMIUM: ("chromium",),
    Program.LIBATOMIC: ("libatomic1",),
    Program.POSTGRES: ("postgresql",),
    Program.COMPOSE: ("docker-compose",),
    Program.FAKETIME: ("libfaketime",),
    Program.GIT: ("git",),
}
ON_UBUNTU: Final = {Program.COMPOSE: ("docker-compose-v2",)}  # its docker-compose is the one of old, in Python

# ---------------------------------------------------------------------------------------------------------- facts


class Reach(StrEnum):
    """What happens when we knock at the engine's door."""

    ANSWERS = "answers"
    SILENT = "silent"
    FORBIDDEN = "forbidden"


class Leftover(StrEnum):
    """What the pid file of dockerd tells while the engine is silent."""

    NOTHING = "nothing"
    STALE = "stale"  # the process is gone, or is another program now: dockerd would refuse to start
    ALIVE = "alive"  # it is about to start, or hangs


@dataclass(frozen=True, slots=True)
class Facts:
    system: str  # as it calls itself: "Debian GNU/Linux 12 (bookworm)"
    distribution: str  # "debian", "ubuntu" or anything else
    user: str
    is_root: bool
    has_sudo: bool
    has_systemd: bool
    engine_host: str
    engine: Reach
    leftover: Leftover
    missing: frozenset[Program]


def look(settings: SandboxSettings, wanted: Collection[Program], os_release: Path = OS_RELEASE) -> Facts:
    release = _release(os_release)
    engine = knock(settings)
    missing = {program for program in wanted if not _is_here(program)}
    if engine is Reach.ANSWERS:
        missing.discard(Program.ENGINE)  # an engine on another machine needs no dockerd on this one
    if Program.DEBOOTSTRAP in missing and (engine is not Reach.ANSWERS or _has_base(settings)):
        missing.discard(Program.DEBOOTSTRAP)
    return Facts(
        system=release.get("PRETTY_NAME", platform.system()),
        distribution=_family(release),
        user=_user(),
        is_root=os.geteuid() == 0,
        has_sudo=shutil.which("sudo") is not None,
        has_systemd=Path("/run/systemd/system").is_dir(),
        engine_host=settings.docker_host,
        engine=engine,
        leftover=_leftover(),
        missing=frozenset(missing),
    )


def knock(settings: SandboxSettings) -> Reach:
    """Does an engine answer? A socket that we may not open says something else than one where nobody listens."""
    if not settings.docker_host.startswith("unix://"):
        try:
            with Engine(settings) as engine:
                engine.version()
        except SandboxUnavailable:
            return Reach.SILENT
        return Reach.ANSWERS
    door = socket.socket(socket.AF_UNIX)
    door.settimeout(settings.docker_timeout)
    asking = http.client.HTTPConnection("localhost")
    asking.sock = door
    try:
        door.connect(settings.docker_host.removeprefix("unix://"))
        asking.request("GET", "/_ping")
        return Reach.ANSWERS if asking.getresponse().status == 200 else Reach.SILENT
    except PermissionError:
        return Reach.FORBIDDEN
    except (OSError, http.client.HTTPException):
        return Reach.SILENT
    finally:
        asking.close()


def find_chromium() -> Path | None:
    """A Chromium that a test can drive. Ubuntu's is a snap, which does not see the tests' folders."""
    for name in ("chromium", "google-chrome", "google-chrome-stable"):
        found = shutil.which(name)
        if found and not Path(found).resolve().is_relative_to("/snap") and Path(found).resolve().name != "snap":
            return Path(found)
    return max(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"), default=None)


def find_postgres() -> Path | None:
    """The folder with initdb and postgres, which Debian keeps off PATH; the newest version's."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if folders:
        return max(folders, key=lambda folder: int(folder.parent.name) if folder.parent.name.isdigit() else 0)
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def find_compose() -> tuple[str, ...] | None:
    """How Compose is called here: as a program of its own, or as a plugin of Docker's command line."""
    if found := shutil.which("docker-compose"):
        return (found,)
    folders = (Path.home() / ".docker", *(Path(f"/usr/{place}/docker") for place in COMPOSE_PLACES))
    docker = shutil.which("docker")
    if docker and any((folder / "cli-plugins" / "docker-compose").exists() for folder in folders):
        return (docker, "compose")
    return None


def find_faketime() -> Path | None:
    """The library that tells a program another time."""
    folders = (path for place in ("lib64", "lib", "lib/*") for path in Path("/usr").glob(f"{place}/faketime"))
    return next((library for folder in folders for library in folder.glob("libfaketime.so.1")), None)


def _is_here(program: Program) -> bool:
    match program:
        case Program.ENGINE:
            return _which("dockerd") is not None
        case Program.DEBOOTSTRAP:
            return _which("debootstrap") is not None
        case Program.CHROMIUM:
            return find_chromium() is not None
        case Program.LIBATOMIC:
            return any(
                found for place in ("lib64", "lib", "lib/*") for found in Path("/usr").glob(f"{place}/libatomic.so.1")
            )
        case Program.POSTGRES:
            return find_postgres() is not None
        case Program.COMPOSE:
            return find_compose() is not None
        case Program.FAKETIME:
            return find_faketime() is not None
        case Program.GIT:
            return _which("git") is not None


def _which(name: str) -> str | None:
    """A person who is not root often has no sbin on PATH; sudo has."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


def _has_base(settings: SandboxSettings) -> bool:
    """Are the sandbox images built, or is there something to build them on?"""
    with Engine(settings) as engine:
        try:
            if all(engine.image_id(images.pinned(settings, name)) for name in images.names()):
                return True
        except SandboxUnavailable:
            pass  # not built yet, or not from the files that are here now
        if engine.image_id(settings.base_image) or engine.image_id(debian.TAG):
            return True
        click.echo(f"assay: asking the registry for {settings.base_image}", err=True)
        return engine.pull(settings.base_image)


def _release(path: Path) -> dict[str, str]:
    try:
        lines = [line.partition("=") for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {name: value.strip("\"'") for name, equals, value in lines if equals}


def _family(release: dict[str, str]) -> str:
    """A distribution made from Ubuntu has Ubuntu's packages, one made from Debian has Debian's."""
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return next((name for name in ("ubuntu", "debian") if name in names), names[0])


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may be run under a number that nobody has
        return f"user {os.geteuid()}"


def _leftover() -> Leftover:
    try:
        pid = int(PID_FILE.read_text())
    except (OSError, ValueError):
        return Leftover.STALE if PID_FILE.exists() else Leftover.NOTHING
    try:
        return Leftover.ALIVE if Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd" else Leftover.STALE
    except OSError:
        return Leftover.STALE


# ------------------------------------------------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class Command:
    words: tuple[str, ...]
    as_root: bool = True

    def by(self, facts: Facts) -> tuple[str, ...]:
        return ("sudo", *self.words) if self.as_root and not facts.is_root else self.words


@dataclass(frozen=True, slots=True)
class Step:
    reasons: tuple[str, ...]
    commands: tuple[Command, ...]
    starts_engine: bool = False


APT: Final = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "apt-get")
UPDATE: Final = Command((*APT, "update"))
# The package would otherwise make a database of its own and run it from now on.
NO_CLUSTER: Final = Command(
    (
        "sh",
        "-c",
        "mkdir -p /etc/postgresql-common/createcluster.d && "
        "echo create_main_cluster = false >/etc/postgresql-common/createcluster.d/assay.conf",
    )
)
# In a session of its own: neither Ctrl-C nor a closed terminal ends the engine under other people's containers.
START_ENGINE: Final = Command(("sh", "-c", f"setsid dockerd >>{ENGINE_LOG} 2>&1 </dev/null &"))
BROWSER_OF_PLAYWRIGHT: Final = Command(
    (sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"), as_root=False
)


def decide(facts: Facts) -> tuple[Step, ...]:
    """What is to be done, in this order, so that nothing is missing; MachineUnready when we must not or cannot."""
    if facts.engine is Reach.FORBIDDEN:
        raise MachineUnready(
            f"Docker Engine: {facts.engine_host}: permission denied: {facts.user} is not in the group docker. "
            f"Run: sudo usermod --append --groups docker {facts.user}, sign out and in again, and start again."
        )
    if facts.engine is Reach.SILENT and facts.engine_host not in OWN_HOSTS:
        raise MachineUnready(
            f"Docker Engine: {facts.engine_host}: does not answer. Start it, or unset ASSAY_DOCKER_HOST and "
            "DOCKER_HOST to use the one of this machine."
        )
    return tuple(step for step in (_install(facts), _download(facts), _start(facts)) if step is not None)


def _install(facts: Facts) -> Step | None:
    missing = sorted(facts.missing, key=list(Program).index)
    if facts.distribution not in ("debian", "ubuntu") and missing:
        names = ", ".join(program.value[0] for program in missing)
        raise MachineUnready(
            f"{facts.system}: missing: {names}. Assay installs programs only on Debian and Ubuntu: install them "
            "with this system's packages, and start again."
        )
    if facts.distribution == "ubuntu":
        missing = [program for program in missing if program is not Program.CHROMIUM]
    if not missing:
        return None
    reasons = [f"{program.value[0]} is missing: {program.value[1]}." for program in missing]
    if Program.POSTGRES in missing:
        reasons.append("Packages of PostgreSQL are told to make no database of their own, now and later.")
    names_here = PACKAGES | ON_UBUNTU if facts.distribution == "ubuntu" else PACKAGES
    packages = [package for program in missing for package in names_here[program]]
    install = Command(
        (*APT, "install", "--yes", "--no-install-recommends", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *packages)
    )
    prelude = (NO_CLUSTER,) if Program.POSTGRES in missing else ()
    return Step(tuple(reasons), (*prelude, UPDATE, install))


def _download(facts: Facts) -> Step | None:
    if facts.distribution != "ubuntu" or Program.CHROMIUM not in facts.missing:
        return None
    name, use = Program.CHROMIUM.value
    reason = f"{name} is missing: {use}. Ubuntu has it only as a snap, so Playwright downloads its own."
    return Step((reason,), (BROWSER_OF_PLAYWRIGHT,))


def _start(facts: Facts) -> Step | None:
    if facts.engine is Reach.ANSWERS:
        return None
    if facts.leftover is Leftover.ALIVE:
        return Step(("Docker Engine is running and does not answer yet.",), (), starts_engine=True)
    use = Program.ENGINE.value[1]
    if facts.has_systemd:
        reason = f"Docker Engine is not running: {use}."
        return Step((reason,), (Command(("systemctl", "start", "docker")),), starts_engine=True)
    reason = f"Docker Engine is not running, and no service manager here would start it: {use}."
    remove = (Command(("rm", "-f", str(PID_FILE))),) if facts.leftover is Leftover.STALE else ()
    return Step((reason,), (*remove, START_ENGINE), starts_engine=True)


# --------------------------------------------------------------------------------------------------------- actions


def prepare(
    settings: SandboxSettings, wanted: Collection[Program], *, may_install: bool, os_release: Path = OS_RELEASE
) -> None:
    """Bring everything in `wanted` onto this machine, or raise MachineUnready and have changed nothing."""
    done: set[Step] = set()
    while steps := decide(facts := look(settings, wanted, os_release)):
        if not may_install:
            tell(steps, facts)
            raise MachineUnready("nothing was installed or started, as --no-install asks. The commands are above.")
        if not (facts.is_root or facts.has_sudo):
            tell(steps, facts)
            raise MachineUnready(f"{facts.user} is not root and there is no sudo: run the commands above as root.")
        step = steps[0]
        if step in done:
            raise MachineUnready(f"{' '.join(step.reasons)} The commands for it ended well, and it is still so.")
        tell((step,), facts)
        act(step, facts)
        if step.starts_engine:
            await_engine(settings, ENGINE_LOG)
        done.add(step)


def tell(steps: Collection[Step], facts: Facts) -> None:
    for step in steps:
        for reason in step.reasons:
            click.echo(f"assay: {reason}", err=True)
        for command in step.commands:
            click.echo(f"    {shlex.join(command.by(facts))}", err=True)


def act(step: Step, facts: Facts) -> None:
    for command in step.commands:
        words = command.by(facts)
        status = _update(words) if command is UPDATE else _run(words)
        if status != 0:
            raise MachineUnready(f"{shlex.join(words)}: ended with {status}. Its own words are above.")


def await_engine(settings: SandboxSettings, log: Path, seconds: float = ENGINE_SECONDS) -> None:
    """Wait until the engine answers; when it does not, show what it wrote."""
    started = time.time() - 5
    deadline = time.monotonic() + seconds
    while knock(settings) is Reach.SILENT:
        words = _last_lines(log, since=started)
        if time.monotonic() > deadline:
            advice = "".join(f"\n{text}" for sign, text in ENGINE_ADVICE.items() if sign in words.lower())
            raise MachineUnready(
                f"Docker Engine: {settings.docker_host}: was started and does not answer. "
                f"The end of {log}:\n{words or 'nothing was written; try: journalctl --unit docker'}{advice}"
            )
        if "failed to start daemon" in words and "pid" not in words.lower():
            deadline = min(deadline, time.monotonic() + 3)  # no use in waiting, unless another one is starting too
        time.sleep(0.2)


def _update(words: tuple[str, ...]) -> int:
    """`apt-get update` does not wait for the lock on its lists, which a fresh machine often holds itself."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        with tempfile.TemporaryFile() as complaints:
            status = _run(words, complaints)
            complaints.seek(0)
            said = complaints.read().decode(errors="replace")
        click.echo(said, err=True, nl=False)
        if status == 0 or "Could not get lock" not in said or time.monotonic() > deadline:
            return status
        time.sleep(2)


def _run(words: tuple[str, ...], complaints: IO[bytes] | None = None) -> int:
    """Standard output is only for what our caller asked for: what programs say goes to standard error."""
    sys.stderr.flush()
    try:
        return subprocess.run(words, stdout=sys.stderr.fileno(), stderr=complaints, check=False).returncode
    except OSError as error:
        raise MachineUnready(f"{words[0]}: {error.strerror}") from error


def _last_lines(log: Path, since: float, count: int = 12) -> str:
    """The end of the log, unless it is of an earlier start."""
    try:
        if log.stat().st_mtime < since:
            return ""
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""
