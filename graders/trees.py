"""Folders of files, kept by their content: what a submission, a starter and a snapshot are made of.

A tree is a list of names, each with the hash of its bytes; its own hash is its digest. So a message carries one
digest instead of megabytes, a file that did not change is kept once however many snapshots hold it, and whoever
reads a tree can tell that nobody changed it.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from graders.contract import GradersError

__all__ = ["FolderStore", "Store", "TreeMissing", "digest_of", "digest_of_hashes"]

MARK: Final = b"assay tree 1\n"  # no file is ever taken for a tree, because a tree's hash is made with this before it


class TreeMissing(GradersError):
    """The store does not have it, or what it has is damaged. The operator's to mend."""


class Store(Protocol):
    def put(self, files: Mapping[str, bytes]) -> str:
        """Keep these files and give their digest. When this returns they survive a power cut."""

    def get(self, digest: str) -> dict[str, bytes]:
        """The files, proved by their hashes; TreeMissing when that is not possible."""


def digest_of(files: Mapping[str, bytes]) -> str:
    return digest_of_hashes(_hashes(files))


def digest_of_hashes(hashes: Mapping[str, str]) -> str:
    """The same, for whoever has the SHA-256 of each file and not all of them in memory."""
    return _sealed(_manifest(hashes))


def _hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def _manifest(hashes: Mapping[str, str]) -> bytes:
    return json.dumps(hashes, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()


def _sealed(manifest: bytes) -> str:
    return hashlib.sha256(MARK + manifest).hexdigest()


class FolderStore:
    """A folder of this machine, or one that several machines share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, files: Mapping[str, bytes]) -> str:
        hashes = _hashes(files)
        for name, content in files.items():
            self._keep(hashes[name], content)
        manifest = _manifest(hashes)
        digest = _sealed(manifest)
        self._keep(digest, manifest)  # last: a tree that can be read has all of its files
        return digest

    def get(self, digest: str) -> dict[str, bytes]:
        manifest = self._read(digest)
        if _sealed(manifest) != digest:
            raise TreeMissing(f"tree {digest[:12]}: its list of files is damaged: restore the store from a backup")
        files = {}
        for name, expected in json.loads(manifest).items():
            content = self._read(expected)
            if hashlib.sha256(content).hexdigest() != expected:
                raise TreeMissing(f"tree {digest[:12]}: {name}: is damaged: restore the store from a backup")
            files[name] = content
        return files

    def _place(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:]

    def _read(self, digest: str) -> bytes:
        try:
            return self._place(digest).read_bytes()
        except OSError as error:
            raise TreeMissing(f"tree {digest[:12]}: {self.folder}: {error.strerror}") from None

    def _keep(self, digest: str, content: bytes) -> None:
        place = self._place(digest)
        if place.exists():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).rename(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(place.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
