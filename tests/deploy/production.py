"""The production set, brought up from a copy of this project as docs/operations.md says, under a name of its own."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.docker import Engine
from tests.deploy.bases import Bases
from web.machine import find_compose
from web.settings import PROJECT

COPIED: Final = (
    *(".dockerignore", "docker-compose.yml", "requirements.lock"),
    *("benchmarks", "challenges", "deploy", "graders", "sandbox", "web"),
)
LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "*.pyc", "secrets")
HEALTHY_SECONDS: Final = 240
PROJECT_LABEL: Final = "com.docker.compose.project"
SERVICE_LABEL: Final = "com.docker.compose.service"


def copied(folder: Path, packages: Path) -> Path:
    """What an operator has cloned, and the packages that a build without network needs."""
    for name in COPIED:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, folder / name, ignore=LEFT_OUT)
        else:
            shutil.copy(PROJECT / name, folder / name)
    for wheel in packages.iterdir():
        shutil.copy(wheel, folder / "deploy" / "wheels")
    return folder


class Production:
    """One set: a folder with docker-compose.yml, and what it started on this machine's engine."""

    def __init__(self, engine: Engine, folder: Path, bases: Bases, tag: str) -> None:
        self.engine = engine
        self.folder = folder
        self.name = f"assay-test-{secrets.token_hex(4)}"
        self.replaced: set[str | None] = set()
        door = engine.host.removeprefix("unix://")
        self.variables = {
            **bases.variables(),
            "ASSAY_TAG": tag,
            "ASSAY_PUBLISHED": "127.0.0.1:",  # a free port
            "DOCKER_SOCKET": door,
            "DOCKER_GROUP": str(Path(door).stat().st_gid),
        }

    def build(self) -> None:
        """Build the images, and remember those that are replaced. The layers of both stay, for the next build."""
        tags = [f"{name}:{self.variables['ASSAY_TAG']}" for name in ("assay", "assay-postgres", "assay-redis")]
        before = {self.engine.image_id(tag) for tag in tags}
        self.compose("build")
        self.replaced |= before - {self.engine.image_id(tag) for tag in tags}

    def compose(self, *words: str, stdin: bytes = b"", check: bool = True) -> "subprocess.CompletedProcess[bytes]":
        """Run Compose in this set's folder."""
        program = find_compose()
        assert program is not None, "Docker Compose is not here: `./assay test` installs it"
        done = subprocess.run(
            [*program, "--ansi", "never", "--project-name", self.name, *words],
            cwd=self.folder, env=self._environment(), input=stdin, capture_output=True, check=False,
        )  # fmt: skip
        said = (done.stdout[-4000:] + done.stderr[-4000:]).decode(errors="replace")
        assert done.returncode == 0 or not check, f"{' '.join(words)}: {said}\n{self._last_words()}"
        return done

    def _environment(self) -> Mapping[str, str]:
        # The builder that every engine has: Debian has no other, and what is installed here is not ours to choose.
        how = {"DOCKER_HOST": self.engine.host, "COMPOSE_DOCKER_CLI_BUILD": "0", "DOCKER_BUILDKIT": "0"}
        return {**os.environ, **how, **self.variables}

    def _last_words(self) -> str:
        """What the services wrote: a set that does not come up is explained by nothing else."""
        words = []
        for container in self.containers().values():
            lines = self.engine.api.logs(container["Id"], tail=15) if _is_logged(container) else b""
            words.append(f"--- {container['Name']}: {container['State']['Status']}\n{lines.decode(errors='replace')}")
        return "\n".join(words)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each service's container."""
        found = self.engine.api.containers(all=True, filters={"label": f"{PROJECT_LABEL}={self.name}"})
        inspected = [self.engine.api.inspect_container(container["Id"]) for container in found]
        return {container["Config"]["Labels"][SERVICE_LABEL]: container for container in inspected}

    def await_health(self) -> None:
        """Until every service that stays is healthy."""
        deadline = time.monotonic() + HEALTHY_SECONDS
        while waiting := self.unwell():
            assert time.monotonic() < deadline, f"not healthy: {waiting}\n{self._last_words()}"
            time.sleep(0.5)

    def unwell(self) -> dict[str, str]:
        states = {name: container["State"] for name, container in self.containers().items()}
        ended = {name for name, state in states.items() if state["Status"] == "exited" and state["ExitCode"] == 0}
        return {
            name: f"{state['Status']}, {state.get('Health', {}).get('Status', 'without a health check')}"
            for name, state in states.items()
            if name not in ended and state.get("Health", {}).get("Status") != "healthy"
        }

    def run_in(self, service: str, *command: str) -> str:
        """What a command prints in a service's running container."""
        return self.compose("exec", "-T", service, *command).stdout.decode()

    def rows(self, question: str) -> list[str]:
        """What the database answers, as the superuser of its own container sees it."""
        words = ("psql", "--username=postgres", "--dbname=assay", "--no-psqlrc", "--csv", "--tuples-only")
        return self.run_in("postgres", *words, "--command", question).splitlines()

    def hand_in(self, solution: str) -> dict[str, Any]:
        """Hand in one of the warm-up's solutions, as a candidate's work, and wait for what becomes of it."""
        folder = self.folder / "challenges" / "warm-up" / "solutions" / solution
        into_web = ("run", "--rm", "-T", "--no-deps", "-v", f"{folder}:/hand-in:ro", "web")
        said = self.compose(*into_web, "rehearse", "warm-up", "/hand-in", "--json").stdout
        told: dict[str, Any] = json.loads(said)
        return told

    def remains(self) -> dict[str, list[str]]:
        """What of this set the engine still has."""
        api, ours = self.engine.api, {"label": f"{PROJECT_LABEL}={self.name}"}
        return {
            "containers": [found["Id"] for found in api.containers(all=True, filters=ours)],
            "networks": [found["Name"] for found in api.networks(filters=ours)],
            "volumes": [found["Name"] for found in api.volumes(filters=ours)["Volumes"] or []],
        }

    def take_down(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans")
        for image in self.replaced:
            if image:
                self.engine.remove_image(image)


def _is_logged(container: dict[str, Any]) -> bool:
    return bool(container["HostConfig"]["LogConfig"]["Type"] != "none")
