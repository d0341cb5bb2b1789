"""Which documents are in force, by the feed.

Of the documents with one key the one with the latest `valid_from` counts. If that one is deleted, none does. The label
in `revision` is the author's and has no order. A document that the feed does not name stands for itself.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeedLine:
    doc_id: str
    key: str
    revision: str
    valid_from: str  # an ISO date: as text it sorts as the dates do
    deleted: bool
    raw: str


def read_feed(text: str) -> dict[str, FeedLine]:
    """The feed by document; of two lines for one document the later line counts."""
    lines = [_parse(raw) for raw in text.splitlines() if raw.strip()]
    return {line.doc_id: line for line in lines}


def _parse(raw: str) -> FeedLine:
    row = json.loads(raw)
    return FeedLine(
        doc_id=str(row["doc_id"]),
        key=str(row["key"]),
        revision=str(row["revision"]),
        valid_from=str(row["valid_from"]),
        deleted=bool(row["deleted"]),
        raw=raw.strip(),
    )


def in_force(doc_ids: Iterable[str], feed: dict[str, FeedLine]) -> list[str]:
    """The documents that count, in the order of their ids."""
    present = set(doc_ids)
    families: dict[str, list[FeedLine]] = defaultdict(list)
    for line in feed.values():
        # A deleted document may have left the folder already: its line still ends what was in force before it.
        if line.doc_id in present or line.deleted:
            families[line.key].append(line)
    newest_lines = [newest(family) for family in families.values()]
    chosen = [line.doc_id for line in newest_lines if not line.deleted]
    return sorted([*chosen, *(present - feed.keys())])


def newest(family: list[FeedLine]) -> FeedLine:
    return max(family, key=lambda line: (line.valid_from, line.doc_id))
