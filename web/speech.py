"""What is said to candidates, in their language: the catalogues in web/locale, and moments and lengths of time.

    _("Hand in")    ngettext("%(num)s file", "%(num)s files", count)    in templates the same, as Jinja has it

English stands in the source and is complete by itself. A sentence that a catalogue lacks is shown in English.
"""

import gettext as catalogues
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, g, has_request_context

__all__ = [
    "LOCALES",
    "arm",
    "format_moment",
    "format_points",
    "gettext",
    "marked",
    "ngettext",
    "speak",
    "speaking",
    "written",
]

LOCALES: Final = {"en": "English", "de": "Deutsch"}
DECIMAL_SIGNS: Final = {"en": ".", "de": ","}
FOLDER: Final = Path(__file__).parent / "locale"


def speak(locale: str) -> None:
    """From here on this request is answered in that language."""
    g.locale = locale if locale in LOCALES else "en"


_SPOKEN: Final[ContextVar[str]] = ContextVar("spoken", default="")


@contextmanager
def speaking(locale: str) -> Iterator[None]:
    """What is said to somebody else than who asks: a letter, written in its reader's language."""
    before = _SPOKEN.set(locale if locale in LOCALES else "en")
    try:
        yield
    finally:
        _SPOKEN.reset(before)


def _spoken() -> str:
    return _SPOKEN.get() or (getattr(g, "locale", "en") if has_request_context() else "en")


def _catalogue() -> catalogues.NullTranslations:
    locale = _spoken()
    return catalogues.translation("assay", FOLDER, [locale], fallback=True)


def marked(sentence: str) -> str:
    """A sentence that is looked up later, by `gettext`; this tells the catalogues that it is one."""
    return sentence


def gettext(sentence: str, **values: Any) -> str:
    said = _catalogue().gettext(sentence) if sentence else ""  # a catalogue keeps its own header under the empty one
    return said % values if values else said


def ngettext(one: str, many: str, num: int, **values: Any) -> str:
    return _catalogue().ngettext(one, many, num) % {"num": num, **values}


def _counted(one: str, many: str, num: int) -> str:
    return _catalogue().ngettext(one, many, num)


def format_moment(moment: datetime, time_zone: str = "UTC") -> str:
    """In the candidate's own time zone, which is named."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def written(number: str) -> str:
    """A number with a point in it, as the reader writes it."""
    return number.replace(".", DECIMAL_SIGNS[_spoken()])


def format_points(low: float, high: float | None = None) -> str:
    """Both ends of what is open, and no more decimals than tell people apart."""
    first, last = (written(f"{round(points, 2):g}") for points in (low, low if high is None else high))
    return first if first == last else gettext("%(low)s to %(high)s", low=first, high=last)


def arm(app: Flask) -> None:
    app.jinja_env.add_extension("jinja2.ext.i18n")
    # Jinja puts the values in by itself: a page's sentence may have others beside the number.
    app.jinja_env.install_gettext_callables(gettext, _counted, newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.filters["moment"] = format_moment
    app.jinja_env.filters["points"] = format_points
    app.jinja_env.globals["locales"] = LOCALES
