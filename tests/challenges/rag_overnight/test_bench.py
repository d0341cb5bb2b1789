"""A tree is run through a world in this process, as a grading runs it in a room."""

import random
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import pytest

Modules = Callable[[str], ModuleType]

ASK: Final = "    def ask(self, body: dict[str, Any]) -> dict[str, Any]:\n"


@pytest.fixture(scope="module")
def bench(module: Modules) -> Any:
    """With what a small world needs, made once."""
    return module("bench.signatures").Bench(module("world.world").Scale(products=8, share=0.15))


def broken(bench: Any, path: str, old: str, new: str) -> dict[str, bytes]:
    text = bench.healthy[path].decode()
    assert text.count(old) == 1
    return {**bench.healthy, path: text.replace(old, new).encode()}


def night(module: Modules, bench: Any, tree: dict[str, bytes]) -> Any:
    world, models = bench.world(1)
    return module("bench.running").night(tree, world, bench.state(1), models=models)


def fault(module: Modules, kind: str, **variant: Any) -> Any:
    model = module("faults.model")
    commit = model.Commit(model.Author.LENA, "Tidy up") if kind in ("code", "config") else None
    one = model.Variant(model.Kind(kind), locations=("config.toml",), commit=commit, **variant)
    return model.Fault("TOY-1", "prompt", "A toy", 1, ("?",), (("unans", 0.5),), (one,))


def test_the_healthy_repository_answers_nearly_all_and_spends_what_it_would_at_the_gateway(bench: Any) -> None:
    run = bench.healthy_run(1)

    assert run.complaints == ()
    assert run.measures.answered == run.measures.asked
    assert min(run.measures.strata.values()) > 0.8
    assert run.measures.strata["noleak"] == 1.0
    assert run.spent.prompt_tokens > 100 * run.questions
    assert run.spent.cost > 0


def test_the_same_tree_measures_the_same_again(module: Modules, bench: Any) -> None:
    measures = night(module, bench, dict(bench.healthy)).measures

    assert measures.strata == bench.healthy_run(1).measures.strata
    assert measures.checks == bench.healthy_run(1).measures.checks


def test_the_first_state_is_the_same_to_the_byte_and_tells_no_time_of_day(module: Modules, bench: Any) -> None:
    world, models = bench.world(1)

    again = module("bench.running").first_state(bench.healthy, world, models)

    assert again == bench.state(1)
    assert {"manifest.json", "answers.sqlite", "embeddings/vectors.npy"} <= again.keys()
    assert not {"ingest.log", "query.log.jsonl"} & again.keys()


def test_an_exception_fails_the_questions_that_it_meets_and_no_others(module: Modules, bench: Any) -> None:
    raising = ASK + '        if body["user"]["tenant"] == DOWN:\n            raise RuntimeError("down")\n'
    world, _ = bench.world(1)
    down = world.tenants[0]
    tree = broken(bench, "ragdesk/desk.py", ASK, raising)
    tree["ragdesk/desk.py"] += f"\n\nDOWN = {down!r}\n".encode()

    run = night(module, bench, tree)

    silent = run.measures.asked - run.measures.answered
    met = [one for one in world.questions if one.user.tenant == down]
    assert len(met) <= silent < run.measures.asked
    assert any("RuntimeError: down" in complaint for complaint in run.complaints)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("ragdesk/ingest/pipeline.py", "    began = time.monotonic()\n    index.mkdir", "    1 / 0\n    index.mkdir"),
        ("ragdesk/desk.py", "import time\n", "import time\nimport no_such_module\n"),
        ("config.toml", "[models]\n", "[models]\nno_such_key = 1\n"),
    ],
    ids=["ingest", "import", "settings"],
)
def test_a_tree_that_does_not_come_up_is_measured_nevertheless(
    module: Modules, bench: Any, path: str, old: str, new: str
) -> None:
    run = night(module, bench, broken(bench, path, old, new))

    assert run.complaints
    assert run.measures.asked >= len(bench.world(1)[0].questions)


def test_two_trees_do_not_share_modules_and_leave_none_behind(module: Modules, bench: Any) -> None:
    repository = module("bench.repository")
    other = broken(bench, "config.toml", "abstain = true", "abstain = false")

    with repository.opened(bench.healthy) as one, repository.opened(other) as two:
        names = {type(opened.settings).__module__ for opened in (one, two)}
        assert (one.settings.prompt.abstain, two.settings.prompt.abstain) == (True, False)

    assert len(names) == 2
    assert not names & sys.modules.keys()


def test_models_refuse_what_the_gateway_would(module: Modules, bench: Any) -> None:
    refused = module("bench.models").Refused
    _, models = bench.world(1)

    for texts, model in ((["text"], "swift-2"), ([""], "embed-s-v2"), (["text"] * 257, "embed-s-v2")):
        with pytest.raises(refused):
            models.embed(texts, model)
    with pytest.raises(refused):
        models.complete([("user", "hello")], "no-such-model")


def test_what_is_remembered_is_billed_again(bench: Any) -> None:
    _, models = bench.world(1)
    before = models.spent
    first = models.complete([("user", "What is the casing heat?")], "swift-2")
    once = models.spent - before

    again = models.complete([("user", "What is the casing heat?")], "swift-2")

    assert again == first
    assert models.spent - before == once + once


def test_a_fault_of_code_shows_in_its_strata_alone(module: Modules, bench: Any) -> None:
    model = module("faults.model")
    edits = (model.Edit("config.toml", "abstain = true", "abstain = false"),)

    found = bench.signature(fault(module, "config", edits=edits), model.Kind.CONFIG)

    assert found.fits
    assert found.drops["unans"] > 0.5
    assert found.drops["error"] <= 0.0
    assert "TOY-1 config" in str(found)


def test_a_poisoned_state_is_trusted_by_the_template_and_not_by_what_mends_it(module: Modules, bench: Any) -> None:
    model = module("faults.model")

    def poison(index: Any, chance: random.Random) -> None:
        rows = (index / "analyzer.json").read_text()
        (index / "analyzer.json").write_text(rows.replace("false", "true", chance.choice((1,))))

    mend = model.Edit(
        "ragdesk/index/analyzer.py", "    if not path.exists():\n", "    if path.exists() or not path.exists():\n"
    )
    toy = fault(module, "state", poison=poison, edits=(mend,))

    reference, alone = bench.with_and_without(toy, model.Kind.STATE, 1)

    assert reference.measures.strata == bench.healthy_run(1).measures.strata
    assert alone.measures.strata["nearmiss"] < reference.measures.strata["nearmiss"]
