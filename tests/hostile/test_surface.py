"""B: the kernel, the container's file tree, and our own processes beside a candidate's.

The ids are those of `sandbox.md`, §3. After every test an honest program runs on the same engine (fixture `sandbox`).

| id | where it is |
|---|---|
| B8 | families of sockets here; what two programs can say through the allowed ones is in `test_network.py` |
| B22 | nobody but us can choose an image: `Sandbox` has no such argument, and a room's image is an id (here) |
| B2 | `/proc/self/mountinfo` names the engine's own folders and the container's id, which a container cannot hide |
"""

import json
import platform
import secrets
import socket
import time
from inspect import signature
from typing import Final

import pytest

from sandbox import Ending, Limits, Sandbox
from sandbox.docker import DockerSandbox, Engine
from sandbox.settings import PROJECT, SandboxSettings
from tests.hostile.attack import attack, command, program

pytestmark = pytest.mark.docker

EPERM: Final = 1
EINVAL: Final = 22
ENOSYS: Final = 38
EAFNOSUPPORT: Final = 97
SLOW: Final = Limits(seconds=30, memory_mb=128)

# Numbers of x86-64. With seccomp out of the way most of these would fail otherwise: no such process, bad address.
REFUSED: Final[dict[str, tuple[int, list[int | str]]]] = {
    "io_uring_setup": (425, [8, "buffer"]),
    "io_uring_enter": (426, [0, 0, 0, 0]),
    "io_uring_register": (427, [0, 0, 0, 0]),
    "io_setup": (206, [1, "buffer"]),
    "bpf": (321, [0, "buffer", 72]),
    "perf_event_open": (298, ["buffer", 0, -1, -1, 0]),
    "userfaultfd": (323, [0]),
    "keyctl": (250, [0, -3, 1]),
    "add_key": (248, ["buffer", "buffer", "buffer", 1, -3]),
    "request_key": (249, ["buffer", "buffer", 0, -3]),
    "ptrace traceme": (101, [0, 0, 0, 0]),
    "ptrace attach": (101, [16, 1, 0, 0]),
    "ptrace seize": (101, [0x4206, 1, 0, 0]),
    "process_vm_readv": (310, [1, "buffer", 1, "buffer", 1, 0]),
    "process_vm_writev": (311, [1, "buffer", 1, "buffer", 1, 0]),
    "process_madvise": (440, [0, "buffer", 1, 4, 0]),
    "process_mrelease": (448, [0, 0]),
    "pidfd_getfd": (438, [0, 0, 0]),
    "kcmp": (312, [1, 1, 0, 0, 0]),
    "unshare user": (272, [0x10000000]),
    "unshare mount": (272, [0x20000]),
    "unshare files": (272, [0x400]),
    "setns": (308, [0, 0]),
    "mount": (165, ["buffer", "buffer", "buffer", 0, 0]),
    "umount2": (166, ["buffer", 2]),
    "fsopen": (430, ["buffer", 0]),
    "fsconfig": (431, [0, 6, 0, 0, 0]),
    "fsmount": (432, [0, 0, 0]),
    "fspick": (433, [-100, "buffer", 0]),
    "open_tree": (428, [-100, "buffer", 1]),
    "move_mount": (429, [-100, "buffer", -100, "buffer", 0]),
    "mount_setattr": (442, [-100, "buffer", 0, "buffer", 32]),
    "statmount": (457, ["buffer", "buffer", 4096, 0]),
    "listmount": (458, ["buffer", "buffer", 8, 0]),
    "pivot_root": (155, ["buffer", "buffer"]),
    "chroot": (161, ["buffer"]),
    "kexec_load": (246, [0, 0, 0, 0]),
    "kexec_file_load": (320, [-1, -1, 0, 0, 0]),
    "init_module": (175, ["buffer", 0, "buffer"]),
    "finit_module": (313, [0, "buffer", 0]),
    "delete_module": (176, ["buffer", 0]),
    "open_by_handle_at": (304, [-100, "buffer", 0]),
    "name_to_handle_at": (303, [-100, "buffer", "buffer", "buffer", 0x1000]),
    "memfd_secret": (447, [0]),
    "quotactl": (179, [0x800007, 0, 0, "buffer"]),
    "quotactl_fd": (443, [0, 0, 0, 0]),
    "syslog": (103, [3, "buffer", 100]),
    "acct": (163, [0]),
    "swapon": (167, ["buffer", 0]),
    "swapoff": (168, ["buffer"]),
    "reboot": (169, [0xFEE1DEAD, 0x28121969, 0x89ABCDEF, 0]),
    "iopl": (172, [3]),
    "ioperm": (173, [0x80, 1, 1]),
    "modify_ldt": (154, [0, "buffer", 16]),
    "vhangup": (153, []),
    "sethostname": (170, ["buffer", 1]),
    "setdomainname": (171, ["buffer", 1]),
    "settimeofday": (164, ["buffer", 0]),
    "clock_settime": (227, [0, "buffer"]),
    "clock_adjtime": (305, [0, "buffer"]),
    "adjtimex": (159, ["buffer"]),
    "seccomp listener": (317, [1, 8, "buffer"]),
    "fanotify_init": (300, [0, 0]),
    "lookup_dcookie": (212, [0, "buffer", 100]),
    "nfsservctl": (180, [0, 0, 0]),
    "vmsplice": (278, [0, "buffer", 1, 0]),
    "move_pages": (279, [1, 0, 0, 0, 0, 0]),
    "migrate_pages": (256, [1, 1, "buffer", "buffer"]),
    "mbind": (237, [0, 0, 0, 0, 0, 0]),
    "set_mempolicy": (238, [0, 0, 0]),
    "ioprio_set": (251, [1, 1, 0x6000]),
    "sched_setattr": (314, [1, "buffer", 0]),
    "sched_setscheduler fifo": (144, [0, 1, "buffer"]),
    "setpriority of PID 1": (141, [0, 1, 19]),
    "setpriority of a user": (141, [2, 0, 19]),
    "setpriority of a group": (141, [1, 0, 19]),
    "prlimit of PID 1": (302, [1, 0, "buffer", 0]),
    "prlimit of PID 1 in the lower half": (302, [0x100000001, 0, "buffer", 0]),
    "personality": (135, [0x0040000]),
    "personality of 32 bits": (135, [8]),
    "mq_open": (240, ["buffer", 0o102, 0o600, 0]),
    "mq_notify": (244, [0, "buffer"]),
    "msgget": (68, [0, 0o1600]),
    "semget": (64, [0, 1, 0o1600]),
    "setxattr": (188, ["buffer", "buffer", "buffer", 1, 0]),
    "mknod of a disk": (133, ["buffer", 0o060666, 0xFE00]),
    "mknod of memory": (133, ["buffer", 0o020666, 0x101]),
    "mknodat of a disk": (259, [-100, "buffer", 0o060666, 0xFE00]),
    "sysfs": (139, [3]),
    "ustat": (136, [0, "buffer"]),
    "uselib": (134, ["buffer"]),
    "remap_file_pages": (216, [0, 0, 0, 0, 0]),
    "map_shadow_stack": (453, [0, 4096, 0]),
    "cachestat": (451, [0, "buffer", "buffer", 0]),
    "a call that does not exist yet": (1000, []),
    **{
        f"clone with {name}": (56, [flag | 17, 0, 0, 0, 0])
        for name, flag in {
            "NEWNS": 0x20000,
            "NEWCGROUP": 0x2000000,
            "NEWUTS": 0x4000000,
            "NEWIPC": 0x8000000,
            "NEWUSER": 0x10000000,
            "NEWPID": 0x20000000,
            "NEWNET": 0x40000000,
        }.items()
    },
}
FAMILIES_ALLOWED: Final = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}
SOCKETS: Final[dict[str, tuple[int, list[int | str]]]] = {
    **{
        f"{call} family {family} type {kind}": (number, [family, kind, 0, "buffer"])
        for call, number in (("socket", 41), ("socketpair", 53))
        for family in range(46)
        for kind in (1, 2, 3, 5)
        if family not in FAMILIES_ALLOWED
    },
    **{
        f"socket family {family} protocol {protocol}": (41, [family, kind, protocol])
        for family in (socket.AF_INET, socket.AF_INET6)
        for kind in (1, 2, 3, 5, 10)
        for protocol in (1, 2, 33, 58, 115, 132, 136, 255, 262)
    },
    **{f"socketpair of inet {family}": (53, [family, 1, 0, "buffer"]) for family in (2, 10)},
    "packet socket": (41, [17, 3, 0x300]),
    "a family in the upper half": (41, [0x100000010, 3, 0]),
    "a protocol in the upper half": (41, [2, 1, 0x100000106]),
}
only_here = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are those of x86-64")


def calls(sandbox: Sandbox, table: dict[str, tuple[int, list[int | str]]]) -> dict[str, int | str]:
    order = json.dumps([(name, number, words) for name, (number, words) in table.items()]).encode()
    execution = attack(sandbox, "surface/syscalls", limits=SLOW, stdin=order)
    assert execution.ok, execution
    said: dict[str, int | str] = json.loads(execution.stdout)
    assert said.keys() == table.keys()
    return said


@only_here
def test_system_calls_that_no_program_needs_are_refused(sandbox: Sandbox) -> None:
    """B4, B6, B10, B11, B13, and many of no number"""
    said = calls(sandbox, REFUSED)
    assert {name: error for name, error in said.items() if error not in (-EPERM, -ENOSYS)} == {}


@only_here
def test_the_newer_clone_looks_as_if_it_did_not_exist(sandbox: Sandbox) -> None:
    """B4: its flags lie in memory, where a filter cannot look; libraries then use the older one."""
    assert calls(sandbox, {"clone3": (435, ["buffer", 88])}) == {"clone3": -ENOSYS}


@only_here
def test_sockets_of_other_families_and_protocols_are_refused(sandbox: Sandbox) -> None:
    """B7, B8: also as pairs, for which the kernel would first make the sockets and load the module."""
    said = calls(sandbox, SOCKETS)
    netlink = {name for name in said if name.startswith("socket family 16 ")}  # libraries know what EINVAL means there
    assert {said.pop(name) for name in netlink} == {-EINVAL}
    assert {name: error for name, error in said.items() if error not in (-EPERM, -EAFNOSUPPORT)} == {}


@only_here
def test_calls_in_the_way_of_other_machines_end_the_caller(sandbox: Sandbox) -> None:
    """B6: the filter knows the numbers of one kind of machine."""
    execution = attack(sandbox, "surface/foreign", limits=SLOW)
    assert execution.ok, execution
    said = json.loads(execution.stdout)
    assert int(said.pop("native getpid")) > 1
    assert all(came.startswith("ended") or int(came) in (-EPERM, -ENOSYS) for came in said.values()), said


@pytest.mark.parametrize(
    "way",
    [
        "kill",
        "tkill",
        "queue",
        "pidfd",
        "owner of input and output",
        "folders and leases",
        "timers",
        "death of children",
        "child flood",
    ],
)
def test_no_signal_moves_pid_one(sandbox: Sandbox, way: str) -> None:
    """B17"""
    with sandbox.open(files=program("surface/signals"), limits=SLOW) as room:
        execution = room.run(command(way))
        assert (execution.ending, execution.exit_code) == (Ending.EXITED, 7), execution
        assert execution.stdout == b"alive\n"
        assert room.run(["python3", "-c", "print('served')"]).stdout == b"served\n"


def test_pid_one_cannot_be_looked_into(sandbox: Sandbox) -> None:
    """B2, B10"""
    execution = attack(sandbox, "surface/pid_one", "kill them", limits=SLOW)
    assert execution.ok, execution
    assert execution.stdout.endswith(b"sent\n")
    said = json.loads(execution.stdout.splitlines()[0])
    assert list(said) == ["1"]
    assert said["1"]["reached"] == []


def test_a_probe_cannot_be_looked_into(sandbox: Sandbox) -> None:
    """B2, B10: neither its program nor its arguments nor its questions."""
    canaries = [f"canary{secrets.token_hex(8)}" for _ in range(3)]
    text = f"import sys\nfor line in sys.stdin: print(len('{canaries[0]}'), flush=True)"
    with sandbox.open(files=program("surface/peek"), limits=Limits(output_kb=1024)) as room:
        room.serve(command())
        with room.probe(text, canaries[1]) as probe:
            for _ in range(3):
                assert probe.ask(canaries[2].encode()).line == b"22"
                time.sleep(0.2)
        execution = room.stop()
    assert b"cmdline python3" in execution.stdout  # it did look
    assert not [canary for canary in canaries if canary.encode() in execution.stdout]


def test_our_processes_in_a_room_are_out_of_reach(sandbox: Sandbox) -> None:
    """B10, B17: PID 1 and a probe, both asked for everything and sent signals."""
    with sandbox.open(files=program("surface/pid_one"), limits=SLOW) as room:
        with room.probe("import sys\nfor line in sys.stdin: print('here', flush=True)") as probe:
            execution = room.run(command("kill them"))
            assert probe.ask(b"?").line == b"here"
        said = json.loads(execution.stdout.splitlines()[0])
        assert [process["reached"] for process in said.values()] == [[], []]
        assert {process["uid"] for pid, process in said.items() if pid != "1"} == {"another"}


def test_only_three_folders_can_be_written_to_and_nothing_raises_rights(sandbox: Sandbox) -> None:
    """B1, B3, B5, B12, B13, B15, B21"""
    execution = attack(sandbox, "surface/tree", limits=SLOW)
    assert execution.ok, execution
    said = json.loads(execution.stdout)
    assert set(said["writable"]) == {"/box", "/box/attack.py", "/tmp", "/dev/shm"}
    assert said["raised"] == []
    assert said["sockets"] == []
    allowed = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}
    masked = {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats"}
    assert set(said["devices"]) <= allowed | masked | {"/proc/timer_stats", "/proc/interrupts"}


def test_nothing_of_ours_can_be_changed_or_covered(sandbox: Sandbox) -> None:
    """B1, B3, B5, B15"""
    execution = attack(sandbox, "surface/change", limits=SLOW)
    assert execution.ok, execution
    assert json.loads(execution.stdout) == []


def test_rights_do_not_grow(sandbox: Sandbox) -> None:
    """B12, B13, B14, B18"""
    execution = attack(sandbox, "surface/rights", limits=SLOW)
    assert execution.ok, execution
    said = json.loads(execution.stdout)
    assert said["capabilities"] == [0]
    assert (said["no new privileges"], said["seccomp"]) == ("1", "2")
    assert (said["root"], said["groups"], said["gained"]) == (False, [], [])
    assert said["after a set-user-id program"] == said["ours"]
    assert said["programs that raise"] == []
    assert said["/tmp"] == said["/dev/shm"] == "Permission denied"


def test_nothing_that_can_be_read_tells_of_the_host_or_of_us(
    sandbox: Sandbox, engine: Engine, settings: SandboxSettings, kind: str
) -> None:
    """B2, B21"""
    limits = Limits(seconds=30, output_kb=4096)
    with sandbox.open(files=program("surface/secrets"), limits=limits) as room:
        execution = room.run(command())
        [(container, labels)] = engine.containers([f"assay.kind={kind}"])
    assert execution.ok, execution
    told = [
        *(container, container[:12], kind, socket.gethostname(), str(PROJECT), str(settings.state.resolve())),
        *("docker.sock", "DOCKER_HOST", "/var/lib/docker", labels["assay.deadline"]),
    ]
    assert [word for word in told if word.encode() in execution.stdout] == []


def test_mounts_tell_no_more_than_the_engines_own_folders(
    sandbox: Sandbox, settings: SandboxSettings, kind: str
) -> None:
    """B2: a container cannot hide these; they name no file of ours, no label, no other room."""
    execution = attack(sandbox, "surface/mounts", limits=SLOW)
    assert [word for word in (str(PROJECT), str(settings.state), kind) if word.encode() in execution.stdout] == []
    lines = [line.split() for line in execution.stdout.decode().splitlines() if line]
    sources = {words[3] for words in lines if words[4] not in ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")}
    assert not [source for source in sources if source.startswith(("/var", "/home", "/root", "/tmp", str(PROJECT)))]


def test_nobody_but_us_chooses_an_image(sandbox: Sandbox, docker_sandbox: DockerSandbox) -> None:
    """B22: and the folder that a program starts in is one of the room, not one of the host."""
    assert "image" not in {*signature(Sandbox.run).parameters, *signature(Sandbox.open).parameters}
    assert docker_sandbox.image.startswith("sha256:")
    look = "import os; print(os.getcwd(), os.readlink('/proc/self/cwd'), *sorted(os.listdir('/proc/self/fd')))"
    execution = sandbox.run(["python3", "-c", look])
    assert execution.stdout.decode().split() == ["/box", "/box", "0", "1", "2", "3"]  # 3 is the listing itself
