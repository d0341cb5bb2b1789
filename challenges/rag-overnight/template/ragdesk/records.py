"""What the parts of ragdesk hand to each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Flags: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.int64]

PUBLIC = "public"  # the tenant of documents that everybody may read


class Models(Protocol):
    """The provider of models. `ragdesk.models` has the real one, tests have their own."""

    def embed(self, texts: list[str], model: str) -> list[list[float]]:
        """A vector for each text."""
        ...

    def complete(self, messages: list[tuple[str, str]], model: str) -> tuple[str, int, int]:
        """What the model says to messages of (role, text), and the tokens of prompt and answer."""
        ...


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    doc_id: str
    title: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read a document: a tenant, and of its people those with one of the roles, or all without any."""

    tenant: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User:
    user_id: str
    tenant: str
    roles: tuple[str, ...]

    @classmethod
    def parse(cls, value: dict[str, Any]) -> "User":
        return cls(str(value["id"]), str(value["tenant"]), tuple(map(str, value.get("roles") or ())))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage as it is indexed and shown to the model, with title and heading in front."""

    chunk_id: str
    doc_id: str
    title: str
    heading: str
    text: str
    digest: str  # of the text
    access: Access


@dataclass(frozen=True, slots=True)
class Query:
    """A question, taken apart for the arms and the re-ranker."""

    terms: tuple[str, ...]
    vector: Floats
    word_vectors: Floats  # one for each term


@dataclass(frozen=True, slots=True)
class Hit:
    chunk: Chunk
    score: float


Ranked: TypeAlias = Sequence[tuple[int, float]]  # rows and scores, the best first
