"""What customers wrote since the night: twelve tickets, of which eight are each about one fault.

    chosen = tickets_of(plan, night)
    chosen[0].fault, chosen[0].ask.question, chosen[0].text
    {f"tickets/T{number:02}.md": ...}

Two more are about the same as one of the eight, with a guess that leads astray, and in two the reply was right.
Whatever is quoted was asked this morning and answered in just that way.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from ..forms.assembly import Chosen
from ..forms.plan import Plan
from ..world.catalogue import Product
from .state import Ask, Morning
from .story import Story

__all__ = ["Played", "Ticket", "Witnessed", "files_of_tickets", "tickets_of"]

COUNT: Final = 12
MISLED: Final = 2  # about what another ticket is about
MISTAKEN: Final = 2
FIRST_NAMES: Final = (
    "Ada", "Bruno", "Carla", "Deniz", "Emil", "Farida", "Gwen", "Henrik", "Ilka", "Jonas", "Katya", "Luis", "Mara",
    "Nils", "Oona", "Pavel", "Rosa", "Sven", "Tilda", "Ugo", "Vera", "Wim", "Yara", "Zeno",
)  # fmt: skip
LAST_NAMES: Final = (
    "Adler", "Bakker", "Costa", "Dahl", "Engel", "Ferro", "Grau", "Holm", "Ivers", "Janka", "Kerr", "Lund", "Moreau",
    "Novak", "Okafor", "Pohl", "Quist", "Rossi", "Santos", "Thorn", "Urban", "Varga", "Weiss", "Zeller",
)  # fmt: skip
SUBJECTS: Final = (
    "Please have a look", "Deskmate this morning", "Is this known?", "Question about a reply", "Needs an answer today",
    "Something is off", "Not happy with this one", "Reply for the file", "Second time this week", "Who can help?",
    "From the early shift", "Before I call",
)  # fmt: skip
GREETINGS: Final = ("Hello,", "Good morning,", "Hi all,", "Dear support,", "Hi,", "")
CLOSINGS: Final = (
    "Thanks", "Regards", "Please call back", "Best", "Waiting for your reply", "Greetings from the workshop", "",
)  # fmt: skip
GUESSES: Final = (
    "I suppose it is because you changed the model. Ours at home got worse too after an update.",
    "Our network was slow this morning, so perhaps half of the answer got lost on the way?",
    "It must be the browser: since the last update nothing works with it. I have emptied its cache, without effect.",
    "My guess is that you have run out of disk space. That is what it was here last time.",
    "I bet that somebody has typed the figures in by hand and slipped.",
    "Probably too many people ask at once. At night it works, I am told.",
    "I think that it takes our accent marks badly. There are none in my question, though.",
    "Surely it is the new server that the invoice mentions.",
    "A colleague says that it learns from what we ask, so somebody must have taught it nonsense.",
)  # fmt: skip
OPENINGS: Final = (
    "I asked this: \"{question}\" It says: \"{answer}\" That cannot be.",
    "\"{question}\" - \"{answer}\" Neither I nor my colleague can work with that.",
    "Told this morning: \"{answer}\" I had asked: \"{question}\"",
)  # fmt: skip
OTHER_MACHINE: Final = (
    "I asked about our {machine}, and the figure is not the one on its plate. \"{question}\" - \"{answer}\" We have had"
    " this machine for years, so I know what I am talking about.",
    "The figure for our {machine} is wrong. I get: \"{answer}\" The question was: \"{question}\" Please correct it.",
)  # fmt: skip
NOT_TOLD: Final = (
    "It refuses to answer: \"{question}\" - \"{answer}\" I am sure that I have read about this somewhere.",
    "Why does it not tell me? \"{question}\" All I get is: \"{answer}\" A new colleague needs to know by noon.",
)  # fmt: skip
PLAIN: Final = (
    "I do not think that this is right. \"{question}\" - \"{answer}\"",
    "According to a colleague it is another figure. Asked: \"{question}\" Told: \"{answer}\"",
)  # fmt: skip
TELLS_NOTHING: Final = re.compile(r"not (know|find|found)|nothing|nowhere|no answer|finds no|gone|empty", re.I)
DELAY: Final = (4, 38)  # minutes until somebody writes


@dataclass(frozen=True, slots=True)
class Witnessed:
    """How a question went with a single fault."""

    failed: frozenset[str]
    said: tuple[Any, ...]  # value and citations


class Played(Protocol):
    """What has been found out about a form's night."""

    @property
    def story(self) -> Story: ...

    @property
    def asks(self) -> Sequence[Ask]: ...

    @property
    def today(self) -> Morning: ...

    @property
    def witnesses(self) -> Mapping[str, Mapping[str, Witnessed]]: ...


@dataclass(frozen=True, slots=True)
class Ticket:
    ask: Ask
    reply: Mapping[str, Any]
    fault: str  # the key, or nothing where the reply was right
    said: str
    received: datetime


def said_in(reply: Mapping[str, Any]) -> tuple[Any, ...]:
    return reply["value"], tuple(reply["citations"])


def tickets_of(plan: Plan, night: Played) -> tuple[Ticket, ...]:
    """By the time at which they came. Fewer, if the morning has not as many questions that show a fault."""
    chance = plan.form.random("tickets")
    drawing = _Drawing(plan, night, chance)
    found = [*drawing.of_each_fault()]
    found += drawing.of_the_same(found)
    found += drawing.mistaken()
    return tuple(sorted(found, key=lambda one: (one.received, one.ask.qid)))


class _Drawing:
    def __init__(self, plan: Plan, night: Played, chance: random.Random) -> None:
        self._plan = plan
        self._night = night
        self._chance = chance
        self._taken: set[str] = set()  # questions
        self._guesses = chance.sample(GUESSES, len(GUESSES))

    def of_each_fault(self) -> Iterator[Ticket]:
        """Those with the fewest questions to choose from come first."""
        for chosen in sorted(self._plan.chosen, key=lambda one: (len(self._asks(one.key)), one.key)):
            if ask := self._best(chosen.key):
                yield self._ticket(ask, chosen.key, self._complaint(chosen, self._night.today.replies[ask.qid]))

    def of_the_same(self, others: Sequence[Ticket]) -> Iterator[Ticket]:
        left = self._chance.sample(others, len(others))
        made = 0
        for one in left:
            ask = self._best(one.fault) if made < MISLED else None
            if ask is not None:
                made += 1
                yield self._ticket(ask, one.fault, f"{self._chance.choice(OPENINGS)} {self._guesses.pop()}")

    def mistaken(self) -> Iterator[Ticket]:
        """A machine that is another one, and what nobody has written down or may not be told."""
        right = [ask for ask in self._night.asks if self._night.today.failed.get(ask.question.id) == frozenset()]
        mixed = self._chance.sample(right, len(right))
        named = [(ask, other) for ask in mixed if ask.question.value and (other := self._other_machine(ask))]
        untold = [ask for ask in mixed if ask.question.value is None]
        plain = [ask for ask in mixed if ask.question.value and not self._other_machine(ask)]
        drawn = [
            (ask, self._chance.choice(OTHER_MACHINE).replace("{machine}", other.machine)) for ask, other in named[:1]
        ]
        drawn += [(ask, self._chance.choice(NOT_TOLD)) for ask in untold[: MISTAKEN - len(drawn)]]
        drawn += [(ask, self._chance.choice(PLAIN)) for ask in plain[: MISTAKEN - len(drawn)]]
        for ask, said in drawn:
            yield self._ticket(ask, "", said)

    def _complaint(self, chosen: Chosen, reply: Mapping[str, Any]) -> str:
        """One that goes with a reply that tells nothing, or with one that tells something."""
        complaints = chosen.fault.complaints
        fitting = [one for one in complaints if bool(TELLS_NOTHING.search(one)) == bool(reply["abstained"])]
        return self._chance.choice(fitting or complaints)

    def _asks(self, key: str) -> list[Ask]:
        """Questions of this morning that went wrong, and go wrong with this fault alone."""
        today, known = self._night.today, self._night.witnesses.get(key, {})
        return [
            ask
            for ask in self._night.asks
            if ask.question.id in known and ask.qid in today.replies and today.failed[ask.question.id]
        ]

    def _best(self, key: str) -> Ask | None:
        """One that nothing else breaks, and that got the very reply that this fault leads to."""
        known = self._night.witnesses.get(key, {})
        asks = [ask for ask in self._asks(key) if ask.question.id not in self._taken]
        if not asks:
            return None

        def rank(ask: Ask) -> tuple[bool, int]:
            others = sum(ask.question.id in one for other, one in self._night.witnesses.items() if other != key)
            return said_in(self._night.today.replies[ask.qid]) != known[ask.question.id].said, others

        best = min(map(rank, asks))
        ask = self._chance.choice([ask for ask in asks if rank(ask) == best])
        self._taken.add(ask.question.id)
        return ask

    def _other_machine(self, ask: Ask) -> Product | None:
        """The sister of the machine that the question names by its code."""
        for pair in zip(self._products[::2], self._products[1::2], strict=True):
            for one, other in (pair, pair[::-1]):
                if one.code in ask.question.text:
                    return other
        return None

    @property
    def _products(self) -> tuple[Product, ...]:
        return self._plan.worlds.dev.world.products

    def _ticket(self, ask: Ask, fault: str, said: str) -> Ticket:
        reply = self._night.today.replies[ask.qid]
        received = ask.at + timedelta(minutes=self._chance.randint(*DELAY), seconds=self._chance.randrange(60))
        text = said.replace("{question}", ask.question.text).replace("{answer}", str(reply["answer"]))
        return Ticket(ask, reply, fault, text, min(received, self._night.story.until))


# ----------------------------------------------------------------------------------------------------------- writing


def files_of_tickets(tickets: Sequence[Ticket], chance: random.Random) -> dict[str, bytes]:
    first, last = chance.sample(FIRST_NAMES, COUNT), chance.sample(LAST_NAMES, COUNT)
    subjects = chance.sample(SUBJECTS, COUNT)
    return {
        f"tickets/T{number:02}.md": _written(
            number, ticket, f"{first[number - 1]} {last[number - 1]}", subjects[number - 1], chance
        ).encode()
        for number, ticket in enumerate(tickets, start=1)
    }


def _written(number: int, ticket: Ticket, name: str, subject: str, chance: random.Random) -> str:
    user = ticket.ask.question.user
    greeting, closing = chance.choice(GREETINGS), chance.choice(CLOSINGS)
    sources = ", ".join(f"`{one}`" for one in ticket.reply["citations"]) or "none"
    parts = [
        f"# T{number:02}: {subject}",
        f"From: {name}, {user.tenant.capitalize()} (user `{user.id}`, {', '.join(user.roles)})  \n"
        f"Received: {ticket.received:%Y-%m-%d %H:%M} UTC",
        greeting,
        ticket.said,
        f"{closing}  \n{name}" if closing else name,
        "---",
        f"Attached by the portal: reply `{ticket.ask.qid}` of {ticket.ask.at:%H:%M:%S} UTC, sources shown: {sources}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
