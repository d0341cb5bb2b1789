"""What an operator does from a terminal: prepare the database, publish, rehearse, and see to what failed."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import func, select

from graders.challenge import Challenge
from graders.cli import find_challenge, read_submission
from graders.contract import ChallengeInvalid, Evidence, Finding
from graders.scoring import score
from graders.settings import GradersSettings
from graders.trees import FolderStore
from graders.versions import Versions
from web import challenges, gradings
from web.database import Database, connect
from web.database import migrate as migrate_database
from web.errors import Refused
from web.models import ChallengeVersion, Grading, Origin
from web.models import Finding as FindingRow
from web.rehearsals import Rehearsal, published
from web.rehearsals import rehearse as hand_in
from web.settings import DatabaseSettings

ACTOR: Final = "operator"
LOOK_AGAIN_SECONDS: Final = 0.1
NOBODY_SECONDS: Final = 15  # without a worker, until we say what is probably missing


@click.command()
def migrate() -> None:
    """Bring the database to this version: its tables, never its rows. Safe to repeat."""
    migrate_database(DatabaseSettings())
    click.echo("assay: the database is of this version", err=True)


# ------------------------------------------------------------------------------------------------------ publishing


@click.command()
@click.argument("names", metavar="[CHALLENGE]...", nargs=-1)
def publish(names: tuple[str, ...]) -> int:
    """Let new attempts begin with the challenges as they are now; all of them, or those that are named.

    Attempts that have begun stay with the version that they began with. Exit code 1 when a challenge has mistakes;
    the others are published all the same.
    """
    settings = GradersSettings()
    broken = 0
    for name in names or challenge_names(settings):
        try:
            click.echo(publish_one(find_challenge(name, settings), settings, connect(DatabaseSettings())))
        except (ChallengeInvalid, Refused) as error:
            broken += 1
            click.echo(f"assay: {error}", err=True)
    return 1 if broken else 0


def publish_one(challenge: Challenge, settings: GradersSettings, database: Database) -> str:
    """The version's files are kept before its row says that they are."""
    Versions(settings.versions_folder).keep(challenge)
    with database.transaction() as session:
        before = challenges.newest(session, challenge.slug)
        version = challenges.publish(session, challenge, FolderStore(settings.store_folder), ACTOR)
        what = "is published already" if version is before else "published"
    return f"{challenge.slug} {challenge.manifest.version} {challenge.digest[:12]} {what}"


def publish_all(settings: GradersSettings, database: Database) -> Iterator[str]:
    """A sentence for each challenge, also for those that have mistakes."""
    for name in challenge_names(settings):
        try:
            yield publish_one(find_challenge(name, settings), settings, database)
        except (ChallengeInvalid, Refused) as error:
            yield f"{name}: is not published: {error}"


def challenge_names(settings: GradersSettings) -> list[str]:
    """Of two folders that hold a challenge of one name, the first is meant."""
    manifests = (path for folder in settings.challenges for path in sorted(folder.glob("*/challenge.toml")))
    return list(dict.fromkeys(path.parent.name for path in manifests))


# ------------------------------------------------------------------------------------------------------- rehearsing


@click.command()
@click.argument("challenge")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of sentences.")
def rehearse(challenge: str, folder: Path, as_json: bool) -> int:
    """Hand the files of DIR in, and wait until they are graded: through database, queue and workers, as candidates do.

    CHALLENGE is the name of a published one. Exit code 0 when it was graded, whatever it earned; 1 when the challenge
    is at fault; 3 when this installation is.
    """
    started = time.monotonic()
    settings, database = GradersSettings(), connect(DatabaseSettings())
    with database.reading() as session:
        limits = gradings.read_manifest(published(session, challenge)).submission
    files = read_submission(folder, limits)
    tree = FolderStore(settings.store_folder).put(files)
    work = gradings.Work(tree, len(files), sum(map(len, files.values())), Origin.REHEARSAL)
    with database.transaction() as session:
        rehearsal = hand_in(session, challenge, work)
    grading, findings = _wait(database, rehearsal.grading_id)
    told = _as_json(rehearsal, grading, findings, time.monotonic() - started)
    click.echo(json.dumps(told) if as_json else _as_text(told))
    if grading.fault_of is None:
        return 0
    return 1 if grading.fault_of == "author" else 3


def _wait(database: Database, grading_id: str) -> tuple[Grading, list[Finding]]:
    shown, since, warned = "", time.monotonic(), False
    while True:
        with database.reading() as session:
            grading = session.get_one(Grading, grading_id)
            rows = select(FindingRow).where(FindingRow.grading_id == grading_id).order_by(FindingRow.position)
            if grading.finished_at is not None:
                _show("", shown)
                return grading, [_finding(row) for row in session.scalars(rows)]
        begun = grading.alive_at is not None
        where = f"try {grading.fence} is graded" if begun else "waits for a worker"
        where += f"; the last one failed: {grading.failure}" if grading.failure else ""
        shown = _show(where, shown)
        if not begun and not warned and time.monotonic() - since > NOBODY_SECONDS:
            warned = True
            click.echo("\nassay: nobody has begun with it yet: do the clock and a grading worker run?", err=True)
        time.sleep(LOOK_AGAIN_SECONDS)


def _show(where: str, before: str) -> str:
    """One line that changes on a terminal; a line for each change elsewhere."""
    if where != before:
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{where}", nl=False, err=True)
        elif where:
            click.echo(f"assay: {where}", err=True)
    return where


def _finding(row: FindingRow) -> Finding:
    evidence = tuple(Evidence.model_validate(piece) for piece in row.evidence)
    return Finding(criterion=row.criterion, credit=row.credit, reason=row.reason, evidence=evidence)


def _as_json(rehearsal: Rehearsal, grading: Grading, findings: list[Finding], seconds: float) -> dict[str, Any]:
    version = rehearsal.version
    failed = grading.fault_of is not None
    earned = None if failed else score(gradings.read_manifest(version), gradings.read_rubric(version), findings)
    return {
        "challenge": version.slug,
        "digest": version.digest,
        "submission": rehearsal.submission_id,
        "grading": grading.id,
        "tries": grading.tries,
        "fence": grading.fence,
        "findings": [finding.model_dump(mode="json") for finding in findings],
        "failure": {"fault_of": grading.fault_of, "message": grading.failure} if failed else None,
        "total": {"low": earned.low, "high": earned.high, "max": earned.max} if earned else None,
        "seconds": round(seconds, 3),
    }


def _as_text(told: dict[str, Any]) -> str:
    failure = told["failure"]
    if failure is not None:
        return f"{told['challenge']}: not graded, by the fault of the {failure['fault_of']}: {failure['message']}"
    lines = []
    for finding in told["findings"]:
        credit = "open" if finding["credit"] is None else f"{finding['credit']:.2f}"
        lines.append(f"{credit:>6}  {finding['criterion']}: {finding['reason']}")
    total = told["total"]
    points = f"{total['low']:g}" if total["low"] == total["high"] else f"{total['low']:g} to {total['high']:g}"
    return "\n".join([*lines, f"{told['challenge']}: {points} of {total['max']:g} points"])


# -------------------------------------------------------------------------------------------------- what went wrong


@click.group("gradings", invoke_without_command=True)
@click.option("--failed", is_flag=True, help="Only those that need a person, each with its reason.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of sentences.")
@click.pass_context
def gradings_group(context: click.Context, failed: bool, as_json: bool) -> None:
    """Show what is being graded, and what failed and waits for a person."""
    if context.invoked_subcommand is not None:
        return
    with connect(DatabaseSettings()).reading() as session:
        count = select(Grading.state, func.count()).where(Grading.finished_at.is_(None)).group_by(Grading.state)
        under_way = {state.value: number for state, number in session.execute(count)}
        needing = gradings.needing_a_person(session)
        versions = {one.digest: one.slug for one in session.scalars(select(ChallengeVersion))}
    told = [
        {
            "grading": one.id,
            "challenge": versions[one.challenge_digest],
            "fault_of": one.fault_of,
            "tries": one.tries,
            "failed_at": one.finished_at.isoformat(timespec="seconds") if one.finished_at else None,
            "message": one.failure,
        }
        for one in needing
    ]
    if as_json:
        click.echo(json.dumps({"under_way": under_way, "failed": told}))
        return
    if not failed:
        states = ", ".join(f"{number} {state}" for state, number in sorted(under_way.items())) or "none"
        click.echo(f"under way: {states}")
        click.echo(f"needing a person: {len(told)}")
        return
    for one in told:
        click.echo(
            f"{one['grading']}  {one['challenge']}  {one['failed_at']}  the {one['fault_of']}'s: {one['message']}"
        )


@gradings_group.command()
@click.argument("grading")
def retry(grading: str) -> None:
    """Grade a failed one again, after mending what was broken. The failed one stays as it is."""
    with connect(DatabaseSettings()).transaction() as session:
        again = gradings.retry(session, grading, ACTOR)
    click.echo(again.id)


COMMANDS: Final = (migrate, publish, rehearse, gradings_group)
