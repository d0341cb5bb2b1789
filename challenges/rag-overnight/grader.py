"""Grades a repair: two nights in hidden worlds, the incident file, the health check, and what the repair leaves behind.

drive (twice) ─► measure ─► recovery, no-leak, economy
                    └─► which faults are still live ─► incident.toml ─► causes
healthcheck.py ─► health-check        tests, manifests ─► hygiene        own code and texts ─► integrity
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from graders import Evidence, Finding, Submission
from sandbox import Sandbox

from .driving import health as health_drive
from .driving import own_tests, signals
from .driving.night import drive
from .driving.transcript import Marks, Phase, Transcript
from .faults.catalogue import ALL
from .forms.plan import Plan
from .forms.worlds import Place
from .night import health as health_bundles
from .night.bundle import literals_of
from .scoring import economy, findings, health, hygiene, incident, ledger, witnesses
from .scoring.hygiene import Habit, Mark
from .scoring.measures import Asked, Measures, measure
from .scoring.score import Calibration, recovery
from .world.questions import Question

INCIDENT: Final = "incident.toml"
# What lies around the repository when it is handed out. Nothing of it is run or read when it is handed in.
GIVEN: Final = frozenset({"data", "history", "logs", "simgate", "state", "tickets"})

Night = Transcript[Question]


def grade(submission: Submission, sandbox: Sandbox) -> Iterator[Finding]:
    plan = Plan.of(submission.form, ALL)
    calibration = Calibration.from_json(submission.form.calibration)
    nights = [one_night(submission, sandbox, plan, place) for place in plan.worlds.hidden]
    measured = [measured_in(place, night) for place, night in zip(plan.worlds.hidden, nights, strict=True)]
    known = [one for one in measured if one is not None]
    recovered = recovery([one.strata if one else None for one in measured], calibration)
    yield with_complaints(findings.recovery(recovered, measured, calibration), nights)
    yield findings.no_leak(measured)
    yield findings.economy(economy.graded(spent(nights), calibration.economy, recovered=recovered.credit))
    states = witnesses.states(calibration.witnesses, known)
    yield findings.causes(ledger.graded(incident.read(submission.files.get(INCIDENT)), causes(plan, states)))
    yield findings.health_check(health_found(submission, sandbox, plan))
    kept = habits(submission, sandbox, plan, nights, states)
    yield findings.hygiene(hygiene.graded(kept, recovered=recovered.credit))
    yield findings.integrity(signs(submission, plan))


# --------------------------------------------------------------------------------------------------- the hidden worlds


def one_night(submission: Submission, sandbox: Sandbox, plan: Plan, place: Place) -> Night:
    with tempfile.TemporaryDirectory(prefix="assay-night-") as folder:
        state = plan.state(place)
        return drive(submission, place.world, state, sandbox, name=place.name, folder=Path(folder))


def measured_in(place: Place, night: Night) -> Measures | None:
    """None when nothing was answered at all. What was asked before the reload warms the cache, and nobody scores it."""
    asked = [
        Asked.heard(
            one.question,
            "first" if one.phase is Phase.QUESTIONS else "updated",
            one.body,
            silence=one.silence,
            seconds=one.seconds,
        )
        for one in night.asked
        if one.phase in (Phase.QUESTIONS, Phase.AFTER_RELOAD)
    ]
    found = measure(place.world, asked)
    return found if found.answered else None


def with_complaints(finding: Finding, nights: Sequence[Night]) -> Finding:
    """What went wrong on the way, for whoever asks why so few questions were answered."""
    said = [
        Evidence(text=complaint[:4000], source=f"hidden document set {number}")
        for number, night in enumerate(nights, 1)
        for complaint in night.complaints
    ]
    return finding.model_copy(update={"evidence": (*finding.evidence, *said)[:50]})


def spent(nights: Sequence[Night]) -> tuple[float, float]:
    """Prompt tokens and money for one question, as the reference's were counted: of the first questions alone."""
    usages = [night.usage[Phase.QUESTIONS] for night in nights]
    questions = max(1, sum(len(night.of(Phase.QUESTIONS)) for night in nights))
    return sum(one.prompt_tokens for one in usages) / questions, sum(one.cost for one in usages) / questions


# ------------------------------------------------------------------------------------------------------ what was found


def causes(plan: Plan, states: Mapping[str, witnesses.State]) -> list[ledger.Cause]:
    return [
        ledger.Cause(
            fault=one.key,
            stage=one.fault.stage,
            locations=plan.locations(one.key),
            strata=tuple(stratum for stratum, _ in one.fault.detectors),
            state=states.get(one.key, witnesses.State.UNCLEAR),
        )
        for one in plan.chosen
    ]


def health_found(submission: Submission, sandbox: Sandbox, plan: Plan) -> health.Health:
    made = health_bundles.bundles(plan.form.random("health bundles"), plan.worlds.pack, ALL)
    files = {bundle.name: content for bundle, content in made}
    heard = health_drive.check(files, submission, sandbox, plan.form.random("order of bundles"))
    return health.graded([bundle for bundle, _ in made], heard.outputs)


def habits(
    submission: Submission,
    sandbox: Sandbox,
    plan: Plan,
    nights: Sequence[Night],
    states: Mapping[str, witnesses.State],
) -> dict[Habit, Mark]:
    tests = own_tests.run(submission, plan.starter, sandbox)
    marks = [night.marks for night in nights]
    in_state = [states.get(one.key) for one in plan.chosen if one.variant.poison is not None]
    remains = [state for state in in_state if state is not witnesses.State.FIXED]
    return {
        Habit.CLEAN: seen(marks, "clean_start"),
        Habit.IDEMPOTENT: seen(marks, "idempotent"),
        Habit.INCREMENTAL: seen(marks, "incremental_equals_full"),
        Habit.NO_REMAINS: Mark(not remains, "" if not remains else f"{len(remains)} of {len(in_state)} show"),
        Habit.TESTS: Mark(tests.proves_a_repair, "" if tests.proves_a_repair else tests.reason),
    }


def seen(marks: Iterable[Marks], name: str) -> Mark:
    """Kept when it was seen in every world."""
    found = [getattr(one, name) for one in marks]
    if all(found):
        return Mark(kept=True)
    return Mark(kept=False, note="it could not be seen" if None in found else "")


def signs(submission: Submission, plan: Plan) -> list[Evidence]:
    own = {name: content for name, content in submission.files.items() if name.split("/")[0] not in GIVEN}
    found = signals.scan(own, plan.starter, literals_of(plan))
    return [Evidence(text=one.what, file=one.file, line=one.line) for one in found]
