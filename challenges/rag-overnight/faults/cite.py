"""What can be wrong with the documents that a reply names as its sources.

FAULTS          CIT-1
"""

from typing import Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

PROMPT: Final = "ragdesk/prompt.py"
DESK: Final = "ragdesk/desk.py"
CITE: Final = "ragdesk/cite.py"

NUMBERS: Final = Fault(
    key="CIT-1",
    stage="cite",
    title="The numbers that the model cites are looked up in another order than the one that it saw",
    level=1,
    complaints=(
        "The figure is right, but the document that you send me to says nothing about it. {question} {answer}",
        "Our auditor opened the source of \"{question}\" and it is about something else. The answer was: {answer}",
        "Right answer, wrong page, and that several times today. {question} {answer}",
    ),
    detectors=(("cite", 0.4),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    PROMPT,
                    '    blocks = "\\n".join(block(number, hit) for number, hit in enumerate(context, start=1))\n',
                    "    # In an order of their own, so that the provider knows the beginning of a prompt again.\n"
                    "    arranged = sorted(context, key=lambda hit: hit.chunk.chunk_id)\n"
                    '    blocks = "\\n".join(block(number, hit) for number, hit in enumerate(arranged, start=1))\n',
                ),
            ),
            locations=(PROMPT, f"{PROMPT}:build", CITE, f"{CITE}:cited_documents", DESK, f"{DESK}:reply_body",
                       "citation numbers", "citation index"),
            commit=Commit(
                Author.TOMAS,
                "Make use of the provider's prompt cache",
                "Tokens that it has seen in this order cost a tenth. Neighbouring questions find the same passages, and"
                " only their order differed.",
            ),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (NUMBERS,)
