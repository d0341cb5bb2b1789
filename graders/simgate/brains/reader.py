"""The reader: answers from the context that a prompt holds, as a careful but literal model would.

It holds no answer key. It takes the prompt apart, looks in each block for a value that stands with the attribute that
is asked for, and prefers the block that also names what the question names. So what is wrong with retrieval shows in
its answers:

- Attribute and entity have to stand in one block: cut them apart, and neither block will do.
- The later a block stands, the less it is believed.
- It abstains only when the prompt allows that ("if the context does not contain the answer, say so"); otherwise it
  gives the best wrong value there is.
- "our" is whoever the rules say the user belongs to.
- It obeys instructions that stand in a block, unless blocks are delimited and the rules say that what stands in them
  is data. What breaks out of its block is obeyed in any case.

The same prompt has the same answer, whatever the model, the temperature and the seed.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from ..asking import ChatRequest
from ..prices import Model
from ..seeds import Draws
from . import Said
from .lexicon import Lexicon, Mention, Word, is_code, words
from .prompts import Block, Prompt, take_apart
from .writing import bare_wanted, json_wanted, write_json

__all__ = ["Reader", "Reading"]

# Calibrated with a prototype in which 26 of 28 faults have a signature. A missing code or name costs more than all
# else can win, and 15 blocks of position cost as much as the tolerance.
RIGHT_ATTRIBUTE: Final = 1.0
WRONG_ATTRIBUTE: Final = -1.0
NAMED: Final = 1.0
NOT_NAMED: Final = -1.2
RIGHT_TRAIT: Final = 0.5
MISSING_TRAIT: Final = -0.6
PER_BLOCK: Final = -0.02
TOLERANCE: Final = 0.3
MOST_WORDS: Final = 300  # of a question
MOST_EARLIER: Final = 5  # questions that are remembered
MOST_VALUES: Final = 20_000  # that are weighed; no context of an honest prompt comes near

ABSTENTION: Final = "I cannot find this in the documents."
OURS: Final = frozenset(("our", "we", "us", "my", "ours", "mine"))

SENTENCE: Final = re.compile(r"[^.!?\n]+[.!?]*")
# That something may be missing, and that the sentence is about that case: "use nothing that is not in the context"
# forbids inventing and allows no abstaining.
LACKS: Final = re.compile(
    r"\b(?:do not|don't|don\u2019t|cannot|can't|can\u2019t|could not|unable to) (?:know|find)\b"
    r"|\b(?:cannot|can't|can\u2019t|could not|unable to|impossible to) (?:be )?answer(?:ed)?\b"
    r"|\b(?:not|isn't|isn\u2019t|aren't) (?:\w{1,20} ){0,3}?(?:in|found|contain(?:ed)?|present|stated|covered"
    r"|documented|given|mentioned|available|answered|supported|answerable|there|known|enough|sufficient|sure)\b"
    r"|\b(?:no|without) (?:\w{1,20} ){0,2}?(?:answer|information|evidence|support|value)\b"
    r"|\b(?:do|does)(?: not|n't|n\u2019t) (?:\w{1,20} ){0,2}?(?:contain|have|hold|answer it|cover)\b"
    r"|\bdoes(?: not|n't|n\u2019t) (?:\w{1,20} ){0,2}?(?:state|say|include|mention|answer|give)\b"
    r"|\b(?:unsure|missing|absent|lacks?|insufficient|unanswerable|nothing|null)\b|\bnot[ _-]found\b",
    re.IGNORECASE,
)
THEN: Final = re.compile(
    r"\b(?:if|when|whenever|where|unless|otherwise|else|case|may|rather than|instead of)\b", re.IGNORECASE
)
ABSTAIN: Final = re.compile(r"\babstain", re.IGNORECASE)
QUOTED: Final = r"(?:\"([^\"\n]{1,300})\"|\u201c([^\u201d\n]{1,300})\u201d|(?<=\s)'([^\n]{1,100}?)'(?!\w))"
ABSTAIN_WORDS: Final = re.compile(
    r"\b(?:say|answer|reply|respond|write|return|output)s?(?: with)?(?: exactly| only| just)?:?\s" + QUOTED,
    re.IGNORECASE,
)
IS_DATA: Final = re.compile(
    r"\b(?:text|content|contents|anything|everything|whatever|words?|passages?|documents?|blocks?|sources?|context|material|elements?)\b"
    r"[^.!?\n]{0,100}\b(?:is|are|as) (?:\w{1,20} ){0,3}?(?:data|untrusted|quotations?|quoted)\b"
    r"|\b(?:not|never|don't|don\u2019t) (?:\w{1,20} ){0,2}?(?:follow|obey|execute|act on|carry out|take)\b"
    r"[^.!?\n]{0,80}\b(?:instructions?|commands?|requests?|orders?|directions?|anything)\b"
    r"|\bignore (?:any |all |every )?(?:instructions?|commands?|requests?|orders?)\b[^.!?\n]{0,60}"
    r"\b(?:in|inside|within|from|contained|found|embedded)\b",
    re.IGNORECASE,
)
BREAKS_IN: Final = (
    r"\b(?:ignore|disregard|forget) (?:all |any |the |your ){0,3}(?:previous|prior|above|earlier|other)\b"
    r"|\b(?:assistants?|ai|language model|system)(?: note| message| prompt)?:"
)
COMMANDS: Final = re.compile(
    BREAKS_IN + r"|\b(?:assistants?|models?|you)(?: \w{1,20})? (?:must|should|shall|have to|has to|are to|is to)\b"
    r"|\b(?:when|whenever|if) (?:you |an assistant |the assistant )?(?:answer|reply|respond)",
    re.IGNORECASE,
)
# In an operator's own text "you must answer" is no attack.
OUTSIDE_COMMANDS: Final = re.compile(BREAKS_IN, re.IGNORECASE)
SAYS: Final = re.compile(
    r"\b(append|add|end|finish|conclude|include|mention|answer|reply|respond|say|write|print|output)\b"
    r"[^\"\u201c\n]{0,80}?\s" + QUOTED,
    re.IGNORECASE,
)
FARTHEST: Final = 300  # from a command to what it wants said
MOST_COMMANDS: Final = 20  # in one document, that are looked at
REPLACES: Final = frozenset(("answer", "reply", "respond", "say", "write", "print", "output"))


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read out of a prompt. `block` is the label of the block that the value stands in."""

    value: str | None  # None: it abstains
    block: str | None
    score: float
    confidence: float
    obeyed: str = ""  # the words of a planted instruction
    replaces: bool = False  # they are all that is said


@dataclass(frozen=True, slots=True)
class _Wanted:
    attributes: frozenset[str]
    traits: frozenset[str]
    named: frozenset[str]  # codes and names

    @property
    def enough(self) -> float:
        """What a block scores that has all of it, less what is forgiven."""
        right = RIGHT_ATTRIBUTE * bool(self.attributes) + NAMED * len(self.named) + RIGHT_TRAIT * len(self.traits)
        return right - TOLERANCE


@dataclass(frozen=True, slots=True)
class _Candidate:
    score: float
    value: str
    block: str


class Reader:
    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def answer(self, asked: ChatRequest, model: Model, draws: Draws) -> Said:  # noqa: ARG002  # as of every Brain
        prompt = take_apart(asked.messages)
        reading = self._read(prompt)
        if reading.obeyed and reading.replaces:
            return Said(reading.obeyed, reading.confidence)
        return Said(_write(prompt, reading, asked), reading.confidence)

    def read(self, messages: Sequence[tuple[str, str]]) -> Reading:
        """The same without wording: what a generator asks thousands of times."""
        return self._read(take_apart(messages))

    def _read(self, prompt: Prompt) -> Reading:
        wanted = self._wanted(prompt)
        candidates = sorted(
            (one for place, block in enumerate(prompt.blocks) for one in self._weigh(block, place, wanted)),
            key=lambda one: -one.score,
        )
        best = candidates[0] if candidates else None
        other = next((one.score for one in candidates if best and one.value != best.value), None)
        obeyed, replaces = _planted(prompt)
        if _may_abstain(prompt) and (best is None or best.score < wanted.enough):
            return Reading(None, None, best.score if best else 0.0, 0.9 if best is None else 0.75, obeyed, replaces)
        if best is None:
            return Reading(self._invented(prompt.question), None, 0.0, 0.15, obeyed, replaces)
        sure = 0.55 + 0.2 * min(1.0, best.score - wanted.enough)
        clear = 0.2 * (1.0 if other is None else min(1.0, best.score - other))
        return Reading(
            best.value, best.block, round(best.score, 6), min(0.97, max(0.05, sure + clear)), obeyed, replaces
        )

    def _wanted(self, prompt: Prompt) -> _Wanted:
        """What the question asks for; what a follow-up leaves out is what was asked before."""
        wanted = self._asked(prompt.question)
        spoken = {word.text for word in words(prompt.question)}
        named = wanted.named
        if OURS & spoken and not any(self._lexicon.is_name(word) for word in named):
            named |= {word.text for word in words(prompt.rules) if self._lexicon.is_name(word.text)}
        wanted = _Wanted(wanted.attributes, wanted.traits, named)
        for question in prompt.earlier[:MOST_EARLIER]:
            before = self._asked(question)
            if not (wanted.named or wanted.traits):
                wanted = _Wanted(wanted.attributes, before.traits, before.named)
            if not (wanted.attributes or any(is_code(word) for word in wanted.named)):
                wanted = _Wanted(before.attributes, wanted.traits, wanted.named)
        return wanted

    def _asked(self, question: str) -> _Wanted:
        said = [word._replace(text=self._lexicon.mended(word.text)) for word in words(question)[:MOST_WORDS]]
        concepts = {mention.concept for mention in self._lexicon.mentions(said)}
        return _Wanted(
            frozenset(concepts & self._lexicon.attributes.keys()),
            frozenset(concepts & self._lexicon.traits.keys()),
            frozenset(word.text for word in said if is_code(word.text) or self._lexicon.is_name(word.text)),
        )

    def _weigh(self, block: Block, place: int, wanted: _Wanted) -> list[_Candidate]:
        values = list(islice(self._lexicon.values(block.text), MOST_VALUES))
        if not values:
            return []
        said = words(block.text)
        mentions = self._lexicon.mentions(said)
        whole = self._whole_block(said, mentions, wanted) + PER_BLOCK * place
        attributes = [one for one in mentions if one.concept in self._lexicon.attributes]
        found = []
        nearest = -1  # the last attribute before the value
        for value in values:
            while nearest + 1 < len(attributes) and attributes[nearest + 1].start < value.start():
                nearest += 1
            score = whole
            if wanted.attributes:
                right = _stands_with(block.text, attributes, nearest, value) & wanted.attributes
                score += RIGHT_ATTRIBUTE if right else WRONG_ATTRIBUTE
            found.append(_Candidate(score, value[0].replace("\u00a0", " "), block.label))
        return found

    def _whole_block(self, said: Sequence[Word], mentions: Sequence[Mention], wanted: _Wanted) -> float:
        there = {word.text for word in said}
        concepts = {mention.concept for mention in mentions}
        named = len(wanted.named & there)
        traits = len(wanted.traits & concepts)
        return (
            NAMED * named
            + NOT_NAMED * (len(wanted.named) - named)
            + RIGHT_TRAIT * traits
            + MISSING_TRAIT * (len(wanted.traits) - traits)
        )

    def _invented(self, question: str) -> str:
        """Without any value to copy, and not allowed to say so: something that sounds right."""
        chance = int.from_bytes(hashlib.sha256(question.encode()).digest()[:4], "big")
        units = self._lexicon.units or ("units",)
        return f"{12 + chance % 900} {units[chance % len(units)]}"


def _stands_with(text: str, attributes: Sequence[Mention], nearest: int, value: re.Match[str]) -> frozenset[str]:
    """The attributes that a value belongs to: the last that was named before it, or one that its own sentence names
    after it. A phrase may mean two of them."""
    if nearest >= 0:
        last = attributes[nearest]
        return frozenset(one.concept for one in attributes[max(0, nearest - 3) : nearest + 1] if one.end >= last.start)
    ends = [place for sign in ".!?\n" if (place := text.find(sign, value.end(), value.end() + FARTHEST)) >= 0]
    end = min(ends, default=value.end() + FARTHEST)
    return frozenset(one.concept for one in attributes[:1] if one.start < end)


def _may_abstain(prompt: Prompt) -> bool:
    return any(map(_allows_abstaining, SENTENCE.findall(prompt.rules)))


def _allows_abstaining(sentence: str) -> bool:
    return ABSTAIN.search(sentence) is not None or (
        LACKS.search(sentence) is not None and THEN.search(sentence) is not None
    )


def _planted(prompt: Prompt) -> tuple[str, bool]:
    """What an instruction in a document makes it say, and whether it says nothing else."""
    places = [(OUTSIDE_COMMANDS, prompt.loose)]
    if not (prompt.delimited and IS_DATA.search(prompt.rules)):
        places = [(COMMANDS, block.text) for block in prompt.blocks] + places
    for commands, text in places:
        for command in islice(commands.finditer(text), MOST_COMMANDS):
            if says := SAYS.search(text, command.start(), command.end() + FARTHEST):
                return _quoted(says, 2), says[1].lower() in REPLACES
    return "", False


def _quoted(found: re.Match[str], first: int) -> str:
    return next(said for said in found.groups()[first - 1 :] if said is not None)


def _write(prompt: Prompt, reading: Reading, asked: ChatRequest) -> str:
    added = f" {reading.obeyed}" if reading.obeyed else ""
    if reading.value is None:
        words_for_it = _abstention(prompt)
        said: dict[str, Any] = {"answer": words_for_it + added, "value": None, "sources": [], "found": False}
    else:
        cited = f" [{reading.block}]" if reading.block else ""
        said = {"answer": f"It is {reading.value}{cited}.{added}", "value": reading.value, "found": True,
                "sources": [reading.block] if reading.block else []}  # fmt: skip
    if json_wanted(asked, prompt.rules):
        return write_json({**said, "confidence": round(reading.confidence, 2)}, asked.schema, prompt.rules)
    if bare_wanted(prompt.rules) and reading.value is not None:
        return reading.value + added
    return str(said["answer"])


def _abstention(prompt: Prompt) -> str:
    """The words that the prompt wants for it, or our own."""
    for sentence in SENTENCE.finditer(prompt.rules):
        if _allows_abstaining(sentence[0]) and (wanted := ABSTAIN_WORDS.search(sentence[0])):
            return _quoted(wanted, 1)
    return ABSTENTION
