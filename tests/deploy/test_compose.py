"""The production set as docs/operations.md describes it: brought up, used, restored elsewhere, upgraded, taken down."""

from typing import Any, Final
from urllib.request import urlopen

import pytest

from tests.deploy.production import Production

pytestmark = [pytest.mark.docker, pytest.mark.compose]

STAY: Final = {"clock", "grading", "postgres", "recording", "redis", "web"}
END: Final = {"images", "migrate"}
DOCKER: Final = {"grading", "images"}  # the services that may talk to the engine
DATABASE: Final = {"clock", "migrate", "postgres", "recording", "web"}  # those that may reach the database

# Tries to reach each HOST:PORT and prints those that it reached.
KNOCK: Final = """
import socket, sys
for place in sys.argv[1:]:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError:
        continue
    print(place)
"""


def reached(production: Production, service: str, *places: str) -> list[str]:
    return production.run_in(service, "/opt/assay/bin/python", "-I", "-c", KNOCK, *places).split()


def mounted(container: dict[str, Any]) -> set[str]:
    return {mount["Destination"] for mount in container["Mounts"]}


def test_everything_comes_up_by_itself(production: Production) -> None:
    containers = production.containers()
    assert containers.keys() == STAY | END
    assert production.unwell() == {}
    assert {name for name, container in containers.items() if container["State"]["Running"]} == STAY


def test_the_portal_answers_on_the_published_port(production: Production) -> None:
    published = production.compose("port", "web", "8000").stdout.decode().strip()
    assert published.startswith("127.0.0.1:")
    with urlopen(f"http://{published}/healthz", timeout=10) as answer:
        assert answer.status == 200


def test_nobody_can_become_root_or_write_where_programs_are(production: Production) -> None:
    for name, container in production.containers().items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert not host["Privileged"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert any("no-new-privileges" in option for option in host["SecurityOpt"]), name
    for name in STAY:
        lines = production.run_in(name, "cat", "/proc/1/status").splitlines()
        rights = dict(line.split(":\t", 1) for line in lines)
        assert "0" not in rights["Uid"].split(), name
        assert int(rights["CapEff"], 16) == int(rights["CapBnd"], 16) == 0, name
        assert rights["NoNewPrivs"] == "1", name
        planted = production.compose("exec", "-T", name, "touch", "/usr/local/bin/planted", check=False)
        assert planted.returncode != 0, name
        assert b"Read-only file system" in planted.stdout + planted.stderr, name


def test_everything_has_limits(production: Production) -> None:
    for name, container in production.containers().items():
        host = container["HostConfig"]
        assert 0 < host["Memory"] == host["MemorySwap"], f"{name}: memory, and no swap beside it"
        assert host["NanoCpus"] > 0, name
        assert 0 < host["PidsLimit"] <= 256, name
        assert {"max-size", "max-file"} <= host["LogConfig"]["Config"].keys(), name


def test_whoever_reaches_docker_does_not_reach_the_database(production: Production) -> None:
    containers = production.containers()
    assert {name for name, found in containers.items() if "/var/run/docker.sock" in mounted(found)} == DOCKER
    with_password = {name for name, found in containers.items() if "/run/secrets/database_url" in mounted(found)}
    assert with_password == DATABASE - {"postgres"}
    assert not DOCKER & DATABASE

    (network,) = containers["postgres"]["NetworkSettings"]["Networks"].values()
    database = f"{network['IPAddress']}:5432"
    assert reached(production, "clock", database) == [database]
    assert reached(production, "grading", database) == []


def test_the_grading_service_reaches_the_queue_and_changes_no_submission(production: Production) -> None:
    assert reached(production, "grading", "redis:6379") == ["redis:6379"]
    routes = [line.split()[1] for line in production.run_in("grading", "cat", "/proc/net/route").splitlines()[1:]]
    assert routes
    assert "00000000" not in routes, "there is a way out of the host"
    for folder in ("store", "versions"):
        path = f"/var/lib/assay/{folder}"
        assert production.compose("exec", "-T", "grading", "touch", f"{path}/planted", check=False).returncode != 0
        production.run_in("grading", "ls", path)


def test_the_queue_lets_nobody_in_without_a_password_and_nobody_configure_it(production: Production) -> None:
    def redis(*words: str) -> str:
        return production.run_in("redis", "redis-cli", *words)

    assert "NOAUTH" in redis("GET", "rq:queues")
    for user, secret in (("assay", "queue_password"), ("grading", "grading_queue_password")):
        password = (production.folder / "deploy" / "secrets" / secret).read_text().strip()
        known = ("--no-auth-warning", "--user", user, "--pass", password)
        assert redis(*known, "PING") == "PONG\n"
        for words in (
            ["CONFIG", "SET", "dir", "/tmp"],
            ["FLUSHALL"],
            ["KEYS", "*"],
            ["ACL", "LIST"],
            ["MODULE", "LIST"],
        ):
            assert "NOPERM" in redis(*known, *words)
    assert "NOPERM" in redis("--no-auth-warning", "--user", "health", "--pass", "none", "GET", "rq:queues")


def test_answers_are_only_where_they_are_needed(production: Production) -> None:
    containers = production.containers()
    places = {"/challenges", "/var/lib/assay/versions"}
    assert {name for name, found in containers.items() if places & mounted(found)} == {"grading", "migrate"}
    assert production.run_in("grading", "ls", "/var/lib/assay/versions")
    found = production.compose("exec", "-T", "web", "find", "/", "-xdev", "-name", "warm-up*", check=False)
    assert found.stdout == b"", "the image, which the portal has too, holds a challenge"
