"""F, and D26 and G6 as far as graders meet them: nothing that a program does is taken for an answer that it is not.

The ids are those of `sandbox.md`, §3. Each attack becomes a value and earns nothing; then an honest program is right,
in the same room where that can be, and on the same engine in any case (fixture `sandbox`).

| id | where it is |
|---|---|
| F10-F12, F22 | no program of a candidate's shares a process with a grader, and no framework runs in the room |
| F13, F38 | counts and rows: `tests/graders/test_strict.py`; skipping is an exception like any other here |
| D26 | reading: `tests/graders/test_notebooks.py` |
"""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from graders import calls, cases, driver, notebooks
from graders.calls import Kind, Outcome
from graders.driver import Reply, Request
from sandbox import Limits, Room, Sandbox
from tests.graders.made import notebook, submission
from tests.hostile.attack import PROGRAMS

pytestmark = pytest.mark.docker

FUNCTIONS: Final = (PROGRAMS / "graders" / "functions.py").read_text()
LIMITS: Final = Limits(seconds=2.4, memory_mb=128, processes=24)
VALUE, RAISED, SILENT, UNREADABLE = Kind
FRAMES: Final = 21  # forged ones in functions.py
ATTACKS: Final = {
    "exits_with_zero": SILENT,
    "raises_system_exit": RAISED,
    "exits_at_exit": RAISED,
    "kills_itself": SILENT,
    "kills_everything": RAISED,  # there is nobody but itself, and PID 1
    "becomes_another_program": SILENT,
    "prints_a_summary": VALUE,
    "writes_garbage_everywhere": UNREADABLE,
    "is_equal_to_all": UNREADABLE,
    "is_a_lying_integer": VALUE,
    "is_a_lying_float": VALUE,
    "is_no_number": UNREADABLE,
    "is_infinite": UNREADABLE,
    "is_a_text": VALUE,
    "is_true": VALUE,
    "is_a_lone_number_in_a_list": VALUE,
    "is_its_own_list": UNREADABLE,
    "skips": RAISED,
    "writes_results": VALUE,
    "leaves_a_writer": UNREADABLE,
    "forges_well": VALUE,
    "floods": SILENT,
    "eats_memory": SILENT,
    "hangs": SILENT,
}


@pytest.fixture
def room(sandbox: Sandbox) -> Iterator[Room]:
    with sandbox.open(files={"functions.py": FUNCTIONS.encode()}, limits=LIMITS) as room:
        yield room


def asked(room: Room, function: str, *arguments: Any, **more: Any) -> Outcome:
    return calls.call_in(room, f"functions.py:{function}", [arguments], LIMITS, **more)[0]


def is_honestly_answered(room: Room, **more: Any) -> bool:
    number = secrets.randbelow(1000)
    answers = calls.call_in(room, "functions.py:honest", [[number], [number + 1]], LIMITS, **more)
    return calls.credit(answers, [number**2 + 1, (number + 1) ** 2 + 1]).fraction == 1


def test_no_lie_about_an_answer_earns_anything(room: Room) -> None:
    """F1, F2, F3, F5-F8, F13, F19, F20, F34, F35: one after another in one room, and honest calls between them."""
    for attack, kind in ATTACKS.items():
        answers = calls.call_in(room, f"functions.py:{attack}", [[7]], LIMITS, seconds_each=0.4)
        assert (attack, answers[0].kind) == (attack, kind), answers[0]
        assert (attack, calls.credit(answers, [50]).fraction) == (attack, 0)
        assert is_honestly_answered(room), attack


def test_no_lie_told_by_a_kept_process_earns_anything(room: Room) -> None:
    """It sees one question at a time, and may write into its own connection whatever it likes."""
    for attack in (
        "exits_with_zero",
        "kills_everything",
        "writes_garbage_everywhere",
        "is_no_number",
        "hangs",
        "skips",
    ):
        answers = calls.call_in(room, f"functions.py:{attack}", [[7]] * 2, LIMITS, seconds_each=0.3, keep=True)
        assert (attack, calls.credit(answers, [50] * 2).fraction) == (attack, 0)
        assert is_honestly_answered(room, keep=True), attack


def test_a_forged_answer_is_a_claim_like_any_other_or_unreadable(room: Room) -> None:
    """F3, F8, E13, E14: with the question's own number, through the descriptor on which answers leave."""
    answers = calls.call_in(room, "functions.py:forges", [[number] for number in range(FRAMES)], LIMITS)
    assert {outcome.kind for outcome in answers} == {UNREADABLE}
    assert calls.credit(answers, [1] * FRAMES).fraction == 0
    assert asked(room, "forges", FRAMES).exceptions[0] == "IndexError"  # that was the last
    assert room.run(["ls", "/tmp/pickled", "/tmp/yaml"]).stdout == b""
    assert is_honestly_answered(room)


def test_a_room_that_dies_answers_nothing_and_the_next_is_whole(sandbox: Sandbox) -> None:
    """F1, F20"""
    given = submission({"solution.py": (PROGRAMS / "graders" / "on_import.py").read_text()}, LIMITS)
    for keep in (False, True):
        answers = calls.call("solution:answer", [[1], [2]], given, sandbox, keep=keep)
        assert {outcome.kind for outcome in answers} == {SILENT}
        assert calls.credit(answers, [2, 5]).fraction == 0


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_expected_is_nowhere_in_the_room(room: Room, keep: bool) -> None:
    """F14-F18: own frames, objects and code; files; memory, arguments and descriptors of every process."""
    expected, given = (f"hidden-{secrets.token_hex(16)}" for _ in range(2))
    limits = Limits(seconds=20)
    answers = calls.call_in(room, "functions.py:looks_for_secrets", [[given]], limits, keep=keep)
    assert answers[0].value == [given], "what went in is found, and so would be what is expected"
    assert calls.credit(answers, [[expected]]).fraction == 0


def test_the_arguments_of_a_later_call_are_nowhere_in_the_room(room: Room) -> None:
    """F31"""
    now, later = (f"hidden-{secrets.token_hex(16)}" for _ in range(2))
    answers = calls.call_in(room, "functions.py:looks_for_secrets", [[now], [later]], Limits(seconds=20))
    assert [outcome.value for outcome in answers] == [[now], [later]]  # and nothing has remained of the first


def test_no_solution_and_no_grader_is_in_the_room(room: Room) -> None:
    """F37"""
    assert asked(room, "looks_for_solutions", 1).value == []


def test_nothing_is_remembered_from_one_call_to_the_next(room: Room) -> None:
    """F31"""
    answers = calls.call_in(room, "functions.py:remembers", [[1], [2]], LIMITS)
    assert [outcome.value for outcome in answers] == [[1], [2]]


def test_planted_programs_and_modules_are_not_ours_to_find(room: Room) -> None:
    """F21, F23: what an earlier call left under names that we start and import."""
    assert asked(room, "plants", 1).kind is VALUE
    assert is_honestly_answered(room)
    assert is_honestly_answered(room, keep=True)
    read = notebooks.read(notebook("x = 6 * 7"))
    roomy = Limits(seconds=10, memory_mb=192)
    # The candidate's folder is where a kernel imports from first, as everywhere: it stumbles over its own json.py.
    assert notebooks.execute_in(room, read, roomy, values=["x"]).values in ({}, {"x": 42})


def test_a_program_cannot_talk_itself_into_a_case(sandbox: Sandbox) -> None:
    """F3, F13, F26, F34"""
    attacks = [
        "print('2 passed in 0.01s')",
        "print('{\"score\": 100}')",
        "print('nan inf 1e999 true')",
        "print('5' * 99)",
    ]
    attacks += ["os.write(1, b'\\xff\\x00\\x1b[2J')", "raise SystemExit('50')", "print(50, flush=True); os.abort()"]
    given = submission({"p.py": "import os, sys\nexec(sys.argv[1])"}, LIMITS)
    honest = "print(int(input()) ** 2 + 1)"
    asked = [cases.Case("7\n", "50", [attack]) for attack in [*attacks, honest]]
    played = cases.run(["python3", "p.py"], asked, given, sandbox)
    for compare in (cases.exact, cases.lines, cases.tokens(0.5)):
        found = [cases.credit(cases.Played((one,)), compare=compare).right for one in played]
        assert found == [0] * len(attacks) + [int(compare is not cases.exact)]
    as_values = tuple(replace(one, case=replace(one.case, expected=50)) for one in played)
    assert cases.credit(cases.Played(as_values), compare=cases.json(0.5)).right == 1


# Servers

SERVER: Final = {"server.py": (PROGRAMS / "graders" / "server.py").read_text()}
BROKEN: Final = [
    "nothing", "garbage", "almost", "old", "new", "status", "minus", "no status", "no colon", "folded", "control",
    "half", "negative", "two lengths", "unicode length", "huge length", "gzip", "no chunk", "half a chunk",
    "huge chunk", "long chunk", "many headers",
]  # fmt: skip
ENDLESS: Final = ["body", "headers", "header", "hints", "chunks", "trailers", "drops", "silence"]


def asks(*ways: str) -> list[Request]:
    return [Request("GET", "/" + way.replace(" ", "%20")) for way in ways]


def bodies(replies: list[Reply]) -> list[tuple[bytes, str]]:
    return [(reply.body, reply.silence) for reply in replies]


def test_a_reply_that_is_not_http_is_silence_with_a_reason(sandbox: Sandbox) -> None:
    """F34: many at once, and an honest reply among them."""
    with driver.serving(["python3", "server.py"], submission(SERVER), sandbox, seconds=1.5) as server:
        replies = server.ask(asks(*BROKEN, "honest"))
        assert [way for way, reply in zip(BROKEN, replies, strict=False) if not reply.silence or reply.ok] == []
        assert bodies(replies[-1:]) == [(b"honest", "")]
        endless = server.ask(asks(*ENDLESS, "honest"))
        assert [way for way, reply in zip(ENDLESS, endless, strict=False) if not reply.silence or reply.ok] == []
        assert bodies(endless[-1:]) == [(b"honest", "")]
        assert all(reply.json(otherwise="none") == "none" for reply in [*replies[:-1], *endless[:-1]])
        assert server.get("/honest").body == b"honest"


@pytest.mark.parametrize("way", ["die", "memory", "stop"])
def test_a_server_that_dies_or_hangs_is_silent_from_then_on(sandbox: Sandbox, way: str) -> None:
    with driver.serving(["python3", "server.py"], submission(SERVER, LIMITS), sandbox, seconds=2) as server:
        assert server.get("/honest").ok
        assert server.get(f"/{way}").silence
        assert [bool(reply.silence) for reply in server.ask(asks("honest", "honest"))] == [True, True]
    assert server.execution is not None


@pytest.mark.parametrize("way", ["garbage", "body", "silence", "drops", "hints"])
def test_a_server_that_never_replies_well_never_gets_ready(sandbox: Sandbox, way: str) -> None:
    serving = driver.serving(
        ["python3", "server.py", way], submission(SERVER), sandbox, seconds=0.5, seconds_to_start=1
    )
    with serving as server:
        reply = server.get("/honest")
    assert reply.silence == server.failure or way in ("body", "drops")  # a status is all that readiness asks for
    assert not server.get("/").ok


# Notebooks


def hostile_cells() -> dict[str, str]:
    _, *parts = (PROGRAMS / "graders" / "cells.py").read_text().split("# %% ")
    return {name: source for name, _, source in (part.partition("\n") for part in parts)}


KERNEL: Final = Limits(seconds=9, memory_mb=256, processes=32)
FAILURES: Final = {
    "deaf": "cell 2: it did not end in 1.2 s",
    "leaves": "cell 2: it ended the kernel",
    "kills the runner": "cell 2: it ended the program that ran it",
    "kills everything": "cell 2: it ended the program that ran it",
    "stops the runner": "cell 2: it did not end in 9 s",
    "memory": "cell 2: ",
    "forks": "cell 2: ",
    "patches": "cell ",
    "forges": "it wrote into our report",
    "asks": "cell 2: StdinNotImplementedError",
    "returns too late": "",
    "formats": "",
}


@pytest.mark.parametrize("attack", FAILURES)
def test_a_hostile_cell_earns_nothing_and_is_named(sandbox: Sandbox, attack: str) -> None:
    """D26, F19, F34, F35: and what the file claims to have shown is in nobody's way."""
    given = submission({"work.ipynb": notebook("x = 1", hostile_cells()[attack], "x = x + 1")}, KERNEL)
    executed = notebooks.execute("work.ipynb", given, sandbox, values=["x"], cell_seconds=1.2)
    assert executed.failure.startswith(FAILURES[attack]), executed
    assert notebooks.credit(executed, {"x": 41}).fraction == 0
    assert "all right" not in str(executed.cells)


@pytest.mark.parametrize("attack", ["prints", "prints lines", "pictures"])
def test_a_cell_without_measure_leaves_little_behind(sandbox: Sandbox, attack: str) -> None:
    """G6"""
    limits = Limits(seconds=10, memory_mb=512)
    given = submission({"work.ipynb": notebook("x = 1", hostile_cells()[attack], "x = x + 1")}, limits)
    executed = notebooks.execute("work.ipynb", given, sandbox, values=["x"])
    assert executed.values in ({}, {"x": 2})
    assert executed.failure or executed.values
    assert len(str(executed.cells)) < 20_000
    assert "<script>" not in str(executed.cells)


def test_after_every_hostile_cell_an_honest_notebook_is_right(sandbox: Sandbox) -> None:
    """In one room: what one run leaves behind is not in the way of the next."""
    honest = notebooks.read(notebook("import json", "x = json.loads('[1]')[0] + n"))
    with sandbox.open(limits=KERNEL) as room:
        for attack in ("leaves", "kills everything", "patches", "forges", "asks"):
            hostile = notebooks.read(notebook(hostile_cells()[attack]))
            notebooks.execute_in(room, hostile, KERNEL, values=["x"])
        executed = notebooks.execute_in(room, honest, KERNEL, values=["x"], inject={"n": 41})
    assert notebooks.credit(executed, {"x": 42}).fraction == 1
