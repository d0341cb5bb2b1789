"""Zip, tar and tar.gz, read in memory and no further than they are asked to.

Python's own readers are made for archives whose author is a friend. They build the list of all members before they
can be asked how many there are, follow headers by recursion, and what they do with a negative size or two names has
changed from patch to patch. An upload is a stranger's, so this reads only what honest programs write and refuses the
rest: nothing here touches a disk, every loop has an end that the archive cannot move, and whatever is wrong with the
bytes is a SubmissionRejected.

Names and what may be taken are not decided here, but in web.archives.
"""

from collections.abc import Iterator
from typing import Final

from web.errors import SubmissionRejected
from web.unpacking.member import PACK_AGAIN, Member, shown
from web.unpacking.tars import GZIP, gzipped_tar_members, is_tar, tar_members
from web.unpacking.zips import zip_members

__all__ = ["PACK_AGAIN", "Member", "members", "shown"]

# How other archives begin, so that they can be called by their names.
OTHERS: Final = {
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\0": "an xz file",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"PK\x07\x08": "one part of a split zip",
}


def members(packed: bytes, taken: int) -> Iterator[Member]:
    """What an archive holds, one after another, for somebody who takes no more than `taken` bytes of it.

    What kind of archive it is, its first bytes say. A file's name is whatever a browser sends.
    """
    if packed.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return zip_members(packed)
    if packed.startswith(GZIP):
        return gzipped_tar_members(packed, taken)
    if is_tar(packed):
        return tar_members(packed)
    for mark, kind in OTHERS.items():
        if packed.startswith(mark):
            raise SubmissionRejected(f"upload: this is {kind}, which is not read here: {PACK_AGAIN}")
    raise SubmissionRejected(f"upload: this is neither a zip nor a tar archive: {PACK_AGAIN}")
