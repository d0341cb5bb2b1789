"""Who did what. See web.audit."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from web.models.columns import Digest, Table


class AuditEvent(Table):
    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "subject_kind", "subject_id"),
        {"sqlite_autoincrement": True},  # a number is never given twice, not even to the last row
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(100))
    subject_kind: Mapped[str] = mapped_column(String(60))
    subject_id: Mapped[str] = mapped_column(String(100))
    details: Mapped[dict[str, Any]]
    previous: Mapped[Digest]
    hash: Mapped[Digest] = mapped_column(unique=True)
