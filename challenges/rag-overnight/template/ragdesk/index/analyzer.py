"""Words of documents and questions, as the sparse arm and the re-ranker count them.

An index remembers how its documents were analysed, so that an incremental ingest goes on in the same way.
"""

import json
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

ANALYZER = "analyzer.json"
WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
PLAIN_WORD = re.compile(r"[^\W_]+")
STOP_WORDS = frozenset(
    ("a", "about", "an", "and", "applies", "apply", "are", "as", "at", "be", "been", "but", "by", "can", "could", "do",
     "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "kindly", "me",
     "my", "of", "on", "or", "our", "please", "say", "says", "should", "so", "tell", "than", "that", "the", "their",
     "them", "there", "these", "they", "this", "those", "to", "us", "was", "we", "were", "what", "when", "where",
     "which", "who", "will", "with", "would", "you", "your")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Analyzer:
    split_codes: bool = False  # take K-47 for two words, of which numbers are left out

    def terms(self, text: str) -> list[str]:
        if self.split_codes:
            words = PLAIN_WORD.findall(text.lower())
            return [word for word in words if word not in STOP_WORDS and not word.isdigit()]
        return [word for word in WORD.findall(text.lower()) if word not in STOP_WORDS]


@dataclass(frozen=True, slots=True)
class Analyzers:
    """One for documents and one for questions. They are the same unless somebody has a reason."""

    documents: Analyzer = Analyzer()
    queries: Analyzer = Analyzer()


def read_analyzers(index: Path) -> Analyzers:
    """What the index was made with; the usual ones for a new index."""
    path = index / ANALYZER
    if not path.exists():
        return Analyzers()
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Analyzers(documents=Analyzer(**stored["documents"]), queries=Analyzer(**stored["queries"]))


def write_analyzers(index: Path, analyzers: Analyzers) -> None:
    (index / ANALYZER).write_text(json.dumps(asdict(analyzers), indent=1), encoding="utf-8")


def has_digit(term: str) -> bool:
    return any(sign.isdigit() for sign in term)


@lru_cache(4096)
def one_slip(word: str, meant: str) -> bool:
    """Whether a word is another one with one letter too many, too few, wrong, or two that changed places."""
    if abs(len(word) - len(meant)) > 1:
        return False
    start = next((place for place, pair in enumerate(zip(word, meant, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return True
    rest, other = word[start:], meant[start:]
    swapped = rest[1:2] + rest[:1] + rest[2:]
    return rest[1:] == other[1:] or rest[1:] == other or rest == other[1:] or swapped == other
