"""Pictures of strangers: PNG and JPEG, shown as `data:`, and only after their own header said how large they are.

Nothing is decoded here. A file of a few kB can unfold to gigabytes in whoever opens it, so its pixels are counted
before a browser sees it. GIF and SVG are not shown: one has no number of frames in front, the other is a program.
"""

import base64
import struct
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from web.speech import gettext as _

__all__ = ["Album", "left_out", "measure"]

MOST_BYTES: Final = 8 << 20  # of all pictures of a page
MOST_PIXELS: Final = 12_000_000  # of one; a browser holds four bytes for each
MOST_PIXELS_TOGETHER: Final = 60_000_000
LONGEST_SIDE: Final = 16_000
MOST_SCANS: Final = 64  # of a JPEG: each is a pass over all of its pixels

PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8\xff"
# Beginnings of a frame, which say how large it is. 0xC4, 0xC8 and 0xCC are something else.
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def measure(content: bytes) -> tuple[str, int, int] | None:
    """Kind, width and height, as the header says; None for what is no picture that we show."""
    if content.startswith(PNG):
        return _measure_png(content)
    if content.startswith(JPEG):
        return _measure_jpeg(content)
    return None


@dataclass
class Album:
    """The pictures of one page, and what they leave to those that follow."""

    bytes_left: int = MOST_BYTES
    pixels_left: int = MOST_PIXELS_TOGETHER

    def show(self, content: bytes, alt: str) -> Markup:
        """An image for a page whose policy allows `data:`, or a word on why there is none."""
        measured = measure(content)
        if measured is None:
            return left_out(_("An image was left out: it is neither PNG nor JPEG, or it is damaged."))
        kind, width, height = measured
        size = _("%(width)s by %(height)s pixels", width=width, height=height)
        if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE or content.count(b"\xff\xda") > MOST_SCANS:
            return left_out(_("An image was left out: it is too large to be shown, %(size)s.", size=size))
        if width * height > self.pixels_left or len(content) > self.bytes_left:
            return left_out(_("An image was left out: there are too many on this page. It has %(size)s.", size=size))
        self.pixels_left -= width * height
        self.bytes_left -= len(content)
        encoded = base64.b64encode(content).decode()
        return Markup('<img src="data:image/{};base64,{}" alt="{}">').format(kind, encoded, alt)


def left_out(note: str) -> Markup:
    return Markup('<span class="left-out">{}</span>').format(note)


def _measure_png(content: bytes) -> tuple[str, int, int] | None:
    if len(content) < 33 or content[8:16] != b"\0\0\0\rIHDR":
        return None
    width, height = struct.unpack(">II", content[16:24])
    return ("png", width, height) if width and height else None


def _measure_jpeg(content: bytes) -> tuple[str, int, int] | None:
    """Walks from marker to marker. A decoder would step over what does not belong there; here it is damaged."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = int.from_bytes(content[at + 2 : at + 4])
        if marker in FRAMES:
            if at + 9 > len(content):
                return None
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return ("jpeg", width, height) if width and height else None
        if length < 2 or marker < 0xC0 or 0xD0 <= marker <= 0xDA:
            return None
        at += 2 + length
    return None
