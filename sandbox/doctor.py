"""Proves on this host that each limit of the sandbox bites. A limit that is only configured is a hope.

An engine may take an option and not enforce it: a missing kernel controller, a rootless engine without delegation,
another runtime. So every check runs a program that tries to break one promise, and reads what it achieved.
"""

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox import Ending, Execution, Limits, SandboxUnavailable
from sandbox.container import DEADLINE, INODES, Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.room import GRACE
from sandbox.settings import SandboxSettings

ENGINE_FLOOR: Final = (29, 5, 1)  # the archive and copy interfaces of older engines run programs of the container
RUNC_FLOORS: Final = ((1, 2, 8), (1, 3, 3), (1, 4, 0))  # a replaced /dev/null led older ones to write outside
DISK_RED_GB: Final = 1.0
DISK_WARN_GB: Final = 5.0
SMALL: Final = Limits(seconds=20, memory_mb=96, processes=24, output_kb=64, disk_mb=8)


@dataclass(frozen=True, slots=True)
class Check:
    """One promise. `ok` with advice is a warning: the host is safe today, and should be better."""

    name: str
    ok: bool
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.ok for check in self.checks)


def examine(settings: SandboxSettings, progress: Callable[[Check], object] = bool) -> Report:
    """Every check, in the order of what depends on what; each is given to `progress` as it is done."""
    checks = []
    for check in _checks(settings):
        checks.append(check)
        progress(check)
    return Report(tuple(checks))


def _checks(settings: SandboxSettings) -> Iterator[Check]:
    try:
        with Engine(settings) as engine:
            yield from _engine(engine)
            yield _huge_pages()
            yield _disk("disk of the engine", Path(engine.info()["DockerRootDir"]))
            yield _disk("disk of the state folder", settings.state)
            sandbox = DockerSandbox(engine, pinned(settings, "python"), settings, Owner(kind="doctor"))
            yield Check("image", True, f"python: {sandbox.image[7:19]}")
            yield _leftovers(sandbox)
            for name in EXAMINATIONS:
                yield examine_one(name, sandbox)
    except SandboxUnavailable as error:
        yield Check("engine and image", False, str(error), "nothing more can be examined until this is mended")


def examine_one(name: str, sandbox: DockerSandbox) -> Check:
    """Run the program that tries to break one promise."""
    advice, examination = EXAMINATIONS[name]
    try:
        held, found = examination(sandbox)
    except SandboxUnavailable as error:
        return Check(name, False, str(error), advice)
    return Check(name, held, found, "" if held else advice)


# what the engine says of itself


def _engine(engine: Engine) -> Iterator[Check]:
    version, info = engine.version(), engine.info()
    yield _floor("Docker Engine", version.get("Version", ""), (ENGINE_FLOOR,))
    components = {one.get("Name"): one.get("Version", "") for one in version.get("Components", [])}
    yield _floor("runc", components.get("runc", ""), RUNC_FLOORS)
    missing = [
        name
        for name, key in (("memory", "MemoryLimit"), ("swap", "SwapLimit"), ("processes", "PidsLimit"))
        if not info.get(key)
    ]
    yield Check(
        "kernel controllers",
        not missing,
        "memory, swap, processes" if not missing else f"missing: {', '.join(missing)}",
        "enable these cgroup controllers (for swap: kernel parameter swapaccount=1)" if missing else "",
    )
    counted = str(info.get("CgroupVersion")) == "2"
    yield Check(
        "memory of sockets",
        True,
        "counted by the kernel (cgroup v2)" if counted else "bounded by number, not counted (cgroup v1)",
        "" if counted else "prefer a host with cgroup v2, which counts socket buffers as memory",
    )


def _huge_pages(pages: Path = Path("/proc/sys/vm/nr_hugepages")) -> Check:
    count = int(pages.read_text()) if pages.exists() else 0
    advice = "programs can take them, and no limit counts them: set vm.nr_hugepages to 0" if count else ""
    return Check("huge pages", True, f"{count} set aside", advice)


def _floor(name: str, version: str, floors: tuple[tuple[int, ...], ...]) -> Check:
    """Is it at least the floor of its own line? A line older than the first floor was never mended."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    before_release = re.search(r"-(?:rc|beta|alpha)", version) is not None
    floor = max((floor for floor in floors if floor[:2] <= numbers[:2]), default=floors[0])
    if (numbers, not before_release) >= (floor, True):
        return Check(f"version of {name}", True, version)
    advice = f"known escapes were closed up to {'.'.join(map(str, floor))}: upgrade before real use"
    return Check(f"version of {name}", True, version or "unknown", advice)


def _disk(name: str, folder: Path) -> Check:
    while not os.path.exists(folder):  # noqa: PTH110  unlike Path.exists, it is False where we may not look
        folder = folder.parent  # the engine may be on another machine; then this is our own disk
    free = shutil.disk_usage(folder).free / 1e9
    advice = "free some space, for instance with `docker system prune`" if free < DISK_WARN_GB else ""
    return Check(name, free >= DISK_RED_GB, f"{free:.1f} GB free at {folder}", advice)


def _leftovers(sandbox: DockerSandbox) -> Check:
    removed = sandbox.sweep()
    live = len(sandbox.engine.containers([DEADLINE]))
    return Check("leftovers", True, f"{len(removed)} removed, {live} at work")


# what programs in a room achieve

Examination = Callable[[DockerSandbox], tuple[bool, str]]


def _python(sandbox: DockerSandbox, program: str, limits: Limits = SMALL, *arguments: str) -> Execution:
    return sandbox.run(["python3", "-I", "-c", program, *arguments], limits=limits)


def _told(sandbox: DockerSandbox, program: str, limits: Limits = SMALL, *arguments: str) -> Any:
    """What a program printed as JSON. It is our own program, so silence is a failure of the sandbox."""
    done = _python(sandbox, program, limits, *arguments)
    try:
        return json.loads(done.stdout)
    except ValueError:
        words = done.stderr.decode(errors="replace").strip()[-200:]
        raise SandboxUnavailable(f"the examining program {done.ending}: {words or 'it said nothing'}") from None


def _memory(sandbox: DockerSandbox) -> tuple[bool, str]:
    done = _python(sandbox, f"bytearray({2 * SMALL.memory_mb << 20})")
    return done.ending is Ending.OUT_OF_MEMORY, f"{2 * SMALL.memory_mb} MB under {SMALL.memory_mb} MB: {done.ending}"


def _shared_memory(sandbox: DockerSandbox) -> tuple[bool, str]:
    limits = Limits(seconds=20, memory_mb=64, disk_mb=256)
    done = _python(sandbox, "f = open('/dev/shm/x', 'wb')\nfor _ in range(200): f.write(b'x' * 2**20)", limits)
    return done.ending is Ending.OUT_OF_MEMORY, f"200 MB of files under 64 MB: {done.ending}"


FORKING = """
import json, os, time
n = 0
try:
    for _ in range(500):
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        n += 1
except OSError:
    pass
print(json.dumps(n))
"""


def _processes(sandbox: DockerSandbox) -> tuple[bool, str]:
    count = _told(sandbox, FORKING)
    return count < SMALL.processes, f"{count + 1} of 500 wanted, {SMALL.processes} allowed"


THREADING = """
import json, threading, time
n = 0
try:
    for _ in range(500):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        n += 1
except RuntimeError:
    pass
print(json.dumps(n), flush=True)
"""


def _threads(sandbox: DockerSandbox) -> tuple[bool, str]:
    count = _told(sandbox, THREADING)
    return count < SMALL.processes, f"{count + 1} of 500 wanted, {SMALL.processes} allowed"


WRITING = """
import json, os
wrote = 0
try:
    with open("/box/one", "wb", buffering=0) as file:
        while wrote < 64 << 20:
            wrote += file.write(b"x" * 65536)
except OSError as error:
    print(json.dumps([wrote, error.strerror]))
else:
    print(json.dumps([wrote, "no error"]))
"""

SPARSE = """
import json
try:
    with open("/box/sparse", "wb") as file:
        file.truncate(10 << 30)
except OSError as error:
    print(json.dumps(error.strerror))
else:
    print(json.dumps(""))
"""

FILLING = """
import json, os
wrote = 0
try:
    for n in range(64):
        with open(f"/box/{n}", "wb", buffering=0) as file:
            for _ in range(16):
                wrote += file.write(b"x" * 65536)
except OSError:
    pass
print(json.dumps(wrote))
"""

INODING = """
import json
made = {}
for place in ("/box", "/tmp", "/dev/shm"):
    made[place] = 0
    try:
        for n in range(20000):
            open(f"{place}/{n}", "x").close()
            made[place] += 1
    except OSError:
        pass
print(json.dumps(made))
"""


def _file_size(sandbox: DockerSandbox) -> tuple[bool, str]:
    wrote, why = _told(sandbox, WRITING)
    return wrote <= SMALL.disk_mb << 20, f"{wrote >> 20} MB written, then: {why}"


def _sparse_file(sandbox: DockerSandbox) -> tuple[bool, str]:
    why = _told(sandbox, SPARSE)
    return bool(why), f"a file of 10 GB: {why or 'it was made'}"


def _disk_size(sandbox: DockerSandbox) -> tuple[bool, str]:
    wrote = _told(sandbox, FILLING)
    return wrote <= SMALL.disk_mb << 20, f"{wrote / 2**20:.1f} MB written, {SMALL.disk_mb} MB allowed"


def _inodes(sandbox: DockerSandbox) -> tuple[bool, str]:
    made = _told(sandbox, INODING, Limits(seconds=20, memory_mb=256))
    return max(made.values()) <= INODES, f"{max(made.values())} files in one place, {INODES} allowed"


CHANGING = """
import json, os
changed = []
for place in ("/", "/etc", "/usr", "/usr/bin", "/opt/assay", "/var/tmp", "/run", "/root", "/sys", "/proc/sys/kernel"):
    try:
        with open(os.path.join(place, "assay-was-here"), "w"):
            changed.append(place)
    except OSError:
        pass
print(json.dumps(changed))
"""


def _root(sandbox: DockerSandbox) -> tuple[bool, str]:
    changed = _told(sandbox, CHANGING)
    return not changed, f"writable: {', '.join(changed) or 'nothing outside /box, /tmp and /dev/shm'}"


REACHING = """
import json, socket, sys
reached = []
for host, port in [("1.1.1.1", 53), ("8.8.8.8", 443), ("169.254.169.254", 80), ("172.17.0.1", 22)]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(2)
            try:
                s.connect((host, port))
                reached.append(f"{host}:{port}")
            except OSError:
                pass
interfaces = sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line)
print(json.dumps([reached, interfaces]))
"""

HOST_SERVICE = """
import json, socket, sys
port, name = int(sys.argv[1]), "\\0" + sys.argv[2]
reached = []
for family, address in [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET, ("172.17.0.1", port)),
                        (socket.AF_UNIX, name), (socket.AF_UNIX, "/var/run/docker.sock")]:
    with socket.socket(family) as s:
        s.settimeout(2)
        try:
            s.connect(address)
            reached.append(str(address))
        except OSError:
            pass
print(json.dumps(reached))
"""


def _egress(sandbox: DockerSandbox) -> tuple[bool, str]:
    reached, interfaces = _told(sandbox, REACHING)
    return not reached and interfaces == ["lo"], f"reached {reached or 'nothing'}, interfaces: {', '.join(interfaces)}"


def _host_services(sandbox: DockerSandbox) -> tuple[bool, str]:
    """A service of this host, listening as Redis or PostgreSQL would, must not be there for the room."""
    name = f"assay-doctor-{time.monotonic_ns()}"
    with closing(socket.socket()) as service, closing(socket.socket(socket.AF_UNIX)) as abstract:
        service.bind(("127.0.0.1", 0))
        service.listen()
        abstract.bind("\0" + name)
        abstract.listen()
        reached = _told(sandbox, HOST_SERVICE, SMALL, str(service.getsockname()[1]), name)
    return not reached, f"reached: {', '.join(reached) or 'nothing'}"


REFUSING = """
import ctypes, json, os, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
calls = {"io_uring_setup": (425, 425, 1, 0), "bpf": (321, 280, 0, 0), "perf_event_open": (298, 241, 0, 0),
         "userfaultfd": (323, 282, 1, 0), "keyctl": (250, 219, 0, 0), "ptrace": (101, 117, 0, 0),
         "unshare": (272, 97, 0x10000000, 0), "mount": (165, 40, 0, 0), "setns": (308, 268, 0, 0),
         "process_vm_readv": (310, 270, 1, 0), "open_by_handle_at": (304, 265, 0, 0)}
allowed = []
for name, (on_x86, on_arm, a, b) in calls.items():
    ctypes.set_errno(0)
    if libc.syscall(on_x86 if x86 else on_arm, a, b, 0, 0, 0) >= 0 or ctypes.get_errno() != 1:
        allowed.append(name)
for name, family in (("AF_ALG", 38), ("AF_VSOCK", 40), ("AF_NETLINK", 16), ("AF_PACKET", 17), ("AF_XDP", 44)):
    try:
        socket.socket(family, socket.SOCK_DGRAM, 0).close()
        allowed.append(name)
    except OSError:
        pass
print(json.dumps([len(calls) + 5, allowed]))
"""


def _system_calls(sandbox: DockerSandbox) -> tuple[bool, str]:
    tried, allowed = _told(sandbox, REFUSING)
    return not allowed, f"{tried} tried, allowed: {', '.join(allowed) or 'none'}"


BEING = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({"ids": os.getresuid() + os.getresgid() + tuple(os.getgroups()),
                  "caps": [status.get(key, "0").strip() for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
                  "no_new_privs": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip()}))
"""


def _privileges(sandbox: DockerSandbox) -> tuple[bool, str]:
    told = _told(sandbox, BEING)
    bare = 0 not in told["ids"] and not any(int(caps, 16) for caps in told["caps"])
    found = f"uid {told['ids'][0]}, capabilities {told['caps'][3].lstrip('0') or 'none'}"
    found += f", no-new-privileges {told['no_new_privs']}, seccomp {told['seccomp']}"
    return bare and told["no_new_privs"] == "1" and told["seccomp"] == "2", found


WARDEN = """
import json, os, signal
done = []
for path in ("/proc/1/mem", "/proc/1/environ", "/proc/1/fd/1", "/proc/1/maps"):
    try:
        open(path, "rb").close()
        done.append(path)
    except OSError:
        pass
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
    try:
        os.kill(1, number)
    except OSError:
        pass
print(json.dumps(done))
"""


def _warden(sandbox: DockerSandbox) -> tuple[bool, str]:
    opened = _told(sandbox, WARDEN)
    return not opened, f"it outlived six signals; opened: {', '.join(opened) or 'nothing'}"


def _deadline(sandbox: DockerSandbox) -> tuple[bool, str]:
    limits = Limits(seconds=1, memory_mb=96)
    done = _python(sandbox, "import signal\nwhile True: signal.pause()", limits)
    return done.ending is Ending.TIMED_OUT, f"{done.ending} after {done.seconds:.1f} s of 1 s"


def _dead_man(sandbox: DockerSandbox) -> tuple[bool, str]:
    with sandbox.open(limits=SMALL, lifetime=1) as room:
        done = room.run(["sleep", "15"])
    # Our own clock comes GRACE later than the warden's, which is the one that is examined here.
    by_itself = done.ending is Ending.TIMED_OUT and done.seconds < 1 + GRACE
    return by_itself, f"a room of 1 s ended after {done.seconds:.1f} s"


def _output(sandbox: DockerSandbox) -> tuple[bool, str]:
    done = _python(sandbox, "while True: print('x' * 4000)")
    size = len(done.stdout) + len(done.stderr)
    return (
        done.ending is Ending.TOO_MUCH_OUTPUT and size <= SMALL.output_kb << 10,
        f"{done.ending}, {size >> 10} kB kept",
    )


BURNING = """
import os, time
os.fork()
until = time.monotonic() + 2
while time.monotonic() < until:
    pass
"""


def _processor(sandbox: DockerSandbox) -> tuple[bool, str]:
    done = _python(sandbox, BURNING, Limits(seconds=20, memory_mb=96, cpus=0.5))
    if done.cpu_seconds is None:
        return False, "processor time cannot be read inside"
    share = done.cpu_seconds / max(done.seconds, 0.1)
    return share < 0.75, f"two busy processes got {share:.2f} processors, 0.50 allowed"


EXAMINATIONS: Final[dict[str, tuple[str, Examination]]] = {
    "memory": ("the engine must enforce memory limits: enable the memory controller", _memory),
    "memory of files": ("files in memory must count as memory: enable the memory controller", _shared_memory),
    "processes": ("the engine must enforce limits on processes: enable the pids controller", _processes),
    "threads": ("the engine must enforce limits on processes: enable the pids controller", _threads),
    "file size": ("the engine must pass on the fsize limit: use runc 1.1 or newer", _file_size),
    "sparse files": ("the engine must pass on the fsize limit: use runc 1.1 or newer", _sparse_file),
    "disk": ("the kernel must support tmpfs with a size", _disk_size),
    "inodes": ("the kernel must support tmpfs with nr_inodes", _inodes),
    "read-only root": ("do not take work: the root file system can be changed", _root),
    "no network": ("do not take work: the network can be reached from a room", _egress),
    "no host services": ("do not take work: services of this host can be reached from a room", _host_services),
    "system calls": (
        "the engine must apply our seccomp profile: the kernel needs CONFIG_SECCOMP_FILTER",
        _system_calls,
    ),
    "privileges": ("do not take work: programs have privileges", _privileges),
    "warden": ("do not take work: a program can reach PID 1; rebuild the images with `assay images build`", _warden),
    "deadline": ("programs are not ended in time: is the machine overloaded?", _deadline),
    "dead man's switch": ("rooms do not end by themselves: rebuild the images with `assay images build`", _dead_man),
    "output": ("output is not bounded: rebuild the images with `assay images build`", _output),
    "processors": ("the engine must enforce CPU quotas: enable the cpu controller", _processor),
}
