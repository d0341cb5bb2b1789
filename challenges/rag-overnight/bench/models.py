"""What the gateway would answer, without a gateway: in this process, and remembered.

    models = LocalModels(world.lexicon)       one for a world and all trees that are tried in it
    models.embed(["..."], "embed-s-v2"), models.complete([("system", "..."), ("user", "...")], "swift-2")
    models.spent                              what all calls until now would have cost
    models.folder("corpus", world.corpus)     a folder with these files, written once

A lattice asks nearly the same of every tree. What was answered once is not worked out again, and is billed again.
"""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from graders.simgate import CARD, Embedding, Lexicon, Model, Reader, Seed, simtok
from graders.simgate.asking import MOST_INPUTS, ChatRequest, chat_request
from graders.simgate.prices import cost

from .repository import write

__all__ = ["LocalModels", "Refused", "Spent"]

SECRET: Final = b"bench: nothing is drawn from it"  # a reader says the same whatever is drawn


class Refused(Exception):
    """What the gateway would have answered with an error."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens, and nano-dollars as if no prefix had been cached."""

    prompt_tokens: int = 0  # of chats
    embedded_tokens: int = 0
    answer_tokens: int = 0
    cost: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.prompt_tokens + other.prompt_tokens,
            self.embedded_tokens + other.embedded_tokens,
            self.answer_tokens + other.answer_tokens,
            self.cost + other.cost,
        )

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(
            self.prompt_tokens - other.prompt_tokens,
            self.embedded_tokens - other.embedded_tokens,
            self.answer_tokens - other.answer_tokens,
            self.cost - other.cost,
        )


class LocalModels:
    def __init__(self, lexicon: Mapping[str, Any]) -> None:
        known = Lexicon(**lexicon)
        self._embedding = Embedding(known)
        self._reader = Reader(known)
        self._card = {model.name: model for model in CARD}
        self._draws = Seed(SECRET).draws("bench")
        self._vectors: dict[tuple[str, str], tuple[list[float], int]] = {}
        self._said: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, int, int]] = {}
        self._folders: dict[str, Path] = {}
        self.spent = Spent()

    def embed(self, texts: list[str], model: str) -> list[list[float]]:
        known = self._known(model, embeds=True)
        if not 1 <= len(texts) <= MOST_INPUTS or "" in texts:
            raise Refused(
                f"embed: {len(texts)} texts: between 1 and {MOST_INPUTS} are taken at once, and none is empty"
            )
        rows = [self._vector(known, text) for text in texts]
        tokens = sum(count for _, count in rows)
        self.spent += Spent(embedded_tokens=tokens, cost=cost(known, tokens, 0, 0))
        return [vector for vector, _ in rows]

    def complete(self, messages: list[tuple[str, str]], model: str) -> tuple[str, int, int]:
        known = self._known(model, embeds=False)
        key = (model, tuple(messages))
        if (said := self._said.get(key)) is None:
            said = self._said[key] = self._answer(known, messages)
        _, prompt, answer = said
        self.spent += Spent(prompt_tokens=prompt, answer_tokens=answer, cost=cost(known, prompt, 0, answer))
        return said

    def _vector(self, model: Model, text: str) -> tuple[list[float], int]:
        key = (model.name, text)
        if (row := self._vectors.get(key)) is None:
            tokens = simtok.count(text)
            if tokens > model.context:
                raise Refused(f"embed: a text of {tokens} tokens: {model.context} are the most")
            row = self._vectors[key] = (self._embedding.vector(model.name, text), tokens)
        return row

    def _answer(self, model: Model, messages: list[tuple[str, str]]) -> tuple[str, int, int]:
        said = [{"role": role, "content": text} for role, text in messages]
        asked: ChatRequest = chat_request({"model": model.name, "messages": said, "temperature": 0})
        text, _ = asked.limited(self._reader.answer(asked, model, self._draws).text)
        return text, asked.prompt_tokens, simtok.count(text)

    def _known(self, name: str, *, embeds: bool) -> Model:
        model = self._card.get(name)
        if model is None or model.embeds is not embeds:
            raise Refused(f"The model '{name}' gives no {'embeddings' if embeds else 'chat completions'}.")
        return model

    def folder(self, name: str, files: Callable[[], Mapping[str, bytes]]) -> Path:
        """What every tree reads and none changes, for as long as this is there."""
        if name not in self._folders:
            place = tempfile.mkdtemp(prefix="bench-")
            weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
            self._folders[name] = Path(place)
            write(Path(place), files())
        return self._folders[name]
