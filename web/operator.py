"""What an operator does from a terminal: prepare the database, publish, rehearse, and see to what failed."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import func, select

from graders.author.cli import find_challenge, read_submission
from graders.challenge import Challenge
from graders.contract import ChallengeInvalid, Evidence, Finding
from graders.scoring import Score, score, spelled
from graders.settings import GradersSettings
from graders.trees import FolderStore
from graders.versions import VersionMissing, Versions
from web import challenges, gradings, regrades
from web.database import Database, connect
from web.database import migrate as migrate_database
from web.errors import Refused, one_line
from web.models import ChallengeVersion, Grading, Origin, Regrade
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
        except (ChallengeInvalid, VersionMissing, Refused) as error:
            broken += 1
            click.echo(f"assay: {name}: is not published: {error}", err=True)
    return 1 if broken else 0


def publish_one(challenge: Challenge, settings: GradersSettings, database: Database) -> str:
    """The version's files are kept before its row says that they are; and it is they that are published."""
    versions = Versions(settings.versions_folder)
    challenge = versions.read(versions.keep(challenge))
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
        except (ChallengeInvalid, VersionMissing, Refused) as error:
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
    version = rehearsal.version
    earned = None
    if grading.fault_of is None:
        earned = score(gradings.read_manifest(version), gradings.read_rubric(version), findings)
    if as_json:
        click.echo(json.dumps(_as_json(rehearsal, grading, findings, earned, time.monotonic() - started)))
    elif earned is None:
        said = one_line(str(grading.failure))
        click.echo(f"{version.slug}: not graded, by the fault of the {grading.fault_of}: {said}")
    else:
        for finding in findings:
            credit = "open" if finding.credit is None else f"{finding.credit:.2f}"
            click.echo(f"{credit:>6}  {finding.criterion}: {one_line(finding.reason)}")
        click.echo(f"{version.slug}: {_points(earned)} of {earned.max:g} points")
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
        where += f"; the last one failed: {one_line(grading.failure)}" if grading.failure else ""
        shown = _show(where, shown)
        if not (begun or grading.tries or warned) and time.monotonic() - since > NOBODY_SECONDS:
            warned = True
            shown = _show("", shown)
            click.echo("assay: nobody has begun with it yet: does `assay up` run, or its clock and workers?", err=True)
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


def _as_json(
    rehearsal: Rehearsal, grading: Grading, findings: list[Finding], earned: Score | None, seconds: float
) -> dict[str, Any]:
    return {
        "challenge": rehearsal.version.slug,
        "digest": rehearsal.version.digest,
        "submission": rehearsal.submission_id,
        "grading": grading.id,
        "tries": grading.tries,
        "fence": grading.fence,
        "findings": [finding.model_dump(mode="json") for finding in findings],
        "failure": {"fault_of": grading.fault_of, "message": grading.failure} if earned is None else None,
        "total": _ends(earned),
        "seconds": round(seconds, 3),
    }


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
            "submission": one.submission_id,
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
        which = (one[name] for name in ("grading", "challenge", "submission", "failed_at"))
        said = one_line(str(one["message"]))
        click.echo("  ".join([*map(str, which), f"the {one['fault_of']}'s: {said}"]))


@gradings_group.command()
@click.argument("grading")
def retry(grading: str) -> None:
    """Grade a failed one again, after mending what was broken. The failed one stays as it is."""
    with connect(DatabaseSettings()).transaction() as session:
        again = gradings.retry(session, grading, ACTOR)
    click.echo(again.id)


# ---------------------------------------------------------------------------------------------------------- regrades


@click.group()
def regrade() -> None:
    """Grade many submissions once more, see who would change and by how much, and only then decide."""


@regrade.command()
@click.argument("challenge")
@click.option("--reason", required=True, help="Why; whoever decides about it reads this.")
@click.option("--submission", "chosen", metavar="ID", multiple=True, help="Only this one; may be given many times.")
@click.option("--digest", help="A published version; the newest unless this is given.")
def start(challenge: str, reason: str, chosen: tuple[str, ...], digest: str | None) -> None:
    """Begin one: the last submission of each attempt at CHALLENGE, unless --submission names others.

    No score changes by this. It runs when nobody waits for anything more urgent.
    """
    with connect(DatabaseSettings()).transaction() as session:
        wanted = digest or published(session, challenge).digest
        submissions = chosen or regrades.last_submissions(session, challenge)
        started = regrades.start(session, challenge, wanted, submissions, reason, ACTOR)
    click.echo(started.id)
    click.echo(f"assay: {len(set(submissions))} submissions: see `assay regrade show {started.id}`", err=True)


@regrade.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
def list_regrades(as_json: bool) -> None:
    """Show all regrades, the newest first."""
    with connect(DatabaseSettings()).reading() as session:
        found = session.scalars(select(Regrade).order_by(Regrade.created_at.desc(), Regrade.id)).all()
        told = [
            {
                "regrade": one.id,
                "challenge": one.slug,
                "state": regrades.state_of(session, one),
                "created_at": one.created_at.isoformat(timespec="seconds"),
                "reason": one.reason,
            }
            for one in found
        ]
    if as_json:
        click.echo(json.dumps(told))
        return
    for one in told:
        click.echo("  ".join(one_line(str(value)) for value in one.values()))


@regrade.command()
@click.argument("regrade_id", metavar="REGRADE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines.")
def show(regrade_id: str, as_json: bool) -> None:
    """Show whose score would change, and by how much; whoever moves most stands first."""
    with connect(DatabaseSettings()).reading() as session:
        preview = regrades.preview(session, regrade_id)
    if as_json:
        click.echo(json.dumps(_preview_as_json(preview)))
        return
    click.echo(f"{preview.state}: {preview.running} running, {preview.failed} failed, {len(preview.compared)} compared")
    if preview.failed:
        click.echo("assay: what failed keeps the score that it has; why is in `assay gradings --failed`", err=True)
    if not preview.changed:
        click.echo("nobody's score would change")
        return
    mean, largest = round(preview.mean, 2), round(preview.largest, 2)
    click.echo(f"{len(preview.changed)} would change, by {mean:+g} in the mean and {largest:+g} at most")
    for one in preview.changed:
        criteria = ", ".join(change.criterion for change in one.changes)
        click.echo(f"{one.submission}  {_points(one.old)} -> {_points(one.new)}  {criteria}")


def _preview_as_json(preview: regrades.Preview) -> dict[str, Any]:
    return {
        "regrade": preview.regrade,
        "state": preview.state,
        "running": preview.running,
        "failed": preview.failed,
        "compared": [
            {
                "submission": one.submission,
                "attempt": one.attempt,
                "old": _ends(one.old),
                "new": _ends(one.new),
                "criteria": {
                    change.criterion: [part.credit if part is not None else None for part in (change.old, change.new)]
                    for change in one.changes
                },
            }
            for one in preview.compared
        ],
    }


@regrade.command()
@click.argument("regrade_id", metavar="REGRADE")
def apply(regrade_id: str) -> None:
    """Let the new gradings count. The old ones are kept."""
    with connect(DatabaseSettings()).transaction() as session:
        regrades.apply(session, regrade_id, ACTOR)
    click.echo(f"assay: regrade {regrade_id} is applied", err=True)


@regrade.command()
@click.argument("regrade_id", metavar="REGRADE")
def drop(regrade_id: str) -> None:
    """Let everything stay as it is. The new gradings are kept, and count for nothing."""
    with connect(DatabaseSettings()).transaction() as session:
        regrades.drop(session, regrade_id, ACTOR)
    click.echo(f"assay: regrade {regrade_id} is dropped", err=True)


def _ends(total: Score | None) -> dict[str, float] | None:
    return {"low": total.low, "high": total.high, "max": total.max} if total is not None else None


def _points(total: Score | None) -> str:
    if total is None:
        return "no score"
    return spelled(total.low, total.high)


COMMANDS: Final = (migrate, publish, rehearse, gradings_group, regrade)
