"""When what candidates need was last there. See web.outages."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from web.models.columns import Table


class SignOfLife(Table):
    __tablename__ = "signs_of_life"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)  # whose; there are a few, and each has one row
    at: Mapped[datetime]
