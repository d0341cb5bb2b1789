"""Whether a fault is live is read from checks that it alone breaks."""

from typing import Any

import pytest

from tests.challenges.rag_overnight.tiny_world import (
    EACH,
    Body,
    Module,
    Question,
    Service,
    failing,
    measured,
    right,
    showing,
    silent,
    wrong,
)


@pytest.fixture(name="witnesses")
def _witnesses(module: Module) -> Any:
    return module("scoring.witnesses")


def miscites(one: Question) -> Body:
    return right(one) | ({} if one.value is None else {"citations": ["ours"]})


def leaks(one: Question) -> Body:
    own = [] if one.value is None else [f"d-{one.id}"]
    return right(one) | ({"retrieved": showing(*own, "theirs")} if one.stratum == "tenant" else {})


def both(*services: Service) -> Service:
    """What the faults of several services do to a reply, one after another; a wrong value wins."""

    def service(one: Question) -> Body | None:
        reply = right(one)
        for other in services:
            spoiled = other(one)
            if spoiled is None:
                return None
            reply |= {key: part for key, part in spoiled.items() if part != right(one)[key]}
        return reply

    return service


FAULTS: dict[str, Service] = {
    "ING-1": failing("table", "para"), "EMB-1": failing("para", "xcache"), "CIT-1": miscites, "ACL-1": leaks,
}  # fmt: skip


def chosen(module: Module, witnesses: Any) -> dict[str, tuple[str, ...]]:
    alone = {fault: measured(module, service) for fault, service in FAULTS.items()}
    found: dict[str, tuple[str, ...]] = witnesses.choose(measured(module, right), alone)
    return found


def test_witnesses_of_a_fault_are_checks_that_no_other_one_breaks(module: Module, witnesses: Any) -> None:
    found = chosen(module, witnesses)
    assert set(found["ING-1"]) == {f"value:table-{number}" for number in range(EACH)}
    assert set(found["EMB-1"]) == {f"value:xcache-{number}" for number in range(EACH)}
    assert set(found["ACL-1"]) == {f"leak:tenant-{number}" for number in range(EACH)}
    assert len(found["CIT-1"]) == witnesses.MOST
    assert all(name.startswith("cite:") and "table" not in name and "para" not in name for name in found["CIT-1"])


@pytest.mark.parametrize("live", [(), ("ING-1",), ("CIT-1",), ("ACL-1", "EMB-1"), tuple(FAULTS)])
def test_they_tell_live_faults_from_mended_ones(live: tuple[str, ...], module: Module, witnesses: Any) -> None:
    service = both(*(FAULTS[fault] for fault in FAULTS if fault in live))
    told = witnesses.states(chosen(module, witnesses), [measured(module, service)])
    assert told == {fault: "live" if fault in live else "fixed" for fault in FAULTS}


def test_a_fault_that_breaks_nothing_of_its_own_takes_what_it_shares(module: Module, witnesses: Any) -> None:
    alone = {"ING-1": measured(module, failing("table")), "RET-1": measured(module, failing("table", "prose"))}
    found = witnesses.choose(measured(module, right), alone)
    assert len(found["ING-1"]) == witnesses.LEAST
    assert all(name.startswith("value:table") for name in found["ING-1"])
    assert all(name.startswith("value:prose") for name in found["RET-1"])


def test_what_a_lone_repair_shows_is_the_better_witness(module: Module, witnesses: Any) -> None:
    alone = {"ING-1": measured(module, failing("table", "prose", "error", "tenant"))}
    mended = {"ING-1": measured(module, failing("table", "prose", "error"))}
    found = witnesses.choose(measured(module, right), alone, mended)
    assert all(name.startswith("value:tenant") for name in found["ING-1"][:EACH])
    assert not any(name.startswith("value:tenant") for name in found["ING-1"][EACH:])


def test_what_the_reference_solution_fails_is_no_witness(module: Module, witnesses: Any) -> None:
    found = witnesses.choose(measured(module, failing("table")), {"ING-1": measured(module, failing("table"))})
    assert found == {"ING-1": ()}


def test_a_service_that_says_nothing_shows_nothing(module: Module, witnesses: Any) -> None:
    found = chosen(module, witnesses)
    assert set(witnesses.states(found, [measured(module, silent)]).values()) == {"unclear"}
    assert set(witnesses.states(found, []).values()) == {"unclear"}


@pytest.mark.parametrize(
    ("passing", "of", "state"),
    [
        (3, 3, "unclear"), (0, 3, "unclear"), (4, 4, "fixed"), (0, 4, "live"), (2, 4, "unclear"), (7, 10, "fixed"),
        (6, 10, "unclear"), (3, 10, "live"), (4, 10, "unclear"),
    ],
)  # fmt: skip
def test_a_share_of_checks_decides(passing: int, of: int, state: str, module: Module, witnesses: Any) -> None:
    found = measured(module, right)
    names = list(found.checks)[:of]
    mixed = found.model_copy(update={"checks": {name: place < passing for place, name in enumerate(names)}})
    assert witnesses.states({"ING-1": names}, [mixed]) == {"ING-1": state}


def test_worlds_are_added_up(module: Module, witnesses: Any) -> None:
    one, other = measured(module, right), measured(module, wrong)
    halves = [
        one.model_copy(update={"checks": {f"value:a{number}": True for number in range(4)}}),
        other.model_copy(update={"checks": {f"value:b{number}": False for number in range(4)}}),
    ]
    names = [f"value:{world}{number}" for world in "ab" for number in range(4)]
    assert witnesses.states({"ING-1": names}, halves) == {"ING-1": "unclear"}
