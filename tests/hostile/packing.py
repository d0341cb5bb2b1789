"""Makes archives byte by byte, so that they can say what no honest program would write."""

import gzip
import struct
import zlib
from dataclasses import dataclass
from typing import Final

LINK, FOLDER, PIPE, DEVICE = 0o120777, 0o040755, 0o010644, 0o020644  # Unix modes, as a zip keeps them
EMPTY_BLOCK: Final = b"\0\0\0\xff\xff"  # of deflate: five bytes that decompress to none


# ------------------------------------------------------------------------------------------------------------- tar


def header(
    name: bytes, size: int = 0, kind: bytes = b"0", *, size_field: bytes = b"", prefix: bytes = b"", to: bytes = b""
) -> bytes:
    fields = [
        name.ljust(100, b"\0"),
        b"0000644\x00",
        b"0000000\x00" * 2,
        (size_field or b"%011o" % size).ljust(12, b"\0"),
        b"00000000000\0",
        b" " * 8,
        kind,
        to.ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64 + 16),
        prefix.ljust(155, b"\0"),
    ]
    block = b"".join(fields).ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def tar_file(name: bytes, content: bytes = b"", kind: bytes = b"0") -> bytes:
    return header(name, len(content), kind) + padded(content)


def long_name(name: bytes) -> bytes:
    """GNU's way of telling a name that does not fit into a header."""
    return tar_file(b"././@LongLink", name + b"\0", b"L")


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    return tar_file(b"pax", b"".join(record(key, value) for key, value in records), kind)


def record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def tar(*parts: bytes) -> bytes:
    return b"".join(parts) + bytes(1024)


def tar_gz(*parts: bytes) -> bytes:
    return gzip.compress(tar(*parts), 9)


# ------------------------------------------------------------------------------------------------------------- zip


@dataclass
class Zipped:
    """One file of a zip. What is not said is as it should be."""

    name: bytes
    content: bytes = b""
    mode: int = 0
    method: int = 8
    flags: int = 0x800
    size: int | None = None
    packed: bytes | None = None
    packed_size: int | None = None
    crc: int | None = None
    inner_name: bytes | None = None  # the one before the content; readers that stream see only this
    start: int | None = None
    extra: bytes = b""


def zipped(*files: Zipped, count: int | None = None, comment: bytes = b"", follows: bytes = b"") -> bytes:
    body, listed = bytearray(), bytearray()
    for file in files:
        start = len(body) if file.start is None else file.start
        packed = file.packed
        if packed is None:
            packed = deflated(file.content) if file.method == 8 else file.content
        size = len(file.content) if file.size is None else file.size
        packed_size = len(packed) if file.packed_size is None else file.packed_size
        crc = zlib.crc32(file.content) if file.crc is None else file.crc
        inner = file.name if file.inner_name is None else file.inner_name
        numbers = (20, file.flags, file.method, 0, 0x21, crc, packed_size, size)
        if file.start is None:
            body += struct.pack("<4s5H3L2H", b"PK\x03\x04", *numbers, len(inner), 0) + inner + packed
        listed += struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 0x0314, *numbers,
            len(file.name), len(file.extra), 0, 0, 0, file.mode << 16, start,
        )  # fmt: skip
        listed += file.name + file.extra
    told = len(files) if count is None else count
    if len(files) > 0xFFFF:
        return bytes(body + listed) + long_end(len(files), len(listed), len(body))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, told, told, len(listed), len(body), len(comment))
    return bytes(body + listed) + end + comment + follows


def long_end(count: int, size: int, start: int, *, place: int | None = None, length: int = 44) -> bytes:
    """The end of a zip64, whose list of files is `size` bytes long and begins at `start`."""
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", length, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size if place is None else place, 1)
    return end + locator + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)


def deflated(content: bytes) -> bytes:
    compressing = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressing.compress(content) + compressing.flush()
