"""The tokens that simgate counts and bills. Candidates get this very file: what they count is what they pay.

A token is up to four characters of a word, or one other character that is no space.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["count", "count_messages", "cut", "pieces"]

TOKEN: Final = re.compile(
    r"\w{1,4}|[^\w\s]"
)  # without the space before it: looking for that takes a square of its length
PER_MESSAGE: Final = 4  # who speaks, and where it begins and ends
PER_PROMPT: Final = 3  # that an answer is awaited


def count(text: str) -> int:
    return len(TOKEN.findall(text))


def count_messages(messages: Iterable[Mapping[str, Any]]) -> int:
    """What a chat prompt counts. Content is a text, or a list of parts as OpenAI has them."""
    total = PER_PROMPT
    for message in messages:
        content = message["content"] or ""
        parts = [content] if isinstance(content, str) else [part["text"] for part in content]
        total += PER_MESSAGE + count(message["role"]) + sum(map(count, parts))
    return total


def pieces(text: str) -> list[str]:
    """The tokens of a text, each with the space before it: joined they are the text, but for space at its end."""
    found = []
    start = 0
    for token in TOKEN.finditer(text):
        found.append(text[start : token.end()])
        start = token.end()
    return found


def cut(text: str, tokens: int) -> str:
    """The text up to so many tokens."""
    end = 0
    for number, token in enumerate(TOKEN.finditer(text)):
        if number == tokens:
            return text[:end]
        end = token.end()
    return text
