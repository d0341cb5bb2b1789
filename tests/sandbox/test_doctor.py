"""A doctor who can only say "healthy" is worth nothing: each examination is shown an engine that drops its limit."""

import copy
import operator
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sandbox.container import KIND, Owner
from sandbox.docker import DockerSandbox, Engine
from sandbox.doctor import EXAMINATIONS, Check, examine, examine_one
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

pytestmark = [pytest.mark.docker, pytest.mark.alone]

Weaken = Callable[[dict[str, Any]], object]


class CarelessEngine(Engine):
    """Takes every option and does not enforce one of them, as rootless engines do without a controller."""

    def __init__(self, settings: SandboxSettings, weaken: Weaken) -> None:
        super().__init__(settings)
        self.weaken = weaken

    def create(self, name: str, config: Mapping[str, Any]) -> str | None:
        weakened = copy.deepcopy(dict(config))
        self.weaken(weakened)
        return super().create(name, weakened)


def without(*options: str) -> Weaken:
    return lambda config: [config["HostConfig"].pop(option) for option in options]


def with_host(**options: Any) -> Weaken:
    return lambda config: config["HostConfig"].update(options)


def with_network(name: str) -> Weaken:
    return both(with_host(NetworkMode=name, Sysctls={}), lambda config: config.update(NetworkDisabled=False))


def with_tmpfs(old: str, new: str) -> Weaken:
    def weaken(config: dict[str, Any]) -> None:
        places = config["HostConfig"]["Tmpfs"]
        places.update({place: options.replace(old, new) for place, options in places.items()})

    return weaken


def with_order(position: int, word: str) -> Weaken:
    return lambda config: operator.setitem(config["Cmd"], position, word)


def with_a_readable_interpreter(config: dict[str, Any]) -> None:
    config["Entrypoint"] = ["python3", "-I", "-S", "/opt/assay/warden.py"]


def both(*ways: Weaken) -> Weaken:
    return lambda config: [weaken(config) for weaken in ways]


CARELESS: dict[str, Weaken] = {
    "memory": without("Memory", "MemorySwap"),
    "memory of files": without("Memory", "MemorySwap"),
    "processes": both(without("PidsLimit"), with_order(1, "4096")),
    "threads": both(without("PidsLimit"), with_order(1, "4096")),
    "sparse files": without("Ulimits"),
    "file size": both(with_tmpfs("size=8m", "size=64m"), without("Ulimits")),
    "disk": with_tmpfs("size=8m", "size=64m"),
    "inodes": with_tmpfs("nr_inodes=8192", "nr_inodes=100000"),
    "read-only root": without("ReadonlyRootfs"),
    "no network": with_network("bridge"),
    "no host services": with_network("host"),
    "system calls": with_host(SecurityOpt=["seccomp=unconfined"]),
    "privileges": without("CapDrop"),
    "warden": with_a_readable_interpreter,
    "dead man's switch": with_order(0, "600"),
    "processors": without("NanoCpus"),
}
# What our own code does in the room and outside; an engine cannot drop it.
OURS = {"deadline", "output"}


def test_every_examination_is_shown_a_careless_engine_or_is_our_own_doing() -> None:
    assert CARELESS.keys() | OURS == EXAMINATIONS.keys()


@pytest.mark.parametrize("name", sorted(CARELESS))
def test_an_engine_that_drops_a_limit_is_found_out(name: str, settings: SandboxSettings, kind: str) -> None:
    with CarelessEngine(settings, CARELESS[name]) as engine:
        check = examine_one(name, DockerSandbox(engine, pinned(settings, "python"), settings, Owner(kind=kind)))
        left = engine.containers([f"{KIND}={kind}"])
    assert left == []
    assert not check.ok, f"{name} should be red: {check.found}"
    assert check.advice


def test_this_host_keeps_the_promise_and_at_least_fifteen_limits_are_proved(settings: SandboxSettings) -> None:
    seen: list[Check] = []
    report = examine(settings, seen.append)
    assert [f"{check.name}: {check.found}" for check in report.checks if not check.ok] == []
    assert report.ok
    assert len(EXAMINATIONS) >= 15
    assert seen == list(report.checks), "progress is told check by check"
    assert {"version of Docker Engine", "version of runc", "disk of the engine", "leftovers"} <= {
        check.name for check in report.checks
    }


def test_without_an_engine_the_report_is_red_and_says_what_to_do(settings: SandboxSettings) -> None:
    report = examine(settings.model_copy(update={"docker_host": "unix:///nowhere/docker.sock"}))
    assert not report.ok
    assert "./assay up" in report.checks[-1].found
