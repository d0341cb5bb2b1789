"""Six documents and a provider that fits into a test."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

FILES = {
    "docs/d-01.md": "# Barven K-74 pump manual\n\n## fuse rating\n\nIt is 16 A.\n\n## oil charge\n\nIt is 90 ml.\n",
    "docs/d-02.md": "# Barven K-74 pump manual\n\n## fuse rating\n\nThe figure is 10 A.\n",
    "docs/d-03.html": "<h1>Barven K-74 sheet</h1><p>Read it.</p><table><tr><td>weight</td><td>40 kg</td></tr></table>",
    "docs/d-04.json": '{"title": "Fault E112 on Barven K-74", "body": "Apply step K412 and wait."}',
    "docs/d-05.md": "# Agreement Tolk\n\n## response commitment\n\nFor Tolk it is 30 minutes.\n",
    "docs/d-06.md": "# Agreement Ulmia\n\n## response commitment\n\nFor Ulmia it is 45 minutes.\n",
}
TENANTS = {"d-05": "tolk", "d-06": "ulmia"}
KEYS = {"d-02": ("manual-1", "2019-03-04"), "d-01": ("manual-1", "2021-05-06")}
USER = {"id": "u1", "tenant": "tolk", "roles": ["engineer"]}
VALUE = re.compile(r"\d+ (?:A|ml|kg|minutes)|step K\d+")


def write_corpus(folder: Path) -> Path:
    (folder / "docs").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    ids = [Path(name).stem for name in FILES]
    acl = [{"doc_id": one, "tenant": TENANTS.get(one, "public"), "roles": ["engineer"]} for one in ids]
    feed = [_feed_line(one) for one in ids]
    for name, rows in (("acl.jsonl", acl), ("feed.jsonl", feed)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def _feed_line(doc_id: str) -> dict[str, Any]:
    key, valid_from = KEYS.get(doc_id, (f"key-{doc_id}", "2020-01-02"))
    return {"doc_id": doc_id, "key": key, "revision": "A", "valid_from": valid_from, "deleted": False}


def question(text: str = "What is the fuse rating of the K-74?") -> dict[str, Any]:
    return {"qid": "q1", "question": text, "user": USER, "ts": "2026-03-02T08:00:00Z"}


class ToyModels:
    """Vectors from the words of a text, and the first value of the context for an answer."""

    def embed(self, texts: list[str], model: str) -> list[list[float]]:
        return [self._vector(text, model) for text in texts]

    def complete(self, messages: list[tuple[str, str]], model: str) -> tuple[str, int, int]:  # noqa: ARG002
        prompt = messages[-1][1]
        found = VALUE.search(prompt)
        value = found[0] if found else None
        said = {"answer": f"It is {value} [1]." if value else "No.", "value": value, "sources": ["1"] if value else []}
        return json.dumps(said), len(prompt) // 4, 20

    def _vector(self, text: str, model: str) -> list[float]:
        vector = [0.0] * 256
        for word in re.findall(r"[a-z]+", text.lower()) or [text]:
            vector[int(hashlib.sha256(f"{model}|{word}".encode()).hexdigest(), 16) % 256] += 1.0
        length = sum(number * number for number in vector) ** 0.5
        return [round(number / length, 4) for number in vector]
