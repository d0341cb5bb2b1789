"""Trusts a green examination for a while: a worker that was killed must grade again within seconds, not after ten.

What was proved holds for one engine with one image and one version of our own code, until the host starts anew. When
any of these is another one, or the hour is over, everything is proved again.
"""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sandbox import SandboxUnavailable
from sandbox.docker import Engine
from sandbox.doctor import Check, Report, examine
from sandbox.images import pinned
from sandbox.settings import SandboxSettings

TRUSTED_SECONDS: Final = 3600
RECORD: Final = "examined.json"
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
OURS: Final = Path(__file__).resolve().parent

# What an engine says of itself that decides whether a limit bites.
TELLING: Final = ("ID", "ServerVersion", "KernelVersion", "CgroupVersion", "CgroupDriver", "DefaultRuntime",
                  "MemoryLimit", "SwapLimit", "PidsLimit", "SecurityOptions")  # fmt: skip


class Trust:
    """What is known of this host, here and in the folder of the state, where the next process finds it."""

    def __init__(self, settings: SandboxSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._record = settings.state / RECORD
        self._known: dict[str, Any] = {}

    def prove(self) -> bool:
        """Raise SandboxUnavailable unless every limit bites. True: that was examined just now."""
        if self.stands():
            return False
        self.examine()
        return True

    def stands(self) -> bool:
        """Whether it was all green within the hour, and nothing has changed since."""
        subject = self._subject()
        return any(self._covers(told, subject) for told in (self._known, self._read()))

    def examine(self, progress: Callable[[Check], object] = bool) -> Report:
        """Prove it now, whatever was proved before."""
        subject = self._subject()
        report = examine(self._settings, progress)
        red = [f"\n    {check.name}: {check.found}: {check.advice}" for check in report.checks if not check.ok]
        if red:
            self._known = {}
            self._write()
            raise SandboxUnavailable(f"this host does not keep the sandbox's promise:{''.join(red)}")
        self._known = {"at": self._clock(), "subject": subject}
        self._write()
        return report

    def _covers(self, told: dict[str, Any], subject: str) -> bool:
        try:
            return told["subject"] == subject and 0 <= self._clock() - float(told["at"]) < TRUSTED_SECONDS
        except (KeyError, TypeError, ValueError):
            return False

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._record.read_text()))
        except (OSError, ValueError, TypeError):
            return {}

    def _write(self) -> None:
        fresh = self._record.with_suffix(".new")
        try:
            fresh.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(self._known))
            fresh.replace(self._record)
        except OSError:
            return  # a folder that we may only read: then each process proves it for itself

    def _subject(self) -> str:
        """What is being trusted, as one digest."""
        with Engine(self._settings) as engine:
            told = engine.info()
        digest = hashlib.sha256()
        for part in (
            BOOT.read_text() if BOOT.exists() else "",
            json.dumps([told.get(name) for name in TELLING]),
            pinned(self._settings, "python"),
            self._settings.model_dump_json(),
            *(path.read_text() for path in sorted(OURS.rglob("*")) if path.suffix in (".py", ".json")),
        ):
            digest.update(f"{len(part)}:{part}".encode())
        return digest.hexdigest()
