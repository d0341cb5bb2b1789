"""Reads zips by the list at their end, as everybody does. The list and the members must tell the same."""

import re
import stat
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from web.errors import SubmissionRejected
from web.speech import marked
from web.unpacking.member import PACK_AGAIN, Member, check_count, damaged, shown

END: Final = struct.Struct("<4s4H2LH")
END64: Final = struct.Struct("<4sQ2H2L4Q")
LOCATOR: Final = struct.Struct("<4sLQL")
LISTED: Final = struct.Struct("<4s6H3L5H2L")
LOCAL: Final = struct.Struct("<4s5H3L2H")

ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
PATCH: Final = 0x20
IN_UTF8: Final = 0x800
STORED, DEFLATED = 0, 8
BEYOND: Final = 0xFFFFFFFF  # the number is too long for its place and stands in an extra field


def zip_members(packed: bytes) -> Iterator[Member]:
    at, end, count = _list(packed)
    first_of_list, compressed = at, 0
    check_count(count)
    for _ in range(count):
        if at + LISTED.size > end:
            damaged("its list of files ends too early")
        mark, _, _, flags, method, _, _, crc, packed_size, size, *lengths, disk, _, mode, start = LISTED.unpack_from(
            packed, at
        )
        if mark != b"PK\x01\x02" or at + LISTED.size + sum(lengths) > end:
            damaged("its list of files cannot be read")
        at += LISTED.size
        raw = packed[at : at + lengths[0]]
        extra = _extra_fields(packed[at + lengths[0] : at + lengths[0] + lengths[1]])
        at += sum(lengths)
        size, packed_size, start = _long_numbers([size, packed_size, start], extra.get(0x0001, b""))
        name = _name(raw, flags, extra.get(0x7075, b""))
        compressed += packed_size
        if compressed > first_of_list:
            damaged("files in it lie over each other")  # a megabyte listed a thousand times would be read as often
        if disk:
            damaged("it is one part of several")
        entry = _Entry(name, raw, flags, method, crc, packed_size, size, start, first_of_list)
        yield Member(name, _oddity(name, mode >> 16), size, partial(_read, packed, entry))
    if at != end:
        damaged("its list of files is longer than it says")


class _Entry(NamedTuple):
    name: str
    raw: bytes
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    start: int
    limit: int  # where the list of files begins and members end


def _list(packed: bytes) -> tuple[int, int, int]:
    """Where the list of files begins and ends, and how many it says there are."""
    tail = max(0, len(packed) - END.size - 0xFFFF)
    found = [
        match.start() + tail
        for match in re.finditer(b"PK\x05\x06", packed[tail:])
        if match.start() + tail + END.size <= len(packed)
        and match.start() + tail + END.size + END.unpack_from(packed, match.start() + tail)[-1] == len(packed)
    ]
    if len(found) != 1:  # two ends: which files it holds would depend on who looks
        damaged("it has no end" if not found else "it has two ends")
    at = found[0]
    _, disk, first_disk, here, count, size, start, _ = END.unpack_from(packed, at)
    if 0xFFFF in (here, count) or BEYOND in (size, start):
        at -= LOCATOR.size
        if at < 0 or packed[at : at + 4] != b"PK\x06\x07":
            damaged("it has no end")
        _, _, place, _ = LOCATOR.unpack_from(packed, at)
        if place + END64.size > at or packed[place : place + 4] != b"PK\x06\x06":
            damaged("it has no end")
        _, length, _, _, disk, first_disk, here, count, size, start = END64.unpack_from(packed, place)
        if place + 12 + length != at:
            damaged("it has no end")
        at = place
    if disk or first_disk or here != count:
        damaged("it is one part of several")
    if start + size != at:
        damaged("its list of files is not where it should be")
    return start, at, count


def _extra_fields(block: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(block):
        kind, length = struct.unpack_from("<2H", block, at)
        fields.setdefault(kind, block[at + 4 : at + 4 + length])
        at += 4 + length
    return fields


def _long_numbers(numbers: list[int], field: bytes) -> list[int]:
    """zip64: numbers that did not fit stand in an extra field, in their order."""
    for place, number in enumerate(numbers):
        if number == BEYOND:
            if len(field) < 8:
                damaged("a length is missing")
            numbers[place] = int.from_bytes(field[:8], "little")
            field = field[8:]
    return numbers


def _name(raw: bytes, flags: int, unicode_path: bytes) -> str:
    """Honest programs that do not say so write UTF-8 as well; some write a second name for those that can read it."""
    name = raw.decode("utf-8", "surrogateescape")
    if len(unicode_path) > 5 and int.from_bytes(unicode_path[1:5], "little") == zlib.crc32(raw):
        second = unicode_path[5:].decode("utf-8", "surrogateescape")
        if name.isascii() or flags & IN_UTF8:
            if second != name:
                raise SubmissionRejected(
                    f"upload: {shown(name)}: is also called {shown(second)}: {PACK_AGAIN}, with one name"
                )
        else:
            return second
    return name


def _oddity(name: str, mode: int) -> str:
    """What a Unix mode says, if not that this is a file or a folder. Zips made elsewhere say nothing."""
    match stat.S_IFMT(mode):
        case 0 | stat.S_IFREG:
            return ""
        case stat.S_IFDIR:
            return "" if name.endswith("/") else marked("a folder with the name of a file")
        case stat.S_IFLNK:
            return marked("a link")
    return marked("a device, a pipe or a socket")


def _read(packed: bytes, entry: _Entry) -> bytes:
    name = shown(entry.name)
    if entry.flags & ENCRYPTED:
        raise SubmissionRejected(f"upload: {name}: is encrypted: {PACK_AGAIN}, without a password")
    if entry.method not in (STORED, DEFLATED) or entry.flags & PATCH:
        raise SubmissionRejected(
            f"upload: {name}: is compressed in a way that is not read here (number {entry.method}): {PACK_AGAIN}"
        )
    if entry.start + LOCAL.size > entry.limit:
        damaged(f"{name} is not where it should be")
    mark, _, flags, method, *_, name_length, extra_length = LOCAL.unpack_from(packed, entry.start)
    at = entry.start + LOCAL.size
    if mark != b"PK\x03\x04" or method != entry.method or flags & ENCRYPTED:
        damaged(f"{name} is not where it should be")
    if packed[at : at + name_length] != entry.raw:
        damaged(f"{name} has another name in the list of files")
    at += name_length + extra_length
    if at + entry.packed_size > entry.limit:
        damaged(f"{name} ends too early")
    content = packed[at : at + entry.packed_size]
    if entry.method == DEFLATED:
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = inflating.decompress(content, entry.size + 1)  # one more than it may have: then it lied
        except zlib.error:
            damaged(f"{name} cannot be decompressed")
        if len(content) <= entry.size and (not inflating.eof or inflating.unused_data):
            damaged(f"{name} does not end where it should")
    if len(content) != entry.size:
        damaged(f"{name} is not as long as the list of files says")
    if zlib.crc32(content) != entry.crc:
        damaged(f"{name} has another content than it was packed with")
    return content
