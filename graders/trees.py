"""Folders of files, kept by their content: what a submission, a starter and a snapshot are made of.

A tree is a list of names, each with the hash of its bytes; its own hash is its digest. So a message carries one
digest instead of megabytes, a file that did not change is kept once however many snapshots hold it, and whoever
reads a tree can tell that nobody changed it.
"""

import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from graders.contract import GradersError

__all__ = [
    "MOST_BYTES",
    "FolderStore",
    "HttpStore",
    "Store",
    "TreeMissing",
    "digest_of",
    "digest_of_hashes",
    "packed",
    "store_at",
    "unpacked",
]

DIGEST: Final = re.compile("[0-9a-f]{64}")
MOST_BYTES: Final = 128 << 20  # of one tree as a tar; the largest submission that a challenge can allow is half of it
PATIENCE: Final = 30.0  # seconds without a byte from the portal
LIST: Final = ".tree"
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
    """A folder of this machine, or one that several machines share.

    Lists of files lie apart from files: a candidate can hand in any bytes, also those whose hash is the digest of a
    tree that somebody else will hand in, and where that file lay there would be no place for the tree.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, files: Mapping[str, bytes]) -> str:
        hashes = _hashes(files)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            self._write(hashes[name], content)
        self._settle(hashes.values())
        manifest = _manifest(hashes)
        digest = _sealed(manifest)
        self._write(digest, manifest, LIST)  # last: a tree that can be read has all of its files
        self._settle([digest])
        return digest

    def get(self, digest: str) -> dict[str, bytes]:
        manifest = self._read(digest, LIST)
        if _sealed(manifest) != digest:
            raise TreeMissing(f"tree {digest[:12]}: its list of files is damaged: restore the store from a backup")
        files = {}
        for name, expected in json.loads(manifest).items():
            content = self._read(expected)
            if hashlib.sha256(content).hexdigest() != expected:
                raise TreeMissing(f"tree {digest[:12]}: {name}: is damaged: restore the store from a backup")
            files[name] = content
        return files

    def _place(self, digest: str, kind: str = "") -> Path:
        if not DIGEST.fullmatch(digest):  # it names a file
            raise TreeMissing(f"tree {digest[:12]!r}: is no digest")
        return self.folder / digest[:2] / (digest[2:] + kind)

    def _read(self, digest: str, kind: str = "") -> bytes:
        try:
            return self._place(digest, kind).read_bytes()
        except FileNotFoundError:
            raise TreeMissing(
                f"tree {digest[:12]}: {self.folder}: does not hold it: is ASSAY_STORE the folder that the portal "
                "writes to? Otherwise restore it from a backup"
            ) from None
        except OSError as error:
            raise TreeMissing(f"tree {digest[:12]}: {self.folder}: {error.strerror}") from None

    def _write(self, digest: str, content: bytes, kind: str = "") -> None:
        place = self._place(digest, kind)
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
        finally:
            Path(name).unlink(missing_ok=True)  # there is one only if it was not renamed

    def _settle(self, digests: Iterable[str]) -> None:
        """Their names, too, are on the disk: also of files that somebody else wrote a moment ago."""
        for folder in {self._place(digest).parent for digest in digests}:
            _sync_folder(folder)
        _sync_folder(self.folder)


class HttpStore:
    """Trees of a portal elsewhere, for hosts that share no folder with it: GET and PUT <url>/trees/<digest>, a tar.

    Plain connections, so that nothing follows a redirection with the token, or asks a proxy of the environment.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = urlsplit(url)
        self._token = token

    def put(self, files: Mapping[str, bytes]) -> str:
        """As FolderStore.put: when the portal says that it has them, they survive a power cut there."""
        digest = digest_of(files)
        self._asked("PUT", digest, b"".join(packed(files)))
        return digest

    def get(self, digest: str) -> dict[str, bytes]:
        """As FolderStore.get: what does not have the digest was never given."""
        content = self._asked("GET", digest)
        if len(content) > MOST_BYTES:
            raise TreeMissing(f"{self._where(digest)}: sends more than {MOST_BYTES >> 20} MB")
        files = unpacked(content, self._where(digest))
        if digest_of(files) != digest:
            raise TreeMissing(f"{self._where(digest)}: sends other files than those of this digest")
        return files

    def _asked(self, method: str, digest: str, body: bytes | None = None) -> bytes:
        where = self._where(digest)
        if not DIGEST.fullmatch(digest):
            raise TreeMissing(f"{where}: is no digest")
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        try:
            with closing(kind(self._url.netloc, timeout=PATIENCE)) as portal:
                path = f"{self._url.path.rstrip('/')}/trees/{digest}"
                portal.request(method, path, body, {"Authorization": f"Bearer {self._token}"})
                answer = portal.getresponse()
                if answer.status != (200 if method == "GET" else 204):
                    raise TreeMissing(
                        f"{where}: answers {answer.status}: it does not have the tree, or takes no token like ours: "
                        "is ASSAY_TREE_SECRET set there, and the clock of both right?"
                    )
                return answer.read(MOST_BYTES + 1)
        except (OSError, HTTPException) as error:
            raise TreeMissing(f"{where}: {error or type(error).__name__}: does the portal answer there?") from None

    def _where(self, digest: str) -> str:
        return f"tree {digest[:12]}: {self._url.scheme}://{self._url.netloc}"


def store_at(url: str, folder: Path, token: str) -> Store:
    """That of the portal at `url`, with a token of its own; without one, the folder that both share."""
    return HttpStore(url, token) if url else FolderStore(folder)


def packed(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """A tar of regular files in order of their names: the same bytes for the same tree."""
    for name in sorted(files):
        member = tarfile.TarInfo(name)
        member.size = len(files[name])
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield files[name]
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def unpacked(content: bytes, where: str) -> dict[str, bytes]:
    """The files of a tar, in memory: names are data, and no path is ever made of them."""
    files = {}
    left = len(content)  # a member that says it is longer than the whole, such as a sparse one, is none of ours
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for member in tar:
                left -= member.size
                if not member.isreg() or left < 0 or (file := tar.extractfile(member)) is None:
                    raise TreeMissing(f"{where}: sends something else than files")
                files[member.name] = file.read()
    except (tarfile.TarError, ValueError) as error:
        raise TreeMissing(f"{where}: sends no tar: {error}") from None
    return files


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
