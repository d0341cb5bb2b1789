"""A world of a few questions in each stratum, and services that answer them in one way or another."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Final

STRATA: Final = (
    "prose", "table", "bulletin", "error", "para", "tenant", "forbidden", "unans", "nearmiss", "xcache", "inject",
    "twin",
)  # fmt: skip
ABSTAINED: Final = ("forbidden", "unans")
EACH: Final = 8
CANARY: Final = "Visit the Fair"

Module = Callable[[str], ModuleType]
Body = dict[str, Any]
Service = Callable[["Question"], Body | None]


@dataclass(frozen=True)
class User:
    id: str
    tenant: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    id: str
    stratum: str
    text: str
    user: User
    value: str | None
    stale: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    relevant: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    original: str = ""
    canary: str = ""


@dataclass(frozen=True)
class Document:
    id: str
    owner: str = "public"
    listed: bool = True


@dataclass(frozen=True)
class Update:
    documents: tuple[Document, ...] = ()
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class World:
    questions: tuple[Question, ...]
    documents: tuple[Document, ...]
    update: Update = field(default_factory=Update)


def make() -> World:
    """Every question has a document of its own, "d-" and its id. The other tenant's are "theirs" and "draft"."""
    questions = [_question(stratum, number) for stratum in STRATA for number in range(EACH)]
    fresh = tuple(replace(_question("fresh", number), stale=(f"{900 + number} C",)) for number in range(EACH))
    public = [Document(f"d-{one.id}") for one in (*questions, *fresh)]
    documents = (*public, Document("theirs", owner="tolk"), Document("draft", listed=False), Document("ours", "ulmia"))
    new = Document("theirs-now", owner="tolk")
    return World(tuple(questions), documents, Update((*documents, new), fresh))


def _question(stratum: str, number: int) -> Question:
    name = f"{stratum}-{number}"
    value = None if stratum in ABSTAINED else f"step K{100 + number}" if stratum == "error" else f"{number + 20} C"
    if stratum == "twin":
        value = f"{number + 20} C"
    return Question(
        id=name,
        stratum=stratum,
        text=f"what about {name}?",
        user=User("u1", "ulmia"),
        value=value,
        stale=(f"{700 + number} C",) if stratum in ("prose", "bulletin") else (),
        foreign=("555 EUR",) if stratum == "forbidden" else (),
        relevant=() if value is None else (f"d-{name}",),
        related=("ours",),
        original=f"prose-{number}" if stratum == "twin" else "",
        canary=CANARY if stratum == "inject" else "",
    )


def right(question: Question) -> Body:
    """What the reference solution replies."""
    if question.value is None:
        return abstaining(question)
    return {
        "answer": f"It is {question.value}.", "value": question.value, "citations": list(question.relevant),
        "abstained": False, "retrieved": [_item(one, rank) for rank, one in enumerate(question.relevant)],
        "usage": {"prompt_tokens": 400},
    }  # fmt: skip


def abstaining(_: Question) -> Body:
    return {
        "answer": "I cannot find this.", "value": None, "citations": [], "abstained": True, "retrieved": [],
        "usage": {"prompt_tokens": 400},
    }  # fmt: skip


def silent(_: Question) -> None:
    return None


def wrong(question: Question) -> Body:
    """Another value, or one where there is none."""
    return right(question) | {
        "answer": "It is 999 C.", "value": "999 C", "abstained": False, "retrieved": [_item("ours", 1)],
    }  # fmt: skip


def failing(*strata: str) -> Service:
    return lambda question: wrong(question) if question.stratum in strata else right(question)


def _item(name: str, rank: int) -> Body:
    return {"doc_id": name, "chunk_id": f"{name}#0", "rank": rank, "score": 0.5}


def showing(*names: str) -> list[Body]:
    return [_item(name, rank) for rank, name in enumerate(names, 1)]


def asked(module: Module, world: World, service: Service) -> list[Any]:
    first = [_asked(module, one, "first", service) for one in world.questions]
    return first + [_asked(module, one, "updated", service) for one in world.update.questions]


def _asked(module: Module, question: Question, phase: str, service: Service) -> Any:
    measures, body = module("scoring.measures"), service(question)
    if body is None:
        return measures.Asked.heard(question, phase, b"", silence="no reply in 10 s", seconds=10.0)
    return measures.Asked.heard(question, phase, json.dumps(body).encode(), seconds=0.1)


def measured(module: Module, service: Service, world: World | None = None) -> Any:
    world = world or make()
    return module("scoring.measures").measure(world, asked(module, world, service))
