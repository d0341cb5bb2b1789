"""Reads a model's reply, and finds the documents that it cites.

reply = read_reply('{"answer": "It is 88 C [2].", "value": "88 C", "sources": ["2"]}')
cited_documents(reply.sources, context)
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .prompt import ABSTENTION
from .records import Hit

MARKS = re.compile(r"\s*\[\d+\]")
NUMBER = re.compile(r"\d+")
FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")


@dataclass(frozen=True, slots=True)
class Reply:
    answer: str
    value: str | None  # None: the model says that the documents do not tell
    sources: tuple[str, ...]


def read_reply(text: str) -> Reply:
    """The reply of a model; what is no JSON object with a value is taken for an abstention."""
    try:
        said = json.loads(FENCE.sub("", text.strip()))
    except ValueError:
        said = {}
    value = said.get("value") if isinstance(said, dict) else None
    if value is None or not str(value).strip():
        return Reply(ABSTENTION, None, ())
    answer = MARKS.sub("", str(said.get("answer") or value)).strip()
    sources = said.get("sources")
    return Reply(answer, str(value).strip(), tuple(map(str, sources)) if isinstance(sources, list) else ())


def cited_documents(sources: Sequence[str], context: Sequence[Hit]) -> list[str]:
    """The documents behind the numbers of a reply, each once."""
    cited = []
    for source in sources:
        found = NUMBER.search(source)
        number = int(found[0]) if found else 0
        if 1 <= number <= len(context):
            cited.append(context[number - 1].chunk.doc_id)
    return list(dict.fromkeys(cited))
