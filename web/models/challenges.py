"""What is asked: published versions of challenges, and their forms."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from web.models.columns import Digest, Id, Table, new_id, words


class ChallengeVersion(Table):
    """A challenge as it was when it was published. An attempt is graded against the version it was started with."""

    __tablename__ = "challenge_versions"
    __table_args__ = (Index(None, "slug", "published_at"),)

    digest: Mapped[Digest] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(60))
    version: Mapped[str] = mapped_column(String(40))
    manifest: Mapped[dict[str, Any]]
    rubric: Mapped[dict[str, Any]]
    brief: Mapped[str] = mapped_column(Text)
    starter: Mapped[Digest]  # of a tree
    published_at: Mapped[datetime]  # the newest of a slug is the one that new attempts get


class FormState(StrEnum):
    MAKING = "making"  # a worker with the challenge's generator was asked
    FAILED = "failed"  # it cannot be made: its author is told why
    UNFIT = "unfit"  # its challenge refuses it: nobody's fault, and nobody gets it
    POOL = "pool"  # made beforehand, and free
    RESERVED = "reserved"
    ISSUED = "issued"  # somebody works on it
    RETIRED = "retired"


class Form(Table):
    """One seeded variant of a challenge. The seed itself is derived from `reference` where gradings run."""

    __tablename__ = "forms"
    __table_args__ = (Index(None, "challenge_digest", "state"),)

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    challenge_digest: Mapped[Digest] = mapped_column(ForeignKey("challenge_versions.digest"))
    reference: Mapped[str] = mapped_column(String(64), unique=True)
    signature: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[FormState] = mapped_column(words(FormState, "state"))
    equating: Mapped[dict[str, Any] | None]  # the curve that puts all forms on one scale
    bundle: Mapped[Digest | None]  # the tree that its candidate gets
    brief: Mapped[str | None] = mapped_column(Text)  # with the form's values in it
    asked_at: Mapped[datetime | None]  # when a worker was last asked to make it
    fence: Mapped[int] = mapped_column(Integer, default=0)  # how often one was asked
    failure: Mapped[str | None] = mapped_column(Text)  # why it failed, or is unfit
    calibration: Mapped[str | None] = mapped_column(Text, deferred=True)  # for its grader; large, and no page's
    created_at: Mapped[datetime]
