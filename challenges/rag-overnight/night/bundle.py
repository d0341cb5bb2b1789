"""What a candidate gets besides the repository: the night that it went through, and the morning after.

files_of(plan)          repository, provider to practise with, corpus, questions, last night's index, logs, tickets
values_of(plan)         for brief.md
tickets_reproduce(plan, lattice)        a gate: FormUnfit when a fault of the form is not to be seen in all this
literals_of(plan)       figures and ids of the world that candidates get, which nobody needs in a repair
"""

import json
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graders import FormUnfit
from graders.simgate import DOLLAR, Lexicon, Setup, practice_copy

from ..faults.model import Kind
from ..forms.assembly import Chosen
from ..forms.gates import Lattice
from ..forms.plan import Plan
from ..world.questions import Question
from ..world.world import STRATA
from .history import Step, patches, steps_of
from .logs import logs_of
from .state import Ask, Morning, asks_of, morning, user_row
from .story import Story
from .tickets import Witnessed, files_of_tickets, said_in, tickets_of

__all__ = ["Night", "files_of", "literals_of", "night_of", "tickets_reproduce", "values_of"]

LABELLED: Final = 40
UNLABELLED: Final = 300
LEAST_OF_EACH: Final = 2  # of each stratum that is labelled
LABELS_OF_FAULT: Final = 2  # that each fault breaks, if there are so many
REPEATED: Final = 0.11  # of the morning's questions, that somebody asks again
TRIED_ALONE: Final = 56  # questions that a single fault is tried with, when it is known of which kind they are
SAMPLED: Final = 3  # one question of so many tells how it was before last night
CONTEXT: Final = ("ragdesk/cache.py", "ragdesk/conversation.py", "ragdesk/desk.py")  # where earlier questions matter
BUDGET: Final = 2 * DOLLAR
KINDS: Final = (
    "running text, tables, bulletins, fault codes, paraphrases, a customer's own terms, what one may not know, what"
    " nobody has written down, codes that look alike, the same words from several customers, what changed overnight,"
    " documents that give instructions, other spellings and wordings; and throughout: right sources, nothing outdated,"
    " nothing of other customers"
)


@dataclass(frozen=True)
class Night:
    """What is costly to find out about a form's night, and is found out once."""

    story: Story
    steps: tuple[Step, ...]
    asks: tuple[Ask, ...]  # of this morning
    labelled: tuple[Question, ...]
    healthy: Morning
    before: Morning  # as it was until last night
    today: Morning
    witnesses: Mapping[str, Mapping[str, Witnessed]]  # by fault, and by question


_nights: dict[int, Night] = {}


def night_of(plan: Plan) -> Night:
    if id(plan) not in _nights:
        _nights[id(plan)] = _found_out(plan)
        weakref.finalize(plan, _nights.pop, id(plan), None)
    return _nights[id(plan)]


def files_of(plan: Plan) -> dict[str, bytes]:
    night = night_of(plan)
    tickets = tickets_of(plan, night)
    logs = logs_of(plan, night.story, night.steps, night.healthy, night.before, night.today)
    index = {**night.today.index}
    index |= {path.removeprefix("logs/"): logs[path] for path in ("logs/ingest.log", "logs/query.log.jsonl")}
    return {
        **plan.starter,
        **practice_copy(_practice(plan)),
        **_world_files(plan, night),
        **{f"state/index/{path}": content for path, content in index.items()},
        **logs,
        **files_of_tickets(tickets, plan.form.random("who wrote")),
        **patches(night.steps),
    }


def values_of(plan: Plan) -> dict[str, str | int]:
    world, night = plan.worlds.dev.world, night_of(plan)
    return {
        "company": world.company,
        "tenants": len(world.tenants),
        "products": len(world.products),
        "since": night.story.since,
        "labelled": len(night.labelled),
        "unlabelled": len(_unlabelled(plan, night)),
        "kinds": KINDS,
    }


def literals_of(plan: Plan) -> frozenset[str]:
    world = plan.worlds.dev.world
    figures = [value for fact in world.facts.values() for value in fact.values]
    ids = [*(one.id for one in world.documents), *(one.id for one in world.users)]
    names = [*(one.name for one in world.products), *world.tenants]
    return frozenset((*figures, *ids, *names))


def tickets_reproduce(plan: Plan, lattice: Lattice) -> None:  # noqa: ARG001  # as of every gate
    night = night_of(plan)
    mended = morning(plan, plan.keys, night.asks)
    for title, played in (("starter", night.today), ("reference solution", mended)):
        if played.complaint:
            raise FormUnfit(f"tickets: {title}: {played.complaint}")
    tickets = tickets_of(plan, night)
    for key in sorted(plan.keys):
        if not any(one.fault == key for one in tickets):
            raise FormUnfit(f"tickets: {key}: no question of the morning shows it")
        if len(night.witnesses[key]) > 1 and not any(one.id in night.witnesses[key] for one in night.labelled):
            raise FormUnfit(f"tickets: {key}: no labelled question shows it")
    for one in tickets:
        question = one.ask.question
        if mended.failed.get(question.id) != frozenset():
            raise FormUnfit(f"tickets: {one.fault or 'a mistaken one'}: {question.text!r} fails with all faults mended")
        if bool(night.today.failed[question.id]) != bool(one.fault):
            raise FormUnfit(f"tickets: {one.fault or 'a mistaken one'}: {question.text!r} does not go as it is told")


# ------------------------------------------------------------------------------------------------------- finding out


def _found_out(plan: Plan) -> Night:
    story = Story.of(plan.form.random("story"))
    every = asks_of(plan.worlds.dev.world.questions, story, plan.form.random("all asks"))
    everything = frozenset(one.key for one in plan.blueprint.everything)
    healthy, broken = morning(plan, everything, every), morning(plan, frozenset(), every)
    witnesses = {one.key: _witnesses(plan, one, every, healthy, broken) for one in plan.chosen}
    labelled = _labelled(plan, witnesses, broken)
    asks = _morning_asks(plan, story, labelled)
    since_night = frozenset(one.key for one in plan.chosen if one.variant.kind in (Kind.FEED, Kind.STATE))
    return Night(
        story=story,
        steps=steps_of(plan, story),
        asks=asks,
        labelled=labelled,
        healthy=healthy,
        before=morning(plan, since_night, every[::SAMPLED]),
        today=morning(plan, frozenset(), asks, keeps=True),
        witnesses=witnesses,
    )


def _witnesses(
    plan: Plan, chosen: Chosen, every: Sequence[Ask], healthy: Morning, broken: Morning
) -> dict[str, Witnessed]:  # fmt: skip
    """Questions that this fault breaks when it is alone, of those that go wrong when it is not."""
    wrong = [ask for ask in every if broken.failed.get(ask.question.id) and not healthy.failed.get(ask.question.id)]
    if chosen.fault.stage == "cache" or any(edit.path in CONTEXT for edit in chosen.variant.edits):
        tried = list(every)
    else:
        own = [stratum for stratum, _ in chosen.fault.detectors]
        first = [ask for ask in wrong if ask.question.stratum in own]
        others = [ask for ask in wrong if ask.question.stratum not in own]
        drawn = plan.form.random(f"tried with {chosen.key}").sample(others, len(others))
        kept = {ask.qid for ask in (first + drawn)[: TRIED_ALONE if first else None]}
        tried = [ask for ask in wrong if ask.qid in kept]
    alone = morning(plan, plan.keys - {chosen.key}, tried) if tried else None
    return {
        ask.question.id: Witnessed(alone.failed[ask.question.id], said_in(alone.replies[ask.qid]))
        for ask in wrong
        if alone is not None and alone.failed.get(ask.question.id)
    }


def _labelled(
    plan: Plan, witnesses: Mapping[str, Mapping[str, Witnessed]], broken: Morning
) -> tuple[Question, ...]:  # fmt: skip
    """First what shows each fault, then a mix of all kinds. What is left has to show each fault, too."""
    chance = plan.form.random("labelled")
    questions = plan.worlds.dev.world.questions
    mixed = chance.sample(questions, len(questions))
    count = min(LABELLED, len(mixed) // 3)
    quotas = _quotas(Counter(one.stratum for one in mixed), count)
    kept: dict[str, Question] = {}
    for key in sorted(witnesses, key=lambda one: (len(witnesses[one]), one)):
        showing = [one for one in mixed if one.id in witnesses[key]]
        mine = min(LABELS_OF_FAULT, len(showing) // 2) - sum(one.id in kept for one in showing)
        sole = sorted(showing, key=lambda one: sum(one.id in other for other in witnesses.values()))
        for one in [one for one in sole if one.id not in kept][: max(0, mine)]:
            kept[one.id] = one
    for one in [*_companions(mixed, list(kept.values())), *mixed]:
        taken = sum(other.stratum == one.stratum for other in kept.values())
        if one.id not in kept and one.id in broken.failed and taken < quotas[one.stratum] and len(kept) < count:
            kept[one.id] = one
    return tuple(chance.sample(list(kept.values()), len(kept)))


def _companions(mixed: Sequence[Question], kept: Sequence[Question]) -> list[Question]:
    """Questions in the same words from others: where one is taken for the other, it takes both to see it."""
    words = {one.text for one in kept}
    return [one for one in mixed if one.stratum == "xcache" and one.text in words]


def _quotas(there: Mapping[str, int], count: int) -> dict[str, int]:
    """At least two of each, and the others as they are asked."""
    total = sum(there.values())
    shares = {stratum: max(0.0, count * there[stratum] / total - LEAST_OF_EACH) for stratum in STRATA if there[stratum]}
    left = max(0, count - LEAST_OF_EACH * len(shares))
    whole = sum(shares.values()) or 1.0
    exact = {stratum: left * share / whole for stratum, share in shares.items()}
    quotas = {stratum: LEAST_OF_EACH + int(one) for stratum, one in exact.items()}
    for stratum in sorted(exact, key=lambda one: (int(exact[one]) - exact[one], one)):
        if sum(quotas.values()) < count:
            quotas[stratum] += 1
    return quotas


def _morning_asks(plan: Plan, story: Story, labelled: Iterable[Question]) -> tuple[Ask, ...]:
    """All others, and some of them again a while later."""
    chance = plan.form.random("morning")
    known = {one.id for one in labelled}
    asked = [one for one in plan.worlds.dev.world.questions if one.id not in known]
    again = sorted(chance.sample(range(len(asked) // 2), int(REPEATED * len(asked))))
    order = [(place, question) for place, question in enumerate(asked)]
    order += [(place + chance.randint(len(asked) // 6, len(asked) // 2), asked[place]) for place in again]
    in_order = [question for _, question in sorted(order, key=lambda one: one[0])]
    return asks_of(in_order, story, plan.form.random("asks"))


# ----------------------------------------------------------------------------------------------------- files of it


def _practice(plan: Plan) -> Setup:
    key = f"sk-practice-{plan.form.derive('practice key').hex()[:24]}"
    lexicon = Lexicon(**plan.worlds.dev.world.lexicon)
    return Setup(secret=plan.form.derive("practice"), key=key, lexicon=lexicon, budget=BUDGET)


def _world_files(plan: Plan, night: Night) -> dict[str, bytes]:
    world = plan.worlds.dev.world
    labelled = [
        {"question": one.text, "user": user_row(one), "value": one.value, "relevant": list(one.relevant)}
        for one in night.labelled
    ]
    logged = [{name: ask.body[name] for name in ("question", "user", "ts")} for ask in _unlabelled(plan, night)]
    users = [{"id": one.id, "tenant": one.tenant, "roles": list(one.roles)} for one in world.users]
    return {
        **{f"data/dev/corpus/{path}": content for path, content in world.corpus().items()},
        "data/dev/queries.jsonl": _lines(labelled),
        "data/dev/log_queries.jsonl": _lines(logged),
        "data/dev/users.json": (json.dumps(users, indent=1) + "\n").encode(),
    }


def _unlabelled(plan: Plan, night: Night) -> list[Ask]:
    """Different ones, in the order in which they came."""
    first: dict[str, Ask] = {}
    for ask in night.asks:
        first.setdefault(ask.question.id, ask)
    drawn = plan.form.random("unlabelled").sample(list(first), min(UNLABELLED, len(first)))
    kept = frozenset(drawn)
    return [ask for name, ask in first.items() if name in kept]


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
