"""What comes back of one night in a hidden world: evidence for the scorer, and no verdict.

    transcript = drive(submission, world, state, sandbox, name="first", folder=folder)
    for asked in transcript.asked:
        asked.question, asked.phase, asked.body, asked.silence
    transcript.marks.idempotent, transcript.usage[Phase.QUESTIONS].prompt_tokens, transcript.complaints

The body of a reply is the candidate's claim, as it came. Times, silences and the bill are ours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar

from graders.simgate import Row

__all__ = ["Asked", "Marks", "Phase", "Question", "Transcript", "Update", "Usage", "User", "World", "used"]


class User(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def roles(self) -> Sequence[str]: ...


class Question(Protocol):
    """What may be told to a candidate's program. What is expected of it is not among it, so it cannot be sent."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def user(self) -> User: ...


Asks = TypeVar("Asks", bound=Question)  # the whole question of a world, which goes through here unseen
Covariant = TypeVar("Covariant", bound=Question, covariant=True)


class Update(Protocol[Covariant]):
    @property
    def questions(self) -> Sequence[Covariant]: ...
    @property
    def unchanged(self) -> Sequence[str]:
        """Ids of earlier questions whose answers are what they were."""


class World(Protocol[Covariant]):
    """As much of a world as it takes to drive a night through it."""

    @property
    def questions(self) -> Sequence[Covariant]: ...
    @property
    def update(self) -> Update[Covariant]: ...
    @property
    def lexicon(self) -> Mapping[str, Any]: ...

    def corpus(self) -> Mapping[str, bytes]: ...
    def updated_corpus(self) -> Mapping[str, bytes]: ...


class Phase(StrEnum):
    """In the order in which they come."""

    INGEST = "ingest"
    QUESTIONS = "questions"
    SECOND_INGEST = "second ingest"
    INCREMENTAL = "incremental ingest"
    BEFORE_RELOAD = "before the reload"  # asked so that there is something to forget; nobody scores it
    AFTER_RELOAD = "after the reload"
    WHOLE_INGEST = "whole ingest of the update"


INGESTS: Final = (Phase.INGEST, Phase.SECOND_INGEST, Phase.INCREMENTAL, Phase.WHOLE_INGEST)


@dataclass(frozen=True, slots=True)
class Asked(Generic[Asks]):
    """One question, once. A repeat is another one of these, with the same question in a later phase."""

    question: Asks
    phase: Phase
    body: bytes  # of the reply with status 200, whole
    silence: str = ""  # why there is no such reply; then `body` is empty
    seconds: float = 0.0  # until the last byte, by our probe's clock; time in the gateway is within it
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """What the index did besides answering. None: it could not be seen, and `complaints` say why."""

    clean_start: bool = False  # ingested and ready from the files as they were handed in
    idempotent: bool | None = None  # the manifest of a second full ingest has the hash of the first
    reloaded: bool | None = None  # /admin/reload named the new index
    incremental_equals_full: bool | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What one phase cost at the gateway, by its own ledger."""

    chats: int = 0
    embeddings: int = 0  # calls, of any number of texts
    refused: int = 0  # calls that cost nothing: unknown models, no budget
    prompt_tokens: int = 0  # of chats
    embedded_tokens: int = 0
    answer_tokens: int = 0
    cost: int = 0  # nano-dollars


@dataclass(frozen=True, slots=True)
class Transcript(Generic[Asks]):
    asked: tuple[Asked[Asks], ...]
    complaints: tuple[str, ...]  # one sentence each, in the order of what happened
    marks: Marks
    usage: Mapping[Phase, Usage]
    ingest_seconds: Mapping[Phase, float] = field(default_factory=dict)
    ingest_cpu_seconds: Mapping[Phase, float] = field(default_factory=dict)
    program_seconds: float = 0.0  # in which something of the candidate's ran and was waited for
    wall_seconds: float = 0.0  # the whole night: what is above the former is ours

    def of(self, phase: Phase) -> tuple[Asked[Asks], ...]:
        return tuple(one for one in self.asked if one.phase is phase)


def used(rows: Iterable[Row], phase_of: Callable[[Row], Phase]) -> dict[Phase, Usage]:
    """The ledger's rows, added up by phase; every phase is there."""
    found: dict[Phase, list[Row]] = {phase: [] for phase in Phase}
    for row in rows:
        found[phase_of(row)].append(row)
    return {phase: _sum(of_phase) for phase, of_phase in found.items()}


def _sum(rows: Sequence[Row]) -> Usage:
    chats = [row for row in rows if row.call != "embeddings"]
    embeddings = [row for row in rows if row.call == "embeddings"]
    return Usage(
        chats=len(chats),
        embeddings=len(embeddings),
        refused=sum(row.status != 200 for row in rows),
        prompt_tokens=sum(row.prompt_tokens for row in chats),
        embedded_tokens=sum(row.prompt_tokens for row in embeddings),
        answer_tokens=sum(row.answer_tokens for row in rows),
        cost=sum(row.cost for row in rows),
    )
