"""The words that the portal, the grading workers and every challenge share, and the messages between them.

    portal ── GradingRequest ──► grading worker  ── GradingReport ──► portal
    portal ── CheckRequest   ──► checking worker ── CheckReport   ──► portal
    portal ── FormRequest    ──► forming worker  ── FormReport    ──► portal

All messages are JSON and nothing else crosses: no object, no name of a function, no database, no secret. What a
message is given by its sender is read strictly: a number is not a text, an unknown field is an error, and a version
that this code does not speak is refused instead of guessed at.
"""

import hashlib
import hmac
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from sandbox import Ending, Limits, Sandbox

__all__ = [
    "Bundle",
    "Calibrator",
    "ChallengeInvalid",
    "CheckReport",
    "CheckRequest",
    "Evidence",
    "Exchange",
    "Failure",
    "Fault",
    "Finding",
    "Form",
    "FormReport",
    "FormRequest",
    "FormUnfit",
    "Generator",
    "Grader",
    "GraderFailed",
    "GradersError",
    "GradingReport",
    "GradingRequest",
    "Key",
    "Message",
    "MessageUnreadable",
    "Provenance",
    "RoomLimits",
    "Submission",
]

VERSION: Final = 1  # of all messages; raised when an older reader would misunderstand a newer sender


class GradersError(Exception):
    """The root of everything that this package raises."""


class ChallengeInvalid(GradersError):
    """The challenge's folder is not what it must be. Its author's to mend.

    Every mistake that could be found is told, each in one sentence: `file: key: what is wrong: what to do`.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[Self], tuple[str, ...]]:
        return type(self), self.problems  # it is sent from one process to another when a challenge is checked


class GraderFailed(GradersError):
    """The challenge's grader broke its contract. Its author's to mend: the candidate is not to blame."""


class FormUnfit(GradersError):
    """A challenge's `calibrate` refuses a form: "which gate: why". Nobody is to blame, and another form is made."""


class MessageUnreadable(GradersError):
    """A message is not one of ours, or of another version."""


class Message(BaseModel):
    """Frozen and strict; NaN and infinity are no numbers here."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def to_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise MessageUnreadable(f"{cls.__name__}: {first_fault(error)}") from None


def first_fault(error: ValidationError) -> str:
    """Where and what, without the input: it may be a stranger's, or secret."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


# Names that people write into challenge folders and that become file names, URLs and columns.
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*$", max_length=60)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[0-9a-zA-Z_-]{1,64}$")]
Credit = Annotated[float, Field(ge=0, le=1)]

LONGEST_CALIBRATION: Final = 512_000  # bytes of JSON
Calibration = Annotated[str, StringConstraints(max_length=LONGEST_CALIBRATION)]  # empty: there is none


class Evidence(Message):
    """What a reviewer can look at: a quote with its place, or a number with its source."""

    text: str = Field(max_length=4000)
    file: str | None = Field(None, max_length=500)
    line: int | None = Field(None, ge=1)
    source: str = Field("", max_length=200, description="Where a number or an answer comes from.")


class Finding(Message):
    """What one criterion earned, and why."""

    criterion: Key
    credit: Credit | None  # None: could not be judged. That is open, and never zero
    reason: str = Field(min_length=1, max_length=2000, description="One sentence for the reviewer.")
    evidence: tuple[Evidence, ...] = Field((), max_length=50)


class Fault(StrEnum):
    """Who can mend it. A candidate is not among them: what a candidate's program does is a finding."""

    AUTHOR = "author"
    OPERATOR = "operator"


class Failure(Message):
    """Why there are no findings."""

    fault_of: Fault
    message: str = Field(min_length=1, max_length=4000)


class GradingRequest(Message):
    """What a grading worker is asked. It names nobody."""

    version: Literal[1] = VERSION
    grading: Identifier
    fence: int = Field(ge=1)  # which try this is: only the report of the newest is recorded
    challenge: Key
    challenge_digest: Digest
    form: Identifier  # what the form's seed is derived from, with a secret that only grading workers hold
    form_version: str = Field("", max_length=100)  # the challenge's version for which it was made; empty: this one
    form_signature: str = Field("", max_length=200)  # as this version made it; empty: it is built anew to know it
    calibration: Calibration = ""  # of this form by this version; empty: a challenge that has any makes it anew
    submission: Digest  # of the tree of files, see graders.trees
    token: str = Field("", max_length=1000, description="Lets a worker without a shared store fetch the files.")
    lease_seconds: float = Field(gt=0)  # without a sign of life for so long, another worker is asked


class Exchange(Message):
    """One thing that a program was asked and what it said, as far as it fits: enough to see why, and to repeat it."""

    kind: Literal["run", "ask", "serve", "open"]
    asked: str = Field(max_length=2000, description="The beginning of it.")
    ending: Ending | None = None
    exit_code: int | None = None
    answer: str = Field("", max_length=8000, description="Base64 of what it said, perhaps cut.")
    complaint: str = Field("", max_length=4000, description="Base64 of its stderr, or why there is no answer.")
    seconds: float = Field(0, ge=0)
    cpu_seconds: float | None = None
    cut: bool = False  # it said more than stands here


class Provenance(Message):
    """What is needed to repeat a grading, and to see where its time went."""

    challenge_digest: Digest
    challenge_version: str
    form: Identifier
    form_signature: str
    calibration: Digest | None = None  # the SHA-256 of what the grader was given
    image: str  # the id of what the program ran in
    limits: dict[str, float]
    versions: dict[str, str]  # of Assay, Python, the engine
    host: str
    seconds: dict[str, float]  # by phase
    exchanges: tuple[Exchange, ...] = ()
    exchanges_left_out: int = 0
    printed: str = Field("", max_length=8000, description="What the grader printed, for its author.")


class GradingReport(Message):
    """What a grading worker answers: findings, or whose fault it is that there are none."""

    version: Literal[1] = VERSION
    grading: Identifier
    fence: int = Field(ge=1)
    findings: tuple[Finding, ...] = ()
    failure: Failure | None = None
    provenance: Provenance | None = None  # None: it failed before anything was known

    @model_validator(mode="after")
    def _findings_or_a_failure(self) -> Self:
        if self.failure is not None and self.findings:
            raise ValueError("a report has findings or a failure, not both")
        return self


# ------------------------------------------------------------------------------------------------ checks and forms

LONGEST_OUTPUT: Final = 65_536  # characters of what a check printed that are kept
LONGEST_BRIEF: Final = 400_000


class RoomLimits(Message):
    """What one room of a challenge may use; see sandbox.Limits."""

    seconds: float = 10
    memory_mb: int = 256
    processes: int = 64
    output_kb: int = 256
    disk_mb: int = 32
    cpus: float = 1.0


class CheckRequest(Message):
    """What a checking worker is asked: to run a command of the challenge's over a candidate's saved work.

    All that it takes stands here, so that this worker needs no challenge, and so no answer, on its host.
    """

    version: Literal[1] = VERSION
    check: Identifier
    fence: int = Field(ge=1)  # which try this is: only the report of the newest is recorded
    command: tuple[str, ...] = Field(min_length=1, max_length=100)
    seconds: float = Field(gt=0, le=3600)
    image: Key
    limits: RoomLimits
    work: Digest  # the tree of the candidate's files
    token: str = Field("", max_length=1000, description="Lets a worker without a shared store fetch the files.")
    bundle: Digest | None = None  # the tree that the candidate got, for what the check needs and they removed
    bundle_token: str = Field("", max_length=1000)
    deliverables: tuple[str, ...] = ()  # never taken from the bundle: what is not handed in is not there


class CheckReport(Message):
    """What a checking worker answers: how the command ended, or why it did not run. Candidates read it, as text."""

    version: Literal[1] = VERSION
    check: Identifier
    fence: int = Field(ge=1)
    ending: Ending | None = None
    exit_code: int | None = None
    seconds: float = Field(0, ge=0)
    output: str = Field("", max_length=LONGEST_OUTPUT + 200, description="Both streams as they came, perhaps cut.")
    failure: Failure | None = None

    @model_validator(mode="after")
    def _an_ending_or_a_failure(self) -> Self:
        if (self.ending is None) == (self.failure is None):
            raise ValueError("a report has an ending or a failure, and not both")
        return self


class FormRequest(Message):
    """What a forming worker is asked: to make what the candidate of one form gets."""

    version: Literal[1] = VERSION
    form: Identifier
    fence: int = Field(ge=1)
    challenge: Key
    challenge_digest: Digest
    reference: Identifier  # what the form's seed is derived from
    token: str = Field("", max_length=1000, description="Lets a worker without a shared store hand the files in.")


class FormReport(Message):
    """What a forming worker answers: the digest of the files, which it has put into the store, and the brief.

    Or why nobody may get this form, which is nobody's failure; or why there is none.
    """

    version: Literal[1] = VERSION
    form: Identifier
    fence: int = Field(ge=1)
    bundle: Digest | None = None
    brief: str = Field("", max_length=LONGEST_BRIEF)
    signature: str = Field("", max_length=200)
    calibration: Calibration = ""
    unfit: str = Field("", max_length=4000)
    failure: Failure | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if (self.bundle is not None) + bool(self.unfit) + (self.failure is not None) != 1:
            raise ValueError("a report has a bundle, or says that the form is unfit, or has a failure")
        return self


# ------------------------------------------------------------------------------------------- what a grader is given


@dataclass(frozen=True, slots=True)
class Form:
    """One seeded variant of a challenge. Everything random about it is derived from its seed, by purpose.

    The seed is secret: whoever knows it knows the hidden cases. So it is not shown when a form is printed.
    """

    challenge: str
    version: str
    reference: str
    seed: bytes = field(repr=False)
    signature: str = ""  # what sets this form apart from others; two forms with one signature are the same
    private: Mapping[str, Path] = field(default_factory=dict, repr=False, compare=False)  # by name; packs overlay
    calibration: str = field(default="", repr=False)  # what the challenge's `calibrate` gave; empty: it has none

    def derive(self, purpose: str) -> bytes:
        """32 bytes that nobody can foretell without the seed, and that are the same each time."""
        return hmac.new(self.seed, purpose.encode(), hashlib.sha256).digest()

    def random(self, purpose: str) -> random.Random:
        return random.Random(self.derive(purpose))  # noqa: S311  # its seed is secret; it has to be repeatable

    def read_private(self, name: str) -> bytes:
        """A file below private/. It never enters a room, and is in no bundle."""
        if name not in self.private:
            raise ChallengeInvalid(f"private/{name}: there is no such file, and it was asked for")
        return self.private[name].read_bytes()

    def load_private(self, name: str) -> Any:
        """A private JSON file."""
        try:
            return json.loads(self.read_private(name))
        except ValueError as error:
            raise ChallengeInvalid(f"private/{name}: {error}") from None


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a candidate of one form gets: files to start from, and values for the brief."""

    files: Mapping[str, bytes]
    values: Mapping[str, str | int | float] = field(default_factory=dict)  # by the names between {{ and }}
    signature: str = ""  # of the form; empty: derived from all that stands here
    brief: str = ""  # brief.md with the values in it; written by us, not by a generator


@dataclass(frozen=True, slots=True)
class Submission:
    """What is graded, and against what. The bytes are a stranger's; the rest is ours."""

    files: Mapping[str, bytes]
    form: Form
    limits: Limits = Limits()  # what the manifest allows one room

    @property
    def private(self) -> Mapping[str, Path]:
        return self.form.private

    def text(self, name: str, most: int = 256_000) -> str | None:
        """A text deliverable, or None when it is missing, too long or no UTF-8."""
        content = self.files.get(name)
        if content is None or len(content) > most:
            return None
        try:
            return content.decode()
        except UnicodeDecodeError:
            return None

    def read_private(self, name: str) -> bytes:
        """The form's; see there."""
        return self.form.read_private(name)

    def load_private(self, name: str) -> Any:
        return self.form.load_private(name)


class Generator(Protocol):
    """A challenge's `generate`. The same form gives the same bundle, on every machine and each time."""

    def __call__(self, form: Form) -> Bundle: ...


class Calibrator(Protocol):
    """A challenge's `calibrate`: what is costly to find out about a form, as JSON text; FormUnfit refuses the form."""

    def __call__(self, form: Form) -> str: ...


class Grader(Protocol):
    """A challenge's `grade`. It asks the candidate's program through the sandbox, and compares out here.

    A program's misbehaviour is a finding, often with credit 0. What it raises is its own failure, the author's;
    SandboxUnavailable passes through it, the operator's.
    """

    def __call__(self, submission: Submission, sandbox: Sandbox) -> Iterable[Finding]: ...
