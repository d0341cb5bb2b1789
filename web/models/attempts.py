"""What candidates do: attempts, the work they save, and what they hand in."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint
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
    )

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    application_id: Mapped[Id | None] = mapped_column(ForeignKey("applications.id"), index=True)
    kind: Mapped[AttemptKind] = mapped_column(words(AttemptKind, "kind"))
    challenge_digest: Mapped[Digest] = mapped_column(ForeignKey("challenge_versions.digest"), index=True)
    form_id: Mapped[Id] = mapped_column(ForeignKey("forms.id"), index=True)
    opens_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    @property
    def candidate(self) -> str:
        """Whose turn it uses when gradings wait in line."""
        return self.application_id or self.id


class Origin(StrEnum):
    BROWSER = "browser"
    UPLOAD = "upload"
    PUSH = "push"
    REHEARSAL = "rehearsal"


class Snapshot(Table):
    """Saved work."""

    __tablename__ = "snapshots"
    __table_args__ = (Index(None, "attempt_id", "tree"),)

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("attempts.id"))
    tree: Mapped[Digest]
    files: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    origin: Mapped[Origin] = mapped_column(words(Origin, "origin"))
    taken_at: Mapped[datetime]


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
