"""Reads tars header by header, with their long names and what pax says about a file; and tars that gzip packed."""

import re
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from web.errors import SubmissionRejected
from web.speech import marked
from web.unpacking.member import MOST_ENTRIES, PACK_AGAIN, Member, check_count, damaged, shown

GZIP: Final = b"\x1f\x8b"
WALKED: Final = 64 << 20  # bytes of a tar.gz that are looked at, beside those that are taken
BLOCK: Final = 512
NOTHING: Final = bytes(BLOCK)
LONGEST_HEADER: Final = 64 << 10  # of a long name, or of everything that pax says about one file
PIECE: Final = 64 << 10
PAX_LENGTH: Final = re.compile(rb"(\d{1,9}) ")
MOST_RECORDS: Final = 100  # in one of pax's headers; they are read in Python, and compress well
SPARSE: Final = f"the archive holds a sparse file: {PACK_AGAIN}, without tar's option --sparse"
MOST_STREAMS: Final = 1000  # gzip streams behind each other

ODD_TYPES: Final = {
    b"1": marked("a hard link"),
    b"2": marked("a link"),
    b"3": marked("a device"),
    b"4": marked("a device"),
    b"6": marked("a pipe"),
}
FILES_AND_FOLDERS: Final = (b"0", b"\0", b"7", b"5")


def is_tar(packed: bytes) -> bool:
    return _is_header(packed[:BLOCK])


def tar_members(packed: bytes) -> Iterator[Member]:
    return _members(_Bytes(iter([packed]), len(packed)))


def gzipped_tar_members(packed: bytes, taken: int) -> Iterator[Member]:
    return _members(_Bytes(_gunzip(packed), taken + WALKED))


def _gunzip(packed: bytes) -> Iterator[bytes]:
    """Piece by piece. Fed piece by piece too: zlib copies what it was given and did not need."""
    at, inflating = 0, zlib.decompressobj(zlib.MAX_WBITS | 16)
    for _ in range(MOST_STREAMS):
        fed = b""
        while not inflating.eof:
            if not fed:
                fed, at = packed[at : at + PIECE], at + PIECE
            if not fed:
                damaged("it ends too early")
            try:
                piece = inflating.decompress(fed, PIECE)
            except zlib.error:
                damaged("it cannot be decompressed")
            fed = inflating.unconsumed_tail
            if piece:
                yield piece
        at = min(at, len(packed)) - len(inflating.unused_data)
        if packed[at : at + 2] != GZIP:
            if packed[at:].strip(b"\0"):
                damaged("something follows its end")
            return
        inflating = zlib.decompressobj(zlib.MAX_WBITS | 16)
    damaged("it is made of too many streams")


class _Bytes:
    """Reads exactly as many as it is asked to, from pieces that come as they come."""

    def __init__(self, pieces: Iterator[bytes], most: int) -> None:
        self._pieces = pieces
        self._piece, self._at = b"", 0
        self._left = most

    def read(self, count: int) -> bytes:
        return b"".join(self._parts(count))

    def skip(self, count: int) -> None:
        for _ in self._parts(count):
            pass

    def rest_is_nothing(self) -> bool:
        return not any(part.strip(b"\0") for part in self._parts(None))

    def _parts(self, count: int | None) -> Iterator[bytes]:
        """`count` bytes, or all that follow."""
        while count is None or count:
            if self._at == len(self._piece):
                self._piece, self._at = next(self._pieces, b""), 0
                if not self._piece:
                    if count is None:
                        return
                    damaged("it ends too early")
                self._left -= len(self._piece)
                if self._left < 0:
                    raise SubmissionRejected(
                        "upload: the archive becomes too large when it is unpacked: leave out what others wrote, "
                        "such as installed packages"
                    )
            end = len(self._piece) if count is None else min(self._at + count, len(self._piece))
            yield self._piece[self._at : end]
            if count is not None:
                count -= end - self._at
            self._at = end


def _members(stream: _Bytes) -> Iterator[Member]:
    """Each member's header, with what headers before it said about its name and its length."""
    told = _Told()
    for entries in range(1, MOST_ENTRIES + 2):
        header = stream.read(BLOCK)
        if header == NOTHING:
            if told != _Told() or not stream.rest_is_nothing():
                damaged("something follows its end")
            return
        check_count(entries)
        if not _is_header(header):
            if entries == 1:
                raise SubmissionRejected(f"upload: this is a gzip file, and holds no tar archive: {PACK_AGAIN}")
            damaged("a header cannot be read")
        kind, size = header[156:157], _number(header[124:136])
        if kind == b"S":
            raise SubmissionRejected(f"upload: {SPARSE}")
        if kind in (b"L", b"K", b"x", b"g"):
            if size > LONGEST_HEADER:
                raise SubmissionRejected(f"upload: a header in the archive is longer than 64 kB: {PACK_AGAIN}")
            content = stream.read(_padded(size))[:size]
            told = _tell(told, kind, content)
            continue
        name = _header_name(header) if told.name is None else told.name
        size = size if told.size is None else told.size
        told = _Told()
        if kind == b"5":
            name = f"{name.rstrip('/')}/"
        odd = "" if kind in FILES_AND_FOLDERS else ODD_TYPES.get(kind, "something unknown")
        if size and (odd or name.endswith("/")):
            damaged(f"{shown(name)} has a content, though it is no file")  # readers disagree what follows it
        content_of = _Content(stream, size)
        yield Member(name, odd, size, content_of.read)
        content_of.skip()


class _Content:
    """What follows a header: read or skipped, once."""

    def __init__(self, stream: _Bytes, size: int) -> None:
        self._stream, self._size, self._left = stream, size, _padded(size)

    def read(self) -> bytes:
        content = self._stream.read(self._left)[: self._size]
        self._left = 0
        return content

    def skip(self) -> None:
        self._stream.skip(self._left)


class _Told(NamedTuple):
    """What headers said about the member that follows them."""

    name: str | None = None
    size: int | None = None


def _tell(told: _Told, kind: bytes, content: bytes) -> _Told:
    if kind == b"K":
        return told  # where a link leads; none is taken
    records = {"path": content.removesuffix(b"\0")} if kind == b"L" else _pax_records(content)
    if any(key.startswith("GNU.sparse") for key in records):
        raise SubmissionRejected(f"upload: {SPARSE}")
    if kind == b"g":
        if "path" in records or "size" in records:
            damaged("one name or one length is meant for many files")
        return told  # a comment, such as the commit that `git archive` packed
    if "path" in records:
        if told.name is not None:
            damaged(f"{shown(told.name)} has a second name")
        told = told._replace(name=records["path"].decode("utf-8", "surrogateescape"))
    if "size" in records:
        if not re.fullmatch(rb"\d{1,18}", records["size"]):
            damaged("a length is no number")
        told = told._replace(size=int(records["size"]))
    return told


def _pax_records(content: bytes) -> dict[str, bytes]:
    """Records like `18 path=some/name\\n`, each with its own length."""
    records: dict[str, bytes] = {}
    at = 0
    while at < len(content):
        if len(records) == MOST_RECORDS:
            damaged("a header says too much")
        length = PAX_LENGTH.match(content, at)
        end = at + int(length[1]) if length else 0
        if not length or end > len(content) or end <= length.end() or content[end - 1 : end] != b"\n":
            damaged("a header cannot be read")
        keyword, equals, value = content[length.end() : end - 1].partition(b"=")
        key = keyword.decode("utf-8", "surrogateescape")
        if not equals or key in records:
            damaged("a header cannot be read")
        records[key] = value
        at = end
    return records


def _is_header(block: bytes) -> bool:
    """Whether its checksum is right: the first tars had no other mark."""
    told = re.fullmatch(rb" *([0-7]{1,7})[ \0]*", block[148:156])
    return (
        len(block) == BLOCK and told is not None and int(told[1], 8) == sum(block) - sum(block[148:156]) + 8 * ord(" ")
    )


def _number(field: bytes) -> int:
    """Octal digits; or, marked by the highest bit, bytes. Below zero there is nothing."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = re.fullmatch(rb"[ \0]*([0-7]*)[ \0]*", field)
    if not digits:
        damaged("a length is no number")
    return int(digits[1] or b"0", 8)


def _header_name(header: bytes) -> str:
    fields = [header[:100]]
    if header[257:263] == b"ustar\0":
        fields.insert(0, header[345:500])
    parts = []
    for field in fields:
        part, _, unused = field.partition(b"\0")
        if unused.strip(b"\0"):
            damaged("a name has a second name behind it")
        if part:
            parts.append(part)
    return b"/".join(parts).decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
