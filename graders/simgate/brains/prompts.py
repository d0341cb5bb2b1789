"""Takes a prompt apart as a reader would: question, rules, and the blocks of context, in whatever layout.

    <doc id="D7">...</doc>        elements, also within another one       delimited
    ```...```  or  \"""...\"""      fences                                  delimited
    [1] ...   Document 2: ...     marked at the beginning of a line
    Context:                      a heading, and below it what lines of --- or empty lines keep apart

What stands in no block is a rule or a question. The question is what follows "Question:", the last of them, or the
last paragraph. What a document says can end its own block, as in `</doc> Assistant: ...`; whoever builds prompts has
to see to that, here as elsewhere.

Everything below is linear in the length of the prompt: a subject chooses it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, NamedTuple

__all__ = ["Block", "Prompt", "take_apart"]

CONTAINERS: Final = (
    "docs|documents?|doc|passages?|contexts?|chunks?|sources?|snippets?|excerpts?|blocks?|items?|articles?|notes?"
    "|records?|facts?|evidence|texts?|files?|materials?|knowledge|search_results?|results?|data|retrieved|entry|entries"
)
ELEMENT: Final = re.compile(rf"<(/?)({CONTAINERS}|(?:user_)?question|query)(\s[^<>\n]{{0,300}})?>", re.IGNORECASE)
NAMED: Final = re.compile(r"""\b(?:id|index|number|n|ref|label|doc_id|source)\s*=\s*["']?([\w.:/#-]{1,60})""")
FENCE: Final = re.compile(r"^[ \t]{0,8}(```|~~~|\"\"\"|''')[^\n]{0,60}$", re.MULTILINE)
# Every repetition is bounded: of two unbounded ones side by side a line of spaces would make a square.
BEGIN: Final = r"^[ \t*#-]{0,12}(?:the[ \t]{1,3})?"
MARK: Final = re.compile(
    r"^[ \t*#-]{0,12}(?:\[(?:(?:doc|document|source|passage|chunk)[ \t:#]{0,3})?([\w.:/-]{0,40}\d[\w.:/-]{0,40})\]"
    r"|\((\d{1,4})\)"
    r"|(?:document|doc|passage|source|context|chunk|block|snippet|excerpt)[ \t:#]{0,3}\[?([\w.-]{0,40}\d[\w.-]{0,40}?)"
    r"\]?[ \t]{0,3}(?:[:.)]|-[ \t]|\([^()\n]{0,80}\):?|$))",
    re.MULTILINE | re.IGNORECASE,
)
NUMBERED: Final = re.compile(r"^[ \t]{0,8}(\d{1,3})[.)][ \t]", re.MULTILINE)
HEADING: Final = re.compile(
    BEGIN + r"(?:retrieved[ \t]{1,3}|relevant[ \t]{1,3}|reference[ \t]{1,3})?"
    r"(?:context|documents?|passages?|sources?|excerpts?|snippets?|evidence|material|knowledge)\b[^:\n]{0,60}:[*]{0,2}",
    re.MULTILINE | re.IGNORECASE,
)
ASKED: Final = re.compile(
    BEGIN + r"(?:user(?:'s)?[ \t]{1,3})?(?:current[ \t]{1,3})?(?:question|query|q)\b[^:\n]{0,30}:[*]{0,2}",
    re.MULTILINE | re.IGNORECASE,
)
SECTION: Final = re.compile(  # what ends a question or a context
    BEGIN + r"(?:answer|reply|response|rules?|instructions?|output|format|note|user|customer|assistant"
    r"|tenant|history|conversation)\b[^:\n]{0,40}:",
    re.MULTILINE | re.IGNORECASE,
)
RULE_LINE: Final = re.compile(r"^[ \t]{0,8}(?:-{3,}|={3,}|\*{3,}|_{3,})[ \t]*$", re.MULTILINE)
GAP: Final = re.compile(r"\n[ \t]*\n\s*")


class Block(NamedTuple):
    label: str  # as a citation would name it
    text: str


class Span(NamedTuple):
    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Prompt:
    question: str
    earlier: tuple[str, ...]  # what the same user asked before, the last one first
    rules: str  # of the operator: all that is neither question nor block
    loose: str  # what stands in a user's message and in neither: where text lands that broke out of its block
    blocks: tuple[Block, ...]
    delimited: bool  # every block has a beginning and an end


def take_apart(messages: Sequence[tuple[str, str]]) -> Prompt:
    blocks: list[Block] = []
    rules: list[str] = []
    loose: list[str] = []
    questions: list[str] = []
    delimited = True
    speaking = [number for number, (role, _) in enumerate(messages) if role == "user"]
    last = speaking[-1] if speaking else len(messages) - 1
    for number, (role, text) in enumerate(messages):
        if role == "assistant":
            continue
        found = _Text(text, by_user=role == "user", last=number == last)
        blocks += [
            Block(label or str(len(blocks) + place + 1), said) for place, (label, said) in enumerate(found.blocks)
        ]
        delimited = delimited and (found.delimited or not found.blocks)
        rules.append(found.rest)
        if role == "user":
            loose.append(found.rest)
            questions += found.questions
    question = questions.pop() if questions else ""
    return Prompt(
        question,
        tuple(reversed(questions)),
        "\n".join(rules),
        "\n".join(loose),
        tuple(blocks),
        delimited and bool(blocks),
    )


class _Text:
    """One message, taken apart."""

    def __init__(self, text: str, *, by_user: bool, last: bool) -> None:
        self.questions: list[str] = []
        self.delimited = False
        taken: list[Span] = []
        spans: list[Span] = []
        asked, spans = _elements(text)
        if asked:
            taken += asked
        if not spans:
            spans = _fences(text)
        self.delimited = bool(spans)
        if not spans:
            spans = _marked(text, MARK)
        if not spans:
            spans = _below_heading(text)
        within = _Cover(spans)
        if by_user:
            taken += [span for span in _asked(text) if not within.holds(span.start)]
        if by_user and last and not taken:
            spans, taken = _unmarked_question(text, spans, self.delimited)
        elif by_user and not taken and not spans:
            taken = [Span(0, len(text), "")]
        taken.sort()
        self.questions = [said for span in taken if (said := text[span.start : span.end].strip())]
        self.blocks = [(span.label, said) for span in spans if (said := text[span.start : span.end].strip())]
        self.rest = _without(text, [*spans, *taken])


class _Cover:
    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted(spans)
        self._next = 0

    def holds(self, place: int) -> bool:
        """Whether a place lies in a span. Places must rise from call to call."""
        while self._next < len(self._spans) and self._spans[self._next].end <= place:
            self._next += 1
        return self._next < len(self._spans) and self._spans[self._next].start <= place


def _elements(text: str) -> tuple[list[Span], list[Span]]:
    """Questions and blocks that stand in elements. Of elements in elements the innermost are the blocks."""
    asked: list[Span] = []
    blocks: list[Span] = []
    opened: list[tuple[str, int, str, int]] = []  # name, where its text begins, label, blocks before it
    for found in ELEMENT.finditer(text):
        name = found[2].lower()
        if not found[1]:
            named = NAMED.search(found[3] or "")
            opened.append((name, found.end(), named[1] if named else "", len(blocks)))
            continue
        while opened:
            one, start, label, before = opened.pop()
            if one == name:
                if name in ("question", "user_question", "query"):
                    asked.append(Span(start, found.start(), ""))
                elif len(blocks) == before:
                    blocks.append(Span(start, found.start(), label))
                break
    return asked, blocks


def _fences(text: str) -> list[Span]:
    ends = list(FENCE.finditer(text))
    spans: list[Span] = []
    for opening, closing in zip(ends[::2], ends[1::2], strict=False):
        inner = _marked(text, MARK, opening.end(), closing.start())
        spans += inner or [Span(opening.end(), closing.start(), "")]
    return spans


def _marked(text: str, mark: re.Pattern[str], start: int = 0, end: int | None = None) -> list[Span]:
    """From each mark to the next, or to a line that begins something else."""
    end = len(text) if end is None else end
    marks = list(mark.finditer(text, start, end))
    stops = sorted(found.start() for one in (ASKED, SECTION) for found in one.finditer(text, start, end))
    spans = []
    place = 0
    for found, following in zip_longest(marks, marks[1:]):
        until = following.start() if following else end
        while place < len(stops) and stops[place] < found.end():
            place += 1
        if place < len(stops):
            until = min(until, stops[place])
        spans.append(Span(found.end(), until, next(group for group in found.groups() if group is not None)))
    return spans


def _below_heading(text: str) -> list[Span]:
    heading = HEADING.search(text)
    if heading is None:
        return []
    start = heading.end()
    stops = [found.start() for one in (ASKED, SECTION) if (found := one.search(text, start))]
    end = min(stops, default=len(text))
    return _marked(text, NUMBERED, start, end) or _apart(text, start, end)


def _apart(text: str, start: int, end: int) -> list[Span]:
    """What lines of dashes keep apart, or else empty lines. In Markdown all that stands below "# Title", until the
    next such line, is one document."""
    cuts = list(RULE_LINE.finditer(text, start, end))
    by_lines = bool(cuts)
    spans: list[Span] = []
    titled = False
    for cut in [*(cuts or GAP.finditer(text, start, end)), None]:
        until = cut.start() if cut else end
        own = text[start:until].lstrip()
        if titled and not by_lines and not own.startswith("# "):
            spans[-1] = spans[-1]._replace(end=until)
        elif own.strip():
            spans.append(Span(start, until, ""))
            titled = own.startswith("#")
        start = cut.end() if cut else until
    return spans


def _asked(text: str) -> list[Span]:
    spans = []
    marks = list(ASKED.finditer(text))
    for found, following in zip_longest(marks, marks[1:]):
        end = following.start() if following else len(text)
        for one in (SECTION, HEADING, GAP):
            begin = found.end() + len(text[found.end() : end]) - len(text[found.end() : end].lstrip())
            if stop := one.search(text, begin, end):
                end = stop.start()
        spans.append(Span(found.end(), end, ""))
    return spans


def _unmarked_question(text: str, spans: list[Span], delimited: bool) -> tuple[list[Span], list[Span]]:
    """Where nothing says "Question:" it is the last paragraph: of what stands below the blocks, or above them, or at
    the end of the last one, which had no end of its own."""
    if not spans:
        question = _last_paragraph(text, 0, len(text))
        return _apart(text, 0, question[0].start) if question else [], question
    below = _last_paragraph(text, spans[-1].end, len(text))
    above = _last_paragraph(text, 0, text.rfind("\n", 0, spans[0].start) + 1)  # without the first block's own mark
    if below or delimited or (above and _is_asking(text, above[0])):
        return spans, below or above
    start, end, label = spans[-1]
    if question := _last_paragraph(text, start, end, always=False):
        return [*spans[:-1], Span(start, question[0].start, label)], question
    return spans, above


def _is_asking(text: str, span: Span) -> bool:
    return "?" in text[span.start : span.end]


def _last_paragraph(text: str, start: int, end: int, *, always: bool = True) -> list[Span]:
    end -= len(text[start:end]) - len(text[start:end].rstrip())
    gaps = [found.end() for found in GAP.finditer(text, start, end)]
    if end <= start or not (always or gaps):
        return []
    return [Span(gaps[-1] if gaps else start, end, "")]


def _without(text: str, spans: Iterable[Span]) -> str:
    left = []
    place = 0
    for span in sorted(spans):
        left.append(text[place : span.start])
        place = max(place, span.end)
    return "\n".join([*left, text[place:]])
