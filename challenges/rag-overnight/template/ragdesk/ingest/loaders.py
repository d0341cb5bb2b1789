"""Reads documents of three kinds into title and sections.

    md     `# Title`, then `## Heading` sections
    html   h1, p, and tables of two columns: each row is a section of its own
    json   {"title": ..., "body": ...}

What cannot be read is Unreadable and says why; the ingest goes on without it and counts it.
"""

import json
from html.parser import HTMLParser

from ..records import Document, Section
from .normalise import clean

TITLE_MARK = "# "
HEADING_MARK = "## "
TEXT_ELEMENTS = ("h1", "p", "td")


class Unreadable(Exception):
    """A document that cannot be read, and why."""


def load_document(doc_id: str, extension: str, content: bytes) -> Document:
    reader = READERS.get(extension)
    if reader is None:
        raise Unreadable(f"{doc_id}: .{extension} is no kind of document that we know")
    try:
        title, sections = reader(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"{doc_id}: is not UTF-8: {error.reason}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{doc_id}: {type(error).__name__}: {error}") from error
    kept = [Section(clean(section.heading), clean(section.text)) for section in sections]
    return Document(doc_id, clean(title), tuple(section for section in kept if section.text))


def read_markdown(text: str) -> tuple[str, list[Section]]:
    title = ""
    heading = ""
    lines: list[str] = []
    sections: list[Section] = []
    for line in text.splitlines():
        if line.startswith(TITLE_MARK) and not title:
            title = line.removeprefix(TITLE_MARK)
        elif line.startswith(HEADING_MARK):
            sections.append(Section(heading, "\n".join(lines)))
            heading, lines = line.removeprefix(HEADING_MARK), []
        else:
            lines.append(line)
    sections.append(Section(heading, "\n".join(lines)))
    return title, sections


def read_html(text: str) -> tuple[str, list[Section]]:
    page = _Page()
    page.feed(text)
    page.close()
    prose = Section("", " ".join(page.paragraphs))
    rows = [Section(row[0], row[1]) for row in page.rows if len(row) == 2]
    return page.title, [prose, *rows]


def read_json(text: str) -> tuple[str, list[Section]]:
    article = json.loads(text)
    return str(article["title"]), [Section("", str(article["body"]))]


class _Page(HTMLParser):
    """Collects what stands in headings, paragraphs and cells."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.paragraphs: list[str] = []
        self.rows: list[list[str]] = []
        self._element = ""
        self._said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # the parser's
        if tag == "tr":
            self.rows.append([])
        elif tag in TEXT_ELEMENTS:
            self._element, self._said = tag, []

    def handle_data(self, data: str) -> None:
        if self._element:
            self._said.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag != self._element:
            return
        text = "".join(self._said).strip()
        if tag == "h1":
            self.title = text
        elif tag == "p":
            self.paragraphs.append(text)
        elif tag == "td" and self.rows:
            self.rows[-1].append(text)
        self._element = ""


READERS = {"md": read_markdown, "html": read_html, "json": read_json}
