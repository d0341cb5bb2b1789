"""Commits, trees and blobs, by their SHA-1: as strict as git itself is when it is told to be.

SHA-1 can be forged by whoever makes both files. So it names nothing of ours: what it names here is one attempt's own
history, which nobody reads but who made it, and what is run and graded is known by its SHA-256.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, NamedTuple, NoReturn

from web.archives import LONGEST_NAME, MOST_PLACES
from web.errors import SubmissionRejected
from web.unpacking import shown

__all__ = [
    "EXECUTABLE",
    "FILE",
    "FOLDER",
    "SUBMODULE",
    "Commit",
    "Entry",
    "Kind",
    "Leaf",
    "Object",
    "damaged",
    "leaves",
    "read_commit",
    "read_tree",
    "write_commit",
    "write_trees",
]

FILE: Final = b"100644"
EXECUTABLE: Final = b"100755"
FOLDER: Final = b"40000"
LINK: Final = b"120000"
SUBMODULE: Final = b"160000"
# What a history may hold. What the newest commit may hold is less: files and folders.
MODES: Final = frozenset({FILE, EXECUTABLE, FOLDER, LINK, SUBMODULE})
ODD: Final = {LINK: "a link", SUBMODULE: "a submodule"}

LONGEST_COMMIT: Final = 128 << 10  # with its message
HEADERS: Final = re.compile(
    rb"tree ([0-9a-f]{40})\n((?:parent [0-9a-f]{40}\n){0,64})author [^\n\0]+\ncommitter [^\n\0]+\n(?:[^\n\0]+\n)*\n"
)
OWN_FOLDERS: Final = frozenset({".git", "git~1"})  # where a client keeps what it obeys; on some disks by other names
IGNORED: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")  # by some disks, inside a name


class Kind(IntEnum):
    """As packs number them."""

    COMMIT = 1
    TREE = 2
    BLOB = 3
    TAG = 4


class Object(NamedTuple):
    kind: Kind
    content: bytes

    @property
    def id(self) -> str:
        header = b"%s %d\0" % (self.kind.name.lower().encode(), len(self.content))
        return hashlib.sha1(header + self.content, usedforsecurity=False).hexdigest()

    @property
    def digest(self) -> str:
        """Under which the contents have it, if it is a file's."""
        return hashlib.sha256(self.content).hexdigest()


class Entry(NamedTuple):
    mode: bytes
    name: bytes
    id: str


class Leaf(NamedTuple):
    """A file of a commit."""

    mode: bytes
    id: str


class Commit(NamedTuple):
    tree: str
    parents: tuple[str, ...]


def damaged(why: str) -> NoReturn:
    raise SubmissionRejected(f"push: what was sent is damaged: {why}: try `git fsck` on your side")


# ------------------------------------------------------------------------------------------------------------ trees


def read_tree(content: bytes) -> list[Entry]:
    """In git's own order, which nothing else may have."""
    entries: list[Entry] = []
    at, before = 0, b""
    while at < len(content):
        space = content.find(b" ", at, at + 7)
        end = content.find(b"\0", space + 1)
        if space < 0 or end < 0 or end + 21 > len(content):
            damaged("a tree cannot be read")
        entry = Entry(content[at:space], content[space + 1 : end], content[end + 1 : end + 21].hex())
        order = _order(entry)
        if entry.mode not in MODES or not _is_name(entry.name) or order <= before:
            damaged(f"a tree with the entry {shown(_text(entry.name))}, which git would not make")
        entries.append(entry)
        at, before = end + 21, order
    if len({entry.name for entry in entries}) != len(entries):  # a file and a folder
        damaged("a tree with two entries of one name")
    return entries


def _order(entry: Entry) -> bytes:
    return entry.name + b"/" if entry.mode == FOLDER else entry.name


def _is_name(name: bytes) -> bool:
    """One that no client takes for a way out, or for the folder from which it reads its configuration."""
    if name in (b"", b".", b"..") or b"/" in name or b"\\" in name:
        return False
    seen = IGNORED.sub("", _text(name)).partition(":")[0].rstrip(". ").casefold()
    return seen not in OWN_FOLDERS


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def leaves(root: str, tree: Callable[[str], bytes]) -> dict[str, Leaf]:
    """The files of a commit by their whole names. One tree may stand in many places: places are counted, not trees."""
    found: dict[str, Leaf] = {}
    waiting, places = [("", root)], 0
    while waiting:
        folder, tree_id = waiting.pop()
        for mode, part, entry_id in read_tree(tree(tree_id)):
            places += 1
            name = folder + _text(part)
            if places > MOST_PLACES:
                raise SubmissionRejected(f"push: there are more than {MOST_PLACES:,} files and folders: remove some")
            if len(name) > LONGEST_NAME:
                raise SubmissionRejected(f"push: {shown(name)}: the name is too long: shorten it")
            if mode in ODD:
                raise SubmissionRejected(
                    f"push: {shown(name)}: this is {ODD[mode]}, and only files and folders are taken: put the file "
                    "itself there"
                )
            if mode == FOLDER:
                waiting.append((f"{name}/", entry_id))
            else:
                found[name] = Leaf(mode, entry_id)
    return found


def write_trees(files: Mapping[str, Leaf]) -> tuple[str, list[Object]]:
    """The id of the outermost tree, and all of them."""
    folders: dict[str, dict[bytes, Entry]] = {"": {}}
    for name, (mode, blob) in files.items():
        folder, _, part = name.rpartition("/")
        folders.setdefault(folder, {})[part.encode()] = Entry(mode, part.encode(), blob)
        while folder and folder.rpartition("/")[0] not in folders:
            folder = folder.rpartition("/")[0]
            folders[folder] = {}
    made = []
    for folder in sorted(folders, key=lambda name: name.count("/") if name else -1, reverse=True):
        made.append(Object(Kind.TREE, _written(folders[folder].values())))
        if folder:
            outer, _, part = folder.rpartition("/")
            folders[outer][part.encode()] = Entry(FOLDER, part.encode(), made[-1].id)
    return made[-1].id, made


def _written(entries: Iterable[Entry]) -> bytes:
    return b"".join(b"%b %b\0%b" % (mode, name, bytes.fromhex(to)) for mode, name, to in sorted(entries, key=_order))


# ---------------------------------------------------------------------------------------------------------- commits


def read_commit(content: bytes) -> Commit:
    if len(content) > LONGEST_COMMIT:
        raise SubmissionRejected(f"push: a commit is longer than {LONGEST_COMMIT >> 10} kB: shorten its message")
    headers = HEADERS.match(content)
    if headers is None:
        damaged("a commit cannot be read")
    return Commit(headers[1].decode(), tuple(headers[2].decode().split()[1::2]))


def write_commit(tree: str, parent: str | None, at: datetime, message: str) -> Object:
    when = f"Assay <assay@localhost> {int(at.astimezone(UTC).timestamp())} +0000"
    parents = f"parent {parent}\n" if parent else ""
    text = f"tree {tree}\n{parents}author {when}\ncommitter {when}\n\n{message}\n"
    return Object(Kind.COMMIT, text.encode())
