"""How a stranger's file is named to whoever downloads it."""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from web.inert.signs import ODD

__all__ = ["disposition"]

LONGEST: Final = 120  # characters; longer names end programs that unpack or open them
UNSAFE: Final = re.compile(r'[\\/:*?"<>|%;]|[\x00-\x1f\x7f]')  # to one system or another, or to a header


def disposition(name: str) -> str:
    """The value of Content-Disposition, by RFC 6266: never shown in place, and a name that says what it is.

    A browser asks "open report\u202egpj.exe?" as it reads the name, so nothing in it turns the line around; and a name
    that begins with a dot or ends in blanks is hidden here and refused there.
    """
    last = UNSAFE.sub("_", ODD.sub("_", unicodedata.normalize("NFC", name.rpartition("/")[2]))).strip(" .")
    stem, dot, ending = last.rpartition(".")
    kept = f"{(stem or ending)[: LONGEST - 20]}{dot if stem else ''}{ending[:20] if stem else ''}" or "file"
    ascii_only = "".join(sign if sign.isascii() else "_" for sign in kept)
    return f"attachment; filename=\"{ascii_only}\"; filename*=UTF-8''{quote(kept, safe='')}"
