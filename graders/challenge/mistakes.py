"""What can be wrong with a challenge although each of its files can be read: what does not fit together.

Every function gives sentences for the author: `file: key: what is wrong: what to do`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from graders.rubric import Criterion, Expectation, Judge, Kind, Manifest, Questions, Rubric
from sandbox import Limits, SandboxMisused, check_range
from sandbox.checks import check_names, check_order

PLACEHOLDER: Final = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")  # in brief.md
SIDECARS: Final[frozenset[str]] = frozenset()  # services that can stand beside a program; none yet
WHOLE: Final = 100
NEAR: Final = 1e-6  # points are written in decimals, and added up in binary


def in_files(files: Mapping[str, Path]) -> list[str]:
    found = []
    if "grader.py" not in files:
        found.append("grader.py: there is no such file: define grade(submission, sandbox) in it")
    if "generator.py" not in files and not any(name.startswith("starter/") for name in files):
        found.append("starter: there are no files in it: candidates must get something to start from")
    return found


def in_brief(brief: str, *, generated: bool) -> list[str]:
    found = []
    if not brief.strip():
        found.append("brief.md: is empty: say what is to be done, and what counts how much")
    for number, line in enumerate(brief.splitlines(), 1):
        if "{{" in PLACEHOLDER.sub("", line):
            found.append(f"brief.md: line {number}: {{{{ is no placeholder here: write {{{{ name }}}}, or take it out")
        elif not generated and (placeholder := PLACEHOLDER.search(line)):
            found.append(
                f"brief.md: line {number}: {placeholder[1]}: nothing gives it a value: "
                "write a generator.py, or take it out"
            )
    return found


def in_manifest(manifest: Manifest) -> list[str]:
    found = []
    total = sum(part.points for part in manifest.parts.values())
    if abs(total - WHOLE) > NEAR:
        found.append(f"parts: their points add up to {total:g}: they must add up to {WHOLE}")
    fast, slow = manifest.expert_minutes
    if not 1 <= fast <= slow <= manifest.minutes:
        found.append(
            f"expert_minutes: {fast} to {slow}, of {manifest.minutes} minutes: must be from, to, and not above minutes"
        )
    try:
        check_names(manifest.deliverables)
    except SandboxMisused as error:
        found.append(
            f"deliverables: {error}: name files and folders as they are to be handed in, without a / at the end"
        )
    if len({*manifest.deliverables}) < len(manifest.deliverables):
        found.append("deliverables: one stands there twice: remove it")
    found += [
        f"sidecars: {name}: there is no such service: take it out" for name in manifest.sidecars if name not in SIDECARS
    ]
    if manifest.check:
        try:
            check_order(manifest.check, b"", (), Limits())
        except SandboxMisused as error:
            found.append(f"check: {error}: write the words of a command, the program first")
    return [f"challenge.toml: {one}" for one in found + _in_limits(manifest)]


def _in_limits(manifest: Manifest) -> list[str]:
    limits, submission, found = manifest.limits, manifest.submission, []
    for name, value in limits.model_dump().items():
        try:
            check_range(name, value)
        except SandboxMisused as error:
            found.append(str(error).replace(": ", ".", 1))
    if manifest.grading_seconds <= limits.seconds:
        found.append(
            f"grading_seconds: {manifest.grading_seconds} s for everything, and one program may take "
            f"{limits.seconds:g} s: raise it, or lower limits.seconds"
        )
    # Each file fills whole blocks of 4 kB. Half of what a room takes stays for what the grader adds.
    largest = submission.total_kb / 1024 + submission.files * 4 / 1024
    if largest > min(limits.disk_mb, limits.memory_mb / 2) / 2:
        found.append(
            f"submission: {submission.files} files of {submission.total_kb} kB together fill more than half of a room: "
            "lower submission.files or submission.total_kb, or raise limits.disk_mb and limits.memory_mb"
        )
    return found


def in_starter(files: Mapping[str, Path], manifest: Manifest) -> list[str]:
    """Most candidates hand in what they got, changed here and there: so it must be small enough to be handed in."""
    starter = [path for name, path in files.items() if name.startswith("starter/")]
    size = sum(path.stat().st_size for path in starter)
    allowed = manifest.submission
    if len(starter) > allowed.files or size > allowed.total_kb << 10:
        return [
            f"starter: {len(starter)} files of {size / 1024:.0f} kB are more than a submission may have: "
            "raise submission.files and submission.total_kb in challenge.toml, or leave some out"
        ]
    return []


def in_rubric(manifest: Manifest, rubric: Rubric) -> list[str]:
    found = []
    for key, criterion in rubric.criteria.items():
        where = f"criteria.{key}"
        flag = criterion.kind is Kind.RED_FLAG
        if criterion.part not in manifest.parts:
            found.append(f"{where}.part: {criterion.part}: challenge.toml has only {', '.join(manifest.parts)}")
        if flag and criterion.points:
            found.append(
                f"{where}.points: {criterion.points:g}: a red flag has no points: write 0, and a cap where one is due"
            )
        if not flag and not criterion.points:
            found.append(f"{where}.points: 0: what earns nothing is a red flag: give it points, or that kind")
        if criterion.deliverable and not _hands_in(manifest, criterion.deliverable):
            named = ", ".join(manifest.deliverables)
            found.append(f"{where}.deliverable: {criterion.deliverable}: is not handed in; challenge.toml has {named}")
        found += [f"{where}.{name}" for name in _left_unsaid(criterion)]
    for part, section in manifest.parts.items():
        ordinary = [
            one.points for one in rubric.criteria.values() if one.part == part and one.kind in (Kind.CORE, Kind.MUST)
        ]
        if abs(sum(ordinary) - section.points) > NEAR:
            found.append(
                f"criteria: those of part {part} add up to {sum(ordinary):g} points, and challenge.toml gives the part "
                f"{section.points:g}: core and must criteria have to add up to it"
            )
    return [f"rubric.toml: {one}" for one in found] + _in_caps(manifest, rubric)


def _left_unsaid(criterion: Criterion) -> list[str]:
    """Whoever judges by reading must be told what to look for, and a model be shown it."""
    found = []
    if criterion.judged_by is not Judge.TESTS and not criterion.asks:
        found.append(f"asks: is missing: say what the {criterion.judged_by} is to look at")
    if criterion.judged_by is Judge.MODEL:
        if not criterion.deliverable:
            found.append("deliverable: is missing: name the file that the model is to read")
        found += [
            f"{name}: is missing: give at least one example, so that the model's verdicts can be compared with yours"
            for name, examples in (("met", criterion.met), ("not_met", criterion.not_met))
            if not examples
        ]
    return found


def _hands_in(manifest: Manifest, name: str) -> bool:
    return any(name == one or name.startswith(f"{one}/") for one in manifest.deliverables)


def _in_caps(manifest: Manifest, rubric: Rubric) -> list[str]:
    return [
        f"challenge.toml: caps.{number}.criterion: {cap.criterion}: rubric.toml has no such criterion"
        for number, cap in enumerate(manifest.caps)
        if cap.criterion not in rubric.criteria
    ]


def in_interview(interview: Mapping[str, Questions], rubric: Rubric) -> list[str]:
    known = ", ".join(rubric.criteria)
    return [
        f"interview.toml: {key}: there is no such criterion: rubric.toml has {known}"
        for key in interview
        if key not in rubric.criteria
    ]


def in_expectation(file: str, expect: Expectation, rubric: Rubric) -> list[str]:
    found = [
        f"{file}: criteria.{key}: rubric.toml has no such criterion: correct the name"
        for key in expect.criteria
        if key not in rubric.criteria
    ]
    low, high = expect.total
    if not 0 <= low <= high <= WHOLE:
        found.append(f"{file}: total: {low:g} to {high:g}: must be from, to, between 0 and {WHOLE}")
    found += [
        f"{file}: criteria.{key}: {least:g} to {most:g}: must be from, to, between 0 and 1"
        for key, (least, most) in expect.criteria.items()
        if not 0 <= least <= most <= 1
    ]
    return found
