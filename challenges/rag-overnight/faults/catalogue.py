"""All faults that there are.

ALL                     in the order of the way that a document takes, and then a question
KEYED["ING-1"]
"""

from collections.abc import Mapping
from typing import Final

from . import access, cache, chunk, cite, embed, index, ingest, monitor, prompt, rerank, retrieve, security
from .model import Fault

__all__ = ["ALL", "KEYED"]

ALL: Final[tuple[Fault, ...]] = (
    *ingest.FAULTS, *chunk.FAULTS, *access.FAULTS, *embed.FAULTS, *index.FAULTS, *retrieve.FAULTS, *rerank.FAULTS,
    *prompt.FAULTS, *cite.FAULTS, *cache.FAULTS, *security.FAULTS, *monitor.FAULTS,
)  # fmt: skip
KEYED: Final[Mapping[str, Fault]] = {fault.key: fault for fault in ALL}
