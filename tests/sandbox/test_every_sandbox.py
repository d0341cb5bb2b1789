"""The promise of the sandbox, for every implementation of it.

Knows the protocol and nothing else: what is said here of one sandbox must hold for any. An implementation is added
by one word in IMPLEMENTATIONS, in conftest.py.
"""

import errno
import os
import socket
import socketserver
import string
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from sandbox import Ending, Execution, Limits, Sandbox, SandboxMisused

pytestmark = pytest.mark.docker

SOON = 20  # seconds: far less than the 300 for which endless programs here would go on by themselves
ODD_NAMES = [
    "new\nline.txt",
    "report\u202egpj.exe",
    "ünïcödé/日本語/😀.py",
    "-rf",
    "$(id)`id`;&|.txt",
    " space at both ends ",
    "\x1b[31mred",
    "tab\tand'quotes\"",
    "back\\slash",
    "...",
    "a" * 255,
    "/".join(["folder"] * 30) + "/leaf",
    "__pycache__/x.pyc",
    "sitecustomize.py",
    "<img src=x onerror=alert(1)>",
]
NAMES_THAT_LEAVE_THE_ROOM = [
    "../outside",
    "a/../../outside",
    "..",
    "/etc/passwd",
    "//etc/passwd",
    "a//b",
    "a/",
    "./a",
    "a/./b",
    "",
    "nul\0byte",
    "lone\ud800surrogate",
    "escaped\udcffbyte",
    "a" * 256,
    "a/" * 2500 + "a",
]

ECHO = """
import sys
for line in sys.stdin:
    print("you said", line.strip(), flush=True)
"""

WAIT_FOR_PORT = """
import socket, sys, time
for _ in sys.stdin:
    while socket.socket().connect_ex(("127.0.0.1", int(sys.argv[1]))):
        time.sleep(0.01)
    print("it listens", flush=True)
"""


def python(source: str) -> list[str]:
    return ["python3", "-c", dedent(source)]


def said(execution: Execution) -> str:
    """What an honest program printed."""
    assert execution.ok, execution
    return execution.stdout.decode()


# How a program ends


def test_a_program_that_ends_well_is_told_with_its_output(sandbox: Sandbox) -> None:
    execution = sandbox.run(python("import sys; print('out'); print('err', file=sys.stderr)"))
    assert (execution.ending, execution.exit_code, execution.ok) == (Ending.EXITED, 0, True)
    assert (execution.stdout, execution.stderr) == (b"out\n", b"err\n")
    assert (execution.memory_exceeded, execution.files, execution.refused) == (False, {}, {})


def test_an_exit_code_is_kept_as_it_is(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        for code in (0, 1, 2, 99, 127, 137, 255):
            execution = room.run(python(f"import os; os._exit({code})"))
            assert (execution.ending, execution.exit_code) == (Ending.EXITED, code)
            assert execution.ok is (code == 0)


def test_a_signal_that_ended_the_program_is_128_and_its_number(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        for number in (1, 6, 11, 15):
            execution = room.run(python(f"import os; os.kill(os.getpid(), {number})"))
            assert (execution.ending, execution.exit_code) == (Ending.EXITED, 128 + number)


def test_exit_137_alone_is_not_out_of_memory(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        for end in ("os._exit(137)", "os.kill(os.getpid(), 9)"):
            execution = room.run(python(f"import os; {end}"))
            assert (execution.ending, execution.exit_code) == (Ending.EXITED, 137)
            assert not execution.memory_exceeded


def test_a_program_that_sleeps_for_ever_is_timed_out(sandbox: Sandbox) -> None:
    execution = sandbox.run(
        python("import time; print('asleep', flush=True); time.sleep(300)"), limits=Limits(seconds=1)
    )
    assert (execution.ending, execution.exit_code, execution.ok) == (Ending.TIMED_OUT, None, False)
    assert execution.stdout == b"asleep\n"
    assert 1 <= execution.seconds < SOON


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param("while True: pass", id="spins"),
        pytest.param("os.kill(os.getpid(), signal.SIGSTOP)", id="stops itself"),
        pytest.param(
            """
            for number in set(range(1, 65)) - {9, 19, 32, 33}:
                signal.signal(number, signal.SIG_IGN)
            while True: time.sleep(300)
            """,
            id="ignores every signal",
        ),
        pytest.param(
            """
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0: time.sleep(300)
            time.sleep(300)
            """,
            id="leaves its session",
        ),
        pytest.param("os.close(0); os.close(1); os.close(2); time.sleep(300)", id="closes its streams"),
    ],
)
def test_a_program_that_does_not_want_to_end_is_ended(sandbox: Sandbox, endless: str) -> None:
    execution = sandbox.run(
        ["python3", "-c", "import os, signal, time\n" + dedent(endless)], limits=Limits(seconds=0.4)
    )
    assert (execution.ending, execution.exit_code) == (Ending.TIMED_OUT, None)
    assert execution.seconds < SOON


def test_the_time_of_one_program_is_not_taken_from_the_next(sandbox: Sandbox) -> None:
    with sandbox.open(limits=Limits(seconds=1)) as room:
        for _ in range(2):
            assert room.run(["sleep", "0.6"]).ok
        assert room.run(["sleep", "300"], seconds=0.2).ending is Ending.TIMED_OUT
        assert room.run(["sleep", "1.1"], seconds=SOON).ok


def test_a_command_that_does_not_exist_is_a_value(sandbox: Sandbox) -> None:
    with sandbox.open(files={"text": b"no program"}) as room:
        room.run(["chmod", "600", "text"])
        for command in ("no-such-command", "/no/such/command", "./text", "/box", "./none"):
            execution = room.run([command])
            assert (execution.ending, execution.exit_code, execution.ok) == (Ending.NOT_STARTED, None, False)
            assert execution.stderr  # the reason
        assert room.run(["true"]).ok


def test_a_program_of_the_candidates_own_may_be_executed(sandbox: Sandbox) -> None:
    execution = sandbox.run(["./run.sh", "two words", "$HOME"], files={"run.sh": b'#!/bin/sh\nprintf "%s|" "$@"\n'})
    assert said(execution) == "two words|$HOME|"  # and no shell of ours has read the words


def test_a_command_that_cannot_be_is_misuse(sandbox: Sandbox) -> None:
    words = (["echo", "nul\0byte"], ["echo", "lone\ud800surrogate"], ["echo", "x" * 200_000])
    with sandbox.open() as room:
        for command in ([], "echo hello", [""], *words):
            with pytest.raises(SandboxMisused, match="command"):
                room.run(command)
            with pytest.raises(SandboxMisused, match="command"):
                room.serve(command)
        assert room.run(["true"]).ok  # the room has not suffered


# Output


def test_output_may_be_any_bytes(sandbox: Sandbox) -> None:
    source = "import sys; sys.{0}.buffer.write(bytes(range(256)) * 8)"
    with sandbox.open() as room:
        assert room.run(python(source.format("stdout"))).stdout == bytes(range(256)) * 8
        assert room.run(python(source.format("stderr"))).stderr == bytes(range(256)) * 8


def test_output_that_is_exactly_the_limit_is_no_fault(sandbox: Sandbox) -> None:
    execution = sandbox.run(python("print('x' * (64 * 1024 - 1))"), limits=Limits(output_kb=64))
    assert said(execution) == "x" * (64 * 1024 - 1) + "\n"


def test_one_byte_of_output_beyond_the_limit_is_too_much(sandbox: Sandbox) -> None:
    execution = sandbox.run(python("print('x' * (64 * 1024))"), limits=Limits(output_kb=64))
    assert (execution.ending, execution.exit_code) == (Ending.TOO_MUCH_OUTPUT, None)
    assert execution.stdout == b"x" * (64 * 1024)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_beyond_the_limit_ends_the_program_and_keeps_the_beginning(sandbox: Sandbox, stream: str) -> None:
    source = f"""
        import sys
        number = 0
        while True:
            print(number, file=sys.{stream})
            number += 1
    """
    execution = sandbox.run(python(source), limits=Limits(seconds=SOON, output_kb=100))
    assert execution.ending is Ending.TOO_MUCH_OUTPUT
    kept = execution.stdout if stream == "stdout" else execution.stderr
    assert len(execution.stdout) + len(execution.stderr) == 100 * 1024
    assert kept.startswith(b"".join(b"%d\n" % number for number in range(10_000)))


def test_stdout_and_stderr_share_one_limit(sandbox: Sandbox) -> None:
    source = "import os\nwhile True: os.write(1, b'o' * 999); os.write(2, b'e' * 999)"
    execution = sandbox.run(python(source), limits=Limits(seconds=SOON, output_kb=300))
    assert execution.ending is Ending.TOO_MUCH_OUTPUT
    assert len(execution.stdout) + len(execution.stderr) == 300 * 1024
    assert set(execution.stdout) == set(b"o")
    assert set(execution.stderr) == set(b"e")


def test_what_is_printed_can_be_heard_while_the_program_runs(sandbox: Sandbox) -> None:
    program = dedent("""
        import sys, time
        print("first", flush=True)
        time.sleep(3)
        print("then", flush=True, file=sys.stderr)
    """)
    heard: list[bytes] = []
    with sandbox.open() as room:
        done = room.run(["python3", "-c", program], hear=heard.append)
        assert heard == [b"first\n", b"then\n"], "it came together, when all was over"
        assert (done.stdout, done.stderr) == (b"first\n", b"then\n")
        room.run(["python3", "-c", "print('to nobody')"])
    assert len(heard) == 2


def test_no_more_is_heard_than_is_kept(sandbox: Sandbox) -> None:
    heard: list[bytes] = []
    with sandbox.open(limits=Limits(output_kb=4)) as room:
        done = room.run(["python3", "-c", "print('x' * 100_000)"], hear=heard.append)
    assert done.ending is Ending.TOO_MUCH_OUTPUT
    assert b"".join(heard) == done.stdout == b"x" * 4096


def test_words_that_look_like_the_sandboxes_own_are_output(sandbox: Sandbox) -> None:
    forged = b"e\x00\x00\x00\x0a\x000\x000\x000\x00" + b"z\x00\x00\x00\x00" + b"\x01\x00\x00\x00\x00\x00\x00\x05hello"
    execution = sandbox.run(python(f"import os; os.write(1, {forged!r}); os.write(2, {forged!r}); os._exit(3)"))
    assert (execution.ending, execution.exit_code) == (Ending.EXITED, 3)
    assert (execution.stdout, execution.stderr) == (forged, forged)


# Input


def test_stdin_arrives_as_it_is_and_then_ends(sandbox: Sandbox) -> None:
    content = bytes(range(256)) * 4096
    source = "import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    with sandbox.open() as room:
        digest = said(room.run(python(source), stdin=content))
        assert digest.startswith("fbbab289f7f94b25736c58be46a994c4")  # of exactly this content
        assert said(room.run(["wc", "-c"])) == "0\n"  # the next program is not given the rest, and does not wait
        room.run(["true"], stdin=b"not read")
        assert said(room.run(["cat"], stdin=b"read")) == "read"


def test_fifty_megabytes_of_stdin_that_nobody_reads_hold_nothing_up(sandbox: Sandbox) -> None:
    limits = Limits(seconds=0.5, disk_mb=64, memory_mb=256)
    with sandbox.open(limits=limits) as room:
        assert room.run(["sleep", "300"], stdin=bytes(50 << 20)).ending is Ending.TIMED_OUT
        assert room.run(["true"], stdin=bytes(50 << 20), seconds=SOON).ok


def test_stdin_beyond_the_limit_is_misuse(sandbox: Sandbox) -> None:
    with sandbox.open(limits=Limits(disk_mb=1)) as room:
        with pytest.raises(SandboxMisused, match="stdin"):
            room.run(["cat"], stdin=bytes((1 << 20) + 1))
        assert room.run(["true"], stdin=bytes(1 << 20)).ok


def test_files_arrive_in_the_programs_working_folder(sandbox: Sandbox) -> None:
    files = {"empty": b"", "a/b/c.bin": bytes(range(256)) * 1000, "a/b.txt": b"text", "main.py": b"import os\n"}
    execution = sandbox.run(["pwd"], files=files, collect=["."])
    assert said(execution) == "/box\n"
    assert execution.files == files


def test_names_may_be_odd_on_the_way_in_and_out(sandbox: Sandbox) -> None:
    files = {name: name.encode() for name in ODD_NAMES}
    with sandbox.open(files=files) as room:
        assert room.run(["true"], collect=["."]).files == files
        assert room.run(["true"], collect=ODD_NAMES).files == files


def test_a_file_name_that_leaves_the_room_is_misuse(sandbox: Sandbox) -> None:
    for name in NAMES_THAT_LEAVE_THE_ROOM:
        with pytest.raises(SandboxMisused, match="files"):
            sandbox.run(["true"], files={"good": b"", name: b""})


def test_a_name_to_collect_that_leaves_the_room_is_misuse(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        for name in NAMES_THAT_LEAVE_THE_ROOM:
            with pytest.raises(SandboxMisused, match="collect"):
                room.run(["true"], collect=["good", name])


def test_a_file_that_would_have_to_be_a_folder_is_misuse(sandbox: Sandbox) -> None:
    for names in (("a", "a/b"), ("a/b/c", "a/b"), (".", "a")):
        with pytest.raises(SandboxMisused, match="files"):
            sandbox.run(["true"], files=dict.fromkeys(names, b""))


def test_files_that_just_fit_are_all_there(sandbox: Sandbox) -> None:
    files = {f"{number:03}": os.urandom(4096) for number in range(256)}
    execution = sandbox.run(["true"], files=files, collect=["."], limits=Limits(disk_mb=1))
    assert execution.files == files


@pytest.mark.parametrize(
    "files",
    [{"big": bytes((1 << 20) + 1)}, {f"{number}": b"x" for number in range(257)}],
    ids=["one large", "many small, each of one block"],
)
def test_files_that_do_not_fit_are_misuse(sandbox: Sandbox, files: dict[str, bytes]) -> None:
    with pytest.raises(SandboxMisused, match="disk_mb"):
        sandbox.run(["true"], files=files, limits=Limits(disk_mb=1))


@pytest.mark.parametrize("pattern", ["{}", "{}/{}/leaf"], ids=["files", "folders"])
def test_more_files_than_a_room_can_hold_are_misuse(sandbox: Sandbox, pattern: str) -> None:
    files = {pattern.format(number, number): b"" for number in range(20_000)}
    with pytest.raises(SandboxMisused, match="files"), sandbox.open(files=files):
        pytest.fail("a room was opened without the files that were to be in it")


# What surrounds a program


def test_a_program_sees_the_environment_it_is_given_and_nothing_of_ours(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_SECRET", "canary-4711")
    given = {"GREETING": "hello world=\n$HOME", "EMPTY": "", "HOME": "/box"}
    source = "import json, os; print(json.dumps(dict(os.environ)))"
    with sandbox.open(environment=given) as room:
        execution = room.run(python(f"{source}; print([os.environ[n] for n in {sorted(given)}])"))
    assert said(execution).endswith("['', 'hello world=\\n$HOME', '/box']\n")
    assert "canary-4711" not in said(execution)
    assert "ASSAY" not in said(execution)
    assert str(Path.cwd()) not in said(execution)


def test_an_environment_that_cannot_be_is_misuse(sandbox: Sandbox) -> None:
    for environment in ({"": "x"}, {"A=B": "x"}, {"A\0": "x"}, {"A": "x\0"}, {"A": "\ud800"}, {"\ud800": "x"}):
        with pytest.raises(SandboxMisused, match="environment"):
            sandbox.run(["true"], environment=environment)


def test_a_program_learns_nothing_of_the_host(sandbox: Sandbox) -> None:
    execution = sandbox.run(
        python("import os, socket; print(socket.gethostname(), os.getuid(), os.getgid(), os.getgroups())")
    )
    hostname, uid, gid, *groups = said(execution).split()
    assert hostname != socket.gethostname()
    assert 0 not in (int(uid), int(gid))
    assert groups in (["[]"], [f"[{gid}]"])


def test_there_is_no_network(sandbox: Sandbox) -> None:
    source = """
        import socket
        for family, kind, address in [
            (socket.AF_INET, socket.SOCK_STREAM, ("1.1.1.1", 53)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("1.1.1.1", 53)),
            (socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)),
            (socket.AF_INET, socket.SOCK_STREAM, ("172.17.0.1", 6379)),
            (socket.AF_INET6, socket.SOCK_STREAM, ("2606:4700:4700::1111", 53)),
        ]:
            with socket.socket(family, kind) as client:
                client.settimeout(5)
                try:
                    client.connect(address)
                    print("connected to", address)
                except TimeoutError:
                    print("sent to", address)
                except OSError:
                    pass
    """
    assert said(sandbox.run(python(source))) == ""


def test_only_the_rooms_own_folders_can_be_written_to(sandbox: Sandbox) -> None:
    source = """
        import os
        for folder, _, _ in os.walk("/"):
            if folder.startswith(("/proc", "/sys")):
                continue
            try:
                with open(os.path.join(folder, "assay-probe"), "w"):
                    print(folder)
                os.unlink(os.path.join(folder, "assay-probe"))
            except OSError:
                pass
    """
    # /dev/mqueue: the kernel's message queues, a few kilobytes that every user may have, and the room's own
    assert set(said(sandbox.run(python(source))).split()) - {"/dev/mqueue"} == {"/box", "/tmp", "/dev/shm"}


# What a program may use


@pytest.mark.parametrize(
    "limit",
    [
        {"seconds": 0.0}, {"seconds": -1.0}, {"seconds": 3601.0}, {"seconds": float("nan")}, {"seconds": float("inf")},
        {"memory_mb": 0}, {"memory_mb": -1}, {"memory_mb": 31}, {"memory_mb": 1 << 20}, {"memory_mb": 100.5},
        {"processes": 0}, {"processes": -1}, {"processes": 5000}, {"processes": True}, {"processes": 2.5},
        {"output_kb": 0}, {"output_kb": 1 << 20}, {"output_kb": 1.5},
        {"disk_mb": 0}, {"disk_mb": -1}, {"disk_mb": 1 << 20}, {"disk_mb": "32"},
        {"cpus": 0.0}, {"cpus": -1.0}, {"cpus": 65.0}, {"cpus": float("nan")},
    ],
    ids=lambda limit: "{}={}".format(*next(iter(limit.items()))),
)  # fmt: skip
def test_a_limit_out_of_range_is_misuse(limit: dict[str, Any]) -> None:
    with pytest.raises(SandboxMisused, match=next(iter(limit))):
        Limits(**limit)


def test_a_time_out_of_range_is_misuse(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        for seconds in (0, -1, 0.0001, float("nan"), float("inf"), 100_000):
            with pytest.raises(SandboxMisused, match="lifetime"), sandbox.open(lifetime=seconds):
                pytest.fail("a room was opened for that time")
            with pytest.raises(SandboxMisused, match="seconds"):
                room.run(["true"], seconds=seconds)


def test_the_smallest_room_is_large_enough_for_a_program(sandbox: Sandbox) -> None:
    limits = Limits(memory_mb=32, processes=1, output_kb=1, disk_mb=1)
    assert said(sandbox.run(["cat", "file"], files={"file": b"hello"}, limits=limits)) == "hello"


def test_a_program_that_takes_too_much_memory_is_out_of_memory(sandbox: Sandbox) -> None:
    execution = sandbox.run(python("held = []\nwhile True: held.append(b'x' * (1 << 20))"), limits=Limits(memory_mb=64))
    assert (execution.ending, execution.exit_code) == (Ending.OUT_OF_MEMORY, None)
    assert execution.memory_exceeded


def test_a_child_killed_for_memory_is_evidence_and_not_a_verdict(sandbox: Sandbox) -> None:
    source = """
        import subprocess, sys
        child = subprocess.run([sys.executable, "-c", "x = b'x' * (200 << 20)"])
        print("child", child.returncode)
    """
    with sandbox.open(limits=Limits(memory_mb=64)) as room:
        execution = room.run(python(source))
        assert (said(execution), execution.memory_exceeded) == ("child -9\n", True)
        afterwards = room.run(["true"])
        assert (afterwards.ok, afterwards.memory_exceeded) == (True, False)  # told of the program that did it


def test_a_room_that_memory_ended_says_so_of_all_that_follows(sandbox: Sandbox) -> None:
    source = """
        import os, time
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("0")
        for _ in range(30):
            if os.fork() == 0:
                held = b"x" * (3 << 20)
                time.sleep(300)
        time.sleep(300)
    """
    with sandbox.open(limits=Limits(memory_mb=48, seconds=SOON), lifetime=60) as room:
        room.run(python(source))
        fill = "import os\nfor p in ('/box/x', '/tmp/x'): open(p, 'wb').write(bytes(30 << 20))"
        endings = {room.run(python(fill)).ending for _ in range(5)}
        assert endings <= {Ending.OUT_OF_MEMORY, Ending.EXITED, Ending.NOT_STARTED}
        assert Ending.OUT_OF_MEMORY in endings


def test_a_program_may_have_as_many_processes_as_it_was_given(sandbox: Sandbox) -> None:
    source = """
        import os, time
        alive = 1
        try:
            while alive < 200:
                if os.fork() == 0:
                    time.sleep(300)
                alive += 1
        except BlockingIOError:
            pass
        print(alive)
    """
    with sandbox.open(limits=Limits(processes=7)) as room:
        for _ in range(2):  # what the first left running does not count for the second
            assert said(room.run(python(source))) == "7\n"


def test_threads_count_as_processes(sandbox: Sandbox) -> None:
    source = """
        import threading, time
        alive = 1
        try:
            while alive < 200:
                threading.Thread(target=time.sleep, args=(300,), daemon=True).start()
                alive += 1
        except RuntimeError:
            pass
        print(alive, flush=True)
    """
    assert said(sandbox.run(python(source), limits=Limits(processes=9))) == "9\n"


def test_a_fork_bomb_ends_when_its_time_is_over(sandbox: Sandbox) -> None:
    bomb = """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
    """
    with sandbox.open(limits=Limits(processes=64)) as room:
        execution = room.run(python(bomb), seconds=0.5)
        assert execution.ending is Ending.TIMED_OUT
        assert execution.seconds < SOON
        assert said(room.run(["echo", "well"])) == "well\n"


@pytest.mark.parametrize("folder", ["/box", "/tmp", "/dev/shm"])
def test_a_full_disk_is_told_to_the_program(sandbox: Sandbox, folder: str) -> None:
    source = f"""
        import os
        written = 0
        try:
            for number in range(64):
                with open(f"{folder}/{{number}}", "wb", buffering=0) as file:
                    written += file.write(bytes(1 << 18))
        except OSError as error:
            print(error.errno)
        print(written)
    """
    number, written = said(sandbox.run(python(source), limits=Limits(disk_mb=4))).split()
    assert int(number) == errno.ENOSPC
    assert 3 << 20 <= int(written) <= 4 << 20


def test_files_without_number_are_stopped(sandbox: Sandbox) -> None:
    source = """
        import os
        made = 0
        try:
            while made < 200_000:
                os.close(os.open(f"/box/{made}", os.O_CREAT | os.O_WRONLY))
                made += 1
        except OSError as error:
            print(error.errno, made)
    """
    execution = sandbox.run(python(source), limits=Limits(seconds=SOON), collect=["."])
    number, made = said(execution).split()
    assert int(number) == errno.ENOSPC
    assert int(made) < 100_000
    assert len(execution.files) + len(execution.refused) < 2000


def test_a_file_larger_than_the_disk_cannot_be_made_not_even_of_holes(sandbox: Sandbox) -> None:
    source = """
        import os, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with open("sparse", "wb") as file:
            try:
                file.truncate(10 << 30)
            except OSError as error:
                print(error.errno)
            file.truncate(2 << 20)
    """
    execution = sandbox.run(python(source), limits=Limits(disk_mb=2), collect=["sparse"])
    assert said(execution) == f"{errno.EFBIG}\n"
    assert execution.files == {"sparse": bytes(2 << 20)}


BURN = "while time.process_time() < 0.4: pass"


@pytest.mark.parametrize(
    "source",
    [
        BURN,
        f"""
        if os.fork() == 0:
            {BURN}
            os._exit(0)
        os.wait()
        """,
        f"""
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                {BURN}
                os.write(writer, b"x")
                time.sleep(300)
            os._exit(0)
        os.wait()
        os.read(reader, 1)
        """,
    ],
    ids=["by itself", "in a child", "in a child of a child that is gone"],
)
def test_processor_time_is_counted_wherever_it_is_spent(sandbox: Sandbox, source: str) -> None:
    with sandbox.open() as room:
        spent = room.run(["python3", "-c", "import os, time\n" + dedent(source)]).cpu_seconds
        assert spent is not None
        assert spent >= 0.39
        idle = room.run(["sleep", "0.5"]).cpu_seconds
        assert idle is not None
        assert idle < 0.3  # and only of what ran in between


def test_time_is_measured_outside_whatever_the_program_says(sandbox: Sandbox) -> None:
    source = """
        import time
        sleep = time.sleep
        time.time = time.monotonic = time.perf_counter = lambda: 0.0
        started = time.time()
        sleep(0.5)
        print(time.time() - started)
    """
    execution = sandbox.run(python(source))
    assert said(execution) == "0.0\n"
    assert 0.5 <= execution.seconds < SOON


# What a program leaves behind


DAEMON = """
import os, time
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writer, b"x")
        while True:
            with open("/box/count", "a") as file:
                file.write("x")
            time.sleep(0.001)
    os._exit(0)
os.read(reader, 1)
print("done")
"""


def test_what_a_program_leaves_running_is_ended_before_files_are_read(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        execution = room.run(["python3", "-c", DAEMON], collect=["count"])
        assert said(execution) == "done\n"
        assert execution.seconds < SOON  # although its child held stdout open
        later = room.run(["sleep", "0.1"], collect=["count"])
        assert later.files.get("count", b"") == execution.files.get("count", b"")


def test_a_program_finds_no_process_of_the_one_before(sandbox: Sandbox) -> None:
    count = """
        import os
        mine = os.getuid()
        print(sum(name.isdigit() and name != "1" and os.stat(f"/proc/{name}").st_uid == mine
                  for name in os.listdir("/proc")))
    """
    with sandbox.open() as room:
        assert said(room.run(["python3", "-c", DAEMON])) == "done\n"
        assert said(room.run(python(count))) == "1\n"


def test_a_program_that_signals_everything_ends_nothing_of_ours(sandbox: Sandbox) -> None:
    source = """
        import os, signal
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            for target in (1, -1):
                try:
                    os.kill(target, number)
                except OSError:
                    pass
        print("still here")
    """
    with sandbox.open() as room:
        assert said(room.run(python(source))) == "still here\n"
        assert said(room.run(["echo", "so are we"])) == "so are we\n"


def test_programs_of_one_room_share_its_files(sandbox: Sandbox) -> None:
    with sandbox.open(files={"in": b"1"}) as room:
        room.run(["sh", "-c", "cp in box; echo tmp > /tmp/x; echo shm > /dev/shm/x; rm in"])
        execution = room.run(["cat", "box", "/tmp/x", "/dev/shm/x"], collect=["."])
        assert said(execution) == "1tmp\nshm\n"
        assert execution.files == {"box": b"1"}


def test_a_room_is_empty_of_the_last_rooms_files(sandbox: Sandbox) -> None:
    folders = "/box /tmp /dev/shm /dev/mqueue /var/tmp /run"
    look = ["sh", "-c", f"find {folders} 2>/dev/null; true"]
    before = said(sandbox.run(look))
    left = said(sandbox.run(["sh", "-c", f"for d in {folders}; do touch $d/left && echo $d; done 2>/dev/null; true"]))
    assert "/box" in left
    assert said(sandbox.run(look)) == before


def test_two_rooms_at_once_know_nothing_of_each_other(sandbox: Sandbox) -> None:
    listen = """
        import socket, time
        server = socket.create_server(("127.0.0.1", 5000))
        hidden = socket.socket(socket.AF_UNIX)
        hidden.bind("\\0abstract")
        hidden.listen()
        open("/dev/shm/mark", "w").close()
        time.sleep(300)
    """
    reach = """
        import os, socket
        for family, address in ((socket.AF_INET, ("127.0.0.1", 5000)), (socket.AF_UNIX, "\\0abstract")):
            print(socket.socket(family).connect_ex(address))
        others = [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())]
        print(os.listdir("/dev/shm"), others)
    """
    with sandbox.open() as one, sandbox.open() as other:
        one.serve(python(listen))
        with one.probe(WAIT_FOR_PORT, "5000") as probe:
            assert probe.ask(b"?").line == b"it listens"
        refused = f"{errno.ECONNREFUSED}\n"
        assert said(other.run(python(reach))) == refused + refused + "[] []\n"


def test_an_error_of_the_caller_takes_the_room_down_too(sandbox: Sandbox) -> None:
    def grade() -> None:
        with sandbox.open() as room:
            room.serve(["sleep", "300"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        grade()  # and the fixture finds nothing left of it


def test_a_room_ends_when_its_lifetime_is_over(sandbox: Sandbox) -> None:
    with sandbox.open(lifetime=2.5) as room, room.probe(ECHO) as probe:
        assert probe.ask(b"hello").line == b"you said hello"
        execution = room.run(["sleep", "300"], seconds=250)
        assert execution.ending is Ending.TIMED_OUT
        assert execution.seconds < SOON
        assert room.run(["true"]).ending is Ending.TIMED_OUT
        room.serve(["true"])
        assert room.stop().ending is Ending.TIMED_OUT
        assert probe.ask(b"hello").line is None
        with room.probe(ECHO) as late:
            answer = late.ask(b"hello")
        assert (answer.line, bool(answer.silence)) == (None, True)


def test_a_lifetime_that_is_over_is_not_mistaken_for_memory(sandbox: Sandbox) -> None:
    hog = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytes(1) * (200 << 20)'])"
    with sandbox.open(lifetime=2.5, limits=Limits(memory_mb=64)) as room:
        assert room.run(python(hog)).memory_exceeded
        execution = room.run(["sleep", "300"], seconds=250)
        assert (execution.ending, execution.memory_exceeded) == (Ending.TIMED_OUT, False)


# What is collected


def test_only_what_was_asked_for_is_collected(sandbox: Sandbox) -> None:
    make = "mkdir -p out/deep; echo 1 > out/one; echo 2 > out/deep/two; echo 3 > three; : > out/empty"
    execution = sandbox.run(["sh", "-c", make], collect=["out", "missing", "no/such/folder"])
    assert execution.files == {"out/one": b"1\n", "out/deep/two": b"2\n", "out/empty": b""}
    assert execution.refused == {}


def test_files_are_collected_however_the_program_ended(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        for number, rest in enumerate(("exit 3", "sleep 300", "kill -9 $$", "yes")):
            execution = room.run(["sh", "-c", f"echo {number} > file; {rest}"], collect=["file"], seconds=2)
            assert execution.files == {"file": b"%d\n" % number}
            assert not execution.ok


def test_a_link_that_is_collected_is_refused_and_never_followed(sandbox: Sandbox) -> None:
    make = """
        echo mine > real
        mkdir folder; echo inner > folder/file
        ln -s /etc/passwd file; ln -s /proc/1/environ environ; ln -s real near; ln -s nowhere dangling; ln -s loop loop
        ln -s /etc etc; ln -s folder alias
        mkdir out; ln -s /etc/hostname out/file; ln -s / out/root
    """
    wanted = ["file", "environ", "near", "dangling", "loop", "etc", "etc/passwd", "alias/file", "out", "real"]
    execution = sandbox.run(["sh", "-c", make], collect=wanted)
    assert execution.files == {"real": b"mine\n"}
    assert execution.refused.keys() == {*wanted, "out/file", "out/root"} - {"out", "real"}
    assert all("link" in reason for reason in execution.refused.values())


def test_what_is_no_regular_file_is_refused_without_waiting(sandbox: Sandbox) -> None:
    source = """
        import os, socket
        os.mkdir("out")
        os.mkfifo("out/pipe")
        socket.socket(socket.AF_UNIX).bind("out/socket")
        open("out/file", "w").close()
    """
    for wanted in (["out"], ["out/pipe", "out/socket", "out/file"]):
        execution = sandbox.run(python(source), collect=wanted)
        assert execution.ok
        assert execution.files == {"out/file": b""}
        assert execution.refused == {"out/pipe": "a pipe", "out/socket": "a socket"}


def test_a_file_with_two_names_is_a_file(sandbox: Sandbox) -> None:
    execution = sandbox.run(["sh", "-c", "echo x > one; ln one two"], collect=["two", "one"])
    assert execution.files == {"one": b"x\n", "two": b"x\n"}


def test_files_that_cannot_be_read_are_refused(sandbox: Sandbox) -> None:
    make = "mkdir closed; echo x > closed/file; echo y > locked; echo z > open; chmod 0 closed locked"
    with sandbox.open() as room:
        execution = room.run(["sh", "-c", make], collect=["closed", "closed/file", "locked", "open"])
        assert execution.files == {"open": b"z\n"}
        assert execution.refused.keys() == {"closed", "closed/file", "locked"}
        everything = room.run(["true"], collect=["."])
        assert everything.files == {"open": b"z\n"}
        assert everything.refused.keys() == {"closed", "locked"}


def test_a_program_that_locks_its_own_folder_harms_only_itself(sandbox: Sandbox) -> None:
    with sandbox.open(files={"file": b"x"}) as room:
        execution = room.run(["chmod", "0", "/box"], collect=["file", "."])
        assert execution.ok
        assert execution.files == {}
        assert execution.refused
        assert room.run(["true"]).ending in (Ending.NOT_STARTED, Ending.EXITED)


def test_all_files_together_are_no_more_than_the_disk(sandbox: Sandbox) -> None:
    source = """
        for name in "abc":
            with open(name, "wb") as file:
                file.truncate(1_500_000)
        open("d", "w").write("small")
    """
    execution = sandbox.run(python(source), limits=Limits(disk_mb=2), collect=["a", "b", "c", "d"])
    assert execution.files == {"a": bytes(1_500_000), "d": b"small"}
    assert execution.refused.keys() == {"b", "c"}


def test_of_thousands_of_files_some_are_taken_and_the_rest_is_refused(sandbox: Sandbox) -> None:
    source = """
        import os
        os.mkdir("many")
        for number in range(3000):
            open(f"many/{number:04}", "w").close()
    """
    execution = sandbox.run(python(source), collect=["many"])
    assert execution.ok
    assert 500 <= len(execution.files) < 3000
    assert set(execution.files) == {f"many/{number:04}" for number in range(len(execution.files))}
    assert len(execution.refused) == 1


def test_folders_without_end_are_refused(sandbox: Sandbox) -> None:
    source = """
        import os
        open("file", "w").close()
        os.mkdir("deep")
        os.chdir("deep")
        for _ in range(3000):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
        open("file", "w").close()
    """
    execution = sandbox.run(python(source), collect=["deep", "file"])
    assert execution.ok
    assert execution.files == {"file": b""}
    assert len(execution.refused) == 1


def test_names_that_are_no_text_can_be_stored_and_printed(sandbox: Sandbox) -> None:
    source = r"""
        import os
        os.mkdir("out")
        for name in (b"\xff\xfe", b"\xed\xa0\x80", b"caf\xe9", "naïve".encode(), b"\x01\x7f"):
            with open(b"out/" + name, "wb") as file:
                file.write(name)
        os.symlink("x", b"out/\xfflink")
    """
    execution = sandbox.run(python(source), collect=["out"])
    assert execution.ok
    for name in (*execution.files, *execution.refused):
        assert name.encode().decode() == name  # no surrogates: databases and JSON take it
    assert execution.files == {"out/naïve": "naïve".encode(), "out/\x01\x7f": b"\x01\x7f"}
    assert len(execution.refused) == 4  # made readable, one such name could be taken for another


# A program that goes on, and what is asked of it


SERVER = """
import http.server

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path[::-1].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", 8000), Page).serve_forever()
"""

CLIENT = """
import sys, time, urllib.request
for line in sys.stdin:
    for attempt in range(200):
        try:
            with urllib.request.urlopen("http://127.0.0.1:8000/" + line.strip(), timeout=5) as answer:
                print(answer.read().decode(), flush=True)
                break
        except OSError:
            time.sleep(0.05)
"""


def test_a_served_program_is_asked_through_a_probe_and_then_stopped(sandbox: Sandbox) -> None:
    with sandbox.open(files={"server.py": SERVER.encode()}) as room:
        room.serve(["python3", "server.py"])
        with room.probe(CLIENT) as probe:
            assert [probe.ask(word).line for word in (b"abc", b"xyz")] == [b"cba/", b"zyx/"]
        execution = room.stop()
        assert (execution.ending, execution.exit_code, execution.ok) == (Ending.STOPPED, None, False)
        assert execution.stdout == b"listening\n"
        assert b"GET /abc" in execution.stderr
        assert execution.seconds > 0


def test_after_a_served_program_the_room_is_free_again(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        for _ in range(2):
            room.serve(["python3", "-c", DAEMON + "time.sleep(300)"])
            assert room.stop().ending is Ending.STOPPED
            before = room.run(["true"], collect=["count"]).files
            assert room.run(["sleep", "0.05"], collect=["count"]).files == before


WAIT_FOR_END = """
import os, sys, time

def alive(uid):
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            try:
                if os.stat(f"/proc/{name}").st_uid == uid:
                    return True
            except OSError:
                pass

for line in sys.stdin:
    while alive(int(line)):
        time.sleep(0.01)
    print("it is gone", flush=True)
"""


def test_a_served_program_that_ended_by_itself_tells_how(sandbox: Sandbox) -> None:
    with sandbox.open() as room, room.probe(WAIT_FOR_END) as probe:
        uid = room.run(["id", "-u"]).stdout.strip()
        for command, code in ((["sh", "-c", "echo bye; exit 7"], 7), (["sh", "-c", "kill -11 $$"], 139), (["true"], 0)):
            room.serve(command)
            assert probe.ask(uid, seconds=SOON).line == b"it is gone"
            execution = room.stop()
            assert (execution.ending, execution.exit_code) == (Ending.EXITED, code)


def test_a_served_program_that_memory_ended_tells_so(sandbox: Sandbox) -> None:
    with sandbox.open(limits=Limits(memory_mb=64)) as room, room.probe(WAIT_FOR_END) as probe:
        uid = room.run(["id", "-u"]).stdout.strip()
        room.serve(python("held = []\nwhile True: held.append(b'x' * (1 << 20))"))
        assert probe.ask(uid, seconds=SOON).line == b"it is gone"
        execution = room.stop()
        assert (execution.ending, execution.memory_exceeded) == (Ending.OUT_OF_MEMORY, True)


def test_a_served_command_that_does_not_exist_is_a_value(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        room.serve(["no-such-command"])
        execution = room.stop()
        assert (execution.ending, execution.exit_code) == (Ending.NOT_STARTED, None)
        assert execution.stderr
        assert room.run(["true"]).ok


def test_a_served_program_that_floods_its_log_goes_on(sandbox: Sandbox) -> None:
    source = """
        import os
        number = 0
        while True:
            os.write(1, b"%d\\n" % number)
            number += 1
            if number == 100_000:
                open("/dev/shm/flooded", "w").close()
                os.chmod("/dev/shm", 0o777)
    """
    wait = """
import os, sys, time
for _ in sys.stdin:
    while not os.path.exists("/dev/shm/flooded"):
        time.sleep(0.01)
    print("flooded", flush=True)
"""
    with sandbox.open(limits=Limits(output_kb=16)) as room:
        room.serve(python("import os; os.chmod('/dev/shm', 0o755)\n" + dedent(source)))
        with room.probe(wait) as probe:
            assert probe.ask(b"?", seconds=SOON).line == b"flooded"
        execution = room.stop()
    assert execution.ending is Ending.STOPPED
    assert execution.stdout == b"".join(b"%d\n" % number for number in range(10_000))[: 16 * 1024]


def test_stop_without_serve_is_misuse(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        with pytest.raises(SandboxMisused):
            room.stop()
        room.serve(["sleep", "300"])
        room.stop()
        with pytest.raises(SandboxMisused):
            room.stop()
        assert room.run(["true"]).ok


def test_a_second_program_beside_the_served_one_is_misuse(sandbox: Sandbox) -> None:
    with sandbox.open() as room:
        room.serve(["sleep", "300"])
        with pytest.raises(SandboxMisused):
            room.run(["true"])
        with pytest.raises(SandboxMisused):
            room.serve(["true"])
        assert room.stop().ending is Ending.STOPPED


def test_a_probe_is_given_its_arguments_and_nothing_of_the_candidates(sandbox: Sandbox) -> None:
    program = "import json, random, sys\nfor _ in sys.stdin: print(sys.argv[1:], random.__file__, flush=True)"
    files = {"random.py": b"print('mine')", "json.py": b"print('mine')", "sitecustomize.py": b"print('mine')"}
    with sandbox.open(files=files, environment={"PYTHONPATH": "/box", "PYTHONSTARTUP": "/box/json.py"}) as room:
        room.run(["chmod", "-R", "777", "/box"])
        with room.probe(program, "one", "two words", "") as probe:
            line = probe.ask(b"?").line
        assert line is not None
        assert line.startswith(b"['one', 'two words', ''] ")
        assert b"/box" not in line


def test_the_hundredth_question_still_gets_its_own_answer(sandbox: Sandbox) -> None:
    with sandbox.open() as room, room.probe(ECHO) as probe, room.probe(ECHO) as second:
        for number in range(100):
            question = b"%d " % number + b"x" * (number * 100)
            assert probe.ask(question).line == b"you said " + question.strip()
            assert second.ask(b"other %d" % number).line == b"you said other %d" % number


def test_a_probe_may_ask_while_a_program_that_ended_is_followed_by_another(sandbox: Sandbox) -> None:
    with sandbox.open() as room, room.probe(ECHO) as probe:
        for _ in range(3):
            assert room.run(["true"]).ok
            assert probe.ask(b"?").line == b"you said ?"


def test_a_probe_that_was_silent_once_stays_silent(sandbox: Sandbox) -> None:
    program = "import sys, time\nfor line in sys.stdin:\n    time.sleep(0.5)\n    print(line.strip(), flush=True)"
    with sandbox.open() as room, room.probe(program) as probe:
        first = probe.ask(b"first", seconds=0.2)
        assert first.line is None
        assert first.silence
        assert first.seconds < SOON
        second = probe.ask(b"second", seconds=5)
        assert (second.line, second.silence) == (None, first.silence)
        with room.probe(ECHO) as fresh:
            assert fresh.ask(b"hello").line == b"you said hello"


def test_an_answer_that_is_too_long_is_silence(sandbox: Sandbox) -> None:
    program = "import sys\nfor line in sys.stdin: print('x' * int(line), flush=True)"
    with sandbox.open(limits=Limits(output_kb=4)) as room:
        with room.probe(program) as probe:
            assert probe.ask(b"4096").line == b"x" * 4096
            answer = probe.ask(b"4097")
            assert answer.line is None
            assert "long" in answer.silence
            assert probe.ask(b"1").line is None
        endless = "import sys\nsys.stdin.readline()\nwhile True: sys.stdout.write('x' * 1000)"
        with room.probe(endless) as probe:
            assert "long" in probe.ask(b"?").silence


def test_a_probe_that_fails_is_silent_and_its_complaint_is_kept(sandbox: Sandbox) -> None:
    with sandbox.open() as room, room.probe("import sys\nsys.stdin.readline()\nraise ValueError('oh no')") as probe:
        answer = probe.ask(b"?")
        assert (answer.line, bool(answer.silence)) == (None, True)
        assert b"ValueError: oh no" in probe.stderr
        assert room.run(["true"]).ok


def test_a_probe_that_complains_without_end_does_not_hold_us_up(sandbox: Sandbox) -> None:
    program = "import sys\nsys.stdin.readline()\nwhile True: sys.stderr.write('no' * 5000)"
    with sandbox.open() as room, room.probe(program) as probe:
        answer = probe.ask(b"?", seconds=0.5)
        assert answer.line is None
        assert answer.seconds < SOON
        assert len(probe.stderr) < 1 << 20


def test_a_question_of_two_lines_is_misuse(sandbox: Sandbox) -> None:
    with sandbox.open() as room, room.probe(ECHO) as probe:
        with pytest.raises(SandboxMisused):
            probe.ask(b"one\ntwo")
        assert probe.ask(b"one").line == b"you said one"


def test_a_probe_cannot_be_signalled_or_read_by_the_candidates_program(sandbox: Sandbox) -> None:
    source = """
        import ctypes, os, signal
        libc = ctypes.CDLL(None, use_errno=True)
        mine = os.getuid()
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            if name != "1":
                print("found", os.stat(f"/proc/{name}").st_uid == mine)
            for number in (signal.SIGSTOP, signal.SIGKILL):
                try:
                    os.kill(int(name), number)
                    print("signalled", name) if name != "1" else None
                except PermissionError:
                    pass
            for part in ("mem", "environ", "maps", "fd/0", "fd/1", "root/etc/passwd", "io", "syscall", "stack"):
                try:
                    with open(f"/proc/{name}/{part}", "rb") as file:
                        print("read", name, part, file.read(1))
                except OSError:
                    pass
            if libc.ptrace(16, int(name), 0, 0) == 0:
                print("traced", name)
        os.kill(-1, signal.SIGKILL)
    """
    with sandbox.open() as room, room.probe(ECHO) as probe:
        found = said(room.run(python(source))).splitlines()
        assert found
        assert set(found) == {"found False"}
        assert probe.ask(b"?").line == b"you said ?"


def test_a_fork_bomb_does_not_keep_a_probe_from_its_answers(sandbox: Sandbox) -> None:
    bomb = """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
    """
    with sandbox.open(limits=Limits(processes=32)) as room, room.probe(ECHO) as before:
        room.serve(python(bomb))
        for _ in range(10):
            assert before.ask(b"?", seconds=SOON).line == b"you said ?"
        with room.probe(ECHO) as during:
            assert during.ask(b"?", seconds=SOON).line == b"you said ?"
        assert room.stop().ending is Ending.STOPPED
        assert room.run(["true"]).ok


# Gateways


class Shout(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.read().upper())


@contextmanager
def gateway(folder: Path) -> Iterator[Path]:
    """A service of ours on a unix socket: what it is told until the other side ends comes back in capitals."""
    path = folder / "shout.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Shout) as server:
        path.chmod(0o777)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield path
        finally:
            server.shutdown()
            thread.join()


SPEAK = """
import socket, sys
content = sys.stdin.buffer.read()
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
    client.sendall(content)
    client.shutdown(socket.SHUT_WR)
    while piece := client.recv(65536):
        sys.stdout.buffer.write(piece)
"""


def test_a_gateway_is_reached_through_localhost_and_nothing_else_is(sandbox: Sandbox, tmp_path: Path) -> None:
    long = string.ascii_lowercase.encode() * 8000
    with gateway(tmp_path) as path, sandbox.open(gateways={9000: path}) as room:
        for content in (b"", b"hello", long):
            assert room.run(["python3", "-c", SPEAK, "9000"], stdin=content).stdout == content.upper()
        assert b"ConnectionRefusedError" in room.run(["python3", "-c", SPEAK, "9001"], stdin=b"hello").stderr
        assert said(room.run(["sh", "-c", f"ls {tmp_path} 2>&1 || true"])).find("shout") == -1


def test_a_program_can_neither_end_nor_replace_a_gateway(sandbox: Sandbox, tmp_path: Path) -> None:
    source = """
        import os, signal, socket
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in (1, os.getpid()):
                try:
                    os.kill(int(name), signal.SIGKILL)
                    print("killed", name)
                except PermissionError:
                    pass
        for folder, _, files in os.walk("/gateways"):
            for file in files:
                try:
                    os.unlink(f"{folder}/{file}")
                    print("removed", file)
                except OSError:
                    pass
        try:
            socket.create_server(("127.0.0.1", 9000))
            print("replaced")
        except OSError:
            pass
    """
    with gateway(tmp_path) as path, sandbox.open(gateways={9000: path}) as room:
        assert said(room.run(python(source))) == ""
        assert room.run(["python3", "-c", SPEAK, "9000"], stdin=b"hello").stdout == b"HELLO"


def test_a_room_without_gateways_has_none_of_another_room(sandbox: Sandbox, tmp_path: Path) -> None:
    with gateway(tmp_path) as path, sandbox.open(gateways={9000: path}), sandbox.open() as room:
        assert b"ConnectionRefusedError" in room.run(["python3", "-c", SPEAK, "9000"], stdin=b"hello").stderr


def test_a_gateway_at_a_port_that_cannot_be_is_misuse(sandbox: Sandbox, tmp_path: Path) -> None:
    with gateway(tmp_path) as path:
        for port in (0, 80, -1, 70_000):
            with pytest.raises(SandboxMisused, match="gateways"), sandbox.open(gateways={port: path}):
                pytest.fail("a room was opened")


def test_a_gateway_that_is_not_there_is_misuse(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no socket")
    for path in (tmp_path / "none", tmp_path / "file", tmp_path):
        with pytest.raises(SandboxMisused, match="gateways"), sandbox.open(gateways={9000: path}):
            pytest.fail("a room was opened")
