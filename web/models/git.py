"""What `git` was told of an attempt: the commits that it counts on finding again."""

from typing import Any

from sqlalchemy import ForeignKey, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from web.models.columns import Id, Table, new_id


class GitTip(Table):
    """Where an attempt's branch stood, and what was new with it. The newest, by its number, is where it stands.

    Snapshots are the state; this is how they look to git. Each tip is either what a candidate pushed or a commit of
    ours for what was saved in another way since.
    """

    __tablename__ = "git_tips"
    __table_args__ = (UniqueConstraint("attempt_id", "number"),)

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("attempts.id"))
    number: Mapped[int] = mapped_column(Integer)  # within the attempt, from 1
    commit: Mapped[str] = mapped_column(String(40))
    snapshot_number: Mapped[int] = mapped_column(Integer)  # of what the commit holds
    blobs: Mapped[dict[str, Any]]  # each blob of the snapshot's that is new, and the digest of its content
    objects: Mapped[bytes] = mapped_column(LargeBinary)  # all else that is new: commits, trees, blobs of older commits
    held: Mapped[int] = mapped_column(Integer)  # bytes of these, before they were compressed
