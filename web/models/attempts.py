"""What candidates do: attempts, the work they save, and what they hand in."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from web.models.columns import Digest, Id, Table, new_id, words


class AttemptKind(StrEnum):
    TAKE_HOME = "take-home"
    PRACTICE = "practice"
    REHEARSAL = "rehearsal"  # nobody's: an author or an operator tries the whole way


class Attempt(Table):
    """One candidate's timed go at one form."""

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("kind <> 'take-home' OR application_id IS NOT NULL", name="take_home_is_somebodys"),
        # What the clock looks for: attempts that run. The many that have ended are in no index of it.
        Index(
            "ix_attempts_running",
            "ends_at",
            sqlite_where=text("ends_at IS NOT NULL AND ended_at IS NULL"),
            postgresql_where=text("ends_at IS NOT NULL AND ended_at IS NULL"),
        ),
    )

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    application_id: Mapped[Id | None] = mapped_column(ForeignKey("applications.id"), index=True)
    kind: Mapped[AttemptKind] = mapped_column(words(AttemptKind, "kind"))
    challenge_digest: Mapped[Digest] = mapped_column(ForeignKey("challenge_versions.digest"), index=True)
    form_id: Mapped[Id] = mapped_column(ForeignKey("forms.id"), index=True)
    opens_at: Mapped[datetime | None]  # the window in which it may be started
    closes_at: Mapped[datetime | None]
    minutes: Mapped[int] = mapped_column(Integer, default=0)  # as the challenge has them; 0: of a rehearsal
    multiplier: Mapped[float] = mapped_column(Float, default=1.0)  # an accommodation, set before the start
    feedback: Mapped[bool] = mapped_column(Boolean, default=False)  # may the candidate see what each criterion earned?
    contact: Mapped[str] = mapped_column(String(500), default="")  # whom to ask
    locale: Mapped[str] = mapped_column(String(20), default="en")
    time_zone: Mapped[str] = mapped_column(String(60), default="UTC")  # the candidate's own, as the browser knows it
    started_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]  # with all that was added since it started
    ended_at: Mapped[datetime | None]  # handed in, by the candidate or by the clock, or withdrawn
    withdrawn_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    @property
    def candidate(self) -> str:
        """Whose turn it uses when gradings wait in line."""
        return self.application_id or self.id


class AddedTime(Table):
    """Time that was added to a clock, by a person or because we kept the candidate waiting. Never taken back."""

    __tablename__ = "added_times"
    __table_args__ = (
        UniqueConstraint("attempt_id", "cause"),
        CheckConstraint("seconds > 0", name="time_is_added"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("attempts.id"))
    cause: Mapped[str] = mapped_column(String(100))  # `check <id>`, `staff <id>`, ...: the same one is added once
    seconds: Mapped[float] = mapped_column(Float)
    why: Mapped[str] = mapped_column(String(500))  # as the candidate reads it
    added_by: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


class Consent(Table):
    """What a candidate agreed to, in the words that were on the page."""

    __tablename__ = "consents"
    __table_args__ = (UniqueConstraint("attempt_id", "text_hash"),)

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("attempts.id"))
    version: Mapped[str] = mapped_column(String(40))
    text_hash: Mapped[Digest]
    locale: Mapped[str] = mapped_column(String(20))
    browser: Mapped[str] = mapped_column(String(300))
    at: Mapped[datetime]


class Origin(StrEnum):
    STARTER = "starter"
    RESTORED = "restored"
    BROWSER = "browser"
    UPLOAD = "upload"
    PUSH = "push"
    REHEARSAL = "rehearsal"


class Snapshot(Table):
    """Saved work. The newest of an attempt, by its number, is the state that all ways to work share."""

    __tablename__ = "snapshots"
    __table_args__ = (Index(None, "attempt_id", "tree"), UniqueConstraint("attempt_id", "number"))

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("attempts.id"))
    number: Mapped[int] = mapped_column(Integer)  # within the attempt, from 1
    tree: Mapped[Digest]
    names: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))  # each file and the digest of its
    # content, which is among the contents; NULL: the store has the tree, and the database does not
    saved_by: Mapped[str] = mapped_column(String(40), default="")  # the tab, device or push that it came from
    files: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    origin: Mapped[Origin] = mapped_column(words(Origin, "origin"))
    taken_at: Mapped[datetime]


class Content(Table):
    """Bytes of a file that is worked on. One commit keeps a save: what is handed in or run goes into the store."""

    __tablename__ = "contents"

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    bytes: Mapped[bytes] = mapped_column(LargeBinary)


class CheckState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # by our own fault, and the candidate's clock was credited


class Check(Table):
    """The challenge's public checks, run once over a candidate's saved work because they asked for it."""

    __tablename__ = "checks"
    __table_args__ = (
        CheckConstraint("(state IN ('done', 'failed')) = (ended_at IS NOT NULL)", name="ended_says_when"),
        Index(
            "ix_checks_open",
            "asked_at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("attempts.id"), index=True)
    snapshot_id: Mapped[Id] = mapped_column(ForeignKey("snapshots.id"))
    tree: Mapped[Digest]
    state: Mapped[CheckState] = mapped_column(words(CheckState, "state"), default=CheckState.WAITING)
    asked_at: Mapped[datetime]
    rung_at: Mapped[datetime | None]  # when a worker was last asked; NULL: one has to be
    fence: Mapped[int] = mapped_column(Integer, default=0)  # raised with each asking: only its report counts
    tries: Mapped[int] = mapped_column(Integer, default=0)  # that ended badly by our own fault
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ending: Mapped[str | None] = mapped_column(String(40))  # of its program, as sandbox.Ending has it
    exit_code: Mapped[int | None] = mapped_column(Integer)
    seconds: Mapped[float | None] = mapped_column(Float)
    output: Mapped[str | None] = mapped_column(Text)  # both streams as they came; what was no UTF-8 is replaced
    failure: Mapped[str | None] = mapped_column(Text)


class Submission(Table):
    """What is graded."""

    __tablename__ = "submissions"
    __table_args__ = (
        UniqueConstraint("attempt_id", "number"),
        UniqueConstraint("attempt_id", "key"),
    )

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("attempts.id"))
    snapshot_id: Mapped[Id] = mapped_column(ForeignKey("snapshots.id"), index=True)
    tree: Mapped[Digest]
    number: Mapped[int] = mapped_column(Integer)  # within the attempt, from 1
    key: Mapped[str] = mapped_column(String(100))  # the sender's: the same one sent twice is one submission
    received_at: Mapped[datetime]


class Receipt(Table):
    """What the server signed when it took a submission. The very bytes are kept, for they are what was signed."""

    __tablename__ = "receipts"

    submission_id: Mapped[Id] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)  # under which anybody finds it
    body: Mapped[str] = mapped_column(Text)
    signature: Mapped[str] = mapped_column(String(100))
    key_id: Mapped[str] = mapped_column(String(40))


class Contest(Table):
    """A candidate says that a grading is wrong, and why."""

    __tablename__ = "contests"

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    submission_id: Mapped[Id] = mapped_column(ForeignKey("submissions.id"), unique=True)
    reason: Mapped[str] = mapped_column(Text)
    criterion: Mapped[str] = mapped_column(String(60), default="")  # empty: all of it
    at: Mapped[datetime]
