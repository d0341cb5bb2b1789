"""Makes git's objects, packs and pushes byte by byte, so that they can say what no git would."""

import hashlib
import struct
import zlib
from typing import Final

from web.git.lines import FLUSH, line
from web.git.objects import Kind, Object

OFFSET: Final = 6
BY_ID: Final = 7
WHO: Final = "Eve <eve@example.org> 1700000000 +0000"


def blob(content: bytes) -> Object:
    return Object(Kind.BLOB, content)


def tree(*entries: tuple[bytes, bytes, str]) -> Object:
    """Mode, name and id of each, in this order."""
    return Object(Kind.TREE, b"".join(b"%b %b\0%b" % (mode, name, bytes.fromhex(to)) for mode, name, to in entries))


def commit(root: str, *parents: str) -> Object:
    said = "".join(f"parent {parent}\n" for parent in parents)
    return Object(Kind.COMMIT, f"tree {root}\n{said}author {WHO}\ncommitter {WHO}\n\nmine\n".encode())


def header(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    made = bytearray([first])
    while size:
        made[-1] |= 128
        made.append(size & 127)
        size >>= 7
    return bytes(made)


def entry(one: Object, *, size: int | None = None) -> bytes:
    return header(one.kind, len(one.content) if size is None else size) + zlib.compress(one.content)


def by_id(base: str, steps: bytes) -> bytes:
    return header(BY_ID, len(steps)) + bytes.fromhex(base) + zlib.compress(steps)


def by_offset(back: int, steps: bytes) -> bytes:
    """A difference from the entry that begins `back` bytes before this one."""
    said = [back & 127]
    while back := back >> 7:
        back -= 1
        said.append(back & 127 | 128)
    return header(OFFSET, len(steps)) + bytes(reversed(said)) + zlib.compress(steps)


def number(value: int) -> bytes:
    made = bytearray([value & 127])
    while value := value >> 7:
        made[-1] |= 128
        made.append(value & 127)
    return bytes(made)


def steps(source: int, target: int, *parts: bytes) -> bytes:
    return number(source) + number(target) + b"".join(parts)


def insert(content: bytes) -> bytes:
    return bytes([len(content)]) + content


def copy(start: int, length: int) -> bytes:
    """All four bytes of the place, and three of the length."""
    return b"\xff" + struct.pack("<L", start) + struct.pack("<L", length)[:3]


def sealed(content: bytes) -> bytes:
    return content + hashlib.sha1(content).digest()


def pack(*entries: bytes, count: int | None = None, version: int = 2) -> bytes:
    told = len(entries) if count is None else count
    return sealed(struct.pack(">4sLL", b"PACK", version, told) + b"".join(entries))


def offer(before: str, after: str, packed: bytes, *, name: str = "refs/heads/main") -> bytes:
    return line(f"{before} {after} {name}\0report-status side-band-64k") + FLUSH + packed
