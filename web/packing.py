"""Packs saved work into a zip that a candidate takes along: the same bytes for the same files."""

import io
import zipfile
from collections.abc import Mapping
from typing import Final

__all__ = ["BRIEF", "pack", "without_brief"]

BRIEF: Final = "BRIEF.md"
NO_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
PLAIN_FILE: Final = 0o100644 << 16
UNIX: Final = 3


def pack(files: Mapping[str, bytes], brief: str) -> bytes:
    """With what is asked beside the files, unless one of them has that name."""
    whole = {BRIEF: brief.encode(), **files} if brief else files
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(whole):
            member = zipfile.ZipInfo(name, NO_TIME)
            member.compress_type, member.create_system, member.external_attr = zipfile.ZIP_DEFLATED, UNIX, PLAIN_FILE
            archive.writestr(member, whole[name])
    return packed.getvalue()


def without_brief(files: Mapping[str, bytes], brief: str) -> dict[str, bytes]:
    """What comes back, less what `pack` has put beside it: unchanged, it is no work of the candidate's."""
    return {name: content for name, content in files.items() if name != BRIEF or content != brief.encode()}
