"""What was asked and what it cost: the evidence that a score may rest on. Exact, in integer nano-dollars.

    hold = ledger.hold(cost)          when a call is let in: nobody else can spend this money meanwhile
    ledger.settle(hold, row)          when it is over, exactly once, with what it came to

A call that is refused by a limit, a budget or an outage is a row too, free of charge: a storm of retries is seen. What
is no call at all, such as JSON that is none, is only counted, so that a flood of it takes no memory.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["Hold", "Ledger", "Row", "Spending", "repeatable"]

MOST_ROWS: Final = 200_000  # some 100 MB; an honest night's ingest and its questions are below 5,000
MOST_TAGS: Final = 200  # that a subject may tell its calls apart by; later ones are counted as one
OTHER_TAGS: Final = "(other tags)"


@dataclass(frozen=True, slots=True)
class Row:
    number: int  # in the order of arrival
    at: int  # nanoseconds of the gateway's clock
    call: str  # chat, embeddings or batch
    model: str
    trace: str  # the id of the answer, which nobody can make up
    request: str  # digest of what was asked
    occurrence: int  # how often the very same was asked before
    status: int  # of HTTP; 0: nothing came back
    code: str = ""  # OpenAI's name of the error, or what befell the answer: gone, cut, hang
    prompt_tokens: int = 0
    cached_tokens: int = 0
    answer_tokens: int = 0  # those that were paid for
    cost: int = 0  # nano-dollars
    latency: int = 0  # simulated nanoseconds until the last byte
    tag: str = ""  # the subject's own word for it
    item: str | None = None  # what the brain took it for; the driver's word, never the subject's
    correct: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Hold:
    number: int
    at: int
    cost: int


@dataclass(frozen=True, slots=True)
class Spending:
    """A moment's sums, in nano-dollars."""

    spent: int
    held: int  # by calls that are not over
    budget: int | None
    by_model: dict[str, int]
    by_tag: dict[str, int]
    calls: int
    uncounted: dict[str, int]  # requests that were no calls, by the code of the error

    @property
    def remaining(self) -> int | None:
        return None if self.budget is None else self.budget - self.spent - self.held


class Ledger:
    def __init__(self, budget: int | None = None, most_rows: int = MOST_ROWS) -> None:
        self._budget = budget
        self._most_rows = most_rows
        self._rows: dict[int, Row] = {}
        self._open: dict[int, Hold] = {}
        self._by_trace: dict[str, int] = {}
        self._by_model: Counter[str] = Counter()
        self._by_tag: Counter[str] = Counter()
        self._uncounted: Counter[str] = Counter()
        self._spent = self._held = self._next = 0

    @property
    def exhausted(self) -> bool:
        """Nothing is left to spend. The call that passes the line is let through, as a provider would."""
        return self._budget is not None and self._spent + self._held >= self._budget

    @property
    def full(self) -> bool:
        return self._next >= self._most_rows

    @property
    def settled(self) -> bool:
        return not self._open

    def hold(self, cost: int, at: int) -> Hold:
        hold = Hold(self._next, at, cost)
        self._next += 1
        self._held += cost
        self._open[hold.number] = hold
        return hold

    def settle(self, hold: Hold, row: Row) -> None:
        del self._open[hold.number]  # a KeyError: it was settled before, and its sums would count twice
        if not 0 <= row.cost <= hold.cost:
            raise ValueError(f"ledger: row {row.number}: costs {row.cost}, and {hold.cost} were held")
        self._held -= hold.cost
        self._spent += row.cost
        self._rows[hold.number] = row
        if row.status == 200:
            self._by_trace[row.trace] = hold.number
        if row.cost:
            self._by_model[row.model] += row.cost
            known = row.tag in self._by_tag or len(self._by_tag) < MOST_TAGS
            self._by_tag[row.tag if known else OTHER_TAGS] += row.cost

    def count(self, code: str) -> None:
        """A request that was no call. `code` is one of ours, so there are few."""
        self._uncounted[code] += 1

    def find(self, trace: str) -> Row | None:
        """The call that was answered under this id, or None: then somebody made it up."""
        number = self._by_trace.get(trace)
        return None if number is None else self._rows[number]

    def rows(self) -> list[Row]:
        """All calls that are over, in the order in which they arrived."""
        return [self._rows[number] for number in sorted(self._rows)]

    def spending(self) -> Spending:
        return Spending(
            self._spent, self._held, self._budget, dict(self._by_model), dict(self._by_tag), self._next,
            dict(self._uncounted),
        )  # fmt: skip


def repeatable(rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """What two gradings of one program have in common, whatever the order in which its threads were scheduled."""
    return sorted(
        (row.request, row.occurrence, row.call, row.model, row.trace, row.status, row.code, row.prompt_tokens,
         row.answer_tokens, row.item or "", str(row.correct))
        for row in rows
    )  # fmt: skip
