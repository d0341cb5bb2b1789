"""E: what comes back. Only regular files that were asked for, read when nothing runs any more, up to a limit.

The ids are those of `sandbox.md`, §3. After every test an honest program runs on the same engine (fixture `sandbox`).

| id | where it is |
|---|---|
| E8 | no archive is ever put into a container; that programs of ours find their own tools is tested here |
| D1-D26 | uploads are checked before there is a room: `SubmissionRejected`, not here |
"""

import json
import pickle
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox import Ending, Execution, Limits, Sandbox
from tests.hostile.attack import attack, command, program

pytestmark = pytest.mark.docker

SLOW: Final = Limits(seconds=30, memory_mb=128, disk_mb=8)
SECRETS: Final = (b"root:x:0:0", b"LOGNAME=candidate")


def results(sandbox: Sandbox, way: str, *more: str, collect: list[str]) -> Execution:
    execution = attack(sandbox, "artifacts/results", way, *more, limits=SLOW, collect=collect)
    assert execution.ending is Ending.EXITED, execution
    assert sum(map(len, execution.files.values())) <= SLOW.disk_mb << 20
    assert not [content for content in execution.files.values() for word in SECRETS if word in content]
    return execution


def test_links_are_refused_and_never_followed(sandbox: Sandbox) -> None:
    """E1"""
    names = ["passwd", "environ", "one", "stdin", "dangling", "loop", "relative", "own", "folder", "zero"]
    execution = results(sandbox, "links", collect=[*names, "folder/passwd", "real"])
    assert execution.files == {}
    refused = {**dict.fromkeys(names, "a link"), "real/inner": "a link", "real/deeper": "a link"}
    assert execution.refused == {**refused, "folder/passwd": "a folder on the way is a link or no folder"}


def test_pipes_and_sockets_are_refused_without_waiting(sandbox: Sandbox) -> None:
    """E2"""
    execution = results(sandbox, "specials", collect=["pipe", "socket", "inside"])
    assert execution.files == {}
    assert execution.refused == {
        "pipe": "a pipe",
        "socket": "a socket",
        "inside/pipe": "a pipe",
        "inside/socket": "a socket",
    }


def test_a_hard_link_brings_nothing_of_ours_and_counts_each_time(sandbox: Sandbox) -> None:
    """E5"""
    execution = results(sandbox, "hard links", collect=["."])
    assert execution.stdout.count(b"Invalid cross-device link") == 3
    assert {len(content) for name, content in execution.files.items() if name != "attack.py"} == {1000}


@pytest.mark.parametrize("size", [1 << 20, 8 << 20, (8 << 20) + 1, 10 << 30])
def test_files_that_are_larger_than_they_cost_end_at_the_limit(sandbox: Sandbox, size: int) -> None:
    """E4"""
    execution = results(sandbox, "sparse", str(size), collect=["."])
    assert (b"File too large" in execution.stdout) is (size > 8 << 20)
    assert all(why.startswith("too large") for why in execution.refused.values())


@pytest.mark.parametrize("way", ["crowd", "crowd of folders", "deep"])
def test_trees_without_end_are_read_to_a_limit(sandbox: Sandbox, way: str) -> None:
    """E4, A16, A17"""
    execution = results(sandbox, way, collect=["."])
    assert len(execution.files) + len(execution.refused) <= 1001
    assert execution.refused


def test_names_are_data(sandbox: Sandbox) -> None:
    """E1: they can be stored as text, and none is lost, or leaves its folder."""
    execution = results(sandbox, "names", collect=["out"])
    assert len(execution.files) == 17
    assert set(execution.files.values()) == {b"kept"}
    assert json.loads(json.dumps(list(execution.files))) == list(execution.files)
    assert all(name.encode().startswith(b"out/") and ".." not in name.split("/") for name in execution.files)


def test_what_is_not_of_the_expected_kind_is_told_or_taken(sandbox: Sandbox) -> None:
    """E1"""
    execution = results(sandbox, "replaced", collect=["result.json", "folder", "folder/inner", "attack.py"])
    assert execution.files == {"folder": b"a file where a folder should be"}
    assert execution.refused == {"folder/inner": "a folder on the way is a link or no folder"}


def test_what_may_not_be_read_is_refused(sandbox: Sandbox) -> None:
    """E1"""
    names = ["none", "only to write", "only to execute", "shut"]
    execution = results(sandbox, "locked", collect=[*names, "shut/inner"])
    assert execution.files == {}
    assert set(execution.refused.values()) == {"Permission denied"}


def test_a_room_that_was_locked_from_inside_is_a_value_for_every_program_after(sandbox: Sandbox) -> None:
    """E10"""
    with sandbox.open(files=program("artifacts/results"), limits=SLOW) as room:
        first = room.run(command("locked room"), collect=["result.json"])
        assert (first.ok, first.files) == (True, {})
        assert first.refused == {"result.json": "Permission denied"}
        assert room.run(["python3", "-c", "print(1)"]).ending in (Ending.NOT_STARTED, Ending.EXITED)


@pytest.mark.parametrize("way", ["swapping", "growing"])
def test_nothing_changes_while_we_read(sandbox: Sandbox, way: str) -> None:
    """E6: what is left running to change a result at the last moment is gone before we look."""
    with sandbox.open(files=program("artifacts/results"), limits=SLOW) as room:
        for _ in range(3):
            execution = room.run(command(way), collect=["result.json", "place/result.json"])
            assert execution.ending is Ending.EXITED
            assert not [content for content in execution.files.values() if b"root:" in content]
            again = room.run(["python3", "-c", "pass"], collect=["result.json", "place/result.json"])
            assert (again.files, again.refused) == (execution.files, execution.refused)
            room.run(["bash", "-c", "rm -rf good* link* moved* place result.json"])


def test_what_was_not_asked_for_is_not_taken(sandbox: Sandbox) -> None:
    """E9"""
    assert attack(sandbox, "artifacts/results", "names", limits=SLOW).files == {}
    assert list(results(sandbox, "names", collect=["attack.py", "missing"]).files) == ["attack.py"]


def test_programs_of_ours_in_a_used_room_are_still_ours(sandbox: Sandbox) -> None:
    """E8: tools and modules of the candidate's lie wherever ours might be looked for, and are not found."""
    text = "import sys, os, json, socket, asyncio\nfor _ in sys.stdin: print(json.__file__, sys.executable, flush=True)"
    with sandbox.open(files=program("artifacts/trojans"), limits=SLOW) as room:
        assert room.run(command()).stdout == b"done\n"
        with room.probe(text) as probe:
            answer = probe.ask(b"?").line
        assert answer is not None
        assert [path.startswith(b"/usr/") for path in answer.split()] == [True, True]
        for tool in ("python3", "ls", "cat", "env", "bash"):
            assert b"trojan" not in room.run([tool, "--version"]).stdout
        assert room.run(["python3", "-I", "-c", "import json; print(json.dumps(1))"]).stdout == b"1\n"


def test_links_that_one_program_leaves_lead_no_later_one_astray(sandbox: Sandbox) -> None:
    """E10: nothing of ours is written where a program has been, not even input."""
    with sandbox.open(files=program("artifacts/phases"), limits=SLOW) as room:
        assert room.run(command()).stdout == b"done\n"
        copy = room.run(["cat"], stdin=b"the second program's input", collect=["victim", "stdin", "stdout", "output"])
        assert copy.stdout == b"the second program's input"
        assert copy.files == {"victim": b"untouched"}
        assert set(copy.refused.values()) == {"a link"}


def test_nothing_is_there_for_the_next_candidate(sandbox: Sandbox) -> None:
    """E12"""
    left = attack(sandbox, "artifacts/remains", "leave", limits=SLOW)
    assert set(json.loads(left.stdout)) == {"/box", "/tmp", "/dev/shm", "shm"}
    found = attack(sandbox, "artifacts/remains", "look", limits=SLOW)
    assert json.loads(found.stdout) == []


class Exploit:
    def __init__(self, command: list[str]) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return subprocess.call, (self.command,)


def test_results_come_back_as_the_bytes_they_are(sandbox: Sandbox, tmp_path: Path) -> None:
    """E13, E14: nothing on our side unpacks, imports or interprets what was collected."""
    mark = tmp_path / "executed"
    evil = {
        "result.pkl": pickle.dumps(Exploit(["touch", str(mark)])),
        "result.yaml": f"!!python/object/apply:os.system ['touch {mark}']".encode(),
        "conftest.py": f"open({str(mark)!r}, 'w')".encode(),
        "result.json": b'{"score": NaN, "score": 1e999}',
        "nested.json": b"[" * 100_000,
    }
    execution = sandbox.run(["true"], files=evil, collect=["."])
    assert execution.files == evil
    assert not mark.exists()
