"""Grades one submission: files in, findings out. No queue, no database, no Flask."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from pydantic import ValidationError

from graders.challenge import Challenge, load_grader, room_limits, unfit
from graders.challenge.calling import calling
from graders.contract import Evidence, Exchange, Finding, Form, GraderFailed, GradersError, Submission, first_fault
from graders.rubric import Judge
from graders.watch import Allowance, Record, WatchedSandbox, storable
from sandbox import Sandbox

__all__ = ["Graded", "SubmissionUnfit", "due", "grade", "unfit"]


class SubmissionUnfit(GradersError):
    """No room can take these files. They should have been refused when they were handed in: not a candidate's fault
    by now, and not the author's."""


@dataclass(frozen=True, slots=True)
class Graded:
    findings: tuple[Finding, ...]  # in the order of the rubric
    exchanges: tuple[Exchange, ...] = field(repr=False)
    exchanges_left_out: int
    printed: str
    seconds: Mapping[str, float]  # by phase; together all that it took


def grade(
    challenge: Challenge, files: Mapping[str, bytes], form: Form, sandbox: Sandbox, record: Record | None = None
) -> Graded:
    """What each criterion that tests judge has earned.

        files ─► unfit? ─► SubmissionUnfit, before anything runs
              ─► watched sandbox: time, limits, faults and evidence are ours to keep
              ─► load_grader(challenge)(submission, sandbox)        the author's code, in graders.challenge.calling
              ─► checked: findings, each once, all that are due     made anew; one too many, and no more are asked for
              ─► a fault that it swallowed? ─► raised again         no score comes of a sandbox that failed
              ─► findings in the order of the rubric

    SandboxUnavailable passes through, the operator's. GraderFailed and ChallengeInvalid are the author's. `record`
    holds what is known when one of these is raised. To be called in the main thread; elsewhere a grader that runs
    for ever without asking a room is not ended.
    """
    record = record if record is not None else Record()
    limits = room_limits(challenge.manifest)
    if complaint := unfit(files, limits):
        raise SubmissionUnfit(f"submission: {complaint}")
    allowance = Allowance(challenge.manifest.grading_seconds)
    watched = WatchedSandbox(sandbox, limits, allowance, record, files)
    submission = Submission(dict(files), replace(form, private=challenge.private), limits)
    try:
        with calling(challenge, "grader.py", allowance, record):
            findings = _checked(load_grader(challenge)(submission, watched), due(challenge))
    except GraderFailed:
        if watched.fault is not None and not isinstance(watched.fault, GraderFailed):
            raise watched.fault from None
        raise
    finally:
        record.seconds.update(allowance.phases())
    if watched.fault is not None:
        raise watched.fault
    if allowance.over:
        raise GraderFailed("grader.py: it went on after its time was over: raise grading_seconds in challenge.toml")
    return Graded(findings, tuple(record.exchanges), record.exchanges_left_out, record.printed, dict(record.seconds))


def due(challenge: Challenge) -> tuple[str, ...]:
    """The criteria that the challenge's grader has to give findings for."""
    criteria = challenge.rubric.criteria
    return tuple(key for key, criterion in criteria.items() if criterion.judged_by is Judge.TESTS)


def _checked(given: object, wanted: tuple[str, ...]) -> tuple[Finding, ...]:
    """Exactly the findings that are due, made anew: what an author built may never have been validated."""
    if not isinstance(given, Iterable):
        raise GraderFailed(f"grade returns {type(given).__name__}: yield findings, or return a list of them")
    found: dict[str, Finding] = {}
    for one in islice(given, len(wanted) + 1):
        finding = _made_anew(one)
        key = finding.criterion
        if key in found:
            raise GraderFailed(f"{key}: two findings: give each criterion one")
        if key not in wanted:
            raise GraderFailed(f"{key}: no criterion that tests judge: rubric.toml has {', '.join(wanted) or 'none'}")
        found[key] = finding
    if missing := [key for key in wanted if key not in found]:
        raise GraderFailed(f"{', '.join(missing)}: no finding: give each criterion one, with credit 0 if need be")
    return tuple(found[key] for key in wanted)


def _made_anew(one: object) -> Finding:
    """A copy with nothing but plain values in it, which any database can keep."""
    if not isinstance(one, Finding):
        raise GraderFailed(f"{type(one).__name__} among the findings: give Finding(...) only")
    values = {name: _plain(getattr(one, name, None)) for name in Finding.model_fields}
    evidence = values.pop("evidence") or ()
    pieces = [{name: _plain(getattr(piece, name, None)) for name in Evidence.model_fields} for piece in evidence]
    try:
        return Finding(**values, evidence=tuple(Evidence(**piece) for piece in pieces))
    except ValidationError as error:
        raise GraderFailed(f"{str(values['criterion'])[:60]}: {first_fault(error)}") from None


def _plain(value: Any) -> Any:
    """Numbers and texts of exactly these types: a subclass may compare, and print, as it likes."""
    if isinstance(value, str):
        return storable(str.__str__(value))
    if isinstance(value, float):
        return float.__float__(value)
    return value
