"""A Debian with Python to build images on, made on this machine where no registry can be reached."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sandbox import SandboxUnavailable
from sandbox.images import programs

if TYPE_CHECKING:  # sandbox.docker asks sandbox.images which image to run
    from sandbox.docker import Engine

SUITE: Final = "bookworm"
PACKAGES: Final = "python3"
LEFT_OUT: Final = (
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./usr/share/doc/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
)
RECIPE: Final = hashlib.sha256("\n".join((SUITE, PACKAGES, *LEFT_OUT)).encode()).hexdigest()[:12]
TAG: Final = f"assay/base:{SUITE}-{RECIPE}"
LABEL: Final = "assay.base"


def ensured(engine: "Engine", state: Path, *, fresh: bool, progress: Callable[[str], None]) -> str:
    """The id of the Debian image, made now if it is missing or a `fresh` one is wanted."""
    if not fresh and (found := engine.image_id(TAG)):
        return found
    if shutil.which("debootstrap") is None:
        raise SandboxUnavailable(
            "sandbox images: no registry answers, and Assay cannot make a Debian base: debootstrap is missing. "
            "Run: sudo apt-get install --yes debootstrap debian-archive-keyring"
        )
    progress("Making a Debian base, about a minute")
    as_root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    folder = state / "debian"
    root = folder / "root"
    remove = [*as_root, "rm", "-rf", "--one-file-system", str(folder)]
    programs.run("clean up", remove)  # left by a machine that lost power
    folder.mkdir(parents=True)
    try:
        # In mount and process namespaces of its own, so that neither a mount nor a process outlives it.
        programs.run(
            "make a Debian base",
            [
                *(*as_root, "unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "--force-check-gpg", SUITE, str(root)),
            ],
        )
        with tempfile.TemporaryFile(dir=state) as tar:
            excluded = [f"--exclude={pattern}" for pattern in LEFT_OUT]
            pack = [*as_root, "tar", "--create", "--numeric-owner", *excluded, "--directory", str(root), "."]
            programs.run("pack the Debian base", pack, stdout=tar)
            tar.seek(0)
            return engine.import_image(tar, TAG, {LABEL: RECIPE})
    finally:
        programs.run("clean up", remove)
