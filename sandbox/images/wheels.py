"""Python packages for an image, downloaded here, since an image is built without network."""

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sandbox import SandboxUnavailable
from sandbox.images import programs

PYTHON: Final = "3.11"  # in the image, whatever Python runs Assay itself
MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}  # the engine's word: the word in a wheel's name
NEWEST_GLIBC: Final = 36  # 2.36, in Debian 12


def fetched(lock: bytes, architecture: str, state: Path, progress: Callable[[str], None]) -> Path:
    """The folder that holds exactly the wheels of `lock`, filled once for each lock and architecture."""
    machine = MACHINES.get(architecture)
    if machine is None:
        raise SandboxUnavailable(f"packages: {architecture}: the sandbox images exist for {', '.join(MACHINES)} only")
    cache = state / "wheels"
    folder = cache / f"{hashlib.sha256(lock).hexdigest()[:12]}-{machine}"
    if folder.is_dir():
        return folder
    progress("Downloading Python packages, about 100 MB")
    partial = cache / "partial"
    shutil.rmtree(partial, ignore_errors=True)  # left by a machine that lost power
    partial.mkdir(parents=True)
    try:
        requirements = partial / "requirements.lock"
        requirements.write_bytes(lock)
        programs.run("download packages", _pip_download(requirements, partial, machine))
        requirements.unlink()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for other in cache.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def _pip_download(requirements: Path, folder: Path, machine: str) -> list[str]:
    # pip knows that an older manylinux runs on a newer glibc only when it is told each of their names.
    tags = [f"manylinux_2_{minor}" for minor in range(NEWEST_GLIBC, 4, -1)]
    tags += ["manylinux2014", "manylinux2010", "manylinux1"]
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--require-hashes", "--no-deps", "--only-binary=:all:"),
        *("--implementation=cp", f"--python-version={PYTHON}", f"--abi=cp{PYTHON.replace('.', '')}"),
        *(f"--platform={tag}_{machine}" for tag in tags),
        *("--dest", str(folder), "--requirement", str(requirements)),
    ]
