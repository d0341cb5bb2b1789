"""A: time, processes, memory, disks, descriptors, output. What a program takes is taken from its own room only.

The ids are those of `sandbox.md`, §3. After every test an honest program runs on the same engine (fixture `sandbox`).

| id | where it is |
|---|---|
| A26 | there is no compiler and no pip in the image: a build is Python's own, and a run with limits like any other |
| A30 | io_uring is refused (`test_surface.py`, B6); floods of events stay within the share of processors, here |
"""

import json
import os
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from sandbox import Ending, Execution, Limits, Sandbox
from sandbox.container import SECCOMP, Owner, Plan
from sandbox.docker import DockerSandbox, Engine
from sandbox.settings import SandboxSettings
from tests.hostile.attack import QUICK, attack, command, program

pytestmark = pytest.mark.docker

EAGAIN: Final = 11
EMFILE: Final = 24
TOO_LATE: Final = 10  # seconds beyond its own limit, on a machine that is busy; what we defend against is endless
ITS_OWN_FAULT: Final = {Ending.OUT_OF_MEMORY, Ending.EXITED, Ending.TIMED_OUT}
BRIEF: Final = Limits(seconds=0.5, memory_mb=96, disk_mb=8, processes=24)
CROWD: Final = Limits(seconds=1, memory_mb=256, disk_mb=8, processes=24)
OURS: Final = 16  # MB: what a limit on memory may be missed by, while it is not yet counted


# Time


@pytest.mark.parametrize(
    "way",
    [
        "spin",
        "sleep",
        "pause",
        "select",
        "deadlock",
        "empty pipe",
        "wait for a child that waits for us",
        "stopped",
        "ignoring every signal",
        "niced spin in a new session",
        "alarms",
        "signals to PID 1",
    ],
)
def test_a_program_without_end_is_ended(sandbox: Sandbox, way: str) -> None:
    """A1, A2, A3, A4"""
    execution = attack(sandbox, "resources/endless", way, limits=BRIEF)
    assert (execution.ending, execution.exit_code) == (Ending.TIMED_OUT, None)
    assert BRIEF.seconds <= execution.seconds < BRIEF.seconds + TOO_LATE


def test_a_program_cannot_make_the_warden_less_important_than_itself(sandbox: Sandbox) -> None:
    """A1"""
    execution = attack(sandbox, "resources/warden_starved")
    assert (execution.ending, execution.stdout) == (Ending.TIMED_OUT, b"0\n")


def test_a_server_that_starves_the_warden_is_stopped(sandbox: Sandbox) -> None:
    """A1: its end is a value, however busy it keeps the room."""
    with sandbox.open(files=program("resources/warden_starved"), limits=QUICK) as room:
        room.serve(command())
        time.sleep(0.3)
        assert room.stop().ending is Ending.STOPPED


@pytest.mark.parametrize("way", ["regular expression", "zip", "zlib", "large number", "deep recursion"])
def test_data_that_explodes_harms_whoever_unpacks_it(sandbox: Sandbox, way: str) -> None:
    """A27"""
    execution = attack(sandbox, "resources/bombs", way)
    assert not execution.ok
    assert execution.ending in ITS_OWN_FAULT


@pytest.mark.parametrize("way", ["compile to a large constant", "compile nested brackets"])
def test_a_build_has_the_limits_of_any_run(sandbox: Sandbox, way: str) -> None:
    """A26"""
    with sandbox.open(files=program("resources/bombs"), limits=QUICK) as room:
        assert not room.run(command(way), seconds=0.5).ok


# Processes


def test_a_fork_bomb_is_ended(sandbox: Sandbox) -> None:
    """A5"""
    assert attack(sandbox, "resources/processes", "fork bomb", limits=CROWD).ending is Ending.TIMED_OUT


def test_threads_are_counted_as_processes(sandbox: Sandbox) -> None:
    """A6"""
    execution = attack(sandbox, "resources/processes", "thread bomb")
    assert execution.ok
    assert int(execution.stdout.split()[0]) == QUICK.processes - 1


def test_a_process_beyond_the_limit_is_refused_to_the_program(sandbox: Sandbox) -> None:
    """A7"""
    execution = attack(sandbox, "resources/processes", "children up to the limit", limits=CROWD)
    assert execution.stdout.decode().splitlines() == [f"{CROWD.processes - 1} {EAGAIN}", "done"]


def test_numerical_libraries_start_within_few_processes(sandbox: Sandbox) -> None:
    """A6: the honest program that a limit on threads must not break."""
    source = "import numpy; print(int((numpy.ones((64, 64)) @ numpy.ones((64, 64)))[0, 0]))"
    execution = sandbox.run(["python3", "-c", source], limits=Limits(seconds=20, processes=4))
    assert (execution.ok, execution.stdout) == (True, b"64\n"), execution


@pytest.mark.parametrize(
    "way",
    [
        "children up to the limit",
        "daemon",
        "many daemons",
        "zombies",
        "subreaper",
        "not dumpable",
        "stopped children",
        "children of PID 1",
        "vfork",
        "death wish",
        "fork bomb",
        "dying children of PID 1",
    ],
)
def test_nothing_that_a_program_leaves_is_there_for_the_next(sandbox: Sandbox, way: str) -> None:
    """A5, A7: and so nothing can rewrite results, or answer in place of the next program."""
    alone = program("resources/alone")["attack.py"]
    with sandbox.open(files={**program("resources/processes"), "alone.py": alone}, limits=CROWD) as room:
        assert room.run(command(way)).ending in (Ending.EXITED, Ending.TIMED_OUT)
        assert room.run(["python3", "alone.py"]).stdout == b"[]\n"


def test_nothing_of_a_room_lives_when_it_is_closed(sandbox: Sandbox) -> None:
    """A5: asked of the host, whose kernel knows the room's user ids."""
    with sandbox.open(files=program("resources/processes"), limits=CROWD) as room:
        room.serve(command("children up to the limit"))
        uid = _uid_of_a_program("attack.py")
    owners = [_owner(entry) for entry in _processes()]
    assert not [owner for owner in owners if uid <= owner < uid + 4]


def test_open_files_are_limited_for_each_process(sandbox: Sandbox) -> None:
    """A19"""
    execution = attack(sandbox, "resources/descriptors")
    lines = [line.split() for line in execution.stdout.decode().splitlines()]
    assert execution.ok
    assert all(int(opened) <= 1024 and int(errno) == EMFILE for opened, errno in lines), lines


def test_one_room_cannot_take_the_terminals_of_all(sandbox: Sandbox) -> None:
    """A19: pseudo terminals are counted for the host, not for a container."""
    with sandbox.open(files=program("resources/terminals"), limits=QUICK) as room:
        room.serve(command())
        time.sleep(0.3)
        for end in os.openpty():
            os.close(end)
        execution = room.stop()
    assert {int(line) for line in execution.stdout.split()} == {0}


# Memory


@pytest.mark.parametrize(
    "way",
    [
        "anonymous",
        "at_once",
        "shared",
        "memfd",
        "tmpfs",
        "shm",
        "pipes",
        "unix",
        "in_flight",
        "page_tables",
        "many",
        "threads",
        "inotify",
        "locks",
        "tcp",
        "udp",
    ],
)
def test_no_kind_of_memory_escapes_the_limit(sandbox: Sandbox, way: str) -> None:
    """A8, A12: killed, or refused by the kernel, but never more than was allowed."""
    limits = Limits(seconds=2, memory_mb=64, disk_mb=8, processes=24)
    execution = attack(sandbox, "resources/memory", way, "1", limits=limits)
    assert execution.ending in ITS_OWN_FAULT
    assert _held(execution) <= (limits.memory_mb + OURS) << 20


@pytest.mark.parametrize("way", ["tcp", "udp", "unix", "pipes", "memfd", "in_flight"])
def test_many_processes_together_escape_it_no_more_than_one(sandbox: Sandbox, way: str) -> None:
    """A8: also where cgroup v1 counts nothing, and the warden must be quicker than a dozen of them."""
    limits = Limits(seconds=3, memory_mb=64, disk_mb=8, processes=24, cpus=2)
    execution = attack(sandbox, "resources/memory", way, "12", limits=limits)
    assert execution.ending in ITS_OWN_FAULT
    assert _held(execution) <= 2 * limits.memory_mb << 20


@pytest.mark.parametrize("way", ["anonymous", "shared", "memfd", "many", "threads", "at_once"])
def test_memory_that_ends_a_program_is_told(sandbox: Sandbox, way: str) -> None:
    """A8, and with `many` an attack on PID 1: the kernel takes whoever looks largest."""
    limits = Limits(seconds=10, memory_mb=64, disk_mb=8, processes=24)
    execution = attack(sandbox, "resources/memory", way, "1", limits=limits)
    if way == "at_once" and execution.ending is Ending.EXITED:
        assert b"MemoryError" in execution.stderr  # refused before it was touched
    else:
        assert (execution.ending, execution.exit_code) == (Ending.OUT_OF_MEMORY, None)
        assert execution.memory_exceeded


def test_a_child_killed_for_memory_is_evidence_beside_its_parents_words(sandbox: Sandbox) -> None:
    """A10"""
    execution = attack(sandbox, "resources/killed_child", limits=Limits(seconds=10, memory_mb=64))
    assert (execution.ending, execution.exit_code, execution.memory_exceeded) == (Ending.EXITED, 0, True)
    assert execution.stdout == b"-9\n"


@pytest.mark.parametrize("size", [1 << 34, 1 << 46, (1 << 64) - 1])
def test_a_program_whose_memory_cannot_be_set_up_is_a_value(sandbox: Sandbox, size: int) -> None:
    """A11: an executable that asks for `size` bytes of zeros before its first instruction."""
    entry, endless = 0x400078, b"\xeb\xfe"
    header = (
        b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    segment = struct.pack("<IIQQQQQQ", 1, 7, 0, 0x400000, 0x400000, 122, size, 4096)
    execution = sandbox.run(["./zeros"], files={"zeros": header + segment + endless}, limits=QUICK)
    assert execution.ending in {*ITS_OWN_FAULT, Ending.NOT_STARTED}
    assert not execution.ok


def test_a_room_full_of_files_ends_for_memory_and_says_so_of_the_next_program(sandbox: Sandbox) -> None:
    """A12: file systems in memory that hold more than the limit leave none for the next program."""
    limits = Limits(seconds=5, memory_mb=48, disk_mb=48, processes=8)
    with sandbox.open(files=program("resources/memory"), limits=limits) as room:
        assert room.run(command("tmpfs", "1")).memory_exceeded
        after = room.run(["python3", "-c", "print(1)"])
    assert after.ending in (Ending.OUT_OF_MEMORY, Ending.EXITED)


def test_a_probe_that_finds_no_memory_left_is_silent_for_that_reason(sandbox: Sandbox) -> None:
    """A8: a server that takes what a probe needs to start must not look like a failure of ours."""
    limits = Limits(memory_mb=64, disk_mb=64)
    for gap in (60_000, 500_000, 1_000_000, 1_500_000):
        with sandbox.open(files=program("resources/brim"), limits=limits) as room:
            room.serve(command(str(gap)))
            time.sleep(0.4)
            with room.probe("for line in __import__('sys').stdin: print('here', flush=True)") as probe:
                answer = probe.ask(b"?", seconds=5)
            assert answer.line == b"here" or answer.silence
            assert room.stop().ending in (Ending.STOPPED, Ending.OUT_OF_MEMORY)


# Disks


@pytest.mark.parametrize(
    ("way", "refusals"),
    [
        ("fill", {"ENOSPC"}),
        ("one large file", {"EFBIG", "ENOSPC"}),
        ("many files", {"ENOSPC"}),
        ("many links", {"ENOSPC", "EMLINK"}),
        ("deep folders", {"ENOSPC"}),
    ],
)
def test_every_disk_is_small_in_every_way(sandbox: Sandbox, way: str, refusals: set[str]) -> None:
    """A12, A14, A15, A16, A17"""
    limits = Limits(seconds=20, memory_mb=128, disk_mb=8)
    execution = attack(sandbox, "resources/disk", way, limits=limits, collect=["."])
    assert execution.ok, execution
    assert set(json.loads(execution.stdout).values()) <= refusals
    assert sum(map(len, execution.files.values())) <= limits.disk_mb << 20


@pytest.mark.parametrize(("signal", "code"), [("SIGSEGV", 139), ("SIGABRT", 134), ("SIGQUIT", 131), ("SIGSYS", 159)])
def test_a_crash_leaves_no_core(sandbox: Sandbox, signal: str, code: int) -> None:
    """A29"""
    limits = Limits(seconds=10, memory_mb=96, disk_mb=64)
    execution = attack(sandbox, "resources/crash", signal, limits=limits, collect=["."])
    assert (execution.exit_code, execution.stdout) == (code, b"refused\nrefused\n")
    assert set(execution.files) == {"attack.py"}


# Output


@pytest.mark.parametrize(
    "way", ["stdout", "stderr", "alternating", "tiny", "one line", "many writers", "larger pipe, flood and exit"]
)
def test_output_ends_at_its_limit(sandbox: Sandbox, way: str) -> None:
    """A20, A21"""
    execution = attack(sandbox, "resources/output", way, limits=Limits(seconds=20, output_kb=64))
    assert (execution.ending, execution.exit_code) == (Ending.TOO_MUCH_OUTPUT, None)
    assert len(execution.stdout) + len(execution.stderr) == 64 << 10


def test_output_that_fits_the_pipe_but_not_the_limit_is_too_much_even_when_the_program_is_gone(
    sandbox: Sandbox,
) -> None:
    """A20"""
    execution = attack(sandbox, "resources/output", "flood and exit", limits=Limits(seconds=20, output_kb=4))
    assert (execution.ending, len(execution.stdout)) == (Ending.TOO_MUCH_OUTPUT, 4 << 10)


def test_an_orphans_output_ends_with_the_program(sandbox: Sandbox) -> None:
    """A20"""
    execution = attack(sandbox, "resources/output", "orphan")
    assert (execution.ending, execution.exit_code) == (Ending.EXITED, 3)
    assert execution.stdout.startswith(b"l")


def test_a_program_that_closes_its_output_is_waited_for(sandbox: Sandbox) -> None:
    """A20"""
    execution = attack(sandbox, "resources/output", "closed")
    assert (execution.exit_code, execution.stdout, execution.stderr) == (5, b"", b"")


@pytest.mark.parametrize(("way", "code"), [("our frames", 9), ("garbage", 0)])
def test_words_that_look_like_ours_are_the_programs_output(sandbox: Sandbox, way: str, code: int) -> None:
    """A20: the warden's frames and the engine's frames, written where a program may write."""
    execution = attack(sandbox, "resources/output", way)
    assert (execution.ending, execution.exit_code) == (Ending.EXITED, code)
    assert execution.stdout
    assert execution.stderr
    assert not execution.memory_exceeded


@pytest.mark.parametrize("way", ["stdout", "tiny", "alternating"])
def test_a_flood_does_not_grow_the_worker(sandbox: Sandbox, way: str) -> None:
    """A20, A21: neither from a program that is ended for it, nor from a server, which is not."""
    tracemalloc.start()
    try:
        with sandbox.open(files=program("resources/output"), limits=QUICK) as room:
            room.run(command(way))
            room.serve(command(way))
            time.sleep(0.5)
            stopped = room.stop()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stopped.ending is Ending.STOPPED
    assert peak < 16 << 20


@pytest.mark.usefixtures("sandbox")
def test_a_flood_that_nobody_reads_holds_up_neither_us_nor_the_engine(
    settings: SandboxSettings, docker_sandbox: DockerSandbox, kind: str
) -> None:
    """A23: our own reader stalls. The engine must still answer once the stream is closed, before its patience ends."""
    impatient = Engine(settings.model_copy(update={"docker_timeout": 4.0}))
    plan = Plan(
        docker_sandbox.image, SECCOMP.read_text(), "", Owner(kind=kind), Limits(output_kb=65536), 60.0, {}, {}
    )  # fmt: skip
    container = impatient.create("assay-test-stalled-reader", plan.configuration(settings.sandbox_first_uid + 29_996))
    assert container is not None
    try:
        stream = impatient.attach(container)
        impatient.start(container)
        fields = [b"60", str(64 << 20).encode(), b"0", b"0", b"python3", b"-c", b"while True: print('x' * 60000)"]
        order = b"\0".join(fields)
        stream.write(b"R" + len(order).to_bytes(4, "big") + order, time.monotonic() + 5)
        time.sleep(1)
        stream.close()
        assert impatient.state(container)
    finally:
        impatient.remove(container)


@pytest.mark.parametrize("way", ["sleep", "spin"])
def test_input_that_is_never_read_holds_nothing_up(sandbox: Sandbox, way: str) -> None:
    """A24"""
    limits = Limits(seconds=1, memory_mb=128, disk_mb=50)
    assert attack(sandbox, "resources/endless", way, limits=limits, stdin=bytes(50 << 20)).ending is Ending.TIMED_OUT


# Processors


@pytest.mark.parametrize("way", ["children that nobody waits for", "niced", "daemon"])
def test_processor_time_is_counted_where_a_program_hides_it(sandbox: Sandbox, way: str) -> None:
    """A1"""
    execution = attack(sandbox, "resources/cpu", way, limits=Limits(seconds=10, processes=24))
    assert execution.ok
    assert execution.cpu_seconds is not None
    assert execution.cpu_seconds > 0.3


@pytest.mark.parametrize("way", ["parallel", "wakeups"])
def test_a_program_gets_its_share_of_the_processors_and_no_more(sandbox: Sandbox, way: str) -> None:
    """A30"""
    execution = attack(sandbox, "resources/cpu", way, limits=Limits(seconds=10, cpus=0.3))
    assert execution.cpu_seconds is not None
    assert execution.cpu_seconds <= 0.3 * (execution.seconds + 0.5)


def _held(execution: Execution) -> int:
    """What all processes of `programs/resources/memory.py` together said that they held."""
    lines = [line.split() for line in execution.stdout.decode().splitlines()]
    last = {words[0]: int(words[1]) for words in lines if len(words) == 2}
    return sum(last.values())


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _owner(process: Path) -> int:
    try:
        return process.stat().st_uid
    except FileNotFoundError:  # it has ended meanwhile
        return 0


def _uid_of_a_program(word: str) -> int:
    """The user id under which the host sees a program of a room, once it runs."""
    deadline = time.monotonic() + TOO_LATE
    while time.monotonic() < deadline:
        for entry in _processes():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if word.encode() in words and _owner(entry) >= 30_000:
                    return _owner(entry)
            except (FileNotFoundError, ProcessLookupError):
                continue
    raise AssertionError("the program did not start")
