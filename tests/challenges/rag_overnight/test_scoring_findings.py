"""A reason tells a candidate how much was right and of which kind; expected values and faults are for reviewers."""

from typing import Any

import pytest

from graders.contract import Evidence, Finding
from tests.challenges.rag_overnight.tiny_world import (
    Module,
    Service,
    failing,
    measured,
    right,
    showing,
    silent,
    wrong,
)


@pytest.fixture(name="findings")
def _findings(module: Module) -> Any:
    return module("scoring.findings")


def calibration(module: Module) -> Any:
    score = module("scoring.score")
    world = score.HiddenWorld(
        noop=measured(module, failing("prose", "para")).strata, oracle=measured(module, right).strata
    )
    return score.Calibration(
        worlds=(world, world), curve=score.Curve(points=(0, 20, 100)), witnesses={},
        economy=score.Economy(prompt_tokens=400, cost=0.002),
    )  # fmt: skip


def recovery(module: Module, *services: Service | None) -> Finding:
    worlds = [None if service is None else measured(module, service) for service in services]
    found = module("scoring.score").recovery([world and world.strata for world in worlds], calibration(module))
    finding: Finding = module("scoring.findings").recovery(found, worlds, calibration(module))
    return finding


def told(finding: Finding) -> str:
    return "\n".join(one.text for one in finding.evidence)


def test_the_recovery_says_how_much_of_each_kind_was_right(module: Module) -> None:
    finding = recovery(module, right, failing("para", "error"))
    assert finding.criterion == "recovery"
    assert finding.reason.startswith("50 % of what was broken works again")
    assert "16 of 16 (facts in running text)" in finding.reason
    assert "8 of 16 (asked in other words)" in finding.reason
    assert "8 of 16 (fault codes)" in finding.reason


def test_what_was_expected_stands_in_the_evidence_alone(module: Module) -> None:
    finding = recovery(module, wrong, wrong)
    assert finding.credit == 0
    assert 'expected "20 C", said "999 C"' in told(finding)
    assert "unans: what about unans-0?: did not abstain; expected to abstain" in told(finding)
    assert " C" not in finding.reason
    assert "K1" not in finding.reason


def test_reviewers_see_starter_candidate_and_reference_side_by_side(module: Module) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in recovery(module, right, None).evidence[0].text.splitlines()}
    assert rows["stratum"] == ["starter", "candidate", "reference"]
    assert rows["para"] == ["0.00", "0.50", "1.00"]
    assert rows["noleak"] == ["1.00", "0.50", "1.00"]


def test_a_set_that_never_came_up_is_told(module: Module) -> None:
    assert "(1 of 2 sets never came up)" in recovery(module, right, None).reason
    for services in ((None, None), (silent, None), (silent, silent)):
        finding = recovery(module, *services)
        assert finding.credit == 0
        assert finding.reason.startswith("the service gave no reply that could be read")
    half = recovery(module, lambda one: None if one.stratum == "error" else right(one), right)
    assert "8 questions had no reply that could be read" in half.reason


def test_what_takes_time_is_not_told_so_that_the_same_work_has_the_same_findings(module: Module) -> None:
    assert "seconds" not in told(recovery(module, right, right))


# ------------------------------------------------------------------------------------------------------------- causes


def causes(module: Module, text: str) -> Finding:
    ledger = module("scoring.ledger")
    form = [
        ledger.Cause("EMB-1", "embed", ("embed.py",), ("para",), ledger.State.FIXED),
        ledger.Cause("ACL-1", "access", ("acl.py",), ("noleak",), ledger.State.LIVE),
        ledger.Cause("CIT-1", "cite", ("cite.py",), ("cite",), ledger.State.UNCLEAR),
    ]
    finding: Finding = module("scoring.findings").causes(
        ledger.graded(module("scoring.incident").read(text.encode()), form)
    )
    return finding


NAMED = '[[cause]]\nstage = "embed"\nlocation = "embed.py"\nstatus = "fixed"\nevidence = "para 0.1 -> 0.9"\n'
GUESSED = '[[cause]]\nstage = "access"\nlocation = "somewhere"\nstatus = "fixed"\n'


def test_the_causes_say_how_many_are_named_and_not_which(module: Module) -> None:
    finding = causes(module, NAMED + GUESSED)
    assert finding.criterion == "causes"
    assert finding.reason == (
        "1 of 3 causes are named, 1 with the right place, 1 with a metric that shows it and 1 with the right status; "
        "1 of 2 entries name none of them"
    )
    assert [one.text for one in finding.evidence] == [
        "EMB-1 (embed): fixed; named by entry 1: right are stage, place, evidence, status",
        "ACL-1 (access): live; hardly named by entry 2: right are stage",
        "CIT-1 (cite): unclear; not named",
    ]


def test_what_is_wrong_with_the_file_is_told(module: Module) -> None:
    assert causes(module, "").reason == "incident.toml names no cause"
    assert causes(module, "x = [").evidence[-1].file == "incident.toml"
    assert "and the last 3 were too many to be read" in causes(module, GUESSED * 10).reason


# -------------------------------------------------------------------------------------------------------------- flags


@pytest.mark.parametrize(
    ("service", "where", "shown"),
    [
        (lambda one: right(one) | {"retrieved": showing("theirs")}, "retrieved", "theirs"),
        (lambda one: right(one) | {"citations": ["draft"]}, "cited", "draft"),
        (lambda one: right(one) | {"answer": "Between us: 555 EUR."}, "said", "555 EUR"),
    ],
)
def test_a_leak_raises_the_flag_and_shows_what_leaked_to_reviewers(
    service: Service, where: str, shown: str, module: Module, findings: Any
) -> None:
    finding = findings.no_leak([measured(module, right), None, measured(module, service)])
    assert (finding.criterion, finding.credit) == ("no-leak", 0)
    assert where in finding.reason
    assert shown not in finding.reason
    assert shown in told(finding)
    assert "to a user of ulmia who asked: what about" in told(finding)


def test_without_a_leak_there_is_no_flag(module: Module, findings: Any) -> None:
    for worlds in ([measured(module, right)], [measured(module, wrong)], [None], []):
        assert findings.no_leak(worlds).credit == 1


def test_signals_raise_the_other_flag(findings: Any) -> None:
    assert findings.integrity([]).credit == 1
    finding = findings.integrity([Evidence(text="reads /proc/1/environ", file="ragdesk/server.py", line=3)] * 100)
    assert (finding.criterion, finding.credit) == ("integrity", 0)
    assert finding.reason.startswith("100 signs")
    assert finding.evidence[0].file == "ragdesk/server.py"


# --------------------------------------------------------------------------------------------------------- small parts


def test_the_health_check_says_what_alarmed(module: Module, findings: Any) -> None:
    health = module("scoring.health")
    bundles = [health.Bundle("b1", faulty=False), health.Bundle("b2", faulty=True, stage="embed")]
    finding = findings.health_check(health.graded(bundles, {"b2": [{"stage": "embed", "severity": "error"}]}))
    assert (finding.criterion, finding.credit) == ("health-check", 0)
    assert finding.reason == (
        "1 of 1 broken bundles raised an alarm, 1 of them with the right stage, and 1 of 1 healthy ones did too; "
        "for 1 bundles it gave no output"
    )
    assert told(finding) == "b1: healthy (no stage): alarm; it gave no output\nb2: broken (embed): alarm, right stage"


def test_the_economy_says_how_much_was_spent(module: Module, findings: Any) -> None:
    economy, reference = module("scoring.economy"), calibration(module).economy
    finding = findings.economy(economy.graded((600.0, 0.002), reference, recovered=0.5))
    assert (finding.criterion, finding.credit) == ("economy", 0.75)
    assert finding.reason == "1.50 times the prompt tokens and 1.00 times the cost of the reference"
    assert (
        "counts only from a recovery of 40 %"
        in findings.economy(economy.graded((600.0, 0.002), reference, recovered=0.1)).reason
    )


def test_the_hygiene_says_which_habits_were_missed(module: Module, findings: Any) -> None:
    hygiene = module("scoring.hygiene")
    marks = {habit: hygiene.Mark(kept=True) for habit in hygiene.Habit}
    assert findings.hygiene(hygiene.graded(marks, recovered=1)).reason == "5 of 5 habits kept"
    marks[hygiene.Habit.TESTS] = hygiene.Mark(kept=False, note="there are none")
    finding = findings.hygiene(hygiene.graded(marks, recovered=1))
    assert (finding.criterion, finding.credit) == ("hygiene", 0.8)
    assert finding.reason == (
        "4 of 5 habits kept; not: "
        "tests of your own pass, and at least one fails on what you were given (there are none)"
    )
