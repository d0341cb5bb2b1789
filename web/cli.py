"""The command line: `assay`. It builds the settings, puts the parts together, and turns errors into sentences.

Exit codes: 0 well; 1 what was examined is bad; 2 wrong usage; 3 our own fault. What a command was asked for goes
to standard output, everything else to standard error.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import click
from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsError

import graders.author.cli
import sandbox.cli
from benchmarks.cli import bench
from graders.author.cli import visible
from graders.contract import ChallengeInvalid, GraderFailed, GradersError
from graders.grading import SubmissionUnfit
from graders.settings import GradersSettings
from sandbox import SandboxMisused, SandboxUnavailable, images
from sandbox.docker import Engine
from sandbox.settings import SandboxSettings
from sandbox.trust import Trust
from web import __version__, inviting, operator, receipting, staffing, together
from web.demo import furnish
from web.errors import PortalError, Refused
from web.machine import FOR_TEST, FOR_UP, MachineUnready, prepare
from web.portal import assemble
from web.server import PortalUnavailable, serve
from web.settings import (
    PROJECT,
    DatabaseSettings,
    GradingSettings,
    MailSettings,
    PortalSettings,
    QueueSettings,
    TreeSettings,
)
from web.workers import grade, keep_time, log_in_lines, make_forms, record_reports, run_checks

WELL, BAD, MISUSED, OUR_FAULT, INTERRUPTED = 0, 1, 2, 3, 130

# What each process reads, for `assay settings` and for the test that compares it with the manual.
SETTINGS: Final[dict[str, type[BaseSettings]]] = {
    "portal": PortalSettings,
    "database": DatabaseSettings,
    "trees": TreeSettings,
    "mail": MailSettings,
    "gradings": GradingSettings,
    "queue": QueueSettings,
    "graders": GradersSettings,
    "sandbox": SandboxSettings,
}

WORKERS: Final = {
    "grading": grade,
    "checks": run_checks,
    "forms": make_forms,
    "recording": record_reports,
    "clock": keep_time,
}

MOST_TEST_PROCESSES: Final = 6
NO_INSTALL_HELP: Final = "Install and start nothing on this machine: print the commands that would, and stop."


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="assay %(version)s")
def assay() -> None:
    """Screen AI engineers by real work.

    \b
    ./assay up             install what is missing, then run everything on this machine
    ./assay test           install what the tests need, then run all of them
    ./assay test -k up     arguments after `test` are pytest's
    ./assay settings       what this installation is configured to do
    """


for command in (
    *(sandbox.cli.doctor, sandbox.cli.sandbox, sandbox.cli.images),
    *graders.author.cli.COMMANDS,
    *operator.COMMANDS,
    *inviting.COMMANDS,
    receipting.receipt,
    staffing.staff,
    bench,
):
    assay.add_command(command)


@assay.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the portal; 0 takes a free one.")
@click.option("--demo", is_flag=True, help="Add a candidate, and print the link that they were sent.")
@click.option("--no-install", is_flag=True, help=NO_INSTALL_HELP)
def up(port: int | None, demo: bool, no_install: bool) -> None:
    """Run everything on this machine, until Ctrl-C.

    Prepares the database, installs Docker Engine if there is none (Debian and Ubuntu, with apt), builds the sandbox
    images, proves the sandbox's limits, publishes the challenges, starts portal, queue, clock and workers, and prints
    the portal's address. What ends is started again.
    """
    portal = PortalSettings() if port is None else PortalSettings(port=port)
    rooms = SandboxSettings()

    def ready() -> None:
        make_ready(rooms, for_tests=False, may_install=not no_install)
        examine(rooms)
        log_in_lines()

    def announce(url: str) -> None:
        click.echo(f"Assay is at {url} (Ctrl-C stops it)")
        for line in furnish(assemble(portal, DatabaseSettings()), url) if demo else ():
            click.echo(line)

    together.run(portal, ready, say, announce)


@assay.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the portal; 0 takes a free one.")
def web(port: int | None) -> None:
    """Serve the portal alone. It needs no Docker."""
    log_in_lines()
    settings = PortalSettings() if port is None else PortalSettings(port=port)
    serve(assemble(settings, DatabaseSettings()))


@assay.command()
@click.argument("kind", type=click.Choice([*WORKERS, "judging"]))
def worker(kind: str) -> None:
    """Run one worker, until it is told to stop; then it finishes what it is at.

    \b
    grading      grades submissions in the sandbox: needs Docker, and no database
    checks       runs what candidates try with Run: needs Docker, and neither challenges nor a database
    forms        makes what candidates are given: needs challenges, and neither Docker nor a database
    recording    writes reports into the database
    judging      there is no model to judge yet: what it would judge stays open for a person
    clock        asks for gradings, checks and forms, and sees to it that none is lost
    """
    if kind == "judging":
        raise click.UsageError("judging: there is no model to judge yet: what it would judge stays open for a person")
    log_in_lines()
    WORKERS[kind](lambda: click.echo(f"{kind}: ready"))


@assay.command(context_settings={"ignore_unknown_options": True})
@click.option("--no-install", is_flag=True, help=NO_INSTALL_HELP)
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(no_install: bool, pytest_arguments: tuple[str, ...]) -> int:
    """Run the tests, with everything that they need.

    \b
    ./assay test                                 all of them, side by side; none may be skipped
    ./assay test tests/web -x                    pytest's arguments; paths are seen from the project's folder
    ./assay test -m "not docker and not browser"
    ./assay test -- --help                       pytest's own help
    """
    make_ready(SandboxSettings(), for_tests=True, may_install=not no_install)
    sys.stdout.flush()
    return verdict_of_pytest(run_pytest(pytest_arguments or side_by_side()))


@assay.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def settings(as_json: bool) -> None:
    """Print what each process is configured with; secrets are masked.

    Values come from the environment, then from the file .env in the project's folder, then from defaults.
    """
    seen = {process: shown(kind()) for process, kind in SETTINGS.items()}
    if as_json:
        click.echo(json.dumps(seen, indent=2))
        return
    for process, kind in SETTINGS.items():
        click.echo(process)
        for name, field in kind.model_fields.items():
            click.echo(f"  {variable(kind, name)}={seen[process][name]}")
            click.echo(f"      {field.description}")


def say(line: str) -> None:
    with suppress(OSError):  # nobody reads what we say, which is no reason to stop
        click.echo(line, err=True)


def make_ready(rooms: SandboxSettings, *, for_tests: bool, may_install: bool) -> None:
    """What every process on this machine stands on: programs, a Docker engine, the sandbox's images."""
    prepare(rooms, FOR_TEST if for_tests else FOR_UP, may_install=may_install)
    with Engine(rooms) as engine:
        images.ensure(engine, rooms, lambda line: click.echo(f"assay: {line}", err=True))


def examine(rooms: SandboxSettings) -> None:
    """Let the doctor prove the sandbox; a host where a limit does not hold is not served from."""
    click.echo("assay: examining the sandbox, about ten seconds", err=True)
    report = Trust(rooms).examine()
    notes = sum(bool(check.advice) for check in report.checks)
    told = f", {notes} with advice: see `assay doctor`" if notes else ""
    click.echo(f"assay: the sandbox keeps its promise: {len(report.checks)} checks{told}", err=True)


def side_by_side() -> list[str]:
    """All tests, file by file in some processes: most of them wait for something. The longest come first by name."""
    processes = min(MOST_TEST_PROCESSES, 1 + (os.cpu_count() or 1))
    return ["--numprocesses", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]


def run_pytest(arguments: Sequence[str]) -> int:
    """Run pytest from the project's folder; it gets our signals and has the last word."""
    running = subprocess.Popen([sys.executable, "-P", "-m", "pytest", "--no-skips", *arguments], cwd=PROJECT)

    def pass_on(number: int, _: FrameType | None) -> None:
        running.send_signal(number)

    kept = signal.signal(signal.SIGTERM, pass_on)
    interrupted = False
    try:
        while running.returncode is None:
            try:
                running.wait()
            except KeyboardInterrupt:
                # Ctrl-C reached pytest as well, which now takes its fixtures down and prints its summary.
                interrupted = True
    finally:
        signal.signal(signal.SIGTERM, kept)
    if interrupted:
        raise KeyboardInterrupt
    return running.returncode


def verdict_of_pytest(status: int) -> int:
    """pytest's 2 is a test file that cannot be imported, 5 an empty selection."""
    return {0: WELL, 1: BAD, 2: BAD, 4: MISUSED, 5: MISUSED}.get(status, OUR_FAULT)


def variable(kind: type[BaseSettings], name: str) -> str:
    """The name under which the environment sets a field."""
    return variables(kind, name)[0]


def variables(kind: type[BaseSettings], name: str) -> list[str]:
    field: FieldInfo = kind.model_fields[name]
    if isinstance(field.validation_alias, AliasChoices):
        return [str(choice) for choice in field.validation_alias.choices]
    if field.validation_alias is not None:
        return [str(field.validation_alias)]
    return [f"{kind.model_config.get('env_prefix', '')}{name}".upper()]


def shown(values: BaseSettings) -> dict[str, Any]:
    """Values as text or numbers. Fields of type SecretStr mask themselves; a URL may hold a password too."""
    seen = {}
    for name, value in values.model_dump(mode="json").items():
        text = os.pathsep.join(value) if isinstance(value, list) else value  # as the environment gives it
        seen[name] = re.sub(r"(://[^/@:]*:)[^/@]+@", r"\1**********@", text) if isinstance(text, str) else text
    return seen


def main(arguments: Sequence[str] | None = None) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    sys.exit(status_of(arguments))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """As with Ctrl-C, what was begun is taken down: a room must not be left to the next sweep."""
    raise KeyboardInterrupt(number, frame)


def status_of(arguments: Sequence[str] | None) -> int:
    """The one place where errors become sentences and exit codes."""
    try:
        status = assay.main(arguments, prog_name="assay", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return MISUSED
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            name = str(fault["loc"][0]) if fault["loc"] else error.title
            kind = next((kind for kind in SETTINGS.values() if kind.__name__ == error.title), None)
            known = variable(kind, name) if kind is not None and name in kind.model_fields else name
            click.echo(f"assay: settings: {known}: {fault['msg'].removeprefix('Value error, ')}", err=True)
        return MISUSED
    except (ChallengeInvalid, GraderFailed, SubmissionUnfit) as error:
        _complain(str(error))
        return BAD
    except (SandboxMisused, SettingsError, Refused) as error:
        _complain(str(error))
        return MISUSED
    except (SandboxUnavailable, MachineUnready, PortalUnavailable, PortalError, GradersError) as error:
        _complain(str(error))
        return OUR_FAULT
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        return WELL
    except OSError as error:
        _complain(f"{error.filename or 'output'}: {error.strerror}")
        return OUR_FAULT
    return status if isinstance(status, int) else WELL


def _complain(sentence: str) -> None:
    """It may quote a stranger, whom no terminal should obey."""
    click.echo(f"assay: {visible(sentence)}", err=True)


if __name__ == "__main__":
    main()
