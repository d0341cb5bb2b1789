"""Who is hired for what."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, validates

from web.models.columns import Id, Name, Table, new_id


class Person(Table):
    __tablename__ = "people"
    __table_args__ = (CheckConstraint("email = lower(email)", name="email_is_lowered"),)

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[Name]
    email: Mapped[str] = mapped_column(String(320), unique=True)
    created_at: Mapped[datetime]

    @validates("email")
    def _lowered(self, _: str, email: str) -> str:
        return email.strip().lower()


class Role(Table):
    """What somebody is hired for."""

    __tablename__ = "roles"

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    title: Mapped[Name]
    created_at: Mapped[datetime]


class Application(Table):
    """A person who is a candidate for a role."""

    __tablename__ = "applications"
    __table_args__ = (UniqueConstraint("person_id", "role_id"),)

    id: Mapped[Id] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[Id] = mapped_column(ForeignKey("people.id"))
    role_id: Mapped[Id] = mapped_column(ForeignKey("roles.id"), index=True)
    created_at: Mapped[datetime]
