"""The production set as docs/operations.md describes it: brought up, used, restored elsewhere, upgraded, taken down."""

import hashlib
import io
import shutil
import tarfile
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest
from alembic.script import ScriptDirectory

from sandbox.container import GRADING
from sandbox.docker import Engine
from tests.deploy.conftest import MakeSet
from tests.deploy.production import Production
from tests.web.worker_process import until

pytestmark = [pytest.mark.docker, pytest.mark.compose]

STAY: Final = {"checks", "clock", "forms", "grading", "postgres", "recording", "redis", "web"}
END: Final = {"images", "migrate"}
DOCKER: Final = {"checks", "grading", "images"}  # the services that may talk to the engine
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
        attempt = "cat /proc/1/status && ! touch /usr/local/bin/planted 2>&1"
        told = production.run_in(name, "sh", "-c", attempt)
        rights = dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)
        assert "0" not in rights["Uid"].split(), name
        assert int(rights["CapEff"], 16) == int(rights["CapBnd"], 16) == 0, name
        assert rights["NoNewPrivs"] == "1", name
        assert "Read-only file system" in told, name


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
    assert [reached(production, name, database) for name in ("grading", "checks", "forms")] == [[], [], []]


def test_the_grading_service_reaches_the_queue_and_changes_no_submission(production: Production) -> None:
    assert reached(production, "grading", "redis:6379") == ["redis:6379"]
    containers = production.containers()
    front = f"{containers['web']['NetworkSettings']['Networks'][f'{production.name}_front']['IPAddress']}:8000"
    assert reached(production, "web", front) == [front]
    assert reached(production, "grading", front) == []
    for network in containers["grading"]["NetworkSettings"]["Networks"]:
        assert production.engine.api.inspect_network(network)["Internal"], "it leads out of the host"
    attempt = "cd /var/lib/assay && ls store versions > /tmp/seen && ! touch store/planted && ! touch versions/planted"
    production.run_in("grading", "sh", "-ec", attempt)


FORBIDDEN: Final = ("CONFIG SET dir /tmp", "FLUSHALL", "KEYS *", "ACL LIST", "MODULE LIST", "SHUTDOWN NOSAVE")


def test_the_queue_lets_nobody_in_without_a_password_and_nobody_configure_it(production: Production) -> None:
    def said(words: list[str], *known: str) -> list[str]:
        """What the server says to each of these words."""
        lines = "".join(f"{line}\n" for line in words)
        client = ("redis-cli", "--no-auth-warning", *known)
        answers = production.compose("exec", "-T", "redis", *client, stdin=lines.encode()).stdout.decode()
        return [line for line in answers.splitlines() if line]

    assert "NOAUTH" in said(["GET rq:queues"])[0]
    assert "NOPERM" in said(["GET rq:queues"], "--user", "health", "--pass", "none")[0]
    for user, secret in (("assay", "queue_password"), ("grading", "grading_queue_password")):
        password = (production.folder / "deploy" / "secrets" / secret).read_text().strip()
        ponged, *refused = said(["PING", *FORBIDDEN], "--user", user, "--pass", password)
        assert ponged == "PONG"
        assert len(refused) == len(FORBIDDEN)
        assert [answer for answer in refused if "NOPERM" not in answer] == []


def test_answers_are_only_where_they_are_needed(production: Production) -> None:
    containers = production.containers()
    places = {"/challenges", "/var/lib/assay/versions"}
    assert {name for name, found in containers.items() if places & mounted(found)} == {"forms", "grading", "migrate"}
    with_secret = {name for name, found in containers.items() if "/run/secrets/instance_secret" in mounted(found)}
    assert with_secret == {"forms", "grading"}
    assert production.run_in("grading", "ls", "/var/lib/assay/versions")
    found = production.compose("exec", "-T", "web", "find", "/", "-xdev", "-name", "warm-up*", check=False)
    assert found.stdout == b"", "the image, which the portal has too, holds a challenge"


# ---------------------------------------------------------------------------------------------- as the manual says


def test_forms_are_made_before_anybody_needs_one(production: Production) -> None:
    ready = "SELECT count(*) FROM forms WHERE state = 'pool' AND bundle IS NOT NULL"
    until(lambda: int(production.rows(ready)[0]) >= 2)


def test_a_submission_is_graded_once_and_right(production: Production, graded: dict[str, Any], engine: Engine) -> None:
    assert graded["failure"] is None
    assert (graded["fence"], graded["total"]) == (1, {"low": 80.0, "high": 100.0, "max": 100.0})
    assert production.rows(f"SELECT state FROM gradings WHERE submission_id = '{graded['submission']}'") == ["graded"]
    assert engine.containers([f"{GRADING}={graded['grading']}"]) == []


def test_a_backup_is_restored_elsewhere_and_works_on(
    production: Production, graded: dict[str, Any], make_set: MakeSet
) -> None:
    written = production.compose("run", "--rm", "-T", "backup").stdout
    restored = make_set()
    restored.compose("up", "-d", "postgres")
    restored.compose("run", "--rm", "-T", "restore", stdin=written)
    for question in (
        "SELECT * FROM gradings ORDER BY id",
        "SELECT * FROM findings ORDER BY grading_id, position",
        "SELECT * FROM audit_events ORDER BY id",
    ):
        assert restored.rows(question) == production.rows(question) != []
    assert graded["grading"] in "".join(restored.rows("SELECT id FROM gradings"))

    again = restored.compose("run", "--rm", "-T", "restore", stdin=written, check=False)
    assert again.returncode == 1
    assert b"the database is not empty: nothing was changed" in again.stdout + again.stderr
    kept, found = files(written), files(restored.compose("run", "--rm", "-T", "backup").stdout)
    assert len(kept) > 10
    assert found == kept

    restored.compose("up", "-d")
    restored.await_health()
    assert restored.hand_in("perfect")["total"] == graded["total"]
    restored.take_down()
    assert restored.remains() == {"containers": [], "networks": [], "volumes": []}


def files(backup: bytes) -> dict[str, str]:
    """Trees and versions in a backup, each with its hash. The database is another file at each time."""
    with tarfile.open(fileobj=io.BytesIO(backup)) as tar:
        regular = [member for member in tar.getmembers() if member.isfile() and not member.name.startswith("database/")]
        return {member.name: hashlib.sha256(content(tar, member)).hexdigest() for member in regular}


def content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def test_another_host_grades_what_queue_and_portal_give_it(
    production: Production, graded: dict[str, Any], make_set: MakeSet, engine: Engine, tmp_path: Path
) -> None:
    main = ("-f", "docker-compose.yml", "-f", "deploy/main-host.yml")
    away = ("-f", "docker-compose.yml", "-f", "deploy/grading-host.yml")
    (bridge,) = engine.api.inspect_network("bridge")["IPAM"]["Config"]
    # Some engines name it only after their first restart; they take the first address all the same.
    gateway = bridge.get("Gateway") or next(ip_network(bridge["Subnet"]).hosts())
    host = make_set()
    try:
        production.compose("stop", "grading")
        for name in ("ASSAY_QUEUE_PUBLISHED", "ASSAY_PUBLISHED"):
            production.variables[name] = f"{gateway}:"  # a free port, on an address that both hosts have
        production.compose(*main, "up", "-d", "redis", "web")
        queue = production.compose(*main, "port", "redis", "6379").stdout.decode().strip()
        portal = production.compose(*main, "port", "web", "8000").stdout.decode().strip()

        ours = production.folder / "deploy" / "secrets"
        theirs = shutil.copytree(ours, tmp_path / "secrets")
        for name in ("database_password", "database_url", "queue_password", "queue_url", "tree_secret"):
            (theirs / name).write_text("not that of the main host, and never asked for here")
        address = (ours / "grading_queue_url").read_text().replace("redis:6379", queue)
        (theirs / "grading_queue_url").write_text(address)
        host.variables |= {
            "ASSAY_SECRETS": str(theirs),
            "ASSAY_PORTAL_URL": f"http://{portal}",
            "ASSAY_VERSIONS_FOLDER": engine.api.inspect_volume(f"{production.name}_versions")["Mountpoint"],
        }
        host.compose("run", "--rm", "images")
        host.compose(*away, "up", "-d", "--no-deps", "grading")
        host.await_health()
        elsewhere = production.hand_in("perfect")
        assert elsewhere["total"] == graded["total"]
        (graded_by,) = production.rows(f"SELECT provenance->>'host' FROM gradings WHERE id = '{elsewhere['grading']}'")
        assert graded_by == host.containers()["grading"]["Config"]["Hostname"]
    finally:
        host.take_down()
        production.compose("up", "-d")
    production.await_health()


NEXT_RELEASE: Final = """
import sqlalchemy as sa
from alembic import op

revision = "next_release"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table("of_the_next_release", sa.Column("id", sa.Integer, primary_key=True))
"""


def test_an_upgrade_migrates_and_keeps_what_was_there(production: Production, graded: dict[str, Any]) -> None:
    migrations = production.folder / "web" / "migrations"
    before = ScriptDirectory(str(migrations)).get_current_head()
    (migrations / "versions" / "next_release.py").write_text(NEXT_RELEASE.format(before=before))
    assert production.rows("SELECT version_num FROM alembic_version") == [before]
    findings = production.rows("SELECT * FROM findings ORDER BY grading_id, position")

    production.build()
    production.compose("stop", "web", "clock", "recording")
    production.compose("run", "--rm", "migrate")
    production.compose("up", "-d")
    production.await_health()

    assert production.rows("SELECT version_num FROM alembic_version") == ["next_release"]
    assert production.rows("SELECT count(*) FROM of_the_next_release") == ["0"]
    assert production.rows("SELECT * FROM findings ORDER BY grading_id, position") == findings
    assert production.hand_in("perfect")["total"] == graded["total"]
