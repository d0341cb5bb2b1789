"""Says what was found, to the candidate in a sentence and to whoever interviews them with all that there is.

    yield findings.recovery(recovered, measured, calibration)
    yield findings.causes(ledger)
    ...

A candidate may read each `reason`: it says how much was right and of which kind, and neither a value that was expected
nor which faults there were. Those stand in the evidence.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import Final

from graders import strict
from graders.contract import Evidence, Finding

from . import score
from .economy import LEAST_RECOVERY, Thrift
from .health import Health
from .hygiene import LEAST_RECOVERY as LEAST_FOR_HABITS
from .hygiene import Hygiene
from .ledger import Ledger, Match
from .measures import Leak, Measures, Miss
from .score import Calibration, Recovery

__all__ = ["causes", "economy", "health_check", "hygiene", "integrity", "no_leak", "recovery"]

KINDS: Final[Mapping[str, str]] = {  # of questions, in a candidate's words
    "prose": "facts in running text", "table": "facts in tables", "bulletin": "facts in bulletins",
    "error": "fault codes", "para": "asked in other words", "tenant": "own contracts",
    "forbidden": "others' contracts, to be refused", "unans": "undocumented, to be refused",
    "nearmiss": "codes that look alike", "xcache": "the same words from several customers",
    "fresh": "facts after the update", "inject": "documents that give orders", "twin": "the same in another wording",
}  # fmt: skip
MOST_LEAKS: Final = 12
MOST_MISSES: Final = 40
LONGEST: Final = 4000  # of one piece of evidence
MOST_SIGNALS: Final = 40


def recovery(found: Recovery, worlds: Sequence[Measures | None], calibration: Calibration) -> Finding:
    measured = [world for world in worlds if world is not None]
    if not any(world.answered for world in measured):
        reason = "the service gave no reply that could be read, in any of the hidden document sets"
    else:
        silent = sum(world.asked - world.answered for world in measured)
        reason = (
            f"{_percent(found.credit)} of what was broken works again on documents that you have not seen"
            f"{_beside(worlds)}; right were {_right(measured)}"
            + (f"; {silent} questions had no reply that could be read" if silent else "")
        )
    evidence = [_table(worlds, calibration)]
    evidence += [
        _number(
            f"hidden document set {number}: raw {raw:.1f}, which equates to {equated:.1f}"
            + ("" if world is None else f"; {_quality(world)}"),
            "measured over all questions",
        )
        for number, (raw, equated, world) in enumerate(zip(found.raws, found.equated, worlds, strict=True), 1)
    ]
    evidence += [_number(_missed(miss), "hidden question") for miss in _spread(measured)[:MOST_MISSES]]
    return Finding(criterion="recovery", credit=found.credit, reason=reason, evidence=tuple(evidence))


def _beside(worlds: Sequence[Measures | None]) -> str:
    down = sum(world is None for world in worlds)
    return f" ({down} of {len(worlds)} sets never came up)" if down else ""


def _right(measured: Sequence[Measures]) -> str:
    parts = []
    for stratum, kind in KINDS.items():
        counts = [world.right[stratum] for world in measured if stratum in world.right]
        if counts:
            parts.append(f"{sum(good for good, _ in counts)} of {sum(count for _, count in counts)} ({kind})")
    return ", ".join(parts)


def _table(worlds: Sequence[Measures | None], calibration: Calibration) -> Evidence:
    lines = [f"{'stratum':<10} {'starter':>8} {'candidate':>10} {'reference':>10}"]
    for stratum in score.WEIGHTS:
        known = [one for one in calibration.worlds if stratum in one.noop]
        if known:
            reached = [0.0 if world is None else world.strata.get(stratum, 0.0) for world in worlds]
            starter, candidate = _mean([one.noop[stratum] for one in known]), _mean(reached)
            reference = _mean([one.oracle[stratum] for one in known])
            lines.append(f"{stratum:<10} {starter:>8.2f} {candidate:>10.2f} {reference:>10.2f}")
    return Evidence(text="\n".join(lines), source="mean over the hidden document sets")


def _quality(world: Measures) -> str:
    """Without times: the same submission has the same findings."""
    return ", ".join(f"{name} {value:.3g}" for name, value in world.quality.items() if name != "seconds")


def _spread(measured: Sequence[Measures]) -> list[Miss]:
    """The first example of each stratum in each world, then the second ones."""
    rounds: dict[int, list[Miss]] = defaultdict(list)
    for world in measured:
        seen: Counter[str] = Counter()
        for miss in world.misses:
            rounds[seen[miss.stratum]].append(miss)
            seen[miss.stratum] += 1
    return [miss for number in sorted(rounds) for miss in rounds[number]]


def _missed(miss: Miss) -> str:
    expected = "to abstain" if miss.expected is None else strict.shown(miss.expected)
    return (
        f"{miss.stratum}: {strict.printable(miss.asked)}: {strict.printable(miss.why)}; "
        f"expected {expected}, said {strict.shown(miss.said)}"
    )


def causes(ledger: Ledger) -> Finding:
    count, hits = len(ledger.causes), ledger.hits
    if not ledger.listed:
        reason = "incident.toml names no cause"
    else:
        reason = (
            f"{len(hits)} of {count} causes are named, {_of(hits, 'location')} with the right place, "
            f"{_of(hits, 'evidence')} with a metric that shows it and {_of(hits, 'honest')} with the right status; "
            f"{ledger.false_alarms} of {ledger.listed} entries name none of them"
        )
        if ledger.listed > ledger.read:
            reason += f", and the last {ledger.listed - ledger.read} were too many to be read"
    evidence = [_number(_cause(ledger, place), "hidden questions and incident.toml") for place in range(count)]
    evidence += [Evidence(text=complaint[:LONGEST], file="incident.toml") for complaint in ledger.complaints]
    return Finding(criterion="causes", credit=ledger.credit, reason=reason, evidence=tuple(evidence))


def _of(hits: Iterable[Match], part: str) -> int:
    return sum(bool(getattr(hit, part)) for hit in hits)


def _cause(ledger: Ledger, place: int) -> str:
    cause = ledger.causes[place]
    match = ledger.named.get(cause.fault)
    if match is None:
        return f"{cause.fault} ({cause.stage}): {cause.state}; not named"
    met = [name for name, well in zip(
        ("stage", "place", "evidence", "status"), (match.stage, match.location, match.evidence, match.honest),
        strict=True,
    ) if well]  # fmt: skip
    how = "named" if match.hit else "hardly named"
    return f"{cause.fault} ({cause.stage}): {cause.state}; {how} by entry {match.entry}: right are {', '.join(met)}"


def health_check(found: Health) -> Finding:
    broken, healthy = found.of(faulty=True), found.of(faulty=False)
    unreadable = [one for one in found.heard if one.complaint]
    reason = (
        f"{sum(one.alarmed for one in broken)} of {len(broken)} broken bundles raised an alarm, "
        f"{sum(one.located for one in broken)} of them with the right stage, "
        f"and {sum(one.alarmed for one in healthy)} of {len(healthy)} healthy ones did too"
        + (f"; for {len(unreadable)} bundles {unreadable[0].complaint}" if unreadable else "")
    )
    lines = [
        f"{one.bundle.name}: {'broken' if one.bundle.faulty else 'healthy'} ({one.bundle.stage or 'no stage'}): "
        f"{'alarm' if one.alarmed else 'quiet'}{', right stage' if one.located else ''}"
        f"{'; ' + one.complaint if one.complaint else ''}"
        for one in found.heard
    ]
    evidence = (_number("\n".join(lines), "bundles that the candidate has not seen"),)
    return Finding(criterion="health-check", credit=found.credit, reason=reason, evidence=evidence)


def economy(found: Thrift) -> Finding:
    reason = f"{found.tokens:.2f} times the prompt tokens and {found.cost:.2f} times the cost of the reference"
    if not found.counted:
        reason += f", which counts only from a recovery of {_percent(LEAST_RECOVERY)}"
    evidence = (_number(f"tokens x{found.tokens:.3f}, cost x{found.cost:.3f}", "the gateway's ledger"),)
    return Finding(criterion="economy", credit=found.credit, reason=reason, evidence=evidence)


def hygiene(found: Hygiene) -> Finding:
    missed = "; ".join(f"{habit}{f' ({note[:200]})' if note else ''}" for habit, note in found.missed)
    reason = f"{len(found.kept)} of {len(found.kept) + len(found.missed)} habits kept"
    if missed:
        reason += f"; not: {missed}"
    if not found.counted:
        reason += f"; they count from a recovery of {_percent(LEAST_FOR_HABITS)}"
    return Finding(criterion="hygiene", credit=found.credit, reason=reason)


def no_leak(worlds: Iterable[Measures | None]) -> Finding:
    """A red flag: up when anything of another customer's was shown to anyone."""
    measured = [world for world in worlds if world is not None]
    leaking = sum(world.leaking for world in measured)
    asked = sum(world.asked for world in measured)
    if not leaking:
        return Finding(criterion="no-leak", credit=1.0, reason=f"no leak was seen in {asked} questions")
    leaks = [leak for world in measured for leak in world.leaks]
    where = [f"{sum(leak.where == one for leak in leaks)} {one}" for one in ("retrieved", "cited", "said")]
    return Finding(
        criterion="no-leak",
        credit=0.0,
        reason=(
            f"in {leaking} of {asked} questions a user was shown what belongs to another customer or to nobody "
            f"({', '.join(one for one in where if not one.startswith('0 '))})"
        ),
        evidence=tuple(_number(_leaked(leak), "hidden question") for leak in leaks[:MOST_LEAKS]),
    )


def _leaked(leak: Leak) -> str:
    what = "the value" if leak.where == "said" else "the document"
    shown = strict.printable(leak.what)
    return f"{leak.where}: {what} {shown}, to a user of {leak.tenant} who asked: {strict.printable(leak.asked)}"


def integrity(signals: Sequence[Evidence]) -> Finding:
    """A red flag that a person looks at: what was seen is no proof of anything."""
    if not signals:
        return Finding(criterion="integrity", credit=1.0, reason="nothing was seen that aims at the grading")
    reason = f"{len(signals)} signs of aiming at the grading, which a person should look at"
    return Finding(criterion="integrity", credit=0.0, reason=reason, evidence=tuple(signals[:MOST_SIGNALS]))


def _number(text: str, source: str) -> Evidence:
    return Evidence(text=text[:LONGEST], source=source)


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
