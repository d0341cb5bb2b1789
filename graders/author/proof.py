"""Proves a challenge: that it gives points for what is right and for nothing else, before a candidate meets it.

    read ─► forms: fit, calibrated once; built twice, alike; of two seeds, different
         ─► solutions, the starter, an empty hand, planted cheats ─► graded as a worker grades ─► where did they land?
         ─► every criterion: earned by one, missed by another

What a model or a person judges is open here, so a total is an interval. Bands are about the points that are settled
before anybody has read a word: by tests, with the caps that depend on tests.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from graders import forms, notebooks, scoring
from graders.author import cheats
from graders.author.handouts import Handout, hand_out, handed_in
from graders.author.public import try_public_checks
from graders.author.trials import Landing, Secrets, Trial, land, rooms_for
from graders.challenge import Challenge, Solution, read_solutions, room_limits
from graders.contract import Finding, Form, Submission
from graders.rubric import Judge
from graders.trees import digest_of
from sandbox.docker import Engine
from sandbox.settings import SandboxSettings

__all__ = ["Proof", "Row", "prove"]

NEAR: Final = 0.05  # of a point: bands are written by people
NOTHING: Final = 1.0  # points that a starter may earn, for instance because its files can be read at all
WORTHLESS: Final = frozenset({"naive", "empty", "broken", "cheat"})


@dataclass(frozen=True, slots=True)
class Row:
    """One submission on one form: what was expected, and where it landed."""

    kind: str
    name: str
    form: str
    expected: tuple[float, float] | None
    total: float | None  # what is settled; None: there are no findings
    high: float | None  # what it may become
    credits: Mapping[str, float | None]
    seconds: float
    amiss: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.amiss


@dataclass(slots=True)
class Proof:
    challenge: str
    criteria: Sequence[str] = ()  # those that tests judge, in the order of the rubric
    rows: list[Row] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    left_out: Mapping[str, str] = field(default_factory=dict)  # cheats that do not apply, and why

    @property
    def ok(self) -> bool:
        return not self.complaints


def prove(
    challenge: Challenge,
    packs: Sequence[Path],
    settings: SandboxSettings,
    *,
    count: int,
    lanes: int,
    calibrate: Callable[[Challenge, Form], Form],
    told: Callable[[int, int, Landing], None],
    discarded: Callable[[str], object],
) -> Proof:
    """Everything that can be found out; complaints are sentences for the author. `discarded` hears of unfit forms."""
    solutions = read_solutions(challenge)
    due = [key for key, criterion in challenge.rubric.criteria.items() if criterion.judged_by is Judge.TESTS]
    proof = Proof(challenge.slug, due)
    proof.complaints += on_paper(challenge) + among(solutions)
    seeds = [str(number) for number in range(1, count + 1)]
    handouts = {seed: hand_out(challenge, seed, calibrate, discarded) for seed in seeds}
    proof.complaints += try_forms(challenge, handouts)
    solved = {
        (solution.name, seed): handed_in(challenge, solution, handout)
        for seed, handout in handouts.items()
        for solution in solutions
    }
    perfect = next((one for one in solutions if one.expect.kind == "perfect"), None)
    material = None
    if perfect is not None:
        material = material_of(challenge, handouts["1"], solved[perfect.name, "1"], settings)
    proof.complaints += public_checks(challenge, perfect, handouts["1"], settings)
    trials, proof.left_out = plan(solved, handouts, perfect, material)
    landings: list[Landing] = []

    def note(landing: Landing) -> None:
        landings.append(landing)
        told(len(landings), len(trials), landing)

    landed = land(challenge, packs, trials, settings, lanes=lanes, told=note)
    expected = {solution.name: solution for solution in solutions}
    proof.rows = [row_of(challenge, landing, expected.get(landing.trial.name), landed) for landing in landed]
    for row in proof.rows:
        proof.complaints += [f"{_who(row)}: {sentence}" for sentence in row.amiss]
    proof.complaints += [*dict.fromkeys(leak for landing in landed for leak in landing.leaks)]
    proof.complaints += about_solutions(challenge, proof.rows, due)
    return proof


# ---------------------------------------------------------------------------------------------- before anything runs


def on_paper(challenge: Challenge) -> list[str]:
    """Whether the brief says what is handed in, and what counts how much."""
    manifest, found = challenge.manifest, []
    for deliverable in manifest.deliverables:
        if deliverable not in challenge.brief:
            found.append(f"brief.md: {deliverable}: is a deliverable, and the brief does not mention it")
    for key, part in manifest.parts.items():
        wanted = rf"(?<![\d.]){part.points:g} points"
        lines = [line for line in challenge.brief.splitlines() if part.title.casefold() in line.casefold()]
        if not any(re.search(wanted, line) for line in lines):
            found.append(
                f'brief.md: parts.{key}: no line says "{part.title}" together with "{part.points:g} points": '
                "candidates must know before they start what counts how much"
            )
    return found


def among(solutions: Sequence[Solution]) -> list[str]:
    """Whether the reference solutions can prove anything."""
    perfect = [solution for solution in solutions if solution.expect.kind == "perfect"]
    worthless = [solution for solution in solutions if solution.expect.kind in WORTHLESS]
    found = []
    if not perfect:
        found.append("solutions: no perfect one: nobody knows whether the challenge can be solved")
    if not worthless:
        found.append("solutions: no worthless one (naive, empty, broken): nobody knows whether points must be earned")
    top = min((solution.expect.total[0] for solution in perfect), default=100)
    for solution in solutions:
        high = solution.expect.total[1]
        if solution.expect.kind == "cheat" and high >= top:
            found.append(
                f"solutions/{solution.name}/expect.toml: total: a cheat may land at {high:g}, and so does a perfect one"
            )
    return found


def try_forms(challenge: Challenge, handouts: Mapping[str, Handout]) -> list[str]:
    """Whether what candidates of each form get is the same each time, and their own, and gives nothing away."""
    secrets, found = Secrets(challenge), []
    signatures: dict[str, str] = {}
    for seed, handout in handouts.items():
        form, bundle = handout.form, handout.bundle
        again = forms.build(challenge, form)[1]
        if bundle != again:
            differing = sorted(
                name for name in {*bundle.files, *again.files} if bundle.files.get(name) != again.files.get(name)
            )
            found.append(
                f"generator.py: form {seed}: two builds differ in {', '.join(differing) or 'values or signature'}: "
                "take every random choice from form.random(...), and no time, no order of a set"
            )
        for name, content in bundle.files.items():
            found += [f"form {seed}: {leak}" for leak in secrets.found_in(f"the candidate's {name}", content)]
        calibration = secrets.found_in("its calibration, which the portal keeps", form.calibration.encode())
        found += [f"form {seed}: {leak}" for leak in calibration]
        signatures[seed] = f"{form.signature} {digest_of(bundle.files)}"
    if (challenge.folder / "generator.py").exists() and len(set(signatures.values())) < len(handouts):
        found.append(f"generator.py: of {len(handouts)} seeds two give the same form: nothing in it varies")
    return found


def material_of(
    challenge: Challenge, handout: Handout, perfect: Mapping[str, bytes], settings: SandboxSettings
) -> cheats.Material:
    """What cheats are made from: a perfect solution, and what its notebooks compute on the first candidate's rows."""
    material = cheats.Material(handout.files, perfect, challenge.manifest.deliverables)
    limits = room_limits(challenge.manifest)
    if not material.notebooks or any(getattr(limits, name) < least for name, least in notebooks.LEAST.items()):
        return material
    submission = Submission(perfect, handout.form, limits)
    with Engine(settings) as engine:
        rooms = rooms_for(engine, settings, challenge.manifest.image)
        computed = {
            name: notebooks.execute(name, submission, rooms, values=cheats.variables(material, name)).values
            for name in material.notebooks
        }
    return replace(material, computed=computed)


def public_checks(
    challenge: Challenge, perfect: Solution | None, handout: Handout, settings: SandboxSettings
) -> list[str]:
    """Whether what candidates run with Run can be run."""
    if not challenge.manifest.check:
        return []
    with Engine(settings) as engine:
        rooms = rooms_for(engine, settings, challenge.manifest.image)
        return try_public_checks(challenge, handout, perfect, rooms)


def plan(
    solved: Mapping[tuple[str, str], Mapping[str, bytes]],
    handouts: Mapping[str, Handout],
    perfect: Solution | None,
    material: cheats.Material | None,
) -> tuple[list[Trial], dict[str, str]]:
    """What is to be graded. `solved`: what each solution hands in on each form."""
    first, handout = next(iter(handouts.items()))
    trials = [Trial("solution", name, seed, handouts[seed].form, files) for (name, seed), files in solved.items()]
    trials += [Trial("starter", "starter", seed, one.form, one.files) for seed, one in handouts.items()]
    trials.append(Trial("nothing", "nothing at all", first, handout.form, {}))
    if perfect is None or material is None:
        return trials, dict.fromkeys((recipe.name for recipe in cheats.CHEATS), "there is no perfect solution")
    trials.append(Trial("again", perfect.name, first, handout.form, solved[perfect.name, first]))
    planted, left_out = cheats.plant(material)
    trials += [Trial("cheat", cheat.name, first, handout.form, cheat.files) for cheat in planted]
    return trials, left_out


# --------------------------------------------------------------------------------------------- after everything ran


def row_of(challenge: Challenge, landing: Landing, solution: Solution | None, landed: Sequence[Landing]) -> Row:
    """What is amiss with one landing, in sentences that go on after its name."""
    trial = landing.trial
    if landing.failure:
        expected = solution.expect.total if solution is not None else None
        return Row(trial.kind, trial.name, trial.seed, expected, None, None, {}, landing.seconds, (landing.failure,))
    total = settled(challenge, landing.findings)
    high = scoring.score(challenge.manifest, challenge.rubric, landing.findings).high
    earned = {finding.criterion: finding.credit for finding in landing.findings}
    band: tuple[float, float] | None = None
    amiss: list[str] = []
    if trial.kind == "solution" and solution is not None:
        band = solution.expect.total
        amiss = _outside_of_band(solution, total, landing.findings)
    elif trial.kind == "again":
        first = next(
            one for one in landed if (one.trial.kind, one.trial.name, one.trial.seed) == ("solution", *_of(trial))
        )
        amiss = _differing(first.findings, landing.findings)
    else:
        band = (0.0, NOTHING if trial.kind != "cheat" else _earned_by_starter(challenge, landed, trial))
        if total > band[1] + NEAR:
            given = ", ".join(key for key, credit in earned.items() if credit and challenge.rubric.criteria[key].points)
            amiss = [f"earns {total:g} points for nothing; look at {given}"]
    return Row(trial.kind, trial.name, trial.seed, band, total, high, earned, landing.seconds, tuple(amiss))


def settled(challenge: Challenge, findings: Sequence[Finding]) -> float:
    """Points that tests gave. What is open adds nothing, and an open criterion's cap takes nothing away."""
    criteria = {
        key: criterion for key, criterion in challenge.rubric.criteria.items() if criterion.judged_by is Judge.TESTS
    }
    caps = tuple(cap for cap in challenge.manifest.caps if cap.criterion in criteria)
    manifest = challenge.manifest.model_copy(update={"caps": caps})
    return scoring.score(manifest, challenge.rubric.model_copy(update={"criteria": criteria}), findings).low


def _of(trial: Trial) -> tuple[str, str]:
    return trial.name, trial.seed


def _outside_of_band(solution: Solution, total: float, findings: Sequence[Finding]) -> list[str]:
    low, high = solution.expect.total
    found = []
    if not low - NEAR <= total <= high + NEAR:
        band = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        missed = [f"{one.criterion}: {one.reason}" for one in findings if one.credit != 1]
        why = f" ({'; '.join(missed)})" if missed and total < low else ""
        found.append(f"lands at {total:g}, and {band} was expected{why}")
    earned = {one.criterion: one.credit for one in findings}
    for key, (least, most) in solution.expect.criteria.items():
        credit = earned.get(key)
        if credit is None or not least - 1e-6 <= credit <= most + 1e-6:
            got = "open" if credit is None else f"{credit:g}"
            found.append(f"{key} is {got}, and {least:g} to {most:g} was expected")
    return found


def _differing(first: Sequence[Finding], second: Sequence[Finding]) -> list[str]:
    differing = [one.criterion for one, other in zip(first, second, strict=True) if one != other]
    if not differing:
        return []
    return [
        f"graded twice, it gets different findings for {', '.join(differing)}: a grader takes every random choice from "
        "the form, and puts no times into its words"
    ]


def _earned_by_starter(challenge: Challenge, landed: Sequence[Landing], trial: Trial) -> float:
    for one in landed:
        if one.trial.kind == "starter" and one.trial.seed == trial.seed and not one.failure:
            return settled(challenge, one.findings)
    return 0.0


def about_solutions(challenge: Challenge, rows: Sequence[Row], due: Sequence[str]) -> list[str]:
    """What the landings say together: top and bottom are reached, and every criterion tells good from bad."""
    solved = [row for row in rows if row.kind == "solution" and row.total is not None]
    found = []
    top = settled(challenge, _all_earned(due))
    for form in dict.fromkeys(row.form for row in solved):
        reached = max(row.total for row in solved if row.total is not None and row.form == form)
        if reached < top - 0.5:
            found.append(f"form {form}: the best solution lands at {reached:g} of the {top:g} that tests can give")
    if solved and min(row.total for row in solved if row.total is not None) > NOTHING:
        found.append("solutions: none lands at the bottom: what is worthless must be seen to earn nothing")
    for key in due:
        landed = [row.credits.get(key) for row in solved]
        if not any(credit is not None and credit >= 0.999 for credit in landed):
            found.append(f"rubric.toml: criteria.{key}: no solution earns it: perhaps nobody can")
        if not any(credit is not None and credit < 0.999 for credit in landed):
            found.append(f"rubric.toml: criteria.{key}: no solution misses it: what nobody can miss proves nothing")
    return found


def _all_earned(due: Sequence[str]) -> list[Finding]:
    return [Finding(criterion=key, credit=1.0, reason="earned in full") for key in due]


def _who(row: Row) -> str:
    names = {
        "solution": f"solutions/{row.name}",
        "cheat": f"planted cheat {row.name}",
        "again": f"solutions/{row.name}",
    }
    return f"{names.get(row.kind, row.name)}, form {row.form}"
