"""Characters of strangers, so that what a person reads is what is there.

A name like `report\\u202egpj.exe` reads "reportexe.jpg" where the browser obeys it, a line of code can be shown in an
order in which it does not run, and a letter nobody sees can speak to a model that judges. Such characters are shown as
their escapes. Letters of every script stay what they are.
"""

import re
import unicodedata
from typing import Final

from markupsafe import Markup, escape

__all__ = ["legible", "lines", "name", "visible", "without_escapes"]

LONGEST_NAME: Final = 500  # characters that are shown; no name that we have stored is longer

# What turns a text around, takes no space or moves a cursor. Joiners stay in texts: Persian and emoji need them.
ODD: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)

# Escape codes of terminals: CSI, then texts for the terminal up to their end (a title, a link), then short ones. Each
# alternative takes what it can and gives nothing back, so a stream of beginnings without an end costs no more.
ESCAPES: Final = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*+[ -/]*+[@-~]?+"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*+(?:\x07|\x1b\\\\|\x9c)?+"
    "|\x1b[ -/]*+[0-~]?+"
)


def legible(name: str) -> str:
    """A name as it can stand in any line: nothing invisible, no line break, nothing that turns the line around."""
    cut = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    inner = cut.strip(" ")
    before, after = cut[: len(cut) - len(cut.lstrip(" "))], cut[len(cut.rstrip(" ")) :] if inner else ""
    return "".join((_spelled(before), *(_spelled(sign) if _is_odd(sign) else sign for sign in inner), _spelled(after)))


def name(name: str) -> Markup:
    """The same for a page. What stands beside it keeps its order, whatever the direction of its letters."""
    return Markup('<bdi dir="ltr">{}</bdi>').format(legible(name))


def visible(text: str) -> Markup:
    """A text as HTML, with what would not be seen spelled out and marked."""
    pieces = []
    at = 0
    for odd in ODD.finditer(text):
        pieces += [escape(text[at : odd.start()]), Markup('<span class="odd">{}</span>').format(_spelled(odd[0]))]
        at = odd.end()
    return Markup("").join((*pieces, escape(text[at:])))


def plain(text: str) -> str:
    """The same for what is read as Markdown: spelled out, and still a text."""
    return ODD.sub(lambda odd: _spelled(odd[0]), text)


def lines(text: str) -> list[str]:
    """Lines as an editor counts them: ended by a line feed, whatever stood before it."""
    parts = text.replace("\r\n", "\n").split("\n")
    return parts[:-1] if len(parts) > 1 and not parts[-1] else parts


def without_escapes(text: str) -> str:
    """What a program printed, as a terminal would leave it: no escape codes, and of a progress bar its last state.

    An escape code could write "100 points" over a traceback, or ask the terminal of whoever reads a log to act.
    """
    clean = ESCAPES.sub("", text).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in clean.split("\n"))


def _is_odd(sign: str) -> bool:
    kind = unicodedata.category(sign)
    return kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or (kind == "Zs" and sign != " ") or bool(ODD.match(sign))


def _spelled(signs: str) -> str:
    return "".join(
        f"\\x{ord(sign):02x}" if ord(sign) < 256 else f"\\u{ord(sign):04x}" if ord(sign) < 1 << 16
        else f"\\U{ord(sign):08x}" for sign in signs
    )  # fmt: skip
