"""`assay doctor`, `assay sandbox`, `assay images`: what can be done with the sandbox from a terminal."""

import base64
import json
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import click

from sandbox import RANGES, Ending, Execution, Limits, SandboxMisused
from sandbox import images as recipes
from sandbox.container import Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.doctor import Check, examine
from sandbox.folder import read_folder
from sandbox.settings import SandboxSettings

DEFAULTS = Limits()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
def doctor(as_json: bool) -> int:
    """Prove every limit of the sandbox on this machine.

    Each line is a program that tried to break one promise, and what it achieved. Exit code 1 when one of them
    succeeded; workers do not take work then.
    """
    report = examine(SandboxSettings(), progress=lambda check: None if as_json else _show(check))
    if as_json:
        checks = [{"name": c.name, "ok": c.ok, "found": c.found, "advice": c.advice} for c in report.checks]
        click.echo(json.dumps({"ok": report.ok, "checks": checks}, indent=2))
    else:
        red = sum(not check.ok for check in report.checks)
        warned = sum(check.ok and bool(check.advice) for check in report.checks)
        verdict = "This host keeps the promise." if report.ok else "This host must not run candidates' programs."
        click.echo(f"\n{verdict}  {len(report.checks)} checks, {red} red, {warned} with advice.")
    return 0 if report.ok else 1


def _show(check: Check) -> None:
    mark, colour = ("ok  ", "green") if check.ok else ("RED ", "red")
    if check.ok and check.advice:
        mark, colour = "note", "yellow"
    click.echo(f"{click.style(mark, fg=colour, bold=not check.ok)}  {check.name:<26}{check.found}")
    if check.advice:
        click.echo(f"{'':<32}{check.advice}")


@click.group()
def sandbox() -> None:
    """Run a program where it can do no harm."""


def _bounds(name: str) -> click.FloatRange | click.IntRange:
    low, high = RANGES[name]
    return click.FloatRange(low, high) if name == "seconds" else click.IntRange(int(low), int(high))


@sandbox.command("exec")
@click.option("--image", default="python", show_default=True, help="One of `assay images list`.")
@click.option("--seconds", type=_bounds("seconds"), default=DEFAULTS.seconds, show_default=True, help="Wall time.")
@click.option(
    "--memory-mb",
    type=_bounds("memory_mb"),
    default=DEFAULTS.memory_mb,
    show_default=True,
    help="Of all programs and files together.",
)
@click.option(
    "--processes", type=_bounds("processes"), default=DEFAULTS.processes, show_default=True, help="Threads count too."
)
@click.option(
    "--output-kb",
    type=_bounds("output_kb"),
    default=DEFAULTS.output_kb,
    show_default=True,
    help="Of stdout and stderr together.",
)
@click.option(
    "--disk-mb", type=_bounds("disk_mb"), default=DEFAULTS.disk_mb, show_default=True, help="In /box and in /tmp, each."
)
@click.option("--collect", metavar="PATH", multiple=True, help="A file or folder to bring back. May be repeated.")
@click.option("--stdin", "stdin", type=click.File("rb"), help="A file that the program reads as its stdin; - for ours.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; stdout, stderr and files in base64.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True)
def execute(
    image: str,
    seconds: float,
    memory_mb: int,
    processes: int,
    output_kb: int,
    disk_mb: int,
    collect: tuple[str, ...],
    stdin: Any,
    as_json: bool,
    folder: Path,
    command: tuple[str, ...],
) -> None:
    """Run CMD in a fresh sandbox that holds the files of DIR in /box.

    \b
    assay sandbox exec . -- python3 main.py
    assay sandbox exec --seconds 5 --collect out.csv --json . -- python3 report.py

    Exit code 0 whatever the program does, for its misbehaviour is what was asked about; 2 when the request cannot
    be carried out as it stands, for instance when there is no such command; 3 when the sandbox is not there.
    """
    limits = Limits(seconds=seconds, memory_mb=memory_mb, processes=processes, output_kb=output_kb, disk_mb=disk_mb)
    files = read_folder(folder, disk_mb)
    read = stdin.read((disk_mb << 20) + 1) if stdin is not None else b""
    settings = SandboxSettings()
    with Engine(settings) as engine:
        rooms = DockerSandbox(engine, recipes.pinned(settings, image), settings, Owner(kind="exec"))
        rooms.sweep()
        wanted = [_below_box(path) for path in collect]
        done = rooms.run(command, files=files, stdin=read, collect=wanted, limits=limits)
    if as_json:
        click.echo(json.dumps(_as_json(done)))
    elif done.ending is not Ending.NOT_STARTED:
        _tell(done)
    if done.ending is Ending.NOT_STARTED:
        why = done.stderr.decode(errors="replace")
        raise SandboxMisused(f"command: {command[0]}: {why}: name a program of the image, or ./FILE for one of DIR")


def _below_box(path: str) -> str:
    """As people write paths: ./out.csv, out/, /box/out.csv, and /box for everything."""
    if not path:
        raise SandboxMisused("collect: '': name a file or a folder")
    return PurePosixPath(f"{path}/".removeprefix("/box/")).as_posix()


def _as_json(done: Execution) -> dict[str, Any]:
    def encoded(content: bytes) -> str:
        return base64.b64encode(content).decode()

    return {
        "ending": done.ending.value,
        "exit_code": done.exit_code,
        "stdout": encoded(done.stdout),
        "stderr": encoded(done.stderr),
        "seconds": round(done.seconds, 4),
        "cpu_seconds": done.cpu_seconds,
        "memory_exceeded": done.memory_exceeded,
        "files": {name: encoded(content) for name, content in done.files.items()},
        "refused": dict(done.refused),
    }


def _tell(done: Execution) -> None:
    for content, stream in ((done.stdout, sys.stdout), (done.stderr, sys.stderr)):
        if stream is None:
            continue  # our caller closed it
        # A terminal obeys escape codes: what a stranger's program printed is shown there with them made visible.
        shown = _visible(content, "\n\t").encode(stream.encoding, "backslashreplace") if stream.isatty() else content
        stream.buffer.write(shown)
        stream.flush()
    code = "" if done.exit_code is None else f" with {done.exit_code}"
    click.echo(f"{done.ending}{code} after {done.seconds:.2f} s", err=True)
    for name, content in done.files.items():
        click.echo(f"  {_visible(name.encode())}  {len(content):,} bytes", err=True)
    for name, why in done.refused.items():
        click.echo(f"  {_visible(name.encode())}  not taken: {_visible(why.encode())}", err=True)


def _visible(content: bytes, kept: str = "") -> str:
    """A name with a line break in it could otherwise write lines of ours."""
    text = content.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() or char in kept else f"\\x{ord(char):02x}" for char in text)


@click.group()
def images() -> None:
    """The images that candidates' programs run in."""


@images.command("build")
@click.argument("names", nargs=-1)
@click.option("--force", is_flag=True, help="Build again although nothing changed.")
def build(names: tuple[str, ...], force: bool) -> None:
    """Build what is missing or out of date: all images, or those NAMEd."""
    settings = SandboxSettings()
    wanted = list(names) or recipes.names()
    with Engine(settings) as engine:
        built = recipes.build(engine, settings, wanted, force=force, progress=lambda line: click.echo(line, err=True))
    for name, image in built.items():
        click.echo(f"{name}  {image}")


@images.command("list")
def list_images() -> None:
    """Say which images there are, and by what id each is pinned on this machine."""
    settings = SandboxSettings()
    for name in recipes.names():
        click.echo(f"{name}  {recipes.pinned(settings, name)}")
