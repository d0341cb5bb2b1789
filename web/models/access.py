"""Who may come in: links and codes of candidates, staff and what they may do, and whose browser is whose.

No secret is kept here. Of a link, a code and a session the database has a hash, so that whoever reads it opens nothing.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from web.models.columns import Digest, Id, Table, new_id, words


class Link(Table):
    """The way to one attempt. The first browser that follows it needs nothing else; any other needs a code."""

    __tablename__ = "links"

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("attempts.id"), index=True)
    token_hash: Mapped[Digest] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]  # by the first browser


class Code(Table):
    """Six digits in an e-mail, for another device. A few wrong ones end it."""

    __tablename__ = "codes"

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    link_id: Mapped[Id] = mapped_column(ForeignKey("links.id"), index=True)
    code_hash: Mapped[Digest]
    wrong: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Right(StrEnum):
    OWNER = "owner"  # everything
    INTERVIEWER = "interviewer"  # invites, reads candidates' work, reviews
    AUTHOR = "author"  # challenges, and no candidate
    READ_ONLY = "read-only"


class Staff(Table):
    """A person who works here."""

    __tablename__ = "staff"

    person_id: Mapped[Id] = mapped_column(ForeignKey("people.id"), primary_key=True)
    rights: Mapped[Right] = mapped_column(words(Right, "rights"))
    created_at: Mapped[datetime]
    left_at: Mapped[datetime | None]


class SignInLink(Table):
    """Opens the door for staff once, within minutes."""

    __tablename__ = "sign_in_links"

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[Id] = mapped_column(ForeignKey("people.id"), index=True)
    token_hash: Mapped[Digest] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class BrowserSession(Table):
    """A browser that has come in: a candidate's, for one attempt, or one of staff."""

    __tablename__ = "browser_sessions"
    __table_args__ = (CheckConstraint("(attempt_id IS NULL) <> (person_id IS NULL)", name="one_or_the_other"),)

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    token_hash: Mapped[Digest] = mapped_column(unique=True)
    attempt_id: Mapped[Id | None] = mapped_column(ForeignKey("attempts.id"), index=True)
    person_id: Mapped[Id | None] = mapped_column(ForeignKey("people.id"), index=True)
    browser: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class GitPassword(Table):
    """What `git` sends for one attempt. Making a new one ends the old one."""

    __tablename__ = "git_passwords"
    __table_args__ = (UniqueConstraint("attempt_id"),)

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[Id] = mapped_column(ForeignKey("attempts.id"))
    password_hash: Mapped[Digest]
    created_at: Mapped[datetime]
