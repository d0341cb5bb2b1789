"""The lines in which git speaks over HTTP, each with its length before it; and the two voices inside an answer.

    0032want 1f2e...\n    a line        0000    the end of a part

What comes is read from memory and no further than it is long: whoever passes it here has bounded it.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from web.errors import PortalError

__all__ = ["FLUSH", "LONGEST", "OURS", "Unreadable", "line", "lines", "read_line", "said", "voiced"]

FLUSH: Final = b"0000"
LONGEST: Final = 65520 - 4  # bytes that a line can carry
MOST_LINES: Final = 20_000  # of one request; git sends some hundreds

# The voices of an answer that has several: what git reads, and what it shows behind "remote: ".
OURS: Final = 1
SHOWN: Final = 2


class Unreadable(PortalError):
    """What came is not what git sends."""


def line(content: bytes | str) -> bytes:
    carried = content.encode() if isinstance(content, str) else content
    return b"%04x%b" % (len(carried) + 4, carried)


def read_line(stream: BinaryIO) -> bytes | None:
    """The next line; None for the end of a part."""
    length = stream.read(4)
    try:
        whole = int(length, 16) if len(length) == 4 and length.isalnum() else -1
    except ValueError:
        whole = -1
    if whole == 0:
        return None
    if not 4 <= whole <= LONGEST + 4:
        raise Unreadable("a line without its length")
    content = stream.read(whole - 4)
    if len(content) != whole - 4:
        raise Unreadable("a line that ends too early")
    return content


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """Those of this part, without their line breaks."""
    for _ in range(MOST_LINES):
        content = read_line(stream)
        if content is None:
            return
        yield content.removesuffix(b"\n")
    raise Unreadable("too many lines")


def voiced(voice: int, content: bytes) -> Iterator[bytes]:
    """The content in as many lines of this voice as it needs."""
    for at in range(0, len(content), LONGEST - 1):
        yield line(bytes([voice]) + content[at : at + LONGEST - 1])


def said(sentence: str) -> bytes:
    """What the candidate reads in the terminal. Whatever a sentence quotes, it moves no cursor and adds no line."""
    shown = "".join(sign if sign.isprintable() else " " for sign in sentence)
    return b"".join(voiced(SHOWN, shown.encode("utf-8", "replace") + b"\n"))
