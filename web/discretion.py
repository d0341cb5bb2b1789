"""What may be said of a request in a log: an address can be a key, and then it is told without it."""

import re
from typing import Final

__all__ = ["without_secret"]

KEYS: Final = re.compile(r"^(/a/|/staff/sign-in/(?!openid))[^/]+")
HIDDEN: Final = "..."


def without_secret(path: str) -> str:
    """The path of a request; of a link that lets somebody in, all but its secret."""
    return KEYS.sub(rf"\1{HIDDEN}", path)
