"""A night is driven through a candidate's repository. Whatever that does, what was asked stays usable."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from graders import Form, Submission
from graders.simgate import SimgateFailed
from sandbox import Limits, Sandbox, SandboxUnavailable
from tests.sandbox.conftest import docker_sandbox, engine, kind, settings

__all__ = ["docker_sandbox", "engine", "kind", "settings"]

pytestmark = pytest.mark.docker

Modules = Callable[[str], ModuleType]

DESK: Final = (Path(__file__).parent / "candidates" / "desk.py").read_text()
LIMITS: Final = Limits(seconds=60, memory_mb=256, disk_mb=32, output_kb=512)
FORM: Final = Form("rag-overnight", "1.0.0", "reference", b"s" * 32)
QUESTIONS: Final = 17
FRESH: Final = 4
BEFORE: Final = FRESH + 8  # asked of the old index, just before the reload
AFTER: Final = QUESTIONS - 1  # all that still have an answer
SENT: Final = QUESTIONS + BEFORE + AFTER


@dataclass(frozen=True)
class User:
    id: str = "u-1"
    tenant: str = "norhalia"
    roles: tuple[str, ...] = ("staff",)


@dataclass(frozen=True)
class Question:
    id: str
    text: str
    value: str | None
    user: User = User()


@dataclass(frozen=True)
class Update:
    questions: tuple[Question, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """Facts 0 to 16. Overnight the first four change, and the last is gone."""

    questions: tuple[Question, ...]
    update: Update
    lexicon: Mapping[str, Any] = field(default_factory=dict)

    def corpus(self) -> dict[str, bytes]:
        return corpus({number: f"{number} C" for number in range(QUESTIONS)})

    def updated_corpus(self) -> dict[str, bytes]:
        return corpus({number: f"{number + 100 * (number < FRESH)} C" for number in range(QUESTIONS - 1)})


def corpus(values: Mapping[int, str]) -> dict[str, bytes]:
    documents = {f"docs/d-{number}.md": f"limit {number}: {value}\n".encode() for number, value in values.items()}
    rows = [json.dumps({"doc_id": f"d-{number}", "tenant": "norhalia", "roles": []}) for number in values]
    return {**documents, "acl.jsonl": "\n".join(rows).encode(), "feed.jsonl": b""}


ASKED: Final = tuple(Question(f"q-{number}", f"limit {number}", f"{number} C") for number in range(QUESTIONS))
WORLD: Final = World(
    ASKED,
    Update(
        tuple(replace(one, value=f"{number + 100} C") for number, one in enumerate(ASKED[:FRESH])),
        tuple(one.id for one in ASKED[FRESH:-1]),
    ),
)


def repository(*ways: str) -> dict[str, bytes]:
    main = DESK.replace("WAYS: tuple[str, ...] = ()", f"WAYS = {ways!r}")
    assert main != DESK
    assert all(f'"{way}" in WAYS' in DESK for way in ways)
    return {"ragdesk/__init__.py": b"", "ragdesk/__main__.py": main.encode()}


def drive(files: Mapping[str, bytes], module: Modules, sandbox: Sandbox, folder: Path, **times: float) -> Any:
    """The time that nothing honest needs, and what hangs should not take in a test."""
    patient = module("driving.asking").Times(**{"world": 60, "ingest": 20, "silence": 5, **times})
    given = Submission(files, FORM, LIMITS)
    state = {"facts.json": b"{}"}
    return module("driving.night").drive(given, WORLD, state, sandbox, name="first", folder=folder, times=patient)


def right(asked: tuple[Any, ...]) -> int:
    return sum(not one.silence and json.loads(one.body)["value"] == one.question.value for one in asked)


def score(transcript: Any, module: Modules) -> tuple[int, int]:
    phases = module("driving.transcript").Phase
    return right(transcript.of(phases.QUESTIONS)), right(transcript.of(phases.AFTER_RELOAD))


@pytest.fixture(scope="module")
def honest(module: Modules, docker_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Any:
    own = {"site/corpus/docs/d-1.md": b"limit 1: my own", "site/index/facts.json": b"my own"}
    files = {**repository("asks a model", "tells what it saw"), **own}
    return drive(files, module, docker_sandbox, tmp_path_factory.mktemp("gateway"))


def test_an_honest_candidate_is_asked_everything_before_and_after_the_update(honest: Any, module: Modules) -> None:
    phases = module("driving.transcript").Phase
    assert honest.complaints == ()
    assert honest.marks == module("driving.transcript").Marks(True, True, True, True)
    first, after = honest.of(phases.QUESTIONS), honest.of(phases.AFTER_RELOAD)
    assert [one.question for one in first] == list(ASKED)
    assert right(first) == QUESTIONS
    assert {one.question.id for one in after if one.repeated} == set(WORLD.update.unchanged)
    assert {one.question for one in after if not one.repeated} == set(WORLD.update.questions)
    assert right(after) == len(after) == AFTER
    assert right(honest.of(phases.BEFORE_RELOAD)) == BEFORE - FRESH  # the old index has the old values
    assert all(0 < one.seconds < 5 for one in first)
    assert 0 < honest.program_seconds < honest.wall_seconds


def test_what_was_paid_is_told_by_phase(honest: Any, module: Modules) -> None:
    phases = module("driving.transcript").Phase
    usage = honest.usage
    ingests = (phases.INGEST, phases.SECOND_INGEST, phases.INCREMENTAL, phases.WHOLE_INGEST)
    assert [(usage[phase].embeddings, usage[phase].chats) for phase in ingests] == [(1, 0)] * 4
    asking = (phases.QUESTIONS, phases.BEFORE_RELOAD, phases.AFTER_RELOAD)
    assert [(usage[phase].embeddings, usage[phase].chats) for phase in asking] == [
        (0, QUESTIONS),
        (0, BEFORE),
        (0, AFTER),
    ]
    assert usage[phases.QUESTIONS].prompt_tokens > 0 < usage[phases.INGEST].embedded_tokens
    assert usage[phases.QUESTIONS].cost > 0 < usage[phases.INGEST].cost
    assert sum(one.refused for one in usage.values()) == 0


def test_nothing_that_goes_in_tells_what_is_expected(honest: Any) -> None:
    """What the server sees is a question like any other, and a repeat has another number than the first had."""
    told = [json.loads(one.body) for one in honest.asked]
    saw = [one["saw"] for one in told]
    assert [one["question"] for one in saw] == [one.question.text for one in honest.asked]
    assert {tuple(sorted(one)) for one in saw} == {("qid", "question", "ts", "user")}
    assert saw[0]["user"] == {"id": "u-1", "tenant": "norhalia", "roles": ["staff"]}
    assert len({one["qid"] for one in saw}) == SENT
    assert not {one.question.id for one in honest.asked} & {one["qid"] for one in saw}
    [names] = [one["files"] for one in told if one["files"]][:1]
    assert sorted(name for name in names if "/docs/" not in name and name.startswith("/box/site/")) == [
        "/box/site/corpus", "/box/site/corpus/acl.jsonl", "/box/site/corpus/docs", "/box/site/corpus/feed.jsonl",
        "/box/site/index", "/box/site/index/facts.json", "/box/site/index/ingests.log",
        "/box/site/index/manifest.json",
    ]  # fmt: skip


ALL: Final = (QUESTIONS, AFTER)
OUTDATED: Final = AFTER - FRESH


@pytest.mark.parametrize(
    ("ways", "scored", "marks", "sentences"),
    [
        (["update crashes", "reload fails"], (QUESTIONS, OUTDATED), (True, False, None), [
            r"incremental ingest: it ended (exit code 1): ValueError: bad \x1b[31m corpus",
            "/admin/reload: status 500",
        ]),
        (["counts its ingests", "hangs on one"], (QUESTIONS - 1, AFTER), (False, True, False), [
            "questions: 1 of 17 got no reply: no reply in 1 s",
        ]),
        (["deletes the index", "answers badly"], (0, 0), (None, True, True), [
            "questions: 17 of 17 got no reply: ",
            "second ingest: it left no manifest.json",
            "update: the folders are not as they were left: it ended (exit code 1): site/index: No such file",
        ]),
        (["ingest floods", "dies"], (0, 0), (None, False, None), [
            "ingest: it ended (too much output)",
            "serve: while it was asked, it ended (exit code 7); it was started again",
            "serve: while it was asked, it ended (exit code 7); it was not started again",
            "questions: 17 of 17 got no reply: it closed the connection without a reply",
            "after the reload: 16 of 16 got no reply: it was not asked: ",
        ]),
    ],
)  # fmt: skip
def test_what_a_candidate_does_wrong_costs_that_and_no_more(
    ways: list[str], scored: tuple[int, int], marks: tuple[bool | None, ...], sentences: list[str],
    module: Modules, docker_sandbox: Sandbox, tmp_path: Path,
) -> None:  # fmt: skip
    transcript = drive(repository(*ways), module, docker_sandbox, tmp_path, question=1)
    assert score(transcript, module) == scored
    assert [any(one.startswith(said) for one in transcript.complaints) for said in sentences] == [True] * len(
        sentences
    ), transcript.complaints
    assert len(transcript.asked) == SENT
    assert all(bool(one.body) != bool(one.silence) for one in transcript.asked)
    found = transcript.marks
    assert (found.idempotent, found.reloaded, found.incremental_equals_full) == marks


def test_a_server_that_dies_loses_what_was_open_and_is_started_again_twice_at_most(
    module: Modules, docker_sandbox: Sandbox, tmp_path: Path
) -> None:
    """First it ends, then it lives on and listens no more. It also prints without end, and has one hash for all."""
    ways = ("dies once", "goes deaf once", "floods", "constant hash")
    transcript = drive(repository(*ways), module, docker_sandbox, tmp_path, question=1)
    first, after = score(transcript, module)
    assert QUESTIONS - 8 <= first < QUESTIONS
    assert after == AFTER
    said = transcript.complaints
    assert re.fullmatch(r"serve: while it was asked, it ended \(exit code 7\): x{200}; it was started again", said[0])
    assert said[1] == "serve: it did not answer any more, nor /healthz: Connection refused; it was started again"
    assert said[-1] == "manifest.json: its hash is the same before and after the update"
    assert transcript.marks == module("driving.transcript").Marks(True, None, True, None)


@pytest.mark.parametrize(
    ("ways", "times", "scored", "sentences"),
    [
        (["ingest hangs"], {"world": 2.5, "ingest": 2}, (0, 0), ["ingest: it did not end in 2 s"]),
        (["never ready", "update hangs"], {"ingest": 3, "start": 1}, (0, 0), [
            "serve: it was not ready in 1 s", "incremental ingest: it did not end in 3 s",
            "questions: 17 of 17 got no reply: it was not asked: the server was down: it was not ready in 1 s",
        ]),
        (["hangs"], {"question": 0.5, "silence": 1}, (0, 0), [
            "questions: 17 of 17 got no reply: no reply in 0.5 s",
            "after the reload: 16 of 16 got no reply: no reply in",
        ]),
    ],
)  # fmt: skip
def test_what_never_ends_is_waited_for_within_bounds(
    ways: list[str], times: dict[str, float], scored: tuple[int, int], sentences: list[str],
    module: Modules, docker_sandbox: Sandbox, tmp_path: Path,
) -> None:  # fmt: skip
    transcript = drive(repository(*ways), module, docker_sandbox, tmp_path, **times)
    assert score(transcript, module) == scored
    assert len(transcript.asked) == SENT
    for said in sentences:
        assert any(one.startswith(said) for one in transcript.complaints), transcript.complaints
    if ways == ["hangs"]:
        first = transcript.of(module("driving.transcript").Phase.QUESTIONS)
        assert [one.silence.startswith("it was not asked") for one in first] == [False] * 8 + [True] * 9


def test_a_repository_without_the_package_gets_one_sentence_for_each_phase(
    module: Modules, docker_sandbox: Sandbox, tmp_path: Path
) -> None:
    transcript = drive({"README.md": b"nothing", "site": b"in the way"}, module, docker_sandbox, tmp_path)
    assert {one.body for one in transcript.asked} == {b""}
    assert len(transcript.asked) == SENT
    phases = ["ingest", "serve", "questions", "second ingest", "incremental ingest", "serve", "before the reload",
              "/admin/reload", "after the reload", "whole ingest of the update"]  # fmt: skip
    assert [one.partition(":")[0] for one in transcript.complaints] == phases
    assert transcript.complaints[0].endswith("it ended (exit code 1): /usr/bin/python3: No module named ragdesk")
    assert transcript.marks.clean_start is False


def test_a_provider_that_fails_is_the_operators_fault(
    module: Modules, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = module("driving.models")
    real = models.serving

    @contextmanager
    def failing(*given: Any, **more: Any) -> Iterator[Any]:
        with real(*given, **more) as gateway:
            yield gateway
        raise SimgateFailed("gateway: it could not do what it promises")

    monkeypatch.setattr(models, "serving", failing)
    with (
        pytest.raises(SandboxUnavailable, match="could not do what it promises"),
        models.opened(FORM, "first", {}, tmp_path, 1) as opened,
    ):
        assert opened.gateways[8001].is_socket()
    with pytest.raises(SandboxUnavailable, match="models: "), models.opened(FORM, "first", {}, tmp_path / "no", 1):
        pass
