"""Keeps other sites from sending forms in somebody's name: each POST carries a token that only our pages know."""

from typing import Final

from flask_wtf import CSRFProtect

__all__ = ["csrf"]

csrf: Final = CSRFProtect()  # web.create_app arms it; an address that proves itself in another way is exempted there
