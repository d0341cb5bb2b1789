"""Whether bytes are a text, and which."""

import re
from typing import Final

__all__ = ["beginning", "text_of"]

MOST_FOREIGN: Final = 0.1  # of a text, bytes that are not UTF-8: an old encoding has few, a program has many
FOREIGN: Final = re.compile("[\udc80-\udcff]")


def text_of(content: bytes) -> str | None:
    """None for what is binary. Single bytes that are no UTF-8 are spelled out, so nothing of it is lost."""
    if b"\0" in content:
        return None
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    foreign = len(FOREIGN.findall(text))
    if foreign > MOST_FOREIGN * len(text):
        return None
    return FOREIGN.sub(lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text) if foreign else text


def beginning(content: bytes, most: int) -> bytes:
    """So many bytes, or up to three less: no letter is cut in two."""
    at = min(most, len(content))
    while most - 3 <= at < len(content) and at and content[at] & 0xC0 == 0x80:
        at -= 1
    return content[:at]
