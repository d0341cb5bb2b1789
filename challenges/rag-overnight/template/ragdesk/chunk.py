"""Cuts documents into passages: windows of words within a section, each with title and heading in front.

A model sees a passage alone. Without the title it cannot know which machine a figure belongs to, and without the
heading not which figure it is.
"""

import hashlib
from collections.abc import Iterator

from .records import Access, Chunk, Document
from .settings import ChunkingSettings


def chunks_of(document: Document, access: Access, settings: ChunkingSettings) -> list[Chunk]:
    """All passages of a document, in order."""
    passages = []
    for section in document.sections:
        prefix = prefix_of(document.title, section.heading)
        for window in windows(section.text.split(), settings.window, settings.step):
            passages.append((section.heading, prefix + " ".join(window)))
    return [_chunk(document, number, heading, text, access) for number, (heading, text) in enumerate(passages)]


def prefix_of(title: str, heading: str) -> str:
    """What stands in front of every passage of a section."""
    named = f"{title}. " if title else ""
    headed = f"{heading}: " if heading else ""
    return named + headed


def windows(words: list[str], size: int, step: int) -> Iterator[list[str]]:
    """Overlapping windows; the last one reaches to the end."""
    start = 0
    while start < len(words):
        yield words[start : start + size]
        if start + size >= len(words):
            return
        start += step


def _chunk(document: Document, number: int, heading: str, text: str, access: Access) -> Chunk:
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Chunk(
        chunk_id=f"{document.doc_id}:{number}:{digest[:8]}",
        doc_id=document.doc_id,
        title=document.title,
        heading=heading,
        text=text,
        digest=digest,
        access=access,
    )
