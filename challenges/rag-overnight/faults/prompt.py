"""What can be wrong with what the model is asked: which passages, by which rules, and after which conversation.

FAULTS          PRM-1 to PRM-3
"""

from typing import Final

from .model import Author, Commit, Edit, Fault, Kind, Variant

__all__ = ["FAULTS"]

PROMPT: Final = "ragdesk/prompt.py"
CONVERSATION: Final = "ragdesk/conversation.py"
CONFIG: Final = "config.toml"

BUDGET: Final = Fault(
    key="PRM-1",
    stage="prompt",
    title="The context is filled from the worst passage to the best, and cut before the best one",
    level=2,
    complaints=(
        "It lists the right page first among its sources and then says that it does not know. {question} {answer}",
        "Short entries work. As soon as a page has a bit more text: \"{question}\" - \"{answer}\"",
        "Why does it show me the page that answers this and not read it? Asked: {question} Told: {answer}",
    ),
    detectors=(("xcache", 0.2),),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    PROMPT,
                    "    for hit in distinct(hits)[: settings.passages]:\n",
                    "    for hit in reversed(distinct(hits)[: settings.passages]):\n",
                ),
                Edit(
                    PROMPT,
                    "the best first, as many as the budget holds, and none twice.",
                    "the best right before the question, as many as\n"
                    "    the budget holds, and none twice.",
                ),
                Edit(CONFIG, "budget_tokens = 1100 ", "budget_tokens = 320  "),
            ),
            locations=(PROMPT, f"{PROMPT}:chosen", "config.toml: prompt.budget_tokens", "context budget"),
            commit=Commit(
                Author.PRIYA,
                "Put the best passage next to the question",
                "Models heed most what stands at the end. So fewer tokens will do as well.",
            ),
        ),
    ),
)  # fmt: skip

ABSTAINING: Final = Fault(
    key="PRM-2",
    stage="prompt",
    title="The model is not told that it may say that the documents do not tell",
    level=1,
    complaints=(
        "We wrote to the maker: there is no such figure. Your assistant has one. {question} {answer}",
        "It never says any more that it does not know. \"{question}\" cannot be answered from our documents, and it"
        " answered: {answer}",
        "That is the figure of something else, told with great confidence. Asked: {question} Told: {answer}",
    ),
    detectors=(("unans", 0.6), ("forbidden", 0.6)),
    excludes=("CCH-3",),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    PROMPT,
                    '    messages = [("system", rules(tenant, settings))]\n',
                    '    messages = [("system", rules(tenant, settings, found=bool(context)))]\n',
                ),
                Edit(
                    PROMPT,
                    "def rules(tenant: str, settings: PromptSettings) -> str:\n",
                    "def rules(tenant: str, settings: PromptSettings, *, found: bool = True) -> str:\n",
                ),
                Edit(PROMPT, "    if settings.abstain:\n", "    if settings.abstain and not found:\n"),
            ),
            locations=(PROMPT, f"{PROMPT}:rules", f"{PROMPT}:ABSTAIN_RULE", f"{PROMPT}:build", "abstain rule"),
            commit=Commit(
                Author.LENA,
                "Leave rules out that do not apply",
                "Each rule is paid for with every question. What to do without documents matters where there are none.",
            ),
        ),
        Variant(
            kind=Kind.CONFIG,
            edits=(
                Edit(
                    CONFIG,
                    "abstain = true              # allow the model to say that the documents do not tell",
                    "abstain = false             # allow the model to say that the documents do not tell",
                ),
            ),
            locations=(CONFIG, "config.toml: prompt.abstain", PROMPT, f"{PROMPT}:rules", "abstain rule"),
            commit=Commit(
                Author.OWEN,
                "Fewer empty answers",
                "Sales counted how often the demo said that it does not know. With this it always has an answer.",
            ),
        ),
    ),
)  # fmt: skip

EARLIER_TURNS: Final = Fault(
    key="PRM-3",
    stage="prompt",
    title="What a colleague asked before is searched and put into the prompt as well",
    level=2,
    complaints=(
        "It answers something that nobody here has asked, or says that it does not know. {question} - {answer}",
        "Alone in the office I get the right answer. When all of us are at work: \"{question}\" - \"{answer}\"",
        "The sources are about another machine, the one that my colleague works on. I asked: {question} Told: {answer}",
    ),
    detectors=(("nearmiss", 0.15), ("tenant", 0.15)),
    variants=(
        Variant(
            kind=Kind.CODE,
            edits=(
                Edit(
                    CONVERSATION,
                    "    return user.tenant, user.user_id\n",
                    '    return user.tenant, ",".join(user.roles)\n',
                ),
                Edit(
                    CONVERSATION,
                    "    return FOLLOW_UP.search(question.strip()) is not None"
                    " and len(question.split()) <= LONGEST_FOLLOW_UP\n",
                    "    return FOLLOW_UP.search(question.strip()) is not None"
                    " or len(question.split()) <= LONGEST_FOLLOW_UP\n",
                ),
            ),
            locations=(CONVERSATION, f"{CONVERSATION}:is_follow_up", f"{CONVERSATION}:_person",
                       f"{CONVERSATION}:Memory", "conversation memory", "earlier turns"),
            commit=Commit(
                Author.TOMAS,
                "Keep a conversation over a new sign-in",
                "The portal gives people a new id each time. And \"K-47?\" is a follow-up, however it begins.",
            ),
        ),
    ),
)  # fmt: skip

FAULTS: Final[tuple[Fault, ...]] = (BUDGET, ABSTAINING, EARLIER_TURNS)
