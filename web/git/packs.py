"""Reads and writes packs, in which git sends objects: each compressed, some as a difference from another.

    "PACK" 2 count, then for each: kind and length, for a difference its base, deflated bytes; SHA-1 of all of it

A pack is a stranger's. Every length that it states is compared with what is left before a byte is inflated, whatever
is inflated or put together counts against one sum, and no loop or chain has an end that only the pack decides. Nothing
touches a disk, and no git runs: there is no configuration, no hook and no attribute that could have a say.
"""

import hashlib
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from web.errors import SubmissionRejected
from web.git.objects import Kind, Object, damaged

__all__ = ["MOST_OBJECTS", "read_pack", "write_pack"]

MOST_OBJECTS: Final = 20_000
MOST_STEPS: Final = 1_000_000  # of all differences together; they are taken in Python, and compress well
PIECE: Final = 16 << 10
OFFSET: Final = 6  # kinds of entries that are differences: from an earlier entry,
BY_ID: Final = 7  # and from an object by its id
TOO_LARGE: Final = (
    "push: all that is new in it is larger than {most:,} kB: leave out what others wrote, such as installed packages, "
    "also in the commits before the last. `git reset --soft origin/main` and a new commit leave out all but the last"
)


def read_pack(packed: bytes, most: int, known: Callable[[str], Object | None]) -> dict[str, Object]:
    """The objects in it by their ids, which are computed here. `known` gives what the sender may count on."""
    if len(packed) < 32 or hashlib.sha1(packed[:-20], usedforsecurity=False).digest() != packed[-20:]:
        damaged("the pack is not what it says")
    mark, version, count = struct.unpack(">4sLL", packed[:12])
    if mark != b"PACK" or version != 2:
        damaged("this is no pack")
    if count > MOST_OBJECTS:
        raise SubmissionRejected(
            f"push: there are more than {MOST_OBJECTS:,} objects in it: leave out what others wrote, such as installed "
            "packages, also in the commits before the last"
        )
    reading = _Reading(memoryview(packed)[:-20], most)
    for _ in range(count):
        reading.read_entry()
    if reading.at != len(packed) - 20:
        damaged("something follows the last object")
    return reading.resolved(known)


@dataclass
class _Reading:
    packed: memoryview
    most: int  # bytes that are kept of it, inflated
    at: int = 12
    held: int = 0
    steps: int = 0
    found: dict[str, Object] = field(default_factory=dict)
    placed: dict[int, Object] = field(default_factory=dict)  # by where their entries begin
    after_place: dict[int, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))
    after_id: dict[str, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))

    def read_entry(self) -> None:
        place = self.at
        kind, size = self._kind_and_size()
        if kind == OFFSET:
            base = place - self._distance()
            if not 12 <= base < place:
                damaged("a difference from nothing")
            self.after_place[base].append((place, self._inflated(size)))
        elif kind == BY_ID:
            base_id = bytes(self.packed[self.at : self.at + 20]).hex()
            self.at += 20
            self.after_id[base_id].append((place, self._inflated(size)))
        elif kind in (Kind.COMMIT, Kind.TREE, Kind.BLOB, Kind.TAG):
            self._keep(place, Object(Kind(kind), self._inflated(size)))
        else:
            damaged("an object of no kind")

    def resolved(self, known: Callable[[str], Object | None]) -> dict[str, Object]:
        """All differences taken: each once, however long the chain, and none by recursion."""
        self._settle(list(self.placed.items()))
        for base_id in list(self.after_id):
            if base_id in self.after_id and (base := known(base_id)) is not None:
                self._settle([self._made(place, base, step) for place, step in self.after_id.pop(base_id)])
        if self.after_id or self.after_place:
            damaged("a difference from an object that is not there")
        return self.found

    def _settle(self, ready: list[tuple[int, Object]]) -> None:
        while ready:
            place, base = ready.pop()
            waiting = [*self.after_place.pop(place, ()), *self.after_id.pop(base.id, ())]
            ready.extend(self._made(entry, base, steps) for entry, steps in waiting)

    def _made(self, place: int, base: Object, steps: bytes) -> tuple[int, Object]:
        made = Object(base.kind, self._applied(base.content, steps))
        self._keep(place, made)
        return place, made

    def _keep(self, place: int, made: Object) -> None:
        self.placed[place] = made
        self.found[made.id] = made

    def _count(self, size: int) -> None:
        self.held += size
        if self.held > self.most:
            raise SubmissionRejected(TOO_LARGE.format(most=self.most >> 10))

    # ------------------------------------------------------------------------------------------------------- bytes

    def _byte(self) -> int:
        if self.at >= len(self.packed):
            damaged("it ends too early")
        self.at += 1
        return self.packed[self.at - 1]

    def _kind_and_size(self) -> tuple[int, int]:
        byte = self._byte()
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 128:
            byte = self._byte()
            size |= (byte & 127) << shift
            shift += 7
            if shift > 60:
                damaged("an object of endless length")
        return kind, size

    def _distance(self) -> int:
        byte = self._byte()
        distance = byte & 127
        while byte & 128:
            byte = self._byte()
            distance = (distance + 1) << 7 | byte & 127
            if distance > len(self.packed):
                damaged("a difference from nothing")
        return distance

    def _inflated(self, size: int) -> bytes:
        """Exactly so many bytes; counted before they are there."""
        self._count(size)
        inflating, pieces, left, fed = zlib.decompressobj(), [], size + 1, b""
        while not inflating.eof:
            if not fed:
                fed = bytes(self.packed[self.at : self.at + PIECE])
                self.at += len(fed)
            if not fed:
                damaged("it ends too early")
            try:
                piece = inflating.decompress(fed, left)
            except zlib.error:
                damaged("an object cannot be decompressed")
            fed = inflating.unconsumed_tail
            left -= len(piece)
            if left == 0:
                damaged("an object is longer than it says")
            pieces.append(piece)
        self.at -= len(inflating.unused_data)
        if left != 1:
            damaged("an object is shorter than it says")
        return b"".join(pieces)

    # ------------------------------------------------------------------------------------------------- differences

    def _applied(self, base: bytes, steps: bytes) -> bytes:
        stated, at = _number(steps, 0)
        size, at = _number(steps, at)
        if stated != len(base):
            damaged("a difference from something else")
        self._count(size)
        made = bytearray()
        while at < len(steps):
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise SubmissionRejected("push: it is packed too tightly to be read: try `git repack -adf --depth=10`")
            step = steps[at]
            at += 1
            if step & 128:
                piece, at = _copied(base, steps, step, at)
            else:
                piece = steps[at : at + step]
                at += step
                if not step or len(piece) != step:
                    damaged("a difference with a step to nowhere")
            if len(made) + len(piece) > size:
                damaged("a difference that makes more than it says")
            made += piece
        if len(made) != size:
            damaged("a difference that makes less than it says")
        return bytes(made)


def _number(steps: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        if at >= len(steps) or shift > 56:
            damaged("a difference without its lengths")
        byte = steps[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return number, at


def _copied(base: bytes, steps: bytes, step: int, at: int) -> tuple[bytes, int]:
    """A piece of the base: four bits of the step say which bytes of its place follow, three which of its length."""
    numbers = []
    for bits, most in ((step & 15, 4), (step >> 4 & 7, 3)):
        number = 0
        for byte in range(most):
            if bits >> byte & 1:
                if at >= len(steps):
                    damaged("a difference that ends too early")
                number |= steps[at] << 8 * byte
                at += 1
        numbers.append(number)
    start, length = numbers[0], numbers[1] or 0x10000
    if start + length > len(base):
        damaged("a difference from beyond the end")
    return base[start : start + length], at


# ---------------------------------------------------------------------------------------------------------- writing


def write_pack(count: int, objects: Iterable[Object]) -> Iterator[bytes]:
    """Of exactly so many objects, which are asked for one after another."""
    seal = hashlib.sha1(usedforsecurity=False)
    for piece in _pieces(count, objects):
        seal.update(piece)
        yield piece
    yield seal.digest()


def _pieces(count: int, objects: Iterable[Object]) -> Iterator[bytes]:
    yield struct.pack(">4sLL", b"PACK", 2, count)
    for kind, content in objects:
        size = len(content)
        first, size = kind << 4 | size & 15, size >> 4
        header = bytearray([first])
        while size:
            header[-1] |= 128
            header.append(size & 127)
            size >>= 7
        yield bytes(header) + zlib.compress(content)
