"""The way of a question: cache, retrieval, prompt, model, citations.

    desk = Desk(settings, Path("state/index"), models)
    desk.ask({"qid": "q1", "question": "...", "user": {"id": "u1", "tenant": "t", "roles": []}, "ts": 0})
    desk.reload(Path("state/next"))

Several threads may ask at once. A reload does not disturb who is being answered.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cache import ANSWERS, AnswerCache, Asked
from .cite import Reply, cited_documents, read_reply
from .conversation import Memory, seconds_of
from .embed import Embedder
from .index.snapshot import Snapshot, open_index
from .ingest.normalise import clean
from .monitor import log_ask
from .prompt import build, chosen
from .records import Floats, Hit, Models, User
from .retrieve import Retriever
from .settings import Settings


class BadRequest(ValueError):
    """A body that is no question."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An index that is being answered from."""

    index: Path
    snapshot: Snapshot
    retriever: Retriever
    cache: AnswerCache


class Desk:
    def __init__(self, settings: Settings, index: Path, models: Models) -> None:
        self._settings = settings
        self._models = models
        self._embedder = Embedder(models, settings)
        self._memory = Memory(settings.conversation)
        self._opened = self._open(index)

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        """A reply as the contract has it. BadRequest for a body that has not its shape."""
        began = time.perf_counter()
        question, user = parsed(body)
        opened = self._opened  # the same to the end, also when a reload comes in between
        now = seconds_of(body.get("ts"))
        earlier = self._memory.earlier(user, question, now)
        asked = Asked(question, user, opened.snapshot.manifest.corpus)
        found = None if earlier else opened.cache.get(asked, lambda: self._vector(question))
        reply = found or self._answered(opened, question, user, earlier)
        if found is None and not earlier:
            opened.cache.put(asked, reply, lambda: self._vector(question))
        self._memory.keep(user, question, reply["answer"], now)
        log_ask(opened.index, body, reply, cached=found is not None, seconds=time.perf_counter() - began)
        return reply

    def reload(self, index: Path) -> dict[str, Any]:
        """Answer from another index, or from the same one as it is now."""
        self._opened = self._open(index)
        return {"index": str(index), "documents": self.documents}

    @property
    def documents(self) -> int:
        return len(self._opened.snapshot.manifest.documents)

    def _open(self, index: Path) -> Opened:
        snapshot = open_index(self._settings, index)
        retriever = Retriever(self._settings, snapshot, self._embedder)
        return Opened(index, snapshot, retriever, AnswerCache(index / ANSWERS, self._settings.cache))

    def _answered(
        self, opened: Opened, question: str, user: User, earlier: Sequence[tuple[str, str]]
    ) -> dict[str, Any]:
        searched = " ".join([*(said for said, _ in earlier), question])
        hits = opened.retriever.search(searched, user)
        context = chosen(hits, self._settings.prompt)
        messages = build(question, context, user.tenant, earlier, self._settings.prompt)
        text, prompt_tokens, _ = self._models.complete(messages, self._settings.models.chat)
        return reply_body(read_reply(text), hits, context, prompt_tokens)

    def _vector(self, question: str) -> Floats:
        return self._embedder.question(question, ())[0]


def parsed(body: dict[str, Any]) -> tuple[str, User]:
    question = body.get("question")
    if not isinstance(question, str) or not question.strip():
        raise BadRequest("question: must be a text")
    try:
        return clean(question), User.parse(body["user"])
    except (KeyError, TypeError, AttributeError) as error:
        raise BadRequest("user: must be an object with id, tenant and roles") from error


def reply_body(reply: Reply, hits: Sequence[Hit], context: Sequence[Hit], prompt_tokens: int) -> dict[str, Any]:
    retrieved = [
        {"doc_id": hit.chunk.doc_id, "chunk_id": hit.chunk.chunk_id, "rank": rank, "score": round(hit.score, 4)}
        for rank, hit in enumerate(hits, start=1)
    ]
    return {
        "answer": reply.answer,
        "value": reply.value,
        "citations": cited_documents(reply.sources, context),
        "abstained": reply.value is None,
        "retrieved": retrieved,
        "usage": {"prompt_tokens": prompt_tokens},
    }
