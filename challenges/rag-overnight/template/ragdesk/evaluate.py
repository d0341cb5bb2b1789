"""One number for retrieval and one for answers, over questions whose answers are known.

    python -m ragdesk evaluate --index state/index --queries data/dev/queries.jsonl

A line of the file: {"question", "user", "value" (null: has to abstain), "relevant": [doc_id]}.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .desk import Desk

CONSIDERED = 5  # passages of a reply that recall looks at


def read_queries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def evaluate(desk: Desk, queries: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Recall over the questions that have an answer, accuracy over all."""
    replies = [
        desk.ask({"qid": f"eval-{number}", "question": query["question"], "user": query["user"], "ts": 0})
        for number, query in enumerate(queries)
    ]
    pairs = list(zip(queries, replies, strict=True))
    found = [is_found(query, reply) for query, reply in pairs if query["relevant"]]
    right = [reply["value"] == query["value"] for query, reply in pairs]
    return {
        "questions": len(queries),
        "recall_at_5": round(sum(found) / max(1, len(found)), 3),
        "accuracy": round(sum(right) / max(1, len(right)), 3),
    }


def is_found(query: dict[str, Any], reply: dict[str, Any]) -> bool:
    shown = {one["doc_id"] for one in reply["retrieved"][:CONSIDERED]}
    return not shown.isdisjoint(query["relevant"])
