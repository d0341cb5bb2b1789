"""What every table is made of: names of constraints, ids, and moments that mean the same on both databases."""

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from sqlalchemy import JSON, DateTime, Dialect, Enum, MetaData, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, mapped_column

# Each constraint has a name, and the same one on both databases: what has no name cannot be changed later.
NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Moment(TypeDecorator[datetime]):
    """A point in time: always with its zone in Python, always UTC in the database. SQLite would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()}: a moment needs its time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: Moment(), dict[str, Any]: JSON(none_as_null=True)}  # noqa: RUF012  # SQLAlchemy's


def new_id() -> str:
    return uuid.uuid4().hex


def words(kind: type[StrEnum], name: str) -> Enum:
    """A column that holds one of a few words, checked by the database too."""
    return Enum(
        kind,
        name=name,
        native_enum=False,  # a type of PostgreSQL's own cannot be changed inside a transaction
        create_constraint=True,
        length=20,
        validate_strings=True,
        values_callable=lambda members: [member.value for member in members],
    )


Id = Annotated[str, mapped_column(String(32))]
Digest = Annotated[str, mapped_column(String(64))]
Name = Annotated[str, mapped_column(String(200))]
