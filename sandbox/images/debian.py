"""A Debian with Python to build images on, made on this machine where no registry can be reached."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sandbox import SandboxUnavailable
from sandbox.docker import Engine
from sandbox.images import programs

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


def ensured(engine: Engine, state: Path, *, fresh: bool, progress: Callable[[str], None]) -> str:
    """The id of the Debian image, which is made now if it is missing or a `fresh` one is wanted."""
    if not fresh and (found := engine.image_id(TAG)):
        return found
    return make(engine, state, PACKAGES, TAG, {LABEL: RECIPE}, progress=progress)


def make(
    engine: Engine,
    state: Path,
    packages: str,
    tag: str,
    labels: dict[str, str],
    *,
    left_out: Sequence[str] = LEFT_OUT,
    progress: Callable[[str], None],
) -> str:
    """Make an image of the smallest Debian with `packages`, by way of a folder in `state`. Returns its id."""
    if shutil.which("debootstrap") is None:
        raise SandboxUnavailable(
            "sandbox images: debootstrap: missing. No registry gave us an image to build on, and without it we cannot "
            "make one. Run: sudo apt-get install --yes debootstrap debian-archive-keyring gpgv"
        )
    progress("Making a Debian base, about a minute")
    as_root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    # In namespaces of its own, so that neither a mount nor a process of it outlives this call.
    alone = [*as_root, "unshare", "--mount", "--pid", "--fork", "--kill-child"]
    folder = state.resolve() / "debian"
    root = folder / "root"  # not `folder` itself: the mode of this one becomes that of / in the image
    remove = [*as_root, "rm", "--recursive", "--force", "--one-file-system", str(folder)]

    programs.run("clean up", remove)  # what a machine left that went down meanwhile
    folder.mkdir(parents=True)
    try:
        options = ["--variant=minbase", f"--include={packages}", "--force-check-gpg"]
        # debootstrap cannot work below a folder with a space in its name: here it has another name, in that namespace.
        elsewhere = ["sh", "-c", 'mount --bind "$1" /mnt && shift && exec "$@"', "sh", str(folder)]
        bootstrap = [*elsewhere, "debootstrap", *options, SUITE, "/mnt/root"]
        programs.run("make a Debian base", [*alone, *bootstrap])
        with tempfile.TemporaryFile(dir=state) as tar:
            excluded = [f"--exclude={pattern}" for pattern in left_out]
            pack = ["tar", "--create", "--numeric-owner", *excluded, "--directory", str(root), "."]
            programs.run("pack the Debian base", [*as_root, *pack], stdout=tar)
            tar.seek(0)
            return engine.import_image(tar, tag, labels)
    finally:
        programs.run("clean up", remove)
