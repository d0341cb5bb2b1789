"""What only the Docker sandbox promises: containers that are locked down, end by themselves and are cleared away."""

import json
import os
import secrets
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox import Limits, SandboxMisused, SandboxUnavailable
from sandbox.container import DEADLINE, FENCE, GRADING, KIND, LIFETIME_OVER, SECCOMP, Owner, Plan
from sandbox.docker import DockerSandbox, Engine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

pytestmark = pytest.mark.docker

PATIENCE: Final = 20  # seconds for what takes a fraction of one, on a machine that is busy
FAR: Final = 4102444800  # a deadline in the year 2100
MISSING: Final = "sha256:" + "0" * 64


@pytest.fixture(scope="session")
def image(settings: SandboxSettings) -> str:
    return pinned(settings, "python")


@pytest.fixture
def grading() -> str:
    return f"grading-{secrets.token_hex(4)}"


@pytest.fixture(autouse=True)
def _nothing_left(engine: Engine, kind: str) -> Iterator[None]:
    yield
    left = [container for container, _ in engine.containers([f"{KIND}={kind}"])]
    for container in left:
        engine.remove(container)
    assert not left


def configuration(image: str, owner: Owner = Owner(), runtime: str = "") -> dict[str, Any]:
    plan = Plan(image, SECCOMP.read_text(), runtime, owner, Limits(), 60, {}, {})
    return plan.configuration(59_996)


def test_gvisor_is_given_an_interpreter_that_it_may_read(image: str) -> None:
    assert "Entrypoint" not in configuration(image)  # the image's own, which may be executed and not read
    gvisor = configuration(image, runtime="runsc")
    assert gvisor["HostConfig"]["Runtime"] == "runsc"
    assert gvisor["Entrypoint"][0] == "python3"


@contextmanager
def container_of(engine: Engine, config: Mapping[str, Any]) -> Iterator[str]:
    container = engine.create(f"assay-test-{secrets.token_hex(6)}", config)
    assert container is not None
    try:
        yield container
    finally:
        engine.remove(container)


def inspect(engine: Engine, kind: str) -> dict[str, Any]:
    """The one container of this test, as the engine sees it."""
    [(container, _)] = engine.containers([f"{KIND}={kind}"])
    return dict(engine.api.inspect_container(container))


# What a room is made of


def test_a_container_is_locked_down_as_the_engine_itself_sees_it(
    docker_sandbox: DockerSandbox, engine: Engine, kind: str
) -> None:
    limits = Limits(memory_mb=100, processes=10, disk_mb=8, cpus=0.5)
    with docker_sandbox.open(limits=limits):
        seen = inspect(engine, kind)
    host, config = seen["HostConfig"], seen["Config"]
    assert seen["Image"] == docker_sandbox.image
    assert int(config["User"].split(":")[0]) >= docker_sandbox.settings.sandbox_first_uid
    assert (host["Privileged"], host["ReadonlyRootfs"]) == (False, True)
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], None)
    assert host["NetworkMode"] == "none"
    assert seen["NetworkSettings"]["Networks"].keys() <= {"none"}
    assert (host["PidMode"], host["UTSMode"], host["UsernsMode"]) == ("", "", "")
    assert (host["IpcMode"], host["CgroupnsMode"]) == ("private", "private")
    assert "no-new-privileges:true" in host["SecurityOpt"]
    [profile] = [option for option in host["SecurityOpt"] if option.startswith("seccomp=")]
    assert json.loads(profile.removeprefix("seccomp="))["defaultAction"] == "SCMP_ACT_ERRNO"
    assert not any((host["Binds"], host.get("Mounts"), seen["Mounts"], host["VolumesFrom"], host["Devices"]))
    assert not any((host["PortBindings"], host["Links"], host["ExtraHosts"], host["GroupAdd"]))
    assert host["Memory"] == host["MemorySwap"] == 100 << 20
    assert host["OomKillDisable"] in (False, None)
    assert host["NanoCpus"] == 500_000_000
    assert 10 < host["PidsLimit"] < 100
    assert {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]}.items() >= {
        "nofile": 1024, "fsize": 8 << 20, "core": 1, "memlock": 0
    }.items()  # fmt: skip
    assert host["Tmpfs"].keys() == {"/box", "/tmp", "/dev/shm"}
    for place, options in host["Tmpfs"].items():
        assert {"nosuid", "nodev", "size=8m"} <= set(options.split(",")), place
        assert "nr_inodes=" in options, place
    assert host["LogConfig"]["Type"] == "none"  # or a program could fill the host's disk
    assert host["RestartPolicy"]["Name"] == "no"


def test_a_gateway_is_the_only_thing_of_the_host_in_a_room_and_cannot_be_written(
    docker_sandbox: DockerSandbox, engine: Engine, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with docker_sandbox.open(gateways={9000: path}):
            [mount] = inspect(engine, kind)["Mounts"]
    assert (mount["Source"], mount["Destination"], mount["RW"]) == (str(path), "/gateways/9000", False)


def test_a_container_says_whose_it_is_and_until_when(
    engine: Engine, image: str, settings: SandboxSettings, kind: str, grading: str
) -> None:
    sandbox = DockerSandbox(engine, image, settings, Owner(kind, grading, fence=7))
    before = time.time()
    with sandbox.open(lifetime=100):
        [(_, labels)] = engine.containers([f"{KIND}={kind}"])
    assert (labels[KIND], labels[GRADING], labels[FENCE]) == (kind, grading, "7")
    assert before + 100 < int(labels[DEADLINE]) < time.time() + 200


def test_two_rooms_never_share_user_ids(docker_sandbox: DockerSandbox) -> None:
    whoami = "import os, sys\nfor _ in sys.stdin: print(os.getuid(), flush=True)"
    with docker_sandbox.open() as one, docker_sandbox.open() as other:
        found = []
        for room in (one, other):
            found.append(room.run(["id", "-u"]).stdout.strip())
            with room.probe(whoami) as probe:
                found.append(probe.ask(b"?").line or b"")
    assert len({int(uid) for uid in found}) == 4


class Rival(Engine):
    """Another process takes the first names that we ask for, a moment before us."""

    def __init__(self, settings: SandboxSettings, rivals: int) -> None:
        super().__init__(settings)
        self.rivals = rivals
        self.taken: list[str] = []
        self.asked: list[str] = []

    def create(self, name: str, config: Mapping[str, Any]) -> str | None:
        self.asked.append(name)
        if len(self.taken) < self.rivals:
            taken = super().create(name, config)
            assert taken is not None
            self.taken.append(taken)
        return super().create(name, config)


def test_user_ids_that_another_process_took_first_are_left_to_it(
    settings: SandboxSettings, image: str, kind: str
) -> None:
    with Rival(settings, rivals=2) as engine:
        try:
            with DockerSandbox(engine, image, settings, Owner(kind)).open() as room:
                assert room.run(["true"]).ok
            assert len(engine.asked) == len(set(engine.asked)) == 3
            assert all(engine.state(container)["Status"] == "created" for container in engine.taken)
        finally:
            for container in engine.taken:
                engine.remove(container)


# What is left over


def test_a_sweep_removes_what_is_past_its_deadline_and_older_tries_of_our_grading_only(
    engine: Engine, image: str, settings: SandboxSettings, kind: str, grading: str
) -> None:
    def left(grading: str, fence: int, deadline: int, stack: list[str]) -> str:
        config = configuration(image, Owner(kind, grading, fence))
        config["Labels"][DEADLINE] = str(deadline)
        container = engine.create(f"assay-test-{secrets.token_hex(6)}", config)
        assert container is not None
        stack.append(container)
        return container

    sandbox = DockerSandbox(engine, image, settings, Owner(kind, grading, fence=5))
    nobodys = DockerSandbox(engine, image, settings, Owner(kind))
    made: list[str] = []
    try:
        past = {left("other", 9, 1, made), left(grading, 9, 1, made), left("", 0, 1, made)}
        older = {left(grading, 4, FAR, made), left(grading, 0, FAR, made)}
        living = {left(grading, fence, FAR, made) for fence in (5, 6)} | {left("other", 1, FAR, made)}
        living |= {left("", 0, FAR, made)}
        with sandbox.open() as room:
            assert past <= set(nobodys.sweep())
            assert older <= set(sandbox.sweep())
            assert set(nobodys.sweep()).isdisjoint(living)
            still = {container for container, _ in engine.containers([f"{KIND}={kind}"])}
            assert still & {*past, *older, *living} == living
            assert room.run(["true"]).ok
    finally:
        for container in made:
            engine.remove(container)


def test_a_worker_whose_clock_is_wrong_removes_no_rooms_of_others(
    engine: Engine,
    image: str,
    settings: SandboxSettings,
    kind: str,
    docker_sandbox: DockerSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = time.time
    assert abs(engine.time() - real()) < 60
    with docker_sandbox.open(lifetime=60) as room, monkeypatch.context() as hour_ahead:
        hour_ahead.setattr(time, "time", lambda: real() + 3600)
        wrong = DockerSandbox(engine, image, settings, Owner(kind))
        assert wrong.sweep() == []
        assert room.run(["true"]).ok
        with wrong.open(lifetime=60):
            deadlines = [int(labels[DEADLINE]) for _, labels in engine.containers([f"{KIND}={kind}"])]
        assert len(deadlines) == 2
        assert max(deadlines) < real() + 600


class Interrupted(Engine):
    """Ctrl-C comes when the engine has made the container, and has not said so yet."""

    def create(self, name: str, config: Mapping[str, Any]) -> str | None:
        super().create(name, config)
        raise KeyboardInterrupt


def test_a_room_that_was_being_made_when_we_were_interrupted_is_taken_down(
    engine: Engine, image: str, settings: SandboxSettings, kind: str
) -> None:
    with Interrupted(settings) as interrupted, pytest.raises(KeyboardInterrupt):
        DockerSandbox(interrupted, image, settings, Owner(kind)).run(["true"])
    assert engine.containers([f"{KIND}={kind}"]) == []


WORKER = """
import sys
from sandbox import Limits
from sandbox.container import Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.settings import SandboxSettings

image, kind, grading, lifetime = sys.argv[1:]
settings = SandboxSettings()
sandbox = DockerSandbox(Engine(settings), image, settings, Owner(kind, grading, 1))
with sandbox.open(limits=Limits(output_kb=65536), lifetime=float(lifetime)) as room:
    print("ready", flush=True)
    room.run(["python3", "-c", '''
import os, time
while True:
    os.write(1, b"x" * 100_000)
    time.sleep(0.02)
'''], seconds=300)
"""


@contextmanager
def worker(image: str, kind: str, grading: str, lifetime: float) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs an endless program in a room."""
    command = [sys.executable, "-c", WORKER, image, kind, grading, str(lifetime)]
    project = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=project) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.3)  # so that the program is on its way
            yield process
        finally:
            process.kill()


def processes_of(container: str) -> list[int]:
    """The kernel's word on it. The engine may not have heard of the end of a container while a client stalls."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if container in (folder / "cgroup").read_text():
                    found.append(int(folder.name))
    return found


def wait_until_ended(container: str) -> None:
    patience = time.monotonic() + PATIENCE
    while processes_of(container):
        assert time.monotonic() < patience, "the programs outlive what should end them"
        time.sleep(0.05)


def test_a_room_ends_by_itself_when_its_worker_is_killed(
    engine: Engine, image: str, settings: SandboxSettings, kind: str, grading: str
) -> None:
    with worker(image, kind, grading, lifetime=3600) as process:
        [(container, _)] = engine.containers([f"{GRADING}={grading}"])
        assert len(processes_of(container)) >= 2  # the warden and the program
        process.send_signal(signal.SIGKILL)
        wait_until_ended(container)
    assert container in DockerSandbox(engine, image, settings, Owner(kind, grading, 2)).sweep()
    assert engine.containers([f"{GRADING}={grading}"]) == []


def test_a_room_ends_at_its_lifetime_though_its_worker_has_stopped_reading(
    engine: Engine, image: str, settings: SandboxSettings, kind: str, grading: str
) -> None:
    with worker(image, kind, grading, lifetime=2) as process:
        [(container, _)] = engine.containers([f"{GRADING}={grading}"])
        process.send_signal(signal.SIGSTOP)
        assert len(processes_of(container)) >= 2
        wait_until_ended(container)
        process.send_signal(signal.SIGKILL)
    engine.wait(container, PATIENCE)
    assert engine.state(container)["ExitCode"] == LIFETIME_OVER
    assert container in DockerSandbox(engine, image, settings, Owner(kind, grading, 2)).sweep()


def test_a_room_whose_worker_hangs_does_not_keep_a_sweep_from_the_others(
    engine: Engine, image: str, settings: SandboxSettings, kind: str, grading: str
) -> None:
    with (
        worker(image, kind, grading, lifetime=3600) as process,
        container_of(engine, configuration(image, Owner(kind, grading, 1))) as other,
        Engine(settings.model_copy(update={"docker_timeout": 1.0})) as impatient,
    ):
        [container] = {found for found, _ in engine.containers([f"{GRADING}={grading}"])} - {other}
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)  # so that all buffers up to the engine are full
        assert other in DockerSandbox(impatient, image, settings, Owner(kind, grading, 2)).sweep()
        wait_until_ended(container)  # its programs are gone, though the engine still waits for the worker
    patience = time.monotonic() + PATIENCE
    while engine.containers([f"{GRADING}={grading}"]):  # the worker is gone too: now the removal goes on
        assert time.monotonic() < patience
        time.sleep(0.05)


def test_a_flood_that_nobody_reads_does_not_keep_us_from_ending_it(engine: Engine, image: str, kind: str) -> None:
    config = configuration(image, Owner(kind))
    config["Entrypoint"] = ["python3", "-c", "import os\nwhile True: os.write(1, b'x' * 65536)"]
    with container_of(engine, config) as container:
        stream = engine.attach(container)
        engine.start(container)
        time.sleep(0.5)  # the engine waits for us to read
        started = time.monotonic()
        stream.close()
        engine.remove(container)
        assert time.monotonic() - started < 8  # the other way round the engine is silent until the client gives up


# An engine that cannot do it


def complaint(caught: pytest.ExceptionInfo[SandboxUnavailable]) -> str:
    """What the operator reads: one line, in our words."""
    words = str(caught.value)
    assert "\n" not in words
    assert "HTTPConnectionPool" not in words
    assert "Error(" not in words
    return words


def settings_for(path: Path) -> SandboxSettings:
    return SandboxSettings().model_copy(update={"docker_host": f"unix://{path}", "docker_timeout": 1.0})


def test_a_missing_image_is_told_with_what_to_do(engine: Engine, settings: SandboxSettings, kind: str) -> None:
    with pytest.raises(SandboxUnavailable) as caught:
        DockerSandbox(engine, MISSING, settings, Owner(kind)).run(["true"])
    assert "assay images build" in complaint(caught)


def test_an_unknown_runtime_is_told_with_what_to_do(
    engine: Engine, settings: SandboxSettings, image: str, kind: str
) -> None:
    elsewhere = settings.model_copy(update={"sandbox_runtime": "no-such-runtime"})
    with pytest.raises(SandboxUnavailable) as caught:
        DockerSandbox(engine, image, elsewhere, Owner(kind)).run(["true"])
    assert "ASSAY_SANDBOX_RUNTIME" in complaint(caught)


def test_no_engine_at_the_socket_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable) as caught:
        Engine(settings_for(tmp_path / "none.sock"))
    assert "install or start" in complaint(caught)


def test_an_engine_that_has_gone_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(tmp_path / "left.sock"))
    with pytest.raises(SandboxUnavailable) as caught:
        Engine(settings_for(tmp_path / "left.sock"))
    assert "start it" in complaint(caught)


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Without root's right to open everything, where the tests run as root."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


def test_an_engine_that_this_user_may_not_use_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "closed.sock"))
        listening.listen()
        (tmp_path / "closed.sock").chmod(0)
        settings = settings_for(tmp_path / "closed.sock")
        with as_somebody_else(), pytest.raises(SandboxUnavailable) as caught:
            Engine(settings)
    assert "group docker" in complaint(caught)


class FakeEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Speaks as much of the engine's HTTP as a test needs; remembers what it was asked."""

    daemon_threads = True
    request_queue_size = 20

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), FakeAnswers)
        self.settings = settings_for(path)
        self.api = "1.41"
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, str]] = {}  # by the end of the path: status and message
        self.silent_for: set[str] = set()

    def get_request(self) -> tuple[socket.socket, str]:
        request, _ = super().get_request()
        return request, "unix"  # where BaseHTTPRequestHandler looks for a host


class FakeAnswers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeEngine

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path.removeprefix('/v1.41')}")
        end = path.rpartition("/")[2]
        if end in self.server.silent_for:
            time.sleep(2)
        if end == "attach":
            self.send_response(101, "UPGRADED")
            self.end_headers()
            return
        status, message = self.server.answers.get(end, (200, ""))
        found: dict[str, Any] = {"message": message} if message else {"Id": "c0ffee", "ApiVersion": self.server.api}
        body = json.dumps(found).encode()
        with suppress(BrokenPipeError):  # a client that lost its patience
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "engine.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_an_engine_that_is_too_old_is_told_with_what_to_do(fake: FakeEngine) -> None:
    for api in ("1.40", "1.23"):
        fake.api = api
        with pytest.raises(SandboxUnavailable) as caught:
            Engine(fake.settings)
        assert "20.10" in complaint(caught)


@pytest.mark.parametrize("step", ["create", "start"])
def test_a_full_disk_of_the_engine_is_told_with_what_to_do(fake: FakeEngine, step: str) -> None:
    fake.answers[step] = (500, "mkdir /var/lib/docker/overlay2/x: no space left on device")
    with Engine(fake.settings) as engine, pytest.raises(SandboxUnavailable) as caught:
        DockerSandbox(engine, MISSING, fake.settings).run(["true"])
    assert "disk is full" in complaint(caught)
    made = step == "start"
    assert ("DELETE /containers/c0ffee" in fake.asked) is made  # what was made is removed


@pytest.mark.parametrize("step", ["version", "create", "start"])
def test_an_engine_that_is_silent_is_told_with_what_to_do(fake: FakeEngine, step: str) -> None:
    fake.silent_for.add(step)
    with pytest.raises(SandboxUnavailable) as caught, Engine(fake.settings) as engine:
        DockerSandbox(engine, MISSING, fake.settings).run(["true"])
    assert "too slow" in complaint(caught)


def test_an_engine_that_speaks_no_json_is_our_fault_and_nobody_elses(fake: FakeEngine) -> None:
    fake.api = "yes, a recent one"
    with pytest.raises(SandboxUnavailable):
        Engine(fake.settings)


def test_running_a_program_never_pulls_an_image(fake: FakeEngine) -> None:
    fake.answers["create"] = (404, f"No such image: {MISSING}")
    with Engine(fake.settings) as engine, pytest.raises(SandboxUnavailable):
        DockerSandbox(engine, MISSING, fake.settings).run(["true"])
    assert fake.asked == ["GET /version", "GET /_ping", "POST /containers/create"]


def test_a_host_without_a_free_set_of_user_ids_says_so(fake: FakeEngine) -> None:
    fake.answers["create"] = (409, 'Conflict. The container name "/assay-30000" is already in use')
    with Engine(fake.settings) as engine, pytest.raises(SandboxUnavailable, match="no free set of user ids"):
        DockerSandbox(engine, MISSING, fake.settings).run(["true"])


def test_misuse_is_told_before_the_engine_is_asked_for_anything(fake: FakeEngine, tmp_path: Path) -> None:
    with Engine(fake.settings) as engine:
        sandbox = DockerSandbox(engine, MISSING, fake.settings)
        before = list(fake.asked)
        wrong: list[dict[str, Any]] = [
            {"files": {"../x": b""}},
            {"files": {"a": b"", "a/b": b""}},
            {"files": {"x": bytes(33 << 20)}},
            {"files": {str(number): b"" for number in range(9000)}},
            {"environment": {"A=B": ""}},
            {"lifetime": 0},
            {"gateways": {80: tmp_path}},
            {"gateways": {8000: tmp_path / "none"}},
        ]
        for arguments in wrong:
            with pytest.raises(SandboxMisused), sandbox.open(**arguments):
                pytest.fail("a room was opened")
        with pytest.raises(SandboxMisused):
            sandbox.run([])
        with pytest.raises(SandboxMisused):
            sandbox.run(["true"], collect=["/etc/passwd"])
        assert [request for request in fake.asked if "create" in request] == []
        assert fake.asked == before
