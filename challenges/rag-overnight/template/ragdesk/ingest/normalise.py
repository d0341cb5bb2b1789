"""One spelling for documents and questions, so that a code is found however it was typed.

clean("K\\u201147  runs") == "K-47 runs"
"""

import re
import unicodedata

SPACES = re.compile(r"[ \t\u00a0\u202f]+")
BLANK_LINES = re.compile(r"\n\s*\n+")
# Word processors put the hyphen that does not break into product codes.
HYPHENS = str.maketrans({"\u2011": "-"})
CLOSING = " \t\n?!."


def clean(text: str) -> str:
    """A text as it is indexed, shown and asked."""
    text = unicodedata.normalize("NFC", text).translate(HYPHENS)
    return BLANK_LINES.sub("\n", SPACES.sub(" ", text)).strip()


def question_key(question: str) -> str:
    """The same for questions that differ in case, spaces and the closing sign only."""
    return " ".join(clean(question).casefold().split()).rstrip(CLOSING)
