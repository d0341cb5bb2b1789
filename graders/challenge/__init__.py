"""The only reader of a challenge's folder.

    challenge = read_challenge(Path("challenges/warm-up"))     runs nothing of it, so that the portal may ask too
    grade = load_grader(challenge)                             runs grader.py: only where candidates are graded

What is wrong with a folder is found all at once: ChallengeInvalid has a sentence for every mistake.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Final, cast

from graders.challenge import mistakes
from graders.challenge.loading import load
from graders.challenge.reading import read_table, read_text
from graders.contract import Calibrator, ChallengeInvalid, Form, Generator, Grader
from graders.rubric import Expectation, Manifest, Questions, Rubric
from graders.trees import digest_of_hashes
from sandbox import Limits, SandboxMisused
from sandbox.checks import check_files, check_name

__all__ = [
    "Challenge",
    "Solution",
    "load_calibrator",
    "load_generator",
    "load_grader",
    "load_solver",
    "read_challenge",
    "read_solutions",
    "room_limits",
    "starter_files",
    "unfit",
]

KEY: Final = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")

# Neither changes a score nor is seen by a candidate: not part of the digest, and of no copy.
APART: Final = frozenset({"solutions", "README.md"})  # at the top of the folder
SOLVER: Final = "solution.py"
NOT_HANDED_IN: Final = frozenset({SOLVER, "expect.toml"})  # at the top of a solution's folder
DROPPINGS: Final = (
    "__pycache__", "*.pyc", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints",
    ".git", ".idea", ".vscode", ".DS_Store", "Thumbs.db", "desktop.ini", "*~", ".*.sw?", ".#*", "#*#",
)  # fmt: skip

PARAMETERS: Final = {"grade": "submission, sandbox", "generate": "form", "solve": "form, given"}
Solver = Callable[[Form, Mapping[str, bytes]], Mapping[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Challenge:
    slug: str
    folder: Path
    manifest: Manifest
    rubric: Rubric
    brief: str  # with {{ placeholders }}; graders.forms fills them
    interview: Mapping[str, Questions]
    private: Mapping[str, Path] = field(repr=False)  # by name below private/; packs overlay
    digest: str
    files: Mapping[str, Path] = field(repr=False)  # all that the digest covers


@dataclass(frozen=True, slots=True)
class Solution:
    """A reference solution: what is handed in, and where it must land."""

    name: str
    files: Mapping[str, bytes] = field(repr=False)
    expect: Expectation
    solves: bool = False  # it has a solution.py, which makes more of a form; see graders.author.handouts


def read_challenge(folder: Path, packs: Sequence[Path] = ()) -> Challenge:
    """Read and validate a challenge, with the private files of `packs` over its own; of two packs the later wins."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise ChallengeInvalid(f"{folder}: there is no such folder: name one that holds a challenge.toml")
    problems: list[str] = []
    slug = folder.name
    if not _is_key(slug):
        problems.append(
            f"{slug}: the folder's name is the challenge's: write small letters and digits, with - or _ between them"
        )
    files = {**_walk(folder, problems, APART), **_overlay(slug, packs, problems)}
    manifest = read_table(folder / "challenge.toml", "challenge.toml", Manifest, problems)
    rubric = read_table(folder / "rubric.toml", "rubric.toml", Rubric, problems)
    brief = read_text(folder / "brief.md", "brief.md", problems)
    interview: dict[str, Questions] | None = {}
    if "interview.toml" in files:
        interview = read_table(folder / "interview.toml", "interview.toml", dict[str, Questions], problems)
    problems += mistakes.in_files(files)
    if brief is not None:
        problems += mistakes.in_brief(brief, generated="generator.py" in files)
    if manifest is not None:
        problems += mistakes.in_manifest(manifest) + mistakes.in_starter(files, manifest)
    if manifest is not None and rubric is not None:
        problems += mistakes.in_rubric(manifest, rubric)
    if rubric is not None:
        problems += mistakes.in_interview(interview or {}, rubric)
    if problems or manifest is None or rubric is None or brief is None or interview is None:
        raise ChallengeInvalid(*dict.fromkeys(problems))
    private = {name.removeprefix("private/"): path for name, path in files.items() if name.startswith("private/")}
    return Challenge(slug, folder, manifest, rubric, brief, interview, private, _digest(slug, files), files)


def starter_files(challenge: Challenge) -> dict[str, bytes]:
    return {
        name.removeprefix("starter/"): path.read_bytes()
        for name, path in sorted(challenge.files.items())
        if name.startswith("starter/")
    }


def read_solutions(challenge: Challenge) -> tuple[Solution, ...]:
    """The reference solutions, by name. Each lies in a folder with its expect.toml, which is not handed in.

    Neither is its solution.py: that is code of the author's, which makes files for a form.
    """
    problems: list[str] = []
    found = []
    folder = challenge.folder / "solutions"
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _is_dropping(place.name) or place.name == "README.md":
            continue
        name = f"solutions/{place.name}"
        if not place.is_dir() or place.is_symlink() or not _is_key(place.name):
            problems.append(
                f"{name}: a solution is a folder; its name has small letters and digits, with - or _ between"
            )
            continue
        files = _walk(place, problems, NOT_HANDED_IN, name)
        solves = (place / SOLVER).is_file()
        if solves and SOLVER in challenge.manifest.deliverables:
            problems.append(
                f"{name}/{SOLVER}: is a deliverable, and code that makes a solution: rename the deliverable"
            )
        expect = read_table(place / "expect.toml", f"{name}/expect.toml", Expectation, problems)
        if expect is not None:
            problems += mistakes.in_expectation(f"{name}/expect.toml", expect, challenge.rubric)
            found.append(Solution(place.name, {one: path.read_bytes() for one, path in files.items()}, expect, solves))
    if problems:
        raise ChallengeInvalid(*problems)
    return tuple(found)


def load_grader(challenge: Challenge) -> Grader:
    """Import grader.py. Whatever its code raises is raised here: graders.challenge.calling puts it into a sentence."""
    return cast(Grader, _function(load(challenge.folder, challenge.slug, "grader"), "grade", "grader.py"))


def load_generator(challenge: Challenge) -> Generator | None:
    if "generator.py" not in challenge.files:
        return None
    module = load(challenge.folder, challenge.slug, "generator")
    return cast(Generator, _function(module, "generate", "generator.py"))


def load_calibrator(challenge: Challenge) -> Calibrator | None:
    if "generator.py" not in challenge.files:
        return None
    return cast(Calibrator | None, getattr(load(challenge.folder, challenge.slug, "generator"), "calibrate", None))


def load_solver(challenge: Challenge, solution: Solution) -> Solver:
    """Import a solution's own code, in which `from ...faults import x` reaches what lies beside grader.py."""
    module = load(challenge.folder, challenge.slug, f"solutions.{solution.name}.solution")
    return cast(Solver, _function(module, "solve", f"solutions/{solution.name}/{SOLVER}"))


def _function(module: ModuleType, name: str, file: str) -> object:
    function = getattr(module, name, None)
    if not callable(function):
        raise ChallengeInvalid(f"{file}: {name}: there is no such function: define {name}({PARAMETERS[name]})")
    return cast(object, function)


def room_limits(manifest: Manifest) -> Limits:
    return Limits(**manifest.limits.model_dump())


def unfit(files: Mapping[str, bytes], limits: Limits) -> str | None:
    """Why a submission cannot enter a room with these limits; None when it can.

    To be asked when files are taken in. What a candidate called a file must never be why a grading fails.
    """
    try:
        check_files(files, limits)
    except SandboxMisused as error:
        return str(error)
    return None


# ---------------------------------------------------------------------------------------------------- files


def _is_key(name: str) -> bool:
    return len(name) <= 60 and KEY.fullmatch(name) is not None


def _is_dropping(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in DROPPINGS)


def _walk(top: Path, problems: list[str], apart: frozenset[str], shown: str = "") -> dict[str, Path]:
    """Regular files below `top` by name. A link could point anywhere, and to another place on another machine."""
    found = {}
    for entry in _entries(top, apart):
        name = Path(entry.path).relative_to(top).as_posix()
        where = f"{shown}/{name}" if shown else name
        try:
            check_name("files", name)
        except SandboxMisused:
            problems.append(f"{where!r}: no room takes a file of this name: rename it")
            continue
        if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            found[name] = Path(entry.path)
        else:
            problems.append(f"{where}: is a link or a device: put a file there")
    return dict(sorted(found.items()))


def _entries(top: Path, apart: frozenset[str]) -> Iterator[os.DirEntry[str]]:
    """Everything below `top` that is no folder."""
    folders = [top]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_dropping(entry.name) or (folder == top and entry.name in apart):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    yield entry


def _overlay(slug: str, packs: Sequence[Path], problems: list[str]) -> dict[str, Path]:
    """Files of private packs, by their names in the challenge's folder: <pack>/<slug>/private/..."""
    found: dict[str, Path] = {}
    for pack in packs:
        if not pack.is_dir():
            problems.append(f"{pack}: there is no such pack of private files: correct ASSAY_PACKS")
        elif (pack / slug).is_dir():
            files = _walk(pack / slug, problems, APART, str(pack / slug))
            strays = [name for name in files if not name.startswith("private/")]
            problems += [f"{pack / slug / name}: a pack has files below private/ only: move it" for name in strays]
            found.update(files)
    return found


def _digest(slug: str, files: Mapping[str, Path]) -> str:
    """A tree's digest, with the challenge's name, from which forms are derived, in place of a nameless file."""
    hashes = {"": slug}
    for name, path in files.items():
        with path.open("rb") as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digest_of_hashes(hashes)
