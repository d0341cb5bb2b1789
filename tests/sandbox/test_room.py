"""A room's outside half, against a warden that says whatever a machine in a candidate's hands might say."""

import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socket import SHUT_RDWR, SHUT_WR, socket, socketpair
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import Ending, Execution, Limits, SandboxMisused, SandboxUnavailable
from sandbox.checks import check_names
from sandbox.room import GRACE, LONGEST_FRAME, AttachedRoom, Demise
from sandbox.wire import Closed, Stream
from tests.sandbox.test_wire import ERR, OUT, framed, without_end

LIMITS = Limits(seconds=0.1, output_kb=4, disk_mb=1)
KINDS = [b"s", b"1", b"2", b"e", b"f", b"d", b"n", b"z", b"b", b"x", b"?"]
STARTED = (b"s", b"")
WELL = (b"e", b"\x00" + b"0\x0090\x001500000\x000\x00")
DONE = (b"z", b"")

Words = tuple[bytes, bytes]


@dataclass
class World:
    """A room, the other end of its warden's stream, and what else the room may ask about."""

    warden: socket
    demise: Demise | SandboxUnavailable = field(default_factory=lambda: Demise(Ending.OUT_OF_MEMORY, True))
    probe: Stream | None = None
    starved: bool = False
    ended: int = 0
    autopsies: int = 0
    autopsy_seconds: float = 0

    def says(self, *words: Words) -> None:
        content = b"".join(kind + len(payload).to_bytes(4, "big") + payload for kind, payload in words)
        self.warden.sendall(framed(OUT, content))

    def heard(self) -> list[Words]:
        """Everything that the room has said to the warden so far."""
        self.warden.setblocking(False)
        content, said = self.warden.recv(1 << 20), []
        while content:
            length = int.from_bytes(content[1:5], "big")
            said.append((content[:1], content[5 : 5 + length]))
            content = content[5 + length :]
        return said

    def enter(self, command: Sequence[str]) -> Stream:
        assert command[0] == "python3"
        if self.probe is None:
            raise Closed
        return self.probe

    def autopsy(self) -> Demise:
        self.autopsies += 1
        time.sleep(self.autopsy_seconds)
        if isinstance(self.demise, SandboxUnavailable):
            raise self.demise
        return self.demise


@contextmanager
def room_of(
    limits: Limits = LIMITS, lifetime: float = 60, settling: float = 30
) -> Iterator[tuple[AttachedRoom, World]]:
    here, there = socketpair()
    stream = Stream(here.makefile("rwb", buffering=0))
    here.close()
    world = World(there)

    def end() -> None:
        world.ended += 1
        stream.close()

    room = AttachedRoom(
        stream,
        limits,
        lifetime,
        enter=world.enter,
        end=end,
        autopsy=world.autopsy,
        starved=lambda: world.starved,
        settling=settling,
    )
    try:
        with there:
            yield room, world
    finally:
        stream.close()


def told(*words: Words, limits: Limits = LIMITS) -> Execution:
    """What a room makes of these words about one program."""

    def speak() -> None:
        with suppress(OSError):  # the room need not listen to the end
            world.says(*words)
            world.warden.shutdown(SHUT_WR)

    with room_of(limits) as (room, world):
        thread = Thread(target=speak)
        thread.start()
        try:
            return room.run(["program"])
        finally:
            world.warden.shutdown(SHUT_RDWR)
            thread.join()


def ended(
    why: bytes = b"", code: int = 0, lasted: int = 90, spent: int = 0, kills: int = 0, failure: bytes = b""
) -> Words:
    return b"e", b"\0".join([why, b"%d" % code, b"%d" % lasted, b"%d" % spent, b"%d" % kills, failure])


# An honest warden


def test_what_a_warden_tells_becomes_an_execution() -> None:
    execution = told(
        STARTED, (b"1", b"out"), (b"2", b"err"), (b"1", b"put"), WELL,
        (b"f", b"a/b"), (b"d", b"con"), (b"d", b"tent"), (b"f", b"empty"), (b"n", b"link\0a link"), DONE,
    )  # fmt: skip
    assert execution.ok
    assert (execution.stdout, execution.stderr, execution.cpu_seconds) == (b"output", b"err", 1.5)
    assert execution.files == {"a/b": b"content", "empty": b""}
    assert execution.refused == {"link": "a link"}


def test_a_warden_is_told_what_to_run_and_what_to_read() -> None:
    with room_of() as (room, world):
        room.take({"folder/file": b"content", "empty": b""})
        world.says(STARTED, WELL, DONE)
        room.run(["program", "two words", ""], stdin=b"input", collect=["out"], seconds=3)
        assert world.heard() == [
            (b"F", b"folder/file"), (b"A", b"content"), (b"F", b"empty"), (b"I", b"input"),
            (b"R", b"3.000\x004096\x001048576\x001\x00out\x00program\x00two words\x00"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "ending", "code", "memory"),
    [
        (ended(code=3), Ending.EXITED, 3, False),
        (ended(code=-11), Ending.EXITED, 139, False),
        (ended(code=-9), Ending.EXITED, 137, False),
        (ended(code=-9, kills=1), Ending.OUT_OF_MEMORY, None, True),
        (ended(code=137, kills=1), Ending.OUT_OF_MEMORY, None, True),
        (ended(code=0, kills=1), Ending.EXITED, 0, True),
        (ended(b"time", -9), Ending.TIMED_OUT, None, False),
        (ended(b"time", -9, kills=1), Ending.TIMED_OUT, None, True),
        (ended(b"output", -9), Ending.TOO_MUCH_OUTPUT, None, False),
        (ended(b"sockets", -9), Ending.OUT_OF_MEMORY, None, True),
        (ended(b"stopped", -9), Ending.STOPPED, None, False),
        (ended(code=127, failure=b"No such file"), Ending.NOT_STARTED, None, False),
    ],
)
def test_every_way_to_end_has_its_word(words: Words, ending: Ending, code: int | None, memory: bool) -> None:
    execution = told(STARTED, words, DONE)
    assert (execution.ending, execution.exit_code, execution.memory_exceeded) == (ending, code, memory)


def test_processor_time_that_could_not_be_read_is_not_zero() -> None:
    assert told(STARTED, ended(spent=-1), DONE).cpu_seconds is None


@given(cuts=st.lists(st.integers(1, 120), max_size=20))
def test_words_may_be_cut_anywhere_on_their_way(cuts: list[int]) -> None:
    words = [STARTED, (b"1", b"out"), WELL, (b"f", b"name"), (b"d", b"content"), DONE]
    content = b"".join(kind + len(payload).to_bytes(4, "big") + payload for kind, payload in words)
    with room_of() as (room, world):
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(content)], strict=True):
            world.warden.sendall(framed(OUT, content[start:end]))
        execution = room.run(["program"])
    assert (execution.stdout, execution.files) == (b"out", {"name": b"content"})


def test_a_refused_name_that_is_no_text_is_written_so_that_it_can_be_read() -> None:
    execution = told(STARTED, WELL, (b"n", b"caf\xe9\n\0the name is not UTF-8"), DONE)
    assert execution.refused == {"caf\\xe9\n": "the name is not UTF-8"}


def test_being_late_to_read_that_a_program_began_does_not_make_it_faster() -> None:
    assert told(STARTED, ended(lasted=7_000_000), DONE).seconds == 7


# A warden that lies


def test_output_is_kept_up_to_the_limit_whatever_the_warden_sends() -> None:
    execution = told(STARTED, (b"1", b"o" * 3000), (b"2", b"e" * 3000), (b"1", b"o" * 3000), ended(b"output"), DONE)
    assert execution.stdout == b"o" * 3000
    assert execution.stderr == b"e" * (4096 - 3000)


def test_files_are_kept_up_to_the_limit_whatever_the_warden_sends() -> None:
    pieces = [(b"d", bytes(100_000))] * 20
    execution = told(STARTED, WELL, (b"f", b"large"), *pieces, (b"f", b"more"), *pieces, DONE)
    assert execution.files == {"large": bytes(1 << 20), "more": b""}


@pytest.mark.parametrize(
    "words",
    [
        (b"?", b""),
        (b"\0", b""),
        (b"e", b""),
        (b"e", b"\0no number\x000\x000\x000\0"),
        (b"e", b"\x000\0ages\x000\x000\0"),
        (b"e", b"time\x000\x000\x000"),
        (b"e", b"\x000\x000\x000\x00many\x00"),
        (b"e", b"bored\x000\x000\x000\x000\x00"),
        (b"e", b"\x00" + b"9" * 5000 + b"\x000\x000\x000\x00"),
        (b"f", b"caf\xe9"),
        (b"d", b"of no file"),
    ],
)
def test_what_a_warden_does_not_say_is_our_own_failure(words: Words) -> None:
    with pytest.raises(SandboxUnavailable):
        told(STARTED, words, DONE)


def test_a_message_that_is_announced_too_long_is_not_waited_for() -> None:
    for length in (LONGEST_FRAME + 1, 0xFFFFFFFF):
        with room_of() as (room, world):
            world.warden.sendall(framed(OUT, b"1" + length.to_bytes(4, "big")))
            with pytest.raises(SandboxUnavailable, match=str(length)):
                room.run(["program"])


def survives(room: AttachedRoom) -> None:
    """Whatever was said: an Execution, or one of our own exceptions."""
    try:
        execution = room.run(["program"])
    except (SandboxUnavailable, SandboxMisused):
        return
    assert len(execution.stdout) <= LIMITS.output_kb << 10
    assert len(execution.stderr) <= max(LIMITS.output_kb << 10, LONGEST_FRAME)  # or why it was not started
    assert sum(len(content) for content in execution.files.values()) <= LIMITS.disk_mb << 20
    assert execution.seconds >= 0


@given(noise=st.binary(max_size=400))
def test_noise_is_survived(noise: bytes) -> None:
    with room_of() as (room, world):
        world.warden.sendall(noise)
        world.warden.shutdown(SHUT_WR)
        survives(room)


@given(noise=st.binary(max_size=400), kind=st.sampled_from([OUT, ERR, 0, 3, 255]))
def test_noise_in_the_engines_frames_is_survived(noise: bytes, kind: int) -> None:
    with room_of() as (room, world):
        world.warden.sendall(framed(kind, noise))
        world.warden.shutdown(SHUT_WR)
        survives(room)


PAYLOADS = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"", b"time", b"0", b"-9", b"137", b"x", b"\xff"]), max_size=6).map(b"\0".join),
)


@settings(max_examples=300)
@given(words=st.lists(st.tuples(st.sampled_from(KINDS), PAYLOADS), max_size=12))
def test_words_in_any_order_are_survived(words: list[Words]) -> None:
    with room_of() as (room, world):
        world.says(STARTED, *words)
        world.warden.shutdown(SHUT_WR)
        survives(room)


@pytest.mark.parametrize(
    "word",
    [
        (b"1", b"x" * 60_000),
        (b"2", b""),
        (b"d", bytes(60_000)),
        (b"f", b"name" * 10_000),
        (b"f", b""),
        (b"n", b"name\0" + b"reason" * 10_000),
        (b"s", b""),
        (b"b", b"x" * 60_000),
        WELL,
    ],
    ids=lambda word: f"{word[0].decode()} {len(word[1])}",
)
def test_words_without_end_end_at_the_deadline_and_take_no_memory(word: Words) -> None:
    with room_of(lifetime=0.7 - GRACE) as (room, world):
        kind, payload = word
        flood = framed(OUT, (kind + len(payload).to_bytes(4, "big") + payload) * 3)
        world.says(STARTED, (b"f", b"file"))
        with without_end(world.warden, flood):
            tracemalloc.start()
            try:
                survives(room)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert peak < 48 << 20


def test_names_without_end_are_our_own_failure() -> None:
    with room_of() as (room, world):
        names = b"".join(
            b"n" + (1000 + 7).to_bytes(4, "big") + b"%06d" % number + b"\0" + b"x" * 1000 for number in range(50)
        )
        world.says(STARTED, WELL)
        with without_end(world.warden, framed(OUT, names)), pytest.raises(SandboxUnavailable, match="without end"):
            room.run(["program"])


# A warden that says nothing more


def test_a_warden_that_is_silent_is_taken_down_and_the_program_timed_out() -> None:
    with room_of() as (room, world):
        world.says(STARTED, (b"1", b"so far"))
        execution = room.run(["program"])
        assert (execution.ending, execution.exit_code, execution.stdout) == (Ending.TIMED_OUT, None, b"so far")
        assert execution.seconds >= LIMITS.seconds
        assert world.ended == 1
        assert room.run(["next"]).ending is Ending.TIMED_OUT
        room.serve(["next"])
        assert room.stop().ending is Ending.TIMED_OUT
        with room.probe("") as probe:
            assert probe.ask(b"?").silence
        assert (world.ended, world.autopsies) == (1, 0)


@pytest.mark.parametrize("said", [(), (STARTED, WELL), (STARTED, WELL, (b"f", b"file"), (b"d", b"half"))])
def test_silence_while_no_program_runs_is_our_own_failure(said: tuple[Words, ...]) -> None:
    with room_of(settling=0.3) as (room, world):
        world.says(*said)
        with pytest.raises(SandboxUnavailable):
            room.run(["program"])
        assert world.ended == 1


def test_a_room_whose_lifetime_is_over_is_no_failure_of_ours() -> None:
    with room_of(lifetime=0.1 - GRACE) as (room, world):
        assert room.run(["program"]).ending is Ending.TIMED_OUT
        room.serve(["program"])
        assert room.stop().ending is Ending.TIMED_OUT
        assert (world.ended, world.autopsies) == (1, 0)


def test_the_time_that_an_autopsy_takes_is_not_the_programs() -> None:
    with room_of() as (room, world):
        world.says(STARTED)
        world.warden.shutdown(SHUT_WR)
        world.autopsy_seconds = 1.0
        assert room.run(["program"]).seconds < 1


def test_a_room_that_ended_is_asked_why_once_and_remembers() -> None:
    with room_of() as (room, world):
        world.says(STARTED, (b"1", b"so far"), (b"f", b"whole"), (b"d", b"x"), (b"f", b"cut"), (b"d", b"of"))
        world.warden.shutdown(SHUT_WR)
        execution = room.run(["program"])
        assert (execution.ending, execution.exit_code) == (Ending.OUT_OF_MEMORY, None)
        assert (execution.memory_exceeded, execution.stdout) == (True, b"so far")
        assert execution.files == {"whole": b"x"}  # never half a file
        assert room.run(["next"]).ending is Ending.OUT_OF_MEMORY
        assert world.autopsies == 1


def test_a_room_that_ended_for_no_reason_of_the_programs_is_our_own_failure() -> None:
    with room_of() as (room, world):
        world.says(STARTED)
        world.warden.shutdown(SHUT_WR)
        world.demise = SandboxUnavailable("room: ended with exit code 137: the engine gives no reason")
        with pytest.raises(SandboxUnavailable, match="137"):
            room.run(["program"])


def test_a_warden_that_fails_is_our_own_failure_and_its_last_words_are_told() -> None:
    with room_of() as (room, world):
        world.says(STARTED)
        world.warden.sendall(framed(ERR, b"Traceback (most recent call last):\nZeroDivisionError\n"))
        world.warden.shutdown(SHUT_WR)
        with pytest.raises(SandboxUnavailable, match="ZeroDivisionError"):
            room.run(["program"])


def test_files_that_a_room_could_not_take_are_misuse() -> None:
    with pytest.raises(SandboxMisused, match="No space left"):
        told((b"x", b"No space left on device"), STARTED, WELL, DONE)


# Serving and asking


def test_a_server_whose_room_ended_says_why_when_it_is_stopped() -> None:
    with room_of() as (room, world):
        world.says((b"s", b""), (b"b", b""))
        room.serve(["server"])
        world.warden.shutdown(SHUT_WR)
        assert room.stop().ending is Ending.OUT_OF_MEMORY
        assert world.autopsies == 1


def probe_that_says(content: bytes) -> tuple[Stream, socket]:
    here, there = socketpair()
    there.sendall(content)
    stream = Stream(here.makefile("rwb", buffering=0))
    here.close()
    return stream, there


def test_a_probe_that_does_not_start_is_our_own_failure_unless_there_was_no_memory() -> None:
    complaint = framed(OUT, b"OCI runtime exec failed: cannot start\n")
    for starved in (False, True):
        with room_of() as (room, world):
            world.starved = starved
            world.probe, there = probe_that_says(complaint)
            with there:
                if not starved:
                    with pytest.raises(SandboxUnavailable, match="OCI runtime exec failed"), room.probe(""):
                        pytest.fail("the probe was started")
                else:
                    with room.probe("") as probe:
                        answer = probe.ask(b"?")
                    assert answer.line is None
                    assert "memory" in answer.silence
            world.probe.close()


def test_a_probe_in_a_room_that_ended_is_silent() -> None:
    with room_of() as (room, world), room.probe("") as probe:
        assert world.autopsies == 1
        assert probe.ask(b"?").line is None
        assert room.run(["program"]).ending is Ending.OUT_OF_MEMORY


def test_a_probe_whose_stream_was_closed_with_the_room_is_silent() -> None:
    with room_of() as (room, world):
        world.probe, there = probe_that_says(framed(OUT, b"ready\nfirst\n"))
        with there, room.probe("") as probe:
            assert probe.ask(b"?").line == b"first"
            world.probe.close()
            answer = probe.ask(b"?")
            assert (answer.line, bool(answer.silence)) == (None, True)


# Names


PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda part: part not in (".", "..")
)


@given(names=st.lists(st.lists(PARTS, min_size=1, max_size=4).map("/".join), max_size=12, unique=True))
def test_names_are_refused_exactly_when_one_is_the_folder_of_another(names: list[str]) -> None:
    conflict = any(other.startswith(name + "/") for name in names for other in names)
    try:
        check_names(dict.fromkeys(names, b""))
    except SandboxMisused:
        assert conflict
    else:
        assert not conflict
