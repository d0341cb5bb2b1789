"""The watched sandbox: it keeps the sandbox's promise, its limits, its faults, and a record of what was said."""

import base64
import errno
from collections.abc import Sequence

import pytest

from graders.contract import GraderFailed
from graders.watch import (
    LONGEST_ANSWER,
    LONGEST_ASKED,
    MOST_CHARACTERS,
    MOST_EXCHANGES,
    Allowance,
    Overrun,
    Record,
    WatchedSandbox,
    storable,
)
from sandbox import Ending, Execution, Limits, Sandbox, SandboxMisused, SandboxUnavailable
from tests.graders.fake_sandbox import FakeSandbox, ended

LIMITS = Limits(seconds=5, memory_mb=128, processes=32, output_kb=64, disk_mb=16, cpus=0.5)


def watched(
    inner: Sandbox | None = None, seconds: float = 60, submission: dict[str, bytes] | None = None
) -> WatchedSandbox:
    return WatchedSandbox(inner or FakeSandbox(), LIMITS, Allowance(seconds), Record(), submission or {})


# Limits


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(seconds=6, memory_mb=64, output_kb=64, disk_mb=16, processes=8, cpus=0.5), "limits: seconds: 6 is"),
        (Limits(seconds=5, memory_mb=129, output_kb=64, disk_mb=16, processes=8, cpus=0.5), "limits: memory_mb: 129"),
        (Limits(seconds=5, memory_mb=64, output_kb=65, disk_mb=16, processes=8, cpus=0.5), "limits: output_kb: 65"),
        (Limits(seconds=5, memory_mb=64, output_kb=64, disk_mb=17, processes=8, cpus=0.5), "limits: disk_mb: 17"),
        (Limits(seconds=5, memory_mb=64, output_kb=64, disk_mb=16, processes=33, cpus=0.5), "limits: processes: 33"),
        (Limits(seconds=5, memory_mb=64, output_kb=64, disk_mb=16, processes=8, cpus=1.0), "limits: cpus: 1 is asked"),
    ],
)  # fmt: skip
def test_no_room_gets_more_than_the_manifest_allows(limits: Limits, sentence: str) -> None:
    inner = FakeSandbox()
    with pytest.raises(GraderFailed, match=sentence):
        watched(inner).run(["true"], limits=limits)
    with pytest.raises(GraderFailed, match=sentence), watched(inner).open(limits=limits):
        pass
    assert inner.limits == []


def test_limits_that_are_not_given_are_the_manifests() -> None:
    inner = FakeSandbox()
    sandbox = watched(inner)
    sandbox.run(["true"])
    with sandbox.open():
        pass
    assert inner.limits == [LIMITS, LIMITS]


def test_no_program_gets_more_time_than_its_room() -> None:
    with watched().open() as room:
        room.run(["true"], seconds=5)
        with pytest.raises(GraderFailed, match=r"run: seconds: 5\.1 are asked for, and the room was opened for 5"):
            room.run(["true"], seconds=5.1)


# Faults


def away(_: Sequence[str]) -> Execution:
    raise SandboxUnavailable("no engine")


def misused(_: Sequence[str]) -> Execution:
    raise SandboxMisused("no such thing")


def test_a_fault_of_the_sandbox_is_kept_and_told_again() -> None:
    sandbox = watched(FakeSandbox(away))
    with pytest.raises(SandboxUnavailable) as first:
        sandbox.run(["true"])
    with pytest.raises(SandboxUnavailable) as second, sandbox.open():
        pass
    assert first.value is second.value is sandbox.fault


def test_what_this_host_cannot_do_is_no_fault_of_the_author() -> None:
    def too_many(_: Sequence[str]) -> Execution:
        raise OSError(errno.EMFILE, "Too many open files")

    sandbox = watched(FakeSandbox(too_many))
    with pytest.raises(SandboxUnavailable, match="Too many open files"):
        sandbox.run(["true"])
    assert isinstance(sandbox.fault, SandboxUnavailable)


def test_misuse_is_the_graders_failure_and_kept_too() -> None:
    sandbox = watched(FakeSandbox(misused))
    with pytest.raises(GraderFailed, match="no such thing"):
        sandbox.run(["true"])
    assert isinstance(sandbox.fault, GraderFailed)


def test_a_fault_after_the_time_is_over_is_not_hidden_by_it() -> None:
    sandbox = watched(FakeSandbox(lambda _: ended(seconds=100)), seconds=50)
    sandbox.run(["true"])
    with pytest.raises(Overrun):
        sandbox.run(["true"])
    assert sandbox.fault is None
    assert sandbox.allowance.over


# What a candidate calls a file


@pytest.mark.parametrize(
    ("theirs", "ours", "left"),
    [
        ({"data": b"a file", "sum.py": b"x"}, {"data/rows.json": b"[]"}, {"sum.py", "data/rows.json"}),
        ({"data/x": b"1", "data/y/z": b"2", "dat": b"3"}, {"data": b"[]"}, {"dat", "data"}),
        ({"a/b": b"1"}, {"a/b/c/d": b"[]"}, {"a/b/c/d"}),
        ({"a/c": b"1"}, {"a/b": b"[]"}, {"a/c", "a/b"}),
        ({"rows.json": b"theirs"}, {"rows.json": b"ours"}, {"rows.json"}),
    ],
)
def test_a_candidates_file_makes_way_for_the_graders(
    theirs: dict[str, bytes], ours: dict[str, bytes], left: set[str]
) -> None:
    """Otherwise a candidate could see to it that no room opens, and be graded by nobody."""
    inner = FakeSandbox()
    sandbox = watched(inner, submission=theirs)
    with sandbox.open(files={**theirs, **ours}):
        pass
    sandbox.run(["true"], files={**theirs, **ours})
    assert [set(files) for files in inner.files] == [left, left]
    for name, content in ours.items():
        assert inner.files[0][name] == content
    gone = set(theirs) - left
    assert all(name in sandbox.record.exchanges[0].asked for name in gone)


def test_files_of_the_grader_that_are_in_each_others_way_are_left_to_the_sandbox_to_refuse() -> None:
    inner = FakeSandbox()
    with watched(inner, submission={"sum.py": b"x"}).open(files={"a": b"1", "a/b": b"2"}):
        pass
    assert set(inner.files[0]) == {"a", "a/b"}


# What is written down


def test_everything_that_is_asked_and_answered_is_written_down_in_order() -> None:
    execution = Execution(Ending.EXITED, 3, b"out", b"err", 0.25, cpu_seconds=0.125, files={"made.txt": b"content"})
    sandbox = watched(FakeSandbox(lambda _: execution))
    with sandbox.open(files={"a.py": b"12345"}) as room:
        room.run(["python3", "a b.py"], stdin=b"3 4\n")
        room.serve(["serve"])
        with room.probe("program") as probe:
            assert probe.ask(b"how?").line == b"HOW?"
        room.stop()
        room.serve(["serve", "again"])
    opened, ran, asked, stopped, left = sandbox.record.exchanges
    assert (opened.kind, opened.asked[:17]) == ("open", "1 files, 5 bytes;")
    assert (ran.kind, ran.asked, ran.ending, ran.exit_code) == ("run", "python3 'a b.py'\n3 4\n", Ending.EXITED, 3)
    assert base64.b64decode(ran.answer) == b"out\n--- made.txt\ncontent"
    assert (base64.b64decode(ran.complaint), ran.seconds, ran.cpu_seconds, ran.cut) == (b"err", 0.25, 0.125, False)
    assert (asked.kind, asked.asked, base64.b64decode(asked.answer)) == ("ask", "how?", b"HOW?")
    assert (stopped.kind, stopped.asked, stopped.ending) == ("serve", "serve", Ending.STOPPED)
    assert (left.kind, left.asked, left.ending) == ("serve", "serve again", None)


def test_what_is_long_is_cut_and_says_so() -> None:
    sandbox = watched(FakeSandbox(lambda _: ended(b"x" * 100_000)))
    sandbox.run(["python3", "-c", "y" * 100_000], stdin=b"\xff\0z" * 100_000)
    (exchange,) = sandbox.record.exchanges
    assert exchange.cut
    assert len(exchange.asked) <= LONGEST_ASKED
    assert exchange.asked.startswith("python3 -c yyyy")
    assert "\0" not in exchange.asked
    assert base64.b64decode(exchange.answer) == b"x" * LONGEST_ANSWER


def test_a_record_has_an_end_and_counts_the_rest() -> None:
    many, large = watched(), watched(FakeSandbox(lambda _: ended(b"x" * 100_000)))
    for _ in range(MOST_EXCHANGES + 10):
        many.run(["true"])
        large.run(["true"])
    assert (len(many.record.exchanges), many.record.exchanges_left_out) == (MOST_EXCHANGES, 10)
    assert sum(len(one.to_json()) for one in large.record.exchanges) < 2 * MOST_CHARACTERS
    assert len(large.record.exchanges) + large.record.exchanges_left_out == MOST_EXCHANGES + 10


def test_words_that_cannot_be_stored_are_replaced() -> None:
    assert storable("a\0b\ud800c\udfff ü😀\n") == "a\ufffdb\ufffdc\ufffd ü😀\n"


# Time


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_in_a_conversation_is_not_the_authors_own_and_that_of_a_program_is() -> None:
    clock = Clock()
    allowance = Allowance(10, clock)
    with allowance.running():
        clock.now += 1
        with allowance.conversation():
            clock.now += 5
            assert allowance.left == 9
        allowance.charge(2)
        clock.now += 1
        assert allowance.left == 6
        allowance.check()
    assert allowance.phases() == {"grader": 2, "programs": 2, "rooms": 3}


def test_two_conversations_at_once_are_one_stretch_of_time() -> None:
    clock = Clock()
    allowance = Allowance(10, clock)
    with allowance.running():
        with allowance.conversation():
            clock.now += 1
            with allowance.conversation():
                clock.now += 1
            clock.now += 1
        clock.now += 1
    assert (allowance.busy, allowance.own) == (3, 1)


def test_programs_side_by_side_may_take_more_than_the_time_that_passed() -> None:
    allowance = Allowance(10, Clock())
    allowance.charge(4)
    allowance.charge(4)
    allowance.check()
    assert allowance.phases()["rooms"] == 0
    allowance.charge(4)
    with pytest.raises(Overrun):
        allowance.check()
    assert allowance.over
