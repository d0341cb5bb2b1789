"""Reads a folder of this machine into the files that go into a room."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sandbox import SandboxMisused
from sandbox.checks import MOST_FILES, check_name


def read_folder(folder: Path, disk_mb: int) -> dict[str, bytes]:
    """All regular files below `folder`. They are counted and added up before the first byte is read."""
    try:
        if not folder.exists():
            raise SandboxMisused(f"folder: {str(folder)!r}: there is no such folder")
        if not folder.is_dir():
            raise SandboxMisused(f"folder: {str(folder)!r}: this is a file: name the folder that holds it")
        found = _within(folder, disk_mb)
        return {path.relative_to(folder).as_posix(): _read(path, disk_mb << 20) for path in found}
    except OSError as error:
        raise SandboxMisused(f"folder: {str(error.filename)!r}: {error.strerror}") from error


def _within(folder: Path, disk_mb: int) -> list[Path]:
    found, left = [], disk_mb << 20
    for path, size in _regular_files(folder):
        check_name("folder", path.relative_to(folder).as_posix())
        found.append(path)
        left -= size
        if left < 0:
            raise SandboxMisused(
                f"folder: {folder}: it holds more than the {disk_mb} MB that a room of this size can take: "
                "leave out what is not needed, or raise --disk-mb"
            )
        if len(found) > MOST_FILES:
            raise SandboxMisused(f"folder: {folder}: it holds more than {MOST_FILES:,} files: leave some out")
    return found


def _regular_files(folder: Path) -> Iterator[tuple[Path, int]]:
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                look = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(look.st_mode):
                    folders.append(Path(entry.path))
                elif stat.S_ISREG(look.st_mode):
                    yield Path(entry.path), look.st_size
                else:
                    raise SandboxMisused(f"folder: {entry.path!r}: only files and folders go into a room, no links")


def _read(path: Path, most: int) -> bytes:
    """Not more than was counted, though the file may have grown since; a link put in its place is not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)
