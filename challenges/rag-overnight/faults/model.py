"""What a fault is: one thing that can be wrong with the repository, in up to four kinds.

    code, config    edits break the healthy repository; without them all is well
    feed            documents come in another dialect since last night, which the healthy repository does not know;
                    edits make it understand
    state           what lies in the index folder is not what the healthy repository takes it for; edits stop it from
                    trusting that

Whoever takes the published repository wholesale has mended what is code or config, and nothing else.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = ["Author", "Commit", "Edit", "Fault", "Kind", "Misfit", "Poison", "Variant", "apply"]

Tree = Mapping[str, bytes]
Poison = Callable[[Path, random.Random], None]  # the index folder, which it changes


class Misfit(Exception):
    """An edit does not fit the text that it was written for."""


class Kind(StrEnum):
    CODE = "code"
    CONFIG = "config"
    STATE = "state"
    FEED = "feed"


class Author(StrEnum):
    """Who commits. Nobody of them exists."""

    LENA = "Lena Brandt <lena@deskmate.example>"
    TOMAS = "Tomas Ilves <tomas@deskmate.example>"
    PRIYA = "Priya Raman <priya@deskmate.example>"
    OWEN = "Owen Castell <owen@deskmate.example>"


@dataclass(frozen=True, slots=True)
class Edit:
    """`old` stands exactly once in the file, and becomes `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Commit:
    """What an otherwise legitimate change was called that brought the fault with it."""

    author: Author
    subject: str
    body: str = ""
    beside: tuple[Edit, ...] = ()  # what else it changed, which is harmless


@dataclass(frozen=True, slots=True)
class Variant:
    kind: Kind
    edits: tuple[Edit, ...]  # code, config: they break; feed, state: they mend
    locations: tuple[str, ...]  # what an incident entry may name: path, path:function, or words of an artefact
    dialect: str = ""  # feed
    poison: Poison | None = None  # state
    commit: Commit | None = None  # code, config

    def __post_init__(self) -> None:
        if (self.kind is Kind.FEED) != bool(self.dialect) or (self.kind is Kind.STATE) != (self.poison is not None):
            raise ValueError(f"{self.kind}: a feed has a dialect, a state a poison, and nothing else has either")
        if (self.kind in (Kind.CODE, Kind.CONFIG)) != (self.commit is not None):
            raise ValueError(f"{self.kind}: whatever is code or config came with a commit")
        if not self.edits or not self.locations:
            raise ValueError(f"{self.kind}: edits and locations are what a fault consists of")

    @property
    def breaks(self) -> bool:
        """Whether it is its edits that break the healthy repository."""
        return self.kind in (Kind.CODE, Kind.CONFIG)


@dataclass(frozen=True, slots=True)
class Fault:
    key: str  # ING-1
    stage: str  # as in an incident entry, see scoring.stages
    title: str  # for interviewers
    level: int  # 1 to 3
    complaints: tuple[str, ...]  # in a user's words; {question} and {answer} are a real one of the world, and what came
    detectors: tuple[tuple[str, float], ...]  # stratum, and how far it falls at least when only this is wrong
    variants: tuple[Variant, ...]
    excludes: tuple[str, ...] = ()  # faults that hide each other

    def variant(self, kind: Kind) -> Variant:
        return next(one for one in self.variants if one.kind is kind)


def apply(tree: Tree, edits: Iterable[Edit]) -> dict[str, bytes]:
    """The tree with these edits, one after another."""
    edited = dict(tree)
    for edit in edits:
        if edit.path not in edited:
            raise Misfit(f"{edit.path}: there is no such file")
        text = edited[edit.path].decode()
        found = text.count(edit.old)
        if found != 1:
            raise Misfit(f"{edit.path}: stands there {found} times, and once was expected: {edit.old[:80]!r}")
        edited[edit.path] = text.replace(edit.old, edit.new).encode()
    return edited
