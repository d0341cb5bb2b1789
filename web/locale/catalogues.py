"""Keeps the catalogues up to date with the source. Nothing that answers a request imports this."""

import io
from contextlib import redirect_stderr
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from web.speech import FOLDER, LOCALES

__all__ = ["TRANSLATED", "compiled", "extracted", "read", "untranslated", "update", "written"]

TRANSLATED: Final = tuple(locale for locale in LOCALES if locale != "en")
SOURCE: Final = FOLDER.parent
# Pages of staff are in English; so are sentences in the log and in the terminal, which nobody marks.
METHODS: Final = [
    ("staff/**", "ignore"),
    ("locale/**", "ignore"),
    ("**.py", "python"),
    ("**/templates/**.html", "jinja2"),
    ("templates/**.html", "jinja2"),
]
# As web.create_app sets Jinja up: otherwise a sentence has other white space here than there, and is not found.
AS_SERVED: Final = {"newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
KEYWORDS: Final = DEFAULT_KEYWORDS | {"marked": None, "_speaking": None}
WHEN: Final = datetime(2025, 1, 1, tzinfo=UTC)  # git knows better; a date here would change with each run


def extracted() -> Catalog:
    """Every sentence that the source wants to have said, and where."""
    found = Catalog(project="assay", charset="utf-8", creation_date=WHEN, revision_date=WHEN)
    with redirect_stderr(io.StringIO()):  # it complains of each f-string, also of those among a sentence's values
        options = {pattern: AS_SERVED for pattern, method in METHODS if method == "jinja2"}
        for name, _line, said, _comments, context in extract_from_dir(SOURCE, METHODS, options, KEYWORDS):
            found.add(said, locations=[(f"web/{name}", 1)], context=context)
    return found


def read(locale: str) -> Catalog:
    path = _place(locale, "po")
    if not path.exists():
        return Catalog(locale=locale)
    with path.open("rb") as file:
        return read_po(file, locale=locale)


def update(locale: str) -> Catalog:
    """The catalogue with exactly the sentences of the source; what is new has no translation yet."""
    comment = f"# {LOCALES[locale]}: `python -m web.locale` keeps it."
    catalogue = Catalog(
        locale,
        project="assay",
        charset="utf-8",
        creation_date=WHEN,
        revision_date=WHEN,
        fuzzy=False,
        header_comment=comment,
    )
    known = read(locale)
    for wanted in extracted():
        if wanted.id:
            former = known.get(wanted.id, wanted.context)
            catalogue.add(wanted.id, former.string if former else None, wanted.locations, wanted.flags)
    _place(locale, "po").parent.mkdir(parents=True, exist_ok=True)
    _place(locale, "po").write_bytes(written(catalogue))
    _place(locale, "mo").write_bytes(compiled(catalogue))
    return catalogue


def written(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    write_po(file, catalogue, width=0, sort_by_file=True, include_lineno=False)
    return file.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def untranslated(catalogue: Catalog) -> list[str]:
    """Sentences that will be shown in English."""
    return [
        wanted.id if isinstance(wanted.id, str) else wanted.id[0]
        for wanted in catalogue
        if wanted.id and not (all(wanted.string) if isinstance(wanted.string, list | tuple) else wanted.string)
    ]


def _place(locale: str, ending: str) -> Path:
    return FOLDER / locale / "LC_MESSAGES" / f"assay.{ending}"
