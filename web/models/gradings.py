"""What graders said, and what may be said again. Nothing here is overwritten: a new grading stands beside the old."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from graders.contract import Fault
from web.models.columns import Digest, Id, Table, new_id, words


class Purpose(StrEnum):
    FIRST = "first"
    REGRADE = "regrade"
    AGAIN = "again"  # a person sent a failed one once more


class Urgency(IntEnum):
    """Whose turn it is first."""

    AWAITED = 0  # somebody looks at the screen until it is there
    NORMAL = 1
    BULK = 2


class GradingState(StrEnum):
    WAITING = "waiting"  # needs a worker
    SENT = "sent"  # a worker has been asked; `fence` says for which time
    GRADED = "graded"
    FAILED = "failed"  # the author's or the operator's fault, and a person has been told


class Decision(StrEnum):
    UNDECIDED = "undecided"
    APPLIED = "applied"
    DROPPED = "dropped"


class Regrade(Table):
    """Submissions graded once more, against the version named here. It changes no score until somebody applies it."""

    __tablename__ = "regrades"
    __table_args__ = (
        CheckConstraint(
            "(decision = 'undecided') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)",
            name="who_decided",
        ),
    )

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(String(60))
    challenge_digest: Mapped[Digest] = mapped_column(ForeignKey("challenge_versions.digest"))
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str] = mapped_column(String(200))
    decision: Mapped[Decision] = mapped_column(words(Decision, "decision"))
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(200))


# Written out as SQL, never as a parameter: only then does a planner see that the small index serves.
OPEN = text("finished_at IS NULL")


class Grading(Table):
    """One run of the graders over a submission."""

    __tablename__ = "gradings"
    __table_args__ = (
        CheckConstraint("(state IN ('graded', 'failed')) = (finished_at IS NOT NULL)", name="finished_says_when"),
        CheckConstraint("(state = 'failed') = (fault_of IS NOT NULL)", name="failed_says_whose_fault"),
        CheckConstraint("(state = 'sent') = (lease_until IS NOT NULL)", name="sent_has_a_lease"),
        # Ten thousand finished rows cost a turn of the clock nothing: they are in none of these.
        Index("ix_gradings_open", "state", "urgency", "created_at", sqlite_where=OPEN, postgresql_where=OPEN),
        Index(
            "uq_gradings_open_of_submission",
            "submission_id",
            "challenge_digest",
            unique=True,
            sqlite_where=text("finished_at IS NULL AND regrade_id IS NULL"),
            postgresql_where=text("finished_at IS NULL AND regrade_id IS NULL"),
        ),
        Index(
            "uq_gradings_open_of_regrade",
            "regrade_id",
            "submission_id",
            unique=True,
            sqlite_where=text("finished_at IS NULL AND regrade_id IS NOT NULL"),
            postgresql_where=text("finished_at IS NULL AND regrade_id IS NOT NULL"),
        ),
        Index(
            "ix_gradings_failed",
            "finished_at",
            sqlite_where=text("fault_of IS NOT NULL"),
            postgresql_where=text("fault_of IS NOT NULL"),
        ),
    )

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    submission_id: Mapped[Id] = mapped_column(ForeignKey("submissions.id"), index=True)
    challenge_digest: Mapped[Digest] = mapped_column(ForeignKey("challenge_versions.digest"))
    purpose: Mapped[Purpose] = mapped_column(words(Purpose, "purpose"))
    regrade_id: Mapped[Id | None] = mapped_column(ForeignKey("regrades.id"), index=True)
    repeats_id: Mapped[Id | None] = mapped_column(ForeignKey("gradings.id"), unique=True)  # the failed one
    candidate: Mapped[Id]  # whose turn it uses: the attempt's application, or the attempt itself
    grading_seconds: Mapped[int] = mapped_column(Integer)  # that the manifest allows
    urgency: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime]

    state: Mapped[GradingState] = mapped_column(words(GradingState, "state"), default=GradingState.WAITING)
    fence: Mapped[int] = mapped_column(Integer, default=0)  # raised with each sending: only its report counts
    tries: Mapped[int] = mapped_column(Integer, default=0)  # that ended badly by our own fault
    not_before: Mapped[datetime | None]  # waits that long before it is sent again
    sent_at: Mapped[datetime | None]
    alive_at: Mapped[datetime | None]  # when a worker was first seen at it, under this fence
    lease_until: Mapped[datetime | None]  # without a sign until then, it is sent again
    finished_at: Mapped[datetime | None]
    late_reports: Mapped[int] = mapped_column(Integer, default=0)  # that came under an older fence, or twice

    fault_of: Mapped[Fault | None] = mapped_column(words(Fault, "fault_of"))
    failure: Mapped[str | None] = mapped_column(Text)  # why the last try ended badly
    provenance: Mapped[dict[str, Any] | None]  # what is needed to repeat it


class Finding(Table):
    """What one criterion earned, and why."""

    __tablename__ = "findings"
    __table_args__ = (
        UniqueConstraint("grading_id", "position"),
        CheckConstraint("credit >= 0 AND credit <= 1", name="credit_is_a_fraction"),
    )

    grading_id: Mapped[Id] = mapped_column(ForeignKey("gradings.id"), primary_key=True)
    criterion: Mapped[str] = mapped_column(String(60), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    credit: Mapped[float | None] = mapped_column(Float)  # NULL: open, and never zero
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
