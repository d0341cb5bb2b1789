"""Who of the staff may do what. A deed is asked for where a page is written, and the answer stands in one table.

    @staff.get("/attempts")
    @needs(Deed.SEE_ATTEMPTS)
    def attempts() -> str: ...

A page of /staff without such a line answers nobody: web.staff.door refuses what it finds no rule for, so that a
forgotten line is a page that does not work, and not one that is open.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from web.models import Right

__all__ = ["MAY", "OPEN", "Deed", "may", "needs", "open_to_all", "rule_of"]


class Deed(StrEnum):
    BE_HERE = "be here"  # what whoever works here may see: their own name, and the way out
    SEE_ATTEMPTS = "see attempts"  # who, what, and how the clock stands
    SEE_WORK = "see work"  # the files of a candidate
    INVITE = "invite"
    GIVE_TIME = "give time"  # minutes, accommodations, and when the window closes
    GIVE_LINKS = "give links"
    SEE_STAFF = "see staff"
    CHANGE_STAFF = "change staff"


# Interviewers do all that belongs to a candidate's attempt; authors meet challenges and nobody's name or work; whoever
# reads only, reads without changing anything. Who works here is the owners' to decide.
MAY: Final[Mapping[Deed, frozenset[Right]]] = {
    Deed.BE_HERE: frozenset(Right),
    Deed.SEE_ATTEMPTS: frozenset({Right.OWNER, Right.INTERVIEWER, Right.READ_ONLY}),
    Deed.SEE_WORK: frozenset({Right.OWNER, Right.INTERVIEWER, Right.READ_ONLY}),
    Deed.INVITE: frozenset({Right.OWNER, Right.INTERVIEWER}),
    Deed.GIVE_TIME: frozenset({Right.OWNER, Right.INTERVIEWER}),
    Deed.GIVE_LINKS: frozenset({Right.OWNER, Right.INTERVIEWER}),
    Deed.SEE_STAFF: frozenset({Right.OWNER}),
    Deed.CHANGE_STAFF: frozenset({Right.OWNER}),
}

OPEN: Final = "open to all"  # the ways in

View = TypeVar("View", bound=Callable[..., Any])


def may(rights: Right, deed: Deed) -> bool:
    return rights in MAY[deed]


def needs(deed: Deed) -> Callable[[View], View]:
    """Marks a page; web.staff.door asks before each request."""

    def mark(view: View) -> View:
        view.rule = deed  # type: ignore[attr-defined]
        return view

    return mark


def open_to_all(view: View) -> View:
    view.rule = OPEN  # type: ignore[attr-defined]
    return view


def rule_of(view: Callable[..., Any]) -> Deed | str | None:
    """What a page was marked with; None when it was forgotten."""
    return getattr(view, "rule", None)
