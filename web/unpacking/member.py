"""What every archive is made of, and how one is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from web.errors import SubmissionRejected
from web.speech import marked

MOST_ENTRIES: Final = 20_000  # headers in one archive, whatever they are of

PACK_AGAIN: Final = marked("pack it again as .zip or .tar.gz")


@dataclass(frozen=True, slots=True)
class Member:
    name: str  # bytes of it that are no UTF-8 stand as lone surrogates; a folder's ends with a slash
    odd: str  # what it is if neither a file nor a folder: "a link"
    size: int  # of its content, as the archive says
    read: Callable[[], bytes]  # `size` bytes and never more; only before the next member is asked for


def shown(name: str) -> str:
    """A name as it can stand in a sentence: no line break, no escape code, nothing that turns the text around."""
    return repr(name) if len(name) <= 80 else f"{name[:60]!r}..."


def damaged(why: str) -> NoReturn:
    raise SubmissionRejected(f"upload: the archive is damaged: {why}: {PACK_AGAIN}, and send it again")


def check_count(entries: int) -> None:
    if entries > MOST_ENTRIES:
        raise SubmissionRejected(
            f"upload: the archive has more than {MOST_ENTRIES:,} entries: leave out what others wrote, such as "
            "installed packages"
        )
