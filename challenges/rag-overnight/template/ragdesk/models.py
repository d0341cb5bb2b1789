"""The provider of models, through OpenAI's client: OPENAI_BASE_URL says where, OPENAI_API_KEY lets us in.

models = connect(settings.models)
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import openai

from .settings import ModelSettings

Given = TypeVar("Given")

FIRST_PAUSE = 0.2  # seconds before a request is sent again; doubles each time
PASSING = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)  # may be better next time


def connect(settings: ModelSettings) -> "OpenAIModels":
    return OpenAIModels(openai.OpenAI(timeout=settings.timeout_seconds, max_retries=0), settings.tries)


class OpenAIModels:
    """May be used by several threads at once."""

    def __init__(self, client: openai.OpenAI, tries: int) -> None:
        self._client = client
        self._tries = tries

    def embed(self, texts: list[str], model: str) -> list[list[float]]:
        reply = self._patiently(lambda: self._client.embeddings.create(model=model, input=texts))
        return [row.embedding for row in sorted(reply.data, key=lambda row: row.index)]

    def complete(self, messages: list[tuple[str, str]], model: str) -> tuple[str, int, int]:
        said: Any = [{"role": role, "content": text} for role, text in messages]
        reply = self._patiently(lambda: self._client.chat.completions.create(model=model, messages=said, temperature=0))
        usage = reply.usage
        tokens = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        return reply.choices[0].message.content or "", *tokens

    def _patiently(self, call: Callable[[], Given]) -> Given:
        for number in range(1, self._tries):
            try:
                return call()
            except PASSING:
                time.sleep(FIRST_PAUSE * 2 ** (number - 1))
        return call()
