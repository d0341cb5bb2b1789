"""Trusts a green examination for a while: a worker that was killed must grade again within seconds, not after ten.

What was proved holds for one engine with one image and one version of our own code, until the host starts anew. When
any of these is another one, or the hour is over, everything is proved again.
"""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sandbox import SandboxUnavailable
from sandbox.docker import Engine
from sandbox.doctor import Check, examine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

TRUSTED_SECONDS: Final = 3600
RECORD: Final = "examined.json"
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
OURS: Final = Path(__file__).resolve().parent

# What an engine says of itself that decides whether a limit bites.
TELLING: Final = ("ID", "ServerVersion", "KernelVersion", "CgroupVersion", "CgroupDriver", "DefaultRuntime",
                  "MemoryLimit", "SwapLimit", "PidsLimit", "SecurityOptions")  # fmt: skip


def prove(settings: SandboxSettings, progress: Callable[[Check], object] = bool) -> bool:
    """Raise SandboxUnavailable unless every limit bites. True: it was proved now; False: within the hour."""
    with Engine(settings) as engine:
        now = _subject(settings, engine)
        if is_trusted(settings, now):
            return False
    report = examine(settings, progress)
    red = [f"{check.name}: {check.found}: {check.advice}" for check in report.checks if not check.ok]
    if red:
        raise SandboxUnavailable(f"this host does not keep the sandbox's promise: {'; '.join(red)}")
    _remember(settings, now)
    return True


def remember(settings: SandboxSettings) -> None:
    """Note that everything was proved just now."""
    with Engine(settings) as engine:
        _remember(settings, _subject(settings, engine))


def is_trusted(settings: SandboxSettings, subject: str, now: float | None = None) -> bool:
    try:
        told = json.loads((settings.state / RECORD).read_text())
        age = (time.time() if now is None else now) - float(told["at"])
        return told["subject"] == subject and 0 <= age < TRUSTED_SECONDS
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _remember(settings: SandboxSettings, subject: str) -> None:
    record = settings.state / RECORD
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        fresh = record.with_suffix(".new")
        fresh.write_text(json.dumps({"at": time.time(), "subject": subject}))
        fresh.replace(record)
    except OSError:
        return  # a folder that may only be read: then each start proves it anew


def _subject(settings: SandboxSettings, engine: Engine) -> str:
    """What was proved to hold, in one word."""
    told = engine.info()
    digest = hashlib.sha256()
    for part in (
        BOOT.read_text() if BOOT.exists() else "",
        json.dumps([told.get(name) for name in TELLING]),
        pinned(settings, "python"),
        settings.model_dump_json(),
        *(path.read_text() for path in sorted(OURS.rglob("*")) if path.suffix in (".py", ".json")),
    ):
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()
