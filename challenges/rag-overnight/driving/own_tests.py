"""Runs the tests that a candidate wrote: on their repository, and on the starter, where one at least should fail.

    found = run(submission, issued, sandbox)
    found.proves_a_repair, found.new, found.reason

Both runs are claims: a test may look where it is and behave accordingly. What is worth a point of a hundred is that
it takes some work to claim it. An exit code is not believed for itself; tests are counted by the names in pytest's
report, and only those count as new whose text is not in the starter.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from graders import Submission, strict
from sandbox import Ending, Execution, Sandbox

from .source import parsed

__all__ = ["OwnTests", "run"]

FOLDER: Final = "tests"
REPORT: Final = "assay-tests.xml"
SECONDS: Final = 60.0
SPARE: Final = 30.0  # of the room's life
LONGEST_REPORT: Final = 4 << 20
MOST_TESTS: Final = 2000
MOST_FILES: Final = 200
COMMAND: Final = ("python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={REPORT}", FOLDER)
PARAMETERS: Final = re.compile(r"\[.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OwnTests:
    new: tuple[str, ...]  # ran on the candidate's repository, and are not the starter's
    failing_on_own: tuple[str, ...]  # of all tests
    failing_on_starter: tuple[str, ...]  # of the new ones that pass on the candidate's repository
    reason: str  # one sentence

    @property
    def proves_a_repair(self) -> bool:
        return bool(self.new) and not self.failing_on_own and bool(self.failing_on_starter)


def run(submission: Submission, issued: Mapping[str, bytes], sandbox: Sandbox, *, seconds: float = SECONDS) -> OwnTests:
    """`issued` is the repository as this candidate got it."""
    own = {name: content for name, content in submission.files.items() if name != REPORT}
    tests = {name: content for name, content in own.items() if name.startswith(f"{FOLDER}/")}
    written = _texts(tests).items() - _texts(issued).items()
    fresh = {name for name, _ in written}
    if not fresh:
        return OwnTests((), (), (), f"there is no test below {FOLDER}/ that the starter did not have")
    outcomes, complaint = _outcomes(_ran(own, submission, sandbox, seconds))
    new = tuple(name for name in outcomes if PARAMETERS.sub("", name) in fresh)
    failing = tuple(name for name, passed in outcomes.items() if not passed)
    if complaint or not new or failing:
        why = complaint or (f"{len(failing)} of {len(outcomes)} tests fail" if failing else "no new test was run")
        return OwnTests(new, failing, (), f"on the candidate's repository: {why}")
    code = {name: content for name, content in issued.items() if not name.startswith(f"{FOLDER}/")}
    on_starter, _ = _outcomes(_ran({**code, **tests}, submission, sandbox, seconds))
    # A test that could not even be collected there stands in no report: it does not pass on the starter.
    failed = tuple(name for name in new if not on_starter.get(name, False))
    return OwnTests(new, (), failed, f"{len(new)} new tests pass, {len(failed)} of them fail on the starter")


def _ran(files: Mapping[str, bytes], submission: Submission, sandbox: Sandbox, seconds: float) -> Execution:
    limits = submission.limits
    with sandbox.open(files=files, limits=limits, lifetime=seconds + SPARE) as room:
        return room.run(COMMAND, collect=[REPORT], seconds=min(seconds, limits.seconds))


def _outcomes(ended: Execution) -> tuple[dict[str, bool], str]:
    """Whether each test passed; and a complaint, when the run did not go as runs go."""
    if ended.ending is not Ending.EXITED:
        return {}, f"pytest did not come to an end: {ended.ending}"
    report = ended.files.get(REPORT)
    if report is None:
        last_words = strict.printable(ended.stdout.strip().rpartition(b"\n")[2])
        return {}, f"pytest left no report (exit code {ended.exit_code}): {last_words}"
    outcomes = dict(_read(report))
    if ended.exit_code and all(outcomes.values()):
        return outcomes, f"pytest ended with exit code {ended.exit_code}"
    return outcomes, ""


def _read(report: bytes) -> Iterator[tuple[str, bool]]:
    """Names and whether they passed, of what may be a report. Declarations would be a way to make it grow."""
    if len(report) > LONGEST_REPORT or b"<!" in report:
        return
    try:
        cases = list(ElementTree.fromstring(report).iter("testcase"))  # noqa: S314  # without declarations
    except (ElementTree.ParseError, ValueError, LookupError):
        return
    for case in cases[:MOST_TESTS]:
        name = f"{case.get('classname', '')}.{case.get('name', '')}"
        if case.find("skipped") is None:
            yield strict.printable(name), case.find("failure") is None and case.find("error") is None


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    """What each test says, by the name that it has in a report, whatever its parameters."""
    found: dict[str, str] = {}
    for name in sorted(files)[: 10 * MOST_FILES]:
        if not name.startswith(f"{FOLDER}/") or not name.endswith(".py") or (tree := parsed(files[name])) is None:
            continue
        module = name.removesuffix(".py").replace("/", ".")
        for place, function in _tests(tree, module):
            if len(found) < MOST_TESTS:
                found[place] = _dumped(function)
    return found


def _tests(tree: ast.Module, module: str) -> Iterator[tuple[str, ast.AST]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield f"{module}.{node.name}", node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from (
                (f"{module}.{node.name}.{inner.name}", inner)
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and inner.name.startswith("test")
            )


def _dumped(node: ast.AST) -> str:
    try:
        return ast.dump(node)
    except RecursionError:
        return "too deep to be looked at"
