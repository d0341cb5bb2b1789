"""What a room costs: against `docker run` with the same flags, against a bare subprocess, and when it is attacked."""

import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any, Final

from benchmarks import Figure, Progress
from sandbox import Limits, SandboxUnavailable
from sandbox.container import SECCOMP, Owner, Plan
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

ROUNDS: Final = 15
PROGRAM: Final = ["python3", "-I", "-S", "-c", "print(1)"]
LIMITS: Final = Limits()
RUNAWAYS: Final = {
    "a busy loop": "while True: pass",
    "a fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "a program deaf to signals": "import signal\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nwhile True: signal.pause()",
}
FLOOD: Final = "import os\nblock = b'x' * 65536\nwhile True: os.write(1, block)"
ECHO: Final = "import sys\nfor line in sys.stdin: print(line.strip(), flush=True)"


def measure(progress: Progress) -> Iterator[Figure]:
    settings = SandboxSettings()
    with Engine(settings) as engine:
        sandbox = DockerSandbox(engine, pinned(settings, "python"), settings, Owner(kind="benchmark"))
        for part in (_one_run, _throughput, _questions, _runaways, _flood):
            yield from part(sandbox, progress)


def _one_run(sandbox: DockerSandbox, progress: Progress) -> Iterator[Figure]:
    command = [*docker_run(sandbox), *PROGRAM]
    bare = [sys.executable, *PROGRAM[1:]]
    ways: dict[str, Callable[[], object]] = {
        "sandbox.run": lambda: sandbox.run(PROGRAM, files={"main.py": b"print(1)"}, collect=["main.py"]),
        "docker run": lambda: subprocess.run(command, check=True, capture_output=True),
        "subprocess": lambda: subprocess.run(bare, check=True, capture_output=True),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        progress(f"one run in three ways: round {turn} of {ROUNDS}")
        for name in random.sample(list(ways), len(ways)):
            seconds = _timed(ways[name])
            if turn:  # the first round warms up
                spent[name].append(seconds)
    typical = {name: median(seconds) for name, seconds in spent.items()}
    for name, seconds in typical.items():
        yield Figure(f"one run: {name}, median", seconds * 1000, "ms")
    yield Figure("one run: sandbox.run / docker run", typical["sandbox.run"] / typical["docker run"], "times", 1.1)
    yield Figure("one run: sandbox.run / subprocess", typical["sandbox.run"] / typical["subprocess"], "times")


def _throughput(sandbox: DockerSandbox, progress: Progress) -> Iterator[Figure]:
    for at_once in (1, 2, 4):
        progress(f"throughput, {at_once} at once")
        with ThreadPoolExecutor(at_once) as pool:
            started = time.perf_counter()
            done = list(pool.map(lambda _: sandbox.run(PROGRAM).ok, range(6 * at_once)))
            seconds = time.perf_counter() - started
        if not all(done):
            raise SandboxUnavailable("benchmark: an honest program failed")
        yield Figure(f"throughput, {at_once} at once", len(done) / seconds, "runs/s")


def _questions(sandbox: DockerSandbox, progress: Progress) -> Iterator[Figure]:
    progress("questions in one room")
    seconds = []
    with sandbox.open() as room, room.probe(ECHO) as probe:
        for number in range(100):
            answer = probe.ask(str(number).encode())
            if answer.line != str(number).encode():
                raise SandboxUnavailable(f"benchmark: question {number}: {answer.silence or answer.line!r}")
            seconds.append(answer.seconds)
    for count in (1, 10, 100):
        yield Figure(f"questions: {count} in one room, together", sum(seconds[:count]) * 1000, "ms")
    yield Figure("questions: the hundredth", seconds[-1] * 1000, "ms", 5)


def _runaways(sandbox: DockerSandbox, progress: Progress) -> Iterator[Figure]:
    for name, program in RUNAWAYS.items():
        progress(f"ending {name}")
        with sandbox.open(limits=Limits(seconds=1)) as room:
            started = time.perf_counter()
            room.run(["python3", "-c", program])
        late = time.perf_counter() - started - 1
        yield Figure(f"from the deadline until the room is gone: {name}", late, "s", 0.5)


def _flood(sandbox: DockerSandbox, progress: Progress) -> Iterator[Figure]:
    progress("a flood of output")
    small = Limits(output_kb=64)
    sandbox.run(["python3", "-c", FLOOD], limits=small)
    before = _most_memory_mb()
    for _ in range(5):
        sandbox.run(["python3", "-c", FLOOD], limits=small)
    yield Figure("memory that a flood of output adds to the worker", _most_memory_mb() - before, "MiB", 32)


def _most_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def docker_run(sandbox: DockerSandbox) -> list[str]:
    """`docker run` with the very options of a room, but for the warden: it runs the program itself."""
    docker = shutil.which("docker")
    if docker is None:
        raise SandboxUnavailable("benchmark: there is no `docker` command to compare with: install docker-cli")
    plan = Plan(sandbox.image, "", "", Owner(kind="benchmark"), LIMITS, 60, {}, {})
    room = plan.configuration(sandbox.settings.sandbox_first_uid)
    host: dict[str, Any] = room["HostConfig"]
    flags = [
        *("--rm", "--interactive", "--read-only", "--network=none", "--cap-drop=ALL", "--log-driver=none"),
        *(f"--security-opt={option}" for option in ("no-new-privileges:true", f"seccomp={SECCOMP}")),
        *("--ipc=private", "--cgroupns=private", f"--hostname={room['Hostname']}", f"--user={room['User']}"),
        *(f"--memory={host['Memory']}", f"--memory-swap={host['MemorySwap']}", f"--cpus={LIMITS.cpus}"),
        f"--pids-limit={host['PidsLimit']}",
        *(f"--ulimit={one['Name']}={one['Soft']}:{one['Hard']}" for one in host["Ulimits"]),
        *(f"--tmpfs={place}:{options}" for place, options in host["Tmpfs"].items()),
        *(f"--sysctl={name}={value}" for name, value in host["Sysctls"].items()),
        *(f"--env={one}" for one in room["Env"]),
        *(f"--label={name}={value}" for name, value in room["Labels"].items()),
        f"--workdir={room['WorkingDir']}",
        "--entrypoint=",
    ]
    return [docker, "--host", sandbox.settings.docker_host, "run", *flags, sandbox.image]
