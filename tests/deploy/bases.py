"""What the production images are built from on this machine: the official images, or Debians made here.

As with the sandbox's images: a registry is asked, and where none answers a Debian is made and kept under a name of
its own. Packages of Python are downloaded outside and copied in, so that no build needs a network.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.docker import Engine
from sandbox.images import RECIPES, debian, wheels
from sandbox.settings import SandboxSettings
from web.settings import PROJECT

SERVERS: Final = "postgresql-15,redis-server"
LEFT_OUT: Final = (*debian.LEFT_OUT, "./var/lib/postgresql/*")  # the database that the package makes for itself
LABEL: Final = "assay.compose-base"


@dataclass(frozen=True, slots=True)
class Bases:
    python: str
    postgres: str
    redis: str

    def variables(self) -> dict[str, str]:
        return {"PYTHON_IMAGE": self.python, "POSTGRES_IMAGE": self.postgres, "REDIS_IMAGE": self.redis}


def found_or_made(engine: Engine, settings: SandboxSettings, progress: Callable[[str], None]) -> Bases:
    """The official images that docker-compose.yml names, as far as they can be had."""
    state = settings.state / "compose"
    state.mkdir(parents=True, exist_ok=True)
    official = dict(re.findall(r"\$\{(\w+_IMAGE):-([a-z][^/}]*)\}", (PROJECT / "docker-compose.yml").read_text()))

    def base(variable: str, made: Callable[[], str]) -> str:
        reference = official[variable]
        return reference if engine.image_id(reference) or engine.pull(reference) else made()

    return Bases(
        python=base("PYTHON_IMAGE", lambda: debian.ensured(engine, settings.state, fresh=False, progress=progress)),
        postgres=base("POSTGRES_IMAGE", lambda: _servers(engine, state, progress)),
        redis=base("REDIS_IMAGE", lambda: _servers(engine, state, progress)),
    )


def _servers(engine: Engine, state: Path, progress: Callable[[str], None]) -> str:
    recipe = hashlib.sha256("\n".join((debian.SUITE, SERVERS, *LEFT_OUT)).encode()).hexdigest()[:12]
    tag = f"assay/servers:{debian.SUITE}-{recipe}"
    if engine.image_id(tag) is None:
        debian.make(engine, state, SERVERS, tag, {LABEL: recipe}, left_out=LEFT_OUT, progress=progress)
    return tag


def packages(engine: Engine, settings: SandboxSettings, progress: Callable[[str], None]) -> Path:
    """The folder with the wheels of requirements.lock, and with the pip that installs them."""
    lock = (PROJECT / "requirements.lock").read_text()
    # The Python of the image may be another one than ours, which pip asks about such conditions. Windows stays out.
    lock = re.sub(r" ; (?!sys_platform)[^\\\n]*", " ", lock)
    rooms = (RECIPES / "python" / "requirements.lock").read_text()
    (pip,) = re.findall(r"^pip==.*\n(?: +--hash.*\n)+", rooms, re.MULTILINE)
    machine = str(engine.version()["Arch"])
    return wheels.fetched(f"{lock}\n{pip}".encode(), machine, settings.state / "compose", progress)
