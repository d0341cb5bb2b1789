"""`assay new`, `assay check`, `assay form`, `assay grade`: what an author does with a challenge, from a terminal.

They need Docker, and neither a database nor a queue: what they do with a submission is what a grading worker does.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from graders import grading, scoring
from graders.author.calibrations import Calibrations
from graders.author.handouts import Handout, hand_out
from graders.author.proof import Proof, Row, prove
from graders.author.scaffold import write_challenge
from graders.author.trials import Landing, rooms_for
from graders.challenge import Challenge, read_challenge
from graders.contract import ChallengeInvalid, Evidence, Failure, Fault, Form, GraderFailed
from graders.grading import Graded, SubmissionUnfit
from graders.rubric import SubmissionLimits
from graders.settings import GradersSettings
from sandbox import SandboxMisused, SandboxUnavailable
from sandbox.checks import check_name
from sandbox.docker import Engine
from sandbox.settings import SandboxSettings

LEFT_OUT: Final = frozenset({"__pycache__", ".pytest_cache", ".ipynb_checkpoints", ".git", ".venv", ".DS_Store"})
CHALLENGE: Final = "CHALLENGE is a challenge's folder, or the name of one in the folders of `assay settings`."
PACK: Final = click.option(
    "--pack",
    "packs",
    metavar="DIR",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A pack of private files to lay over the challenge's own, after those of ASSAY_PACKS; may be given again.",
)


class Seed(click.ParamType[str]):
    """What a form of an author's own is made from."""

    name = "seed"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        text = str(value)
        if not (1 <= len(text) <= 40 and text.replace("-", "").isalnum() and text.isascii()):
            self.fail(f"{text!r}: at most 40 letters, digits and hyphens", parameter, context)
        return text


def settings_with(packs: Sequence[Path]) -> GradersSettings:
    settings = GradersSettings()
    return settings.model_copy(update={"packs": (*settings.packs, *packs)})


def find_challenge(name: str, settings: GradersSettings) -> Challenge:
    """By path, or by name in the folders that the settings list."""
    places = [Path(name), *(folder / name for folder in settings.challenges)]
    for place in places:
        if place.is_dir():
            return read_challenge(place, settings.packs)
    raise click.BadParameter(
        f"{name!r}: there is no such folder, and no challenge of this name", param_hint="CHALLENGE"
    )


def read_submission(folder: Path, limits: SubmissionLimits) -> dict[str, bytes]:
    """The files below a folder, counted and added up before the first is read; no link is followed."""
    found: dict[str, Path] = {}
    size = 0
    for path, look in _entries(folder):
        name = path.relative_to(folder).as_posix()
        if not stat.S_ISREG(look.st_mode):
            raise SubmissionUnfit(f"{path}: is a link or a special file: hand in files and folders only")
        try:
            check_name("submission", name)
        except SandboxMisused as error:
            raise SubmissionUnfit(str(error)) from None
        found[name] = path
        size += look.st_size
        if len(found) > limits.files:
            raise SubmissionUnfit(
                f"{folder}: holds more than {limits.files} files, and this challenge takes no more: leave some out"
            )
        if size > limits.total_kb << 10:
            raise SubmissionUnfit(
                f"{folder}: holds more than {limits.total_kb} kB, and this challenge takes no more: leave some out"
            )
    return {name: path.read_bytes() for name, path in sorted(found.items())}


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Whatever is no folder, as it is found: a folder of a million files is not listed to its end first."""
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name in LEFT_OUT:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


# ------------------------------------------------------------------------------------------------------- assay new


@click.command()
@click.argument("slug")
@click.option(
    "--into", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="The folder it goes into."
)
def new(slug: str, into: Path | None) -> None:
    """Begin a challenge: write a small one that works, for you to change.

    It goes into the first folder of ASSAY_CHALLENGES, unless --into names another.
    """
    folder = into if into is not None else _first_folder(GradersSettings())
    try:
        written = write_challenge(slug, folder)
    except ChallengeInvalid as error:
        raise click.UsageError(str(error)) from None
    for path in written:
        click.echo(_as_typed(path))
    place = _as_typed(folder / slug)
    click.echo(f"\nNext: ./assay check {place}   (docs/authors.md leads on from there)", err=True)


def _first_folder(settings: GradersSettings) -> Path:
    if not settings.challenges:
        raise click.UsageError("ASSAY_CHALLENGES is empty: name a folder with --into")
    return settings.challenges[0]


def _as_typed(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


# ----------------------------------------------------------------------------------------------------- assay check


@click.command(epilog=CHALLENGE)
@click.argument("challenge")
@click.option("--forms", "count", type=click.IntRange(1, 50), default=2, show_default=True, help="Forms to try it on.")
@PACK
@click.option("--at-once", type=click.IntRange(1, 64), help="Gradings at a time; as many as there are processors.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
def check(challenge: str, count: int, packs: Sequence[Path], at_once: int | None, as_json: bool) -> int:
    """Prove a challenge: what is right earns its points, and nothing else does.

    Grades every solution, the starter, a submission without files, and cheats that are made from the perfect solution,
    all as a worker would. Exit code 1 when something is to mend; each line says what.

    A form that the challenge's calibrate refuses is discarded, which is said, and the seed's next one taken. What
    calibrating gave is kept in the folder of the state, until the challenge changes.
    """
    settings = settings_with(packs)
    try:
        found = find_challenge(challenge, settings)
        proof = prove(
            found,
            settings.packs,
            SandboxSettings(),
            count=count,
            lanes=at_once or os.cpu_count() or 1,
            calibrate=Calibrations(settings.calibrations_folder).calibrated,
            told=_tell_progress,
            discarded=_tell_discarded,
        )
    except ChallengeInvalid as error:
        proof = Proof(Path(challenge).resolve().name, complaints=list(error.problems))
    except GraderFailed as error:
        proof = Proof(Path(challenge).resolve().name, complaints=[str(error)])
    _clear_progress()
    click.echo(json.dumps(_proof_as_json(proof)) if as_json else _proof_as_text(proof))
    return 0 if proof.ok else 1


def _tell_progress(done: int, planned: int, landing: Landing) -> None:
    if sys.stderr.isatty():
        trial = landing.trial
        click.echo(
            f"\r\x1b[K{done} of {planned} graded, the last was {trial.name} on form {trial.seed}", nl=False, err=True
        )


def _tell_discarded(sentence: str) -> None:
    click.echo(sentence, err=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


def _proof_as_json(proof: Proof) -> dict[str, Any]:
    def line(row: Row) -> dict[str, Any]:
        return {
            "name": row.name,
            "form": row.form,
            "expected": list(row.expected) if row.expected is not None else None,
            "total": row.total,
            "high": row.high,
            "holds": row.holds,
            "seconds": round(row.seconds, 2),
            "criteria": dict(row.credits),
        }

    return {
        "challenge": proof.challenge,
        "ok": proof.ok,
        "solutions": [line(row) for row in proof.rows if row.kind == "solution"],
        "planted": [line(row) for row in proof.rows if row.kind in ("starter", "nothing", "cheat")],
        "left_out": dict(proof.left_out),
        "problems": proof.complaints,
    }


TITLES: Final = {
    "solution": "solutions",
    "again": "graded again",
    "starter": "what candidates are given",
    "nothing": "",
    "cheat": "planted cheats",
}


def _proof_as_text(proof: Proof) -> str:
    """A table of submissions and criteria, and what is to mend."""
    wide = max([len(row.name) for row in proof.rows] + [20])
    numbers = "".join(f"{number:>6}" for number in range(1, len(proof.criteria) + 1))
    lines = []
    if proof.rows:
        lines.append(f"      {'':<{wide}}  form  expected   landed{numbers}   seconds")
    for kind, title in TITLES.items():
        rows = [row for row in proof.rows if row.kind == kind]
        if rows and title:
            lines.append(click.style(title, bold=True))
        lines += [_line(row, proof.criteria, wide) for row in rows]
    if proof.left_out:
        lines += [f"      {name:<{wide}}  left out: {why}" for name, why in proof.left_out.items()]
    lines += [f"{number:>6}  {key}" for number, key in enumerate(proof.criteria, 1)]
    if proof.complaints:
        lines += ["", click.style("To mend:", bold=True), *(f"  {complaint}" for complaint in proof.complaints), ""]
    verdict = "is proved" if proof.ok else f"is not proved: {len(proof.complaints)} to mend"
    lines.append(f"{proof.challenge} {verdict}.")
    return "\n".join(lines)


def _line(row: Row, criteria: Sequence[str], wide: int) -> str:
    mark, colour = ("ok ", "green") if row.holds else ("RED", "red")
    band = "" if row.expected is None else _band(*row.expected)
    landed = "-" if row.total is None else f"{row.total:.1f}"
    earned = "".join(f"{_credit(row.credits.get(key)):>6}" for key in criteria)
    start = click.style(f"{mark:<4}", fg=colour, bold=not row.holds)
    return f"  {start}{row.name:<{wide}}  {row.form:>4}  {band:>8}  {landed:>7}{earned}  {row.seconds:>8.1f}"


def _band(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def _credit(credit: float | None) -> str:
    return "open" if credit is None else f"{credit:.2f}"


# ------------------------------------------------------------------------------------------------------ assay form


@click.command(epilog=CHALLENGE)
@click.argument("challenge")
@click.option("--seed", type=Seed(), required=True, help="Of the form: any word or number.")
@click.option("--out", metavar="DIR", required=True, type=click.Path(path_type=Path), help="A new or empty folder.")
@PACK
def form(challenge: str, seed: str, out: Path, packs: Sequence[Path]) -> None:
    """Write what the candidate of one form gets: the brief as BRIEF.md, and the files to begin with.

    A form that the challenge's calibrate refuses is discarded, which is said, and the seed's next one taken.
    """
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise click.BadParameter(f"{out}: is there already, and not an empty folder", param_hint="--out")
    settings = settings_with(packs)
    handout = _hand_out(find_challenge(challenge, settings), settings, seed)
    for name, content in {"BRIEF.md": handout.bundle.brief.encode(), **handout.files}.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    click.echo(handout.form.signature)
    click.echo(f"{len(handout.files)} files and the brief are in {out}", err=True)


def _hand_out(challenge: Challenge, settings: GradersSettings, seed: str) -> Handout:
    return hand_out(challenge, seed, Calibrations(settings.calibrations_folder).calibrated, _tell_discarded)


# ----------------------------------------------------------------------------------------------------- assay grade


@click.command(epilog=CHALLENGE)
@click.argument("challenge")
@click.argument("submission", metavar="SUBMISSION_DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--seed", type=Seed(), default="1", show_default=True, help="Of the form that it answers.")
@PACK
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of sentences.")
def grade(challenge: str, submission: Path, seed: str, packs: Sequence[Path], as_json: bool) -> int:
    """Grade a folder exactly as a worker would. The form of a seed is the one that `assay form` writes.

    Exit code 0 whatever the submission earns; 1 when the challenge itself is at fault, or the folder cannot be handed
    in; 3 when the sandbox is not there.
    """
    ours = settings_with(packs)
    found = find_challenge(challenge, ours)
    files = read_submission(submission, found.manifest.submission)
    for missing in [name for name in found.manifest.deliverables if not _is_there(name, files)]:
        click.echo(f"note: {missing}: is to be handed in, and is not there", err=True)
    settings = SandboxSettings()
    graded: Graded | None = None
    failure: Failure | None = None
    built = _hand_out(found, ours, seed).form
    try:
        with Engine(settings) as engine:
            graded = grading.grade(found, files, built, rooms_for(engine, settings, found.manifest.image))
    except (ChallengeInvalid, GraderFailed) as error:
        failure = Failure(fault_of=Fault.AUTHOR, message=str(error))
        raise
    except SandboxUnavailable as error:
        failure = Failure(fault_of=Fault.OPERATOR, message=str(error))
        raise
    finally:
        if as_json and (graded or failure):
            click.echo(json.dumps(_grading_as_json(found, built, graded, failure)))
    if not as_json:
        click.echo(_grading_as_text(found, graded))
    return 0


def _is_there(deliverable: str, files: Mapping[str, bytes]) -> bool:
    below = deliverable.rstrip("/") + "/"
    return deliverable in files or any(name.startswith(below) for name in files)


def _grading_as_json(
    challenge: Challenge, form: Form, graded: Graded | None, failure: Failure | None
) -> dict[str, Any]:
    findings = graded.findings if graded is not None else ()
    score = scoring.score(challenge.manifest, challenge.rubric, findings) if graded is not None else None
    return {
        "challenge": challenge.slug,
        "digest": challenge.digest,
        "form": form.reference,
        "findings": [finding.model_dump(mode="json") for finding in findings],
        "failure": failure.model_dump(mode="json") if failure is not None else None,
        "total": {"low": score.low, "high": score.high, "max": score.max} if score is not None else None,
        "seconds": round(sum(graded.seconds.values()), 3) if graded is not None else None,
    }


def _grading_as_text(challenge: Challenge, graded: Graded) -> str:
    """Every criterion in the order of the rubric, what it earned and why, and the total with what is open."""
    score = scoring.score(challenge.manifest, challenge.rubric, graded.findings)
    by_criterion = {finding.criterion: finding for finding in graded.findings}
    lines, open_points = [], []
    for key, criterion in challenge.rubric.criteria.items():
        finding = by_criterion.get(key)
        if finding is None or finding.credit is None:
            open_points.append(criterion.title)
            earned, why = "open", finding.reason if finding else f"to be judged by a {criterion.judged_by}"
        else:
            earned, why = scoring.spelled(finding.credit * criterion.points), finding.reason
        lines.append(f"{earned:>7} of {criterion.points:<4g} {click.style(criterion.title, bold=True)}")
        lines.append(f"{'':16}{visible(why)}")
        lines += [
            f"{'':16}- {visible(_place(evidence) + evidence.text)}"
            for evidence in (finding.evidence if finding else ())
        ]
    lines.append(f"\nTotal: {scoring.spelled(score.low, score.high)} of {score.max:g}")
    if open_points:
        lines.append(f"Open: {', '.join(open_points)}")
    if graded.printed:
        lines.append(f"The grader printed:\n{visible(graded.printed)}")
    return "\n".join(lines)


def visible(text: str) -> str:
    """A terminal obeys escape codes, and evidence may quote a stranger's."""
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)


def _place(evidence: Evidence) -> str:
    where = evidence.file or evidence.source
    line = f":{evidence.line}" if evidence.line is not None else ""
    return f"{where}{line}: " if where else ""


COMMANDS: Final[tuple[click.Command, ...]] = (new, check, form, grade)
