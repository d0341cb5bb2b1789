"""The competence brain: whether an answer is right depends on the model, the difficulty, and the prompt.

The driver registers each message as an Item just before it sends it to the subject. A call belongs to the item whose
words it contains; so subjects may compress, rewrite and add as they like, and no id travels through their hands. Then

    theta  = ability of the model
             - noise for every thousand tokens of the prompt that are no evidence, beyond 600
             - 0.25 when the evidence stands in the middle half of a prompt of more than 2,000 tokens
             - 0.40 when the prompt does not say that it has to be answered from the given facts
             + 0.25 for two worked examples, in items about a format
             + 0.35 when it is asked to work step by step, with room for it, in complex items
    p      = logistic(2.2 (theta - difficulty)) when all facts are in the prompt, 0.04 when their values stand there
             alone, 0.15 when a follow-up's history is missing; never when a value is not there at all
    right  = the item's own draw < p

The draw is mostly the item's and a little the model's, so that a stronger model gets right nearly all that a weaker
one does. It does not depend on how often is asked: asking again is no second chance.

What is said is put together from what stands in the prompt and from phrases that say nothing. So the gateway cannot
be used to look facts up.
"""

import json
import math
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from .. import simtok
from ..asking import ChatRequest
from ..prices import Model
from ..seeds import Draws, Seed
from . import Said
from .lexicon import STOP_WORDS, words
from .writing import json_wanted, write_json

__all__ = ["Competence", "Fact", "Item"]

SLOPE: Final = 2.2
WITHOUT_FACTS: Final = 0.04
WITHOUT_HISTORY: Final = 0.15
FREE_TOKENS: Final = 600  # of a prompt that disturb nobody
LONG_PROMPT: Final = 2000
STEP_TOKENS: Final = 400
WINDOW: Final = 80  # words around a value, among which its key words have to be
MOST_PLACES: Final = 200  # where a value stands, that are looked at
KEYS_NEEDED: Final = 0.6
SAME: Final = 0.6  # of the words of a message, for a prompt to be about it
OF_THE_ITEM: Final = 0.85  # the share of a draw that all models have in common
MOST_ITEMS: Final = 2000  # in flight or still asked about
MOST_ANSWERS: Final = 20  # that are remembered of one item, for those who have them verified

# Two shapes of confidence, whose overlap makes it tell right from wrong with an AUC of about 0.85.
SURE: Final = (6.0, 2.0)
UNSURE: Final = (3.0, 3.2)
VERIFIED_FROM: Final = 0.62
VERIFIES_BETTER: Final = 0.05  # for each unit of ability

GROUNDED: Final = re.compile(
    r"\b(?:only|solely|strictly|exclusively|answer|based|rely|use)\b[^.!?\n]{0,60}"
    r"\b(?:facts?|context|documents?|passages?|sources?|information|given|provided|below|above)\b",
    re.IGNORECASE,
)
EXAMPLE: Final = re.compile(r"^[ \t]{0,8}(?:example|e\.g\.|input|q)\b", re.MULTILINE | re.IGNORECASE)
STEPS: Final = re.compile(r"\bstep[- ]by[- ]step\b|\bshow (?:your |the )?(?:working|steps)\b", re.IGNORECASE)
BRIEF: Final = re.compile(r"\b(?:brief|short|concise|one sentence|at most|no more than|terse)", re.IGNORECASE)
VALUE_FIRST: Final = re.compile(r"\b(?:answer|value|conclusion|result)s? (?:comes? )?first\b", re.IGNORECASE)
REWRITES: Final = re.compile(r"\brewrit|\bstandalone\b|\bself-contained\b", re.IGNORECASE)
YES_OR_NO: Final = re.compile(r"\byes\W{1,3}(?:or\W{1,3})?no\b", re.IGNORECASE)
JUDGES: Final = re.compile(r"\b(?:correct|right|supported|true|grounded|faithful)\b", re.IGNORECASE)
SENTENCE_END: Final = re.compile(r"[.!?](?=\s|$)|\n")

ABSTAINS: Final = "I do not have that information, so I cannot answer this."
REFUSES: Final = "I cannot help with that request."
HANDS_OFF: Final = "I am passing this on to a colleague, who will contact you."
GREETS: Final = "You are welcome. Is there anything else that I can do for you?"
GENERIC: Final = "Thank you for your message. Could you tell me a little more about what you need?"
UNSUPPORTED: Final = "As far as I know this is handled in the usual way, and no action is needed on your side."
FILLING: Final = (
    "Thank you for asking about this.",
    "I have looked at what applies here.",
    "Let me go through the relevant points for you.",
    "Please take the following into account as well.",
    "Everything else stays as it is for the time being.",
    "Do let us know if anything remains unclear.",
)
SHORT_TOKENS: Final = (70, 120)
LONG_FACTOR: Final = 2.4
VALUE_AT: Final = 0.7  # of the text, unless the answer is wanted first


@dataclass(frozen=True, slots=True)
class Fact:
    value: str  # as it has to stand in the prompt, and in the answer
    keys: tuple[str, ...] = ()  # words of which most have to stand around it


@dataclass(frozen=True, slots=True)
class Item:
    """A message that the driver is about to send, with what makes an answer to it right."""

    key: str
    text: str
    category: str
    difficulty: float
    expects: Literal["answer", "abstain", "refuse", "hand off", "chat"] = "answer"
    facts: tuple[Fact, ...] = ()
    history: str = ""  # what a follow-up leaves unsaid: has to stand in the prompt as well
    standalone: str = ""  # the same message without that gap
    session: str = ""
    about: Literal["", "format", "complex"] = ""


@dataclass(frozen=True, slots=True)
class _Known:
    item: Item
    content: frozenset[str]
    order: int
    answers: list[tuple[str, bool]]


class Competence:
    def __init__(self, seed: Seed) -> None:
        self._seed = seed
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._count = 0

    # what the driver says

    def expect(self, items: Iterable[Item]) -> None:
        for item in items:
            said = {word.text for word in words(item.text)}
            self._count += 1
            self._known[item.key] = _Known(item, frozenset(said - STOP_WORDS or said), self._count, [])
            if len(self._known) > MOST_ITEMS:
                self._known.popitem(last=False)

    def release(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._known.pop(key, None)

    # what a subject asks

    def answer(self, asked: ChatRequest, model: Model, draws: Draws) -> Said:
        prompt = "\n".join(text for _, text in asked.messages)
        known = self._match(prompt, asked.user)
        if known is None:
            text = GENERIC if not json_wanted(asked, prompt) else write_json({"answer": GENERIC}, asked.schema, prompt)
            return Said(text, draws.beta(*UNSURE, "confidence"))
        theta = self._theta(known.item, prompt, asked, model, draws)
        rules = "\n".join(text for role, text in asked.messages if role in ("system", "developer"))
        if enum := _enum(asked.schema):
            return self._classify(known.item, theta, enum, model, draws)
        if REWRITES.search(rules):
            return _rewrite(known.item, prompt)
        if YES_OR_NO.search(prompt) and JUDGES.search(prompt):
            return self._verify(known, prompt, model, draws)
        return self._reply(known, prompt, asked, theta, model, draws)

    def _match(self, prompt: str, user: str) -> _Known | None:
        there = {word.text for word in words(prompt)}
        fitting = [
            (len(known.content & there) / len(known.content), len(known.item.text), known.order, known)
            for known in self._known.values()
            if known.content and (not user or not known.item.session or known.item.session == user)
        ]
        best = max(fitting, key=lambda one: one[:3], default=None)
        return best[3] if best and best[0] >= SAME else None

    def _theta(self, item: Item, prompt: str, asked: ChatRequest, model: Model, draws: Draws) -> float:
        tokens = asked.prompt_tokens
        evidence = WINDOW * len(item.facts)
        theta = model.ability - model.noise * max(0, (tokens - evidence - FREE_TOKENS) / 1000)
        if item.facts:
            place = prompt.lower().find(item.facts[0].value.lower()) / max(1, len(prompt))
            theta -= 0.25 * (tokens > LONG_PROMPT and 0.25 < place < 0.75)
            theta -= 0.40 * (GROUNDED.search(prompt) is None)
        theta += 0.25 * (item.about == "format" and len(EXAMPLE.findall(prompt)) >= 2)
        working = STEPS.search(prompt) is not None and asked.max_tokens >= STEP_TOKENS
        theta += 0.35 * (item.about == "complex" and working)
        if asked.temperature > 0:
            # A seed holds the digest's draw still: with it the same request has the same luck each time.
            luck = self._seed.draws("temperature", asked.digest) if asked.seeded else draws
            theta += 0.1 * asked.temperature * (2 * luck.uniform("temperature") - 1)
        return theta

    def _draw(self, item: Item, model: Model, what: str) -> float:
        """In [0, 1), the same for every call about this item; for two models nearly the same."""
        shared = self._seed.uniform(what, item.key)
        own = self._seed.uniform(what, item.key, model.name)
        return _uniform_again(OF_THE_ITEM * shared + (1 - OF_THE_ITEM) * own)

    # what it can do

    def _reply(self, known: _Known, prompt: str, asked: ChatRequest, theta: float, model: Model, draws: Draws) -> Said:
        item = known.item
        chance = _logistic(SLOPE * (theta - item.difficulty))
        if not all(_stands_there(fact, prompt) for fact in item.facts):
            chance = WITHOUT_FACTS
        if item.history and item.history.lower() not in prompt.lower():
            chance = WITHOUT_HISTORY
        # Not even luck brings a value into an answer that is not in the prompt: nobody looks facts up here.
        there = item.expects != "answer" or all(fact.value.lower() in prompt.lower() for fact in item.facts)
        right = there and self._draw(item, model, "right") < chance
        text = _wording(item, prompt, right=right, draws=draws)
        if json_wanted(asked, prompt):
            said: dict[str, Any] = {"answer": text, "value": item.facts[0].value if right and item.facts else None,
                    "found": item.expects == "answer", "sources": []}  # fmt: skip
            text = write_json(said, asked.schema, prompt)
        text, _ = asked.limited(text)
        # What was cut off before the values came has not answered anything.
        right = right and all(fact.value.lower() in text.lower() for fact in item.facts if item.expects == "answer")
        known.answers.append((text, right))
        del known.answers[:-MOST_ANSWERS]
        shape = SURE if right else UNSURE
        return Said(text, draws.beta(*shape, "confidence"), item.key, right)

    def _classify(self, item: Item, theta: float, enum: tuple[str, Sequence[str]], model: Model, draws: Draws) -> Said:
        name, choices = enum
        right = self._draw(item, model, "category") < _logistic(2 * (theta + 0.6 - item.difficulty))
        true = next((choice for choice in choices if choice.casefold() == item.category.casefold()), None)
        others = [choice for choice in choices if choice != true] or list(choices)
        chosen = true if right and true is not None else others[int(draws.uniform("choice") * len(others))]
        shape = SURE if chosen == true else UNSURE
        return Said(json.dumps({name: chosen}), draws.beta(*shape, "confidence"), item.key, None)

    def _verify(self, known: _Known, prompt: str, model: Model, draws: Draws) -> Said:
        """Whether an answer of this gateway that stands in the prompt is right, as far as the model can tell."""
        right = next((right for text, right in reversed(known.answers) if text.strip() in prompt), False)
        sure = self._seed.draws("verify", known.item.key, model.name, int(right)).beta(*(SURE if right else UNSURE), "")
        threshold = VERIFIED_FROM + VERIFIES_BETTER * model.ability * (-1 if right else 1)
        return Said("yes" if sure >= threshold else "no", draws.beta(*SURE, "confidence"), known.item.key, None)


def _rewrite(item: Item, prompt: str) -> Said:
    resolved = item.standalone and (not item.history or item.history.lower() in prompt.lower())
    return Said(item.standalone if resolved else item.text, 0.8, item.key, None)


def _enum(schema: Mapping[str, Any]) -> tuple[str, Sequence[str]] | None:
    """A schema of one choice: then it is classification."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or len(properties) != 1:
        return None
    [(name, one)] = properties.items()
    choices = one.get("enum") if isinstance(one, dict) else None
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, str) for choice in choices):
        return None
    return name, choices


def _stands_there(fact: Fact, prompt: str) -> bool:
    """The value, with most of its key words around it: a number alone could be anything."""
    text, value = prompt.lower(), fact.value.lower()
    wanted = {word.text for key in fact.keys for word in words(key)}
    place = -1
    for _ in range(MOST_PLACES):
        place = text.find(value, place + 1 if place < 0 else place + max(len(value), WINDOW))
        if place < 0:
            break
        before = text[max(0, place - 12 * WINDOW) : place].split()[-WINDOW // 2 :]
        after = text[place : place + len(value) + 12 * WINDOW].split()[: WINDOW // 2]
        around = {word.text for word in words(" ".join(before + after))}
        if len(wanted & around) >= KEYS_NEEDED * len(wanted):
            return True
    return False


def _wording(item: Item, prompt: str, *, right: bool, draws: Draws) -> str:
    match item.expects, right:
        case "answer", True:
            core = " ".join(dict.fromkeys(_sentence_with(fact.value, prompt) for fact in item.facts)) or GREETS
        case "abstain", True:
            core = ABSTAINS
        case "refuse", True:
            core = REFUSES
        case "hand off", True:
            core = HANDS_OFF
        case "chat", _:
            return GREETS
        case _:
            core = _mistake(item, prompt, draws)
    low, high = SHORT_TOKENS
    length = draws.between(low, high, "length") * (1 if BRIEF.search(prompt) else LONG_FACTOR)
    filling = []
    missing = length - simtok.count(core)
    for number in range(1000):
        if missing <= 0:
            break
        filling.append(FILLING[number % len(FILLING)])
        missing -= simtok.count(filling[-1])
    before = 0 if VALUE_FIRST.search(prompt) else round(VALUE_AT * len(filling))
    return " ".join([*filling[:before], core, *filling[before:]])


def _mistake(item: Item, prompt: str, draws: Draws) -> str:
    """A wrong number where there is one, else something unfounded, or giving up. None of it is a fact of the world."""
    values = [fact.value for fact in item.facts if fact.value.lower() in prompt.lower()]
    if values and draws.uniform("mistake") < 0.6:
        sentence = _sentence_with(values[0], prompt)
        return sentence.replace(values[0], _perturbed(values[0], draws))
    return UNSUPPORTED if item.expects != "answer" or draws.uniform("gives up") < 0.5 else ABSTAINS


def _perturbed(value: str, draws: Draws) -> str:
    digits = [place for place, sign in enumerate(value) if sign.isascii() and sign.isdigit()]
    if not digits:
        return "something else"
    place = digits[int(draws.uniform("place") * len(digits))]
    other = (int(value[place]) + 1 + int(draws.uniform("digit") * 9)) % 10
    return value[:place] + str(other) + value[place + 1 :]


def _sentence_with(value: str, prompt: str) -> str:
    """The sentence of the prompt that the value stands in."""
    place = prompt.lower().find(value.lower())
    if place < 0:
        raise ValueError(f"{value!r}: is not in the prompt, and would be given away")
    start = max((found.end() for found in SENTENCE_END.finditer(prompt, max(0, place - 400), place)), default=place)
    end = SENTENCE_END.search(prompt, place + len(value), place + len(value) + 400)
    return prompt[start : end.end() if end else place + len(value)].strip()


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, x))))


def _uniform_again(mixed: float) -> float:
    """Of a weighted mean of two uniform draws, its rank: again uniform, so that p is the share that is right."""
    small, large = 1 - OF_THE_ITEM, OF_THE_ITEM
    if mixed < small:
        return mixed**2 / (2 * small * large)
    if mixed > large:
        return 1 - (1 - mixed) ** 2 / (2 * small * large)
    return (mixed - small / 2) / large
