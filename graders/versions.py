"""Keeps the versions of challenges that were published, so that an attempt is graded by what its candidate was given.

    <folder>/<digest>/<slug>/...      all that the digest covers, private packs merged in; solutions stay behind

A challenge's folder goes on changing; a copy under its digest does not. Whoever looks one up gets a proof: its digest
is made again from what lies there.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from graders.challenge import Challenge, read_challenge
from graders.contract import ChallengeInvalid, GradersError

__all__ = ["VersionMissing", "Versions"]

DIGEST: Final = re.compile("[0-9a-f]{64}")
PARTIAL: Final = ".new-"


class VersionMissing(GradersError):
    """This host does not have the version, or what it has is damaged. The operator's to mend."""


class Versions:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, challenge: Challenge) -> str:
        """Copy all of the challenge that its digest covers. When this returns the copy survives a power cut."""
        place = self.folder / challenge.digest
        if place.exists():
            return challenge.digest
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=self.folder, prefix=PARTIAL))  # private: nobody else may enter it
        try:
            _copy(challenge, partial / challenge.slug)
            if read_challenge(partial / challenge.slug).digest != challenge.digest:
                raise ChallengeInvalid(f"{challenge.folder}: it changed while it was copied: publish it again")
            try:
                partial.rename(place)
            except OSError:
                if not place.exists():  # somebody else has just kept the same version
                    raise
            _sync(self.folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return challenge.digest

    def find(self, digest: str) -> Path:
        """The folder of the challenge that was kept under this digest."""
        return self.read(digest).folder

    def read(self, digest: str) -> Challenge:
        where = f"challenge version {digest[:12]}"
        if not DIGEST.fullmatch(digest):
            raise VersionMissing(f"{where}: is no digest")
        place = self.folder / digest
        try:
            kept = [one for one in place.iterdir() if one.is_dir()]
            challenge = read_challenge(kept[0]) if len(kept) == 1 else None
        except FileNotFoundError:
            raise VersionMissing(
                f"{where}: {self.folder}: is not there: publish it on this host, or share the folder with the host "
                "that has it (ASSAY_VERSIONS)"
            ) from None
        except ChallengeInvalid as error:
            raise VersionMissing(
                f"{where}: {place}: is damaged, or made for another release of Assay: {error.problems[0]}"
            ) from None
        if challenge is None or challenge.digest != digest:
            raise VersionMissing(f"{where}: {place}: is damaged: remove it, and publish the challenge again")
        return challenge


def _copy(challenge: Challenge, folder: Path) -> None:
    for name, path in challenge.files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
    for inner, _, _ in os.walk(folder.parent):
        _sync(Path(inner))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
