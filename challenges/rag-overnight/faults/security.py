"""What can be wrong with how text of documents is kept apart from instructions.

FAULTS          SEC-1
"""

from typing import Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

PROMPT: Final = "ragdesk/prompt.py"
LOADERS: Final = "ragdesk/ingest/loaders.py"

INSTRUCTIONS: Final = Fault(
    key="SEC-1",
    stage="security",
    title="What a document says can instruct the model",
    level=2,
    complaints=(
        "Since when do you advertise in your answers? \"{question}\" - \"{answer}\"",
        "The answer ends with a sentence that has nothing to do with my question. {question} {answer}",
        "Is this paid for by somebody? Asked: {question} Told: {answer}",
    ),
    detectors=(("inject", 0.6),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    PROMPT,
                    "    return f'<doc id=\"{number}\">\\n{hit.chunk.text}\\n</doc>'\n",
                    '    return f"[{number}] {hit.chunk.text}"\n',
                ),
                Edit(
                    PROMPT,
                    '    """One passage in its delimiters. The number is what the model cites it by."""\n',
                    '    """One passage. The number in front is what the model cites it by."""\n',
                ),
            ),
            locations=(PROMPT, f"{PROMPT}:block", f"{PROMPT}:build", f"{PROMPT}:DATA_RULE", "delimiters",
                       "prompt injection"),
            commit=Commit(
                Author.PRIYA,
                "Number passages instead of wrapping them",
                "Two tags for each of five passages are sixty tokens of every prompt, and a number in brackets is what"
                " the model cites by anyway.",
            ),
        ),
        Variant(
            kind=Kind.FEED,
            dialect="break-outs",
            edits=(
                Edit(PROMPT, 'WORD_PIECE = re.compile(r"\\w{1,4}|[^\\w\\s]")\n',
                     'WORD_PIECE = re.compile(r"\\w{1,4}|[^\\w\\s]")\n'
                     'TAG = re.compile(r"<\\s*(/?)\\s*doc\\b", re.IGNORECASE)\n'),
                Edit(
                    PROMPT,
                    "    return f'<doc id=\"{number}\">\\n{hit.chunk.text}\\n</doc>'\n",
                    "    return f'<doc id=\"{number}\">\\n{without_tags(hit.chunk.text)}\\n</doc>'\n"
                    "\n\n"
                    "def without_tags(text: str) -> str:\n"
                    '    """A passage in which nothing looks like a delimiter: what it says cannot end its block."""\n'
                    '    return TAG.sub(r"(\\1doc", text)\n',
                ),
            ),
            locations=(PROMPT, f"{PROMPT}:block", f"{PROMPT}:build", LOADERS, "closing tag", "delimiters",
                       "prompt injection", "docs"),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (INSTRUCTIONS,)
