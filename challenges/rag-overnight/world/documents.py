"""A document as its author meant it, and as it lies in a corpus: in one of several dialects.

    rendered = rendered_in(document, frozenset({"grid-tables"}))
    rendered.path, rendered.body        "docs/d-3f9a2c41.html", b"<h1>..."
    acl_row(document, dialects), feed_row(document, 0, dialects)        a line of each listing

A dialect is a change of form: which facts there are, who may see them and what documents are called stays as it is.
What differs from document to document within a dialect follows from the document's id: no chance is spent on it.
"""

import hashlib
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

__all__ = ["DIALECTS", "PUBLIC", "Document", "Section", "acl_row", "feed_row", "rendered_in"]

PUBLIC: Final = "public"  # the owner of what everybody may see
DIALECTS: Final = frozenset((
    "grid-tables", "dmy-dates", "resent", "odd-hyphens", "block-json", "bold-headings", "front-titles", "org-acl",
    "break-outs",
))  # fmt: skip

REVISED: Final = frozenset(("manual", "bulletin"))  # what comes in Markdown from the technical writers
NO_BREAK: Final = "\u2011"  # a hyphen at which no line ends; half of the writers use it for codes, in any dialect
CODE: Final = re.compile(r"\b([A-Z])-(\d\d)\b")
FAULT: Final = re.compile(r"\bE(\d{3})\b")
ODD_CODES: Final = (r"\1" + "\u2010" + r"\2", r"\1-" + "\u00ad" + r"\2", r"\1" + "\u200b" + r"-\2")
ODD_FAULTS: Final = ("E\u00ad" + r"\1", "E\u00ad" + r"\1", "E\u200b" + r"\1")


@dataclass(frozen=True, slots=True)
class Section:
    """Plain text. In a specification sheet each row is one, with the figure alone as its text."""

    heading: str
    text: str
    fact: str = ""  # the key of the fact that it states
    planted: str = ""  # an instruction to whoever reads it, as it stands in most dialects
    breakout: str = ""  # the same in "break-outs"


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    kind: str  # manual, sheet, bulletin, article, contract, draft, ticket or guide
    extension: str  # md, html or json
    title: str
    sections: tuple[Section, ...]  # what it says, in no dialect
    states: tuple[tuple[str, str], ...]  # keys of facts and the figure it gives for them, right or superseded
    owner: str  # "public" or a tenant
    roles: tuple[str, ...]  # who has one of them may see it
    listed: bool  # has a row in acl.jsonl; without one nobody may see it
    key: str
    revision: str
    valid_from: date
    deleted: bool = False
    valid: bool = True  # neither superseded nor deleted
    facts: tuple[str, ...] = ()  # keys of the facts that it states validly; none while it is not listed
    body: bytes = b""  # the file

    @property
    def path(self) -> str:
        return f"docs/{self.id}.{self.extension}"

    @property
    def text(self) -> str:
        """All that it says, as plain text with headings on lines of their own."""
        return "\n".join([self.title, *(part for one in self.sections for part in (one.heading, one.text) if part)])

    def is_about(self, subject: str) -> bool:
        """A product's code or a tenant."""
        return any(fact.startswith(f"{subject}/") for fact, _ in self.states)

    def open_to(self, tenant: str) -> bool:
        return self.listed and self.owner in (PUBLIC, tenant)


def rendered_in(document: Document, dialects: frozenset[str]) -> Document:
    body = RENDERED_AS[document.extension](document, dialects)
    return replace(document, body=_with_odd_codes(body, document, dialects).encode())


def acl_row(document: Document, dialects: frozenset[str]) -> str:
    who = "org" if "org-acl" in dialects and document.owner != PUBLIC else "tenant"
    return json.dumps({"doc_id": document.id, who: document.owner, "roles": list(document.roles)})


def feed_row(document: Document, superseded: int, dialects: frozenset[str]) -> str:
    """`superseded`: 0 for the last revision of its key, else the number of the revision, from the oldest."""
    as_dmy = "dmy-dates" in dialects and document.kind in REVISED
    return json.dumps({
        "doc_id": document.id,
        "key": f"{document.key}#r{superseded}" if superseded and "resent" in dialects else document.key,
        "revision": document.revision,
        "valid_from": document.valid_from.strftime("%d/%m/%Y") if as_dmy else document.valid_from.isoformat(),
        "deleted": document.deleted,
    })  # fmt: skip


def _markdown(document: Document, dialects: frozenset[str]) -> str:
    revised = document.kind in REVISED
    in_front = revised and "front-titles" in dialects
    bold = revised and "bold-headings" in dialects
    parts = [f"---\ntitle: {document.title}\n---" if in_front else f"# {document.title}"]
    for section in document.sections:
        if section.heading:
            parts.append(f"**{section.heading}**" if bold else f"## {section.heading}")
        parts.append(_said(section, dialects))
    return "\n\n".join(parts) + "\n"


def _html(document: Document, dialects: frozenset[str]) -> str:
    lines = [f"<h1>{html.escape(document.title)}</h1>"]
    lines += [f"<p>{html.escape(_said(one, dialects))}</p>" for one in document.sections if not one.fact]
    rows = [(html.escape(one.heading), html.escape(one.text)) for one in document.sections if one.fact]
    if "grid-tables" in dialects:
        lines += [
            f'<div class="row"><span class="k">{name}</span><span class="v">{figure}</span></div>'
            for name, figure in rows
        ]
    else:
        lines += ["<table>", *(f"<tr><td>{name}</td><td>{figure}</td></tr>" for name, figure in rows), "</table>"]
    return "\n".join(lines) + "\n"


def _json(document: Document, dialects: frozenset[str]) -> str:
    paragraphs = [_said(one, dialects) for one in document.sections]
    article: dict[str, object] = {"title": document.title}
    if "block-json" in dialects and document.kind == "article" and _lot(document, "blocks") % 5 < 2:
        article["content"] = [{"type": "p", "text": one} for one in paragraphs]
    else:
        article["body"] = "\n\n".join(paragraphs)
    return json.dumps(article, ensure_ascii=False) + "\n"


RENDERED_AS: Final[dict[str, Callable[[Document, frozenset[str]], str]]] = {
    "md": _markdown, "html": _html, "json": _json,
}  # fmt: skip


def _said(section: Section, dialects: frozenset[str]) -> str:
    more = section.breakout if "break-outs" in dialects else section.planted
    return f"{section.text} {more}" if more else section.text


def _with_odd_codes(body: str, document: Document, dialects: frozenset[str]) -> str:
    if _lot(document, "hyphens") % 2:
        return body
    if "odd-hyphens" not in dialects:
        return CODE.sub(rf"\1{NO_BREAK}\2", body)
    way = _lot(document, "odd") % len(ODD_CODES)
    return FAULT.sub(ODD_FAULTS[way], CODE.sub(ODD_CODES[way], body))


def _lot(document: Document, purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{purpose}|{document.id}".encode()).digest()[:4], "big")
