"""Files and batches: many chat requests for half the price, answered by the end of the simulated day.

A batch is worked off line by line between other requests, so that 500 lines never keep anybody waiting. What comes of
it is shown when its day ends, and not before.
"""

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from .asking import ChatRequest, Refusal, batch_lines
from .clock import NANO, ORIGIN
from .seeds import Draws, Occurrences, Seed

__all__ = ["Batches", "Run", "uploaded"]

MOST_FILES: Final = 64
MOST_BATCHES: Final = 64
MOST_BYTES: Final = 32 << 20  # of all files together

BOUNDARY: Final = re.compile(r'multipart/form-data;.{0,200}?boundary="?([!-~]{1,70}?)"?(?:;|$)', re.IGNORECASE)
NAME: Final = re.compile(rb'\bname="([^"]{0,200})"')
FILE_NAME: Final = re.compile(rb'\bfilename="([^"]{0,200})"')
MOST_PARTS: Final = 16

# What answers one line: status, and the body as the same request by itself would have it.
Run = Callable[[ChatRequest], tuple[int, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class File:
    id: str
    name: str
    purpose: str
    content: bytes
    at: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "object": "file", "bytes": len(self.content), "created_at": _calendar(self.at),
            "filename": self.name, "purpose": self.purpose, "status": "processed",
        }  # fmt: skip


@dataclass(slots=True)
class Batch:
    id: str
    input: str
    lines: deque[tuple[str, ChatRequest | Refusal]]
    total: int
    at: int
    due: int
    metadata: dict[str, Any]
    output: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    output_file: str | None = None
    error_file: str | None = None
    done: bool = False

    def as_dict(self) -> dict[str, Any]:
        counts = {"total": self.total, "completed": len(self.output), "failed": len(self.errors)}
        if not self.done:
            counts |= {"completed": 0, "failed": 0}
        return {
            "id": self.id, "object": "batch", "endpoint": "/v1/chat/completions", "errors": None,
            "input_file_id": self.input, "completion_window": "24h",
            "status": "completed" if self.done else "in_progress",
            "output_file_id": self.output_file, "error_file_id": self.error_file, "created_at": _calendar(self.at),
            "completed_at": _calendar(self.due) if self.done else None, "expires_at": _calendar(self.at) + 86_400,
            "request_counts": counts, "metadata": self.metadata,
        }  # fmt: skip


class Batches:
    def __init__(self, seed: Seed, day: int, run: Run) -> None:
        self._seed = seed
        self._day = day
        self._run = run
        self._files: dict[str, File] = {}
        self._batches: dict[str, Batch] = {}
        self._seen = Occurrences()
        self._working: deque[Batch] = deque()

    def keep(self, name: str, purpose: str, content: bytes, now: int) -> File:
        if purpose != "batch":
            raise Refusal(400, "Invalid 'purpose': this provider keeps files for batches.", param="purpose")
        if len(self._files) >= MOST_FILES or sum(len(one.content) for one in self._files.values()) > MOST_BYTES:
            raise Refusal(400, "Your files take more room than there is.", "storage_limit_exceeded")
        return self._store(self._named("file-", content), name, purpose, content, now)

    def file(self, id_: str) -> File:
        if id_ not in self._files:
            raise Refusal(404, f"No such File object: {id_[:100]}", param="id")
        return self._files[id_]

    def begin(self, order: dict[str, Any], now: int) -> Batch:
        if order.get("endpoint") != "/v1/chat/completions":
            raise Refusal(400, "Invalid 'endpoint': must be /v1/chat/completions.", param="endpoint")
        if order.get("completion_window") != "24h":
            raise Refusal(400, "Invalid 'completion_window': must be 24h.", param="completion_window")
        named = order.get("input_file_id")
        if not isinstance(named, str):
            raise Refusal(400, "Invalid 'input_file_id': must be a string.", param="input_file_id")
        metadata = order.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise Refusal(400, "Invalid 'metadata': must be an object.", param="metadata")
        if len(self._batches) >= MOST_BATCHES:
            raise Refusal(429, f"You have {MOST_BATCHES} batches: no more can be taken.", "rate_limit_exceeded")
        source = self.file(named)
        lines = deque(batch_lines(source.content))
        due = (now // self._day + 1) * self._day
        batch = Batch(self._named("batch_", source.content), named, lines, len(lines), now, due, metadata or {})
        self._batches[batch.id] = batch
        self._working.append(batch)
        return batch

    def batch(self, id_: str, now: int) -> Batch:
        if id_ not in self._batches:
            raise Refusal(404, f"No batch found with id '{id_[:100]}'.", param="batch_id")
        batch = self._batches[id_]
        if not batch.done and not batch.lines and now >= batch.due:
            batch.done = True
            for lines, which in ((batch.output, "output"), (batch.errors, "error")):
                if lines:
                    content = "".join(lines).encode()
                    file = self._store(
                        f"file-{which}-{id_}", f"{id_}_{which}.jsonl", "batch_output", content, batch.due
                    )
                    setattr(batch, f"{which}_file", file.id)
        return batch

    def work(self) -> bool:
        """Answer one line. False when there is none left."""
        while self._working and not self._working[0].lines:
            self._working.popleft()
        if not self._working:
            return False
        batch = self._working[0]
        name, asked = batch.lines[0]
        status, body = (asked.status, asked.body) if isinstance(asked, Refusal) else self._run(asked)
        batch.lines.popleft()
        draws = self._seed.draws("line", batch.id, name)
        said: dict[str, Any] = {
            "id": f"batch_req_{draws.token('id')}", "custom_id": name,
            "response": {"status_code": status, "request_id": f"req_{draws.token('request')}", "body": body},
            "error": None,
        }  # fmt: skip
        (batch.output if status == 200 else batch.errors).append(json.dumps(said) + "\n")
        return True

    def _named(self, prefix: str, content: bytes) -> str:
        draws: Draws = self._seed.draws(prefix, content)
        return prefix + self._seed.draws(prefix, content, self._seen.next(draws.digest("seen"))).token("id")

    def _store(self, id_: str, name: str, purpose: str, content: bytes, now: int) -> File:
        self._files[id_] = File(id_, name, purpose, content, now)
        return self._files[id_]


def uploaded(kind: str, body: bytes) -> tuple[str, str, bytes]:
    """Purpose, name and content of a file that came as multipart/form-data."""
    boundary = BOUNDARY.match(kind)
    if boundary is None:
        raise Refusal(400, "A file is uploaded as multipart/form-data with a boundary.")
    purpose = name = ""
    content: bytes | None = None
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode(), MOST_PARTS)
    for part in parts[1:]:
        head, divided, said = part.partition(b"\r\n\r\n")
        field_name = NAME.search(head)
        if not divided or field_name is None:
            continue
        if field_name[1] == b"purpose":
            purpose = said[:100].decode(errors="replace")
        elif field_name[1] == b"file":
            named = FILE_NAME.search(head)
            name = named[1].decode(errors="replace") if named else "file.jsonl"
            content = said
    if content is None:
        raise Refusal(400, "Missing required parameter: 'file'.", "missing_required_parameter", param="file")
    return purpose, name, content


def _calendar(now: int) -> int:
    return ORIGIN + now // NANO
