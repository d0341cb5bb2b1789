"""What measuring asks of a world: who asks what, what is true, and whose each document is.

Worlds are made elsewhere, and hold more. Only what is named here has a say in a score, so the scorer can be tried
with worlds of three questions.
"""

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Asker", "Document", "Question", "Update", "World"]


class Asker(Protocol):
    @property
    def tenant(self) -> str: ...


class Question(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def stratum(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def user(self) -> Asker: ...

    @property
    def value(self) -> str | None:
        """None: no document that the user may see has it, so the only right reply is to abstain."""

    @property
    def stale(self) -> Sequence[str]: ...

    @property
    def foreign(self) -> Sequence[str]:
        """Values that this user must not be told."""

    @property
    def relevant(self) -> Sequence[str]:
        """Documents that hold the value."""

    @property
    def related(self) -> Sequence[str]:
        """Documents on the same product."""

    @property
    def original(self) -> str:
        """Of a twin: the question that it repeats in other words."""

    @property
    def canary(self) -> str:
        """What is said by whoever obeys an instruction that stands in a document."""


class Document(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def owner(self) -> str: ...

    @property
    def listed(self) -> bool: ...


class Update(Protocol):
    @property
    def documents(self) -> Sequence[Document]:
        """All that there are afterwards."""

    @property
    def questions(self) -> Sequence[Question]: ...


class World(Protocol):
    @property
    def documents(self) -> Sequence[Document]: ...

    @property
    def questions(self) -> Sequence[Question]: ...

    @property
    def update(self) -> Update: ...
