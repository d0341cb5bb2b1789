"""Reads a folder of this machine into the files that go into a room."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sandbox import SandboxMisused


def read_folder(folder: Path, disk_mb: int) -> dict[str, bytes]:
    """All regular files below `folder`. Sizes are added up before the first byte is read."""
    if not folder.exists():
        raise SandboxMisused(f"folder: {folder}: there is no such folder")
    if not folder.is_dir():
        raise SandboxMisused(f"folder: {folder}: this is a file: name the folder that holds it")
    found, left = [], disk_mb << 20
    for path, size in _regular_files(folder):
        left -= size
        if left < 0:
            raise SandboxMisused(
                f"folder: {folder}: it holds more than the {disk_mb} MB that a room of this size can take: "
                "leave out what is not needed, or raise --disk-mb"
            )
        found.append(path)
    return {path.relative_to(folder).as_posix(): _read(path, disk_mb << 20) for path in found}


def _regular_files(folder: Path) -> Iterator[tuple[Path, int]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            look = entry.stat(follow_symlinks=False)
            path = folder / entry.name
            if stat.S_ISDIR(look.st_mode):
                yield from _regular_files(path)
            elif stat.S_ISREG(look.st_mode):
                yield path, look.st_size
            else:
                raise SandboxMisused(f"folder: {str(path)!r}: only files and folders can go into a room, no links")


def _read(path: Path, most: int) -> bytes:
    """Not more than was counted, though the file may have grown since; a link put in its place is not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)
