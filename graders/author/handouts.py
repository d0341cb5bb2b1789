"""What the candidate of an author's form gets, and what each reference solution makes of it.

handout = hand_out(challenge, "7", calibrate, told)       the first form of seed 7 that the challenge takes
files = handed_in(challenge, solution, handout)           as a candidate would hand it in: all files, changed here
                                                          and there
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from graders import forms
from graders.challenge import Challenge, Solution, load_solver
from graders.challenge.calling import calling
from graders.contract import Bundle, Form, GraderFailed
from graders.watch import Allowance, Record
from sandbox import SandboxMisused
from sandbox.checks import check_name

__all__ = ["Handout", "hand_out", "handed_in"]

SOLVE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Handout:
    form: Form
    bundle: Bundle = field(repr=False)

    @property
    def files(self) -> Mapping[str, bytes]:
        return self.bundle.files


def hand_out(
    challenge: Challenge,
    seed: str,
    calibrate: Callable[[Challenge, Form], Form] | None = None,
    told: Callable[[str], object] = lambda _: None,
) -> Handout:
    return Handout(*forms.build(challenge, forms.author_form(challenge, seed, calibrate, told)))


def handed_in(challenge: Challenge, solution: Solution, handout: Handout) -> dict[str, bytes]:
    """What was given, the solution's files over it, and over both what its solution.py makes of the form."""
    files = {**handout.files, **solution.files}
    for name, content in _solved(challenge, solution, handout).items():
        if content is None:
            files.pop(name, None)
        else:
            files[name] = content
    return files


def _solved(challenge: Challenge, solution: Solution, handout: Handout) -> Mapping[str, bytes | None]:
    if not solution.solves:
        return {}
    with calling(challenge, f"solutions/{solution.name}/solution.py", Allowance(SOLVE_SECONDS), Record()):
        return _checked(load_solver(challenge, solution)(handout.form, dict(handout.files)))


def _checked(solved: object) -> dict[str, bytes | None]:
    if not isinstance(solved, Mapping):
        raise GraderFailed(f"solve returns {type(solved).__name__}: return a dict of names and bytes")
    for name, content in solved.items():
        if type(name) is not str or not (content is None or type(content) is bytes):
            raise GraderFailed(f"solve: {name!r}: a name must be text, and its content bytes, or None to remove it")
        try:
            check_name("solve", name)
        except SandboxMisused as error:
            raise GraderFailed(str(error)) from None
    return dict(solved)
