"""The healthy repository answers everything that a world asks, before and after its update, and keeps its contract."""

import importlib
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from graders.challenge.loading import load
from graders.simgate import Embedding, Lexicon, Reader, simtok
from graders.simgate.asking import ChatRequest
from graders.simgate.prices import CARD
from graders.simgate.seeds import Seed
from web.settings import PROJECT

FOLDER: Final = PROJECT / "challenges" / "rag-overnight"
TEMPLATE: Final = FOLDER / "template"
SEEDS: Final = (3, 13, 16)
SWIFT: Final = next(model for model in CARD if model.name == "swift-2")
INDEX_FILES: Final = (
    "manifest.json", "chunks.jsonl", "rows.json", "vectors.npy", "features.jsonl", "vocabulary.json", "postings.npz",
)  # fmt: skip

Module = Callable[[str], ModuleType]

LOADED: Final = load(TEMPLATE, "ragdesk", "ragdesk.settings").__name__.removesuffix(".settings")


class Models:
    """The simulated provider without a socket; what was asked once is remembered."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._embedding = Embedding(lexicon)
        self._reader = Reader(lexicon)
        self._vectors: dict[tuple[str, str], list[float]] = {}
        self._said: dict[tuple[tuple[str, str], ...], tuple[str, int, int]] = {}
        self.embedded = 0

    def embed(self, texts: list[str], model: str) -> list[list[float]]:
        self.embedded += len(texts)
        for text in texts:
            if (model, text) not in self._vectors:
                self._vectors[model, text] = self._embedding.vector(model, text)
        return [self._vectors[model, text] for text in texts]

    def complete(self, messages: list[tuple[str, str]], model: str) -> tuple[str, int, int]:
        asked = tuple(messages)
        if asked not in self._said:
            tokens = simtok.count_messages({"role": role, "content": text} for role, text in messages)
            request = ChatRequest(model=model, messages=asked, digest=b"", prompt_tokens=tokens)
            text = self._reader.answer(request, SWIFT, Seed(b"never drawn from").draws("")).text
            self._said[asked] = (text, tokens, simtok.count(text))
        return self._said[asked]


@dataclass
class Passed:
    """How one world went."""

    strata: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    leaks: list[str] = field(default_factory=list)
    counts: dict[str, dict[str, object]] = field(default_factory=dict)  # of each ingest
    index: Path = Path()
    whole: Path = Path()


def ragdesk(name: str) -> ModuleType:
    """A module of the template, all of one loading."""
    return importlib.import_module(f"{LOADED}.{name}")


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def ask(desk: Any, question: Any) -> dict[str, Any]:
    user = question.user
    reply: dict[str, Any] = desk.ask(
        {
            "qid": question.id,
            "question": question.text,
            "user": {"id": user.id, "tenant": user.tenant, "roles": list(user.roles)},
            "ts": "2026-03-02T08:00:00Z",
        }
    )
    return reply


def is_right(question: Any, reply: Mapping[str, Any]) -> bool:
    cited = set(reply["citations"])
    return (
        reply["value"] == question.value
        and reply["abstained"] is (question.value is None)
        and cited <= set(question.relevant)
        and bool(cited) is (question.value is not None)
        and (question.value is None or question.value in reply["answer"])
        and not (question.canary and question.canary in reply["answer"])
    )


def shown(reply: Mapping[str, Any]) -> set[str]:
    return {one["doc_id"] for one in reply["retrieved"]} | set(reply["citations"])


def pass_through(module: Module, seed: int, folder: Path) -> Passed:
    worlds = module("world.world")
    pack = worlds.Pack.loads((FOLDER / "private" / "pack.json").read_text(encoding="utf-8"))
    world = worlds.make_world(random.Random(seed), pack, worlds.Scale(), frozenset())
    models = Models(Lexicon(**world.lexicon))
    settings = ragdesk("settings").load(TEMPLATE)
    run, desk_of = ragdesk("ingest").run, ragdesk("desk").Desk
    passed = Passed(index=folder / "index", whole=folder / "whole")

    def check(desk: Any, questions: Sequence[Any], documents: Sequence[Any]) -> None:
        open_to = {one.id: one.open_to for one in documents}
        for question in questions:
            reply = ask(desk, question)
            passed.strata[question.stratum].append(is_right(question, reply))
            passed.leaks += [one for one in shown(reply) if not open_to[one](question.user.tenant)]

    corpus = write(folder / "corpus", world.corpus())
    passed.counts["first"] = run(settings, corpus, passed.index, models)
    check(desk_of(settings, passed.index, models), world.questions, world.documents)
    before = models.embedded
    passed.counts["second"] = run(settings, corpus, passed.index, models)
    passed.counts["second"]["asked for"] = models.embedded - before
    shutil.copytree(passed.index, folder / "before")
    write(corpus, world.updated_corpus())
    passed.counts["incremental"] = run(settings, corpus, passed.index, models, incremental=True)
    desk = desk_of(settings, folder / "before", models)
    for question in world.update.questions:
        ask(desk, question)
    assert desk.reload(passed.index)["documents"] == passed.counts["incremental"]["documents"]
    check(desk, world.update.questions, world.update.documents)
    passed.counts["whole"] = run(settings, corpus, passed.whole, models)
    return passed


@pytest.fixture(scope="module", params=SEEDS)
def passed(
    request: pytest.FixtureRequest, module: Module, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Passed]:
    folder = tmp_path_factory.mktemp("world")
    yield pass_through(module, request.param, folder)
    shutil.rmtree(folder)


def test_every_stratum_is_answered(passed: Passed) -> None:
    right = {stratum: sum(given) / len(given) for stratum, given in passed.strata.items()}
    assert len(right) == 13
    assert {stratum: share for stratum, share in right.items() if share < 0.98} == {}


def test_nothing_is_shown_to_whom_it_does_not_belong(passed: Passed) -> None:
    assert passed.leaks == []


def test_a_second_ingest_leaves_the_same_index_and_asks_for_nothing(passed: Passed) -> None:
    assert passed.counts["second"]["hash"] == passed.counts["first"]["hash"]
    assert passed.counts["second"]["new_vectors"] == 0
    assert passed.counts["second"]["asked for"] == 0


def test_an_incremental_ingest_leaves_the_index_of_a_full_one(passed: Passed) -> None:
    incremental = passed.counts["incremental"]
    assert incremental["hash"] == passed.counts["whole"]["hash"] != passed.counts["first"]["hash"]
    assert int(str(incremental["reused"])) > 300
    assert int(str(incremental["removed"])) > 0
    for name in INDEX_FILES:
        assert (passed.index / name).read_bytes() == (passed.whole / name).read_bytes(), name


def test_nothing_is_skipped(passed: Passed) -> None:
    assert {name: counts["skipped"] for name, counts in passed.counts.items() if counts["skipped"]} == {}


def test_its_own_tests_are_green(tmp_path: Path) -> None:
    copy = tmp_path / "repository"
    shutil.copytree(TEMPLATE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_typed(tmp_path: Path) -> None:
    copy = tmp_path / "repository"
    shutil.copytree(TEMPLATE / "ragdesk", copy / "ragdesk", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(TEMPLATE / "healthcheck.py", copy / "healthcheck.py")
    rules = ["--config-file", str(PROJECT / "pyproject.toml"), "--cache-dir", str(PROJECT / ".mypy_cache")]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mypy", *rules, str(copy)],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_server_and_provider_need_more_than_numpy() -> None:
    import_lines = {
        line.split()[1].split(".")[0]
        for path in (TEMPLATE / "ragdesk").rglob("*.py")
        if path.name not in ("server.py", "models.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(("import ", "from ")) and not line.startswith("from .")
    }
    assert import_lines - sys.stdlib_module_names == {"numpy"}


def test_the_runbook_is_stale_in_two_places_and_the_settings_are_not() -> None:
    runbook = (TEMPLATE / "RUNBOOK.md").read_text(encoding="utf-8")
    settings = ragdesk("settings").load(TEMPLATE)
    assert "Redis" in runbook
    assert "45 words" in runbook
    assert settings.chunking.window == 70


def test_the_health_check_counts_documents_and_no_more(tmp_path: Path) -> None:
    loaded = load(TEMPLATE, "healthcheck", "healthcheck")
    write(tmp_path, {"corpus/docs/d-1.md": b"# A", "index/manifest.json": b'{"documents": {"d-1": ""}}'})
    assert {one["severity"] for one in loaded.check(tmp_path)} == {"ok"}
    write(tmp_path, {"index/manifest.json": b'{"documents": {}}'})
    assert {one["severity"] for one in loaded.check(tmp_path)} == {"error"}
