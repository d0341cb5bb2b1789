"""The night that candidates get: it can be started, it is true, it shows each fault, and it gives nothing away."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from graders import Form, FormUnfit

Module = Callable[[str], ModuleType]

SCALE: Final = {"products": 10, "tenants": 4, "share": 0.2}
CHOSEN: Final = (
    "ACL-2 code", "CCH-1 state", "CHK-2 feed", "CIT-1 code", "EMB-1 state", "ING-2 feed", "PRM-2 config", "RRK-1 code",
)  # fmt: skip
PORT: Final = "18431"
STRATA: Final = ("nearmiss", "xcache", "unans", "forbidden", "stratum")  # words that no candidate should meet
ASKING: Final = """
import json, sys
from pathlib import Path
from ragdesk import settings
from ragdesk.desk import Desk
from ragdesk.models import connect
configured = settings.load(Path("."))
desk = Desk(configured, Path("state/index"), connect(configured.models))
print(json.dumps(desk.ask(json.loads(sys.argv[1]))))
"""


class Night:
    """One small form, and what candidates get of it."""

    def __init__(self, module: Module, folder: Path) -> None:
        (folder / "scale.json").write_text(json.dumps(SCALE))
        pack = module("bench.signatures").FOLDER / "private" / "pack.json"
        private = {"scale.json": folder / "scale.json", "pack.json": pack}
        self.form = Form("rag-overnight", "0.1.0", "a-night", b"a seed of 32 bytes that is none.", private=private)
        self.module = module
        self.plan = self.another()
        self.bundle = module("night.bundle")
        self.files: Mapping[str, bytes] = self.bundle.files_of(self.plan)
        self.found = self.bundle.night_of(self.plan)
        self.tickets = module("night.tickets").tickets_of(self.plan, self.found)

    def another(self) -> Any:
        """The same plan, of which nothing is known yet."""
        template = self.module("bench.signatures").template()
        healthy = {path: content for path, content in template.items() if not path.startswith(".")}
        assembly, plan = self.module("forms.assembly"), self.module("forms.plan")
        keyed, kind = self.module("faults.catalogue").KEYED, self.module("faults.model").Kind
        chosen = []
        for name in CHOSEN:
            key, _, how = name.partition(" ")
            chosen.append(assembly.Chosen(keyed[key], keyed[key].variant(kind(how))))
        watching = assembly.Chosen(keyed["MON-1"], keyed["MON-1"].variant(kind("code")))
        blueprint = assembly.Blueprint(tuple(chosen), healthy, watching)
        site = self.module("forms.sites").Site.draw(self.form.random("site"))
        faults = [one.fault for one in blueprint.everything]
        skin = self.module("forms.skins").Skin.draw(self.form.random("skin"), plan.versions(faults, healthy))
        worlds = self.module("forms.worlds").Worlds.of(self.form, site, blueprint.dialects)
        return plan.Plan(self.form, blueprint, site, skin, worlds)

    def rows(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[path].decode().splitlines()]


@pytest.fixture(scope="module")
def night(module: Module, tmp_path_factory: pytest.TempPathFactory) -> Night:
    return Night(module, tmp_path_factory.mktemp("scale"))


@pytest.fixture(scope="module")
def folder(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as a candidate unpacks it."""
    place = tmp_path_factory.mktemp("bundle")
    for path, content in night.files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    return place


# ------------------------------------------------------------------------------------------------- as it is handed out


def test_the_same_form_gives_the_same_bytes(night: Night) -> None:
    again = night.bundle.files_of(night.another())
    assert [path for path in night.files if night.files[path] != again.get(path)] == []
    assert again.keys() == night.files.keys()


def test_all_that_the_readme_speaks_of_is_there_and_fits(night: Night) -> None:
    for path in ("README.md", "simgate/__main__.py", "simgate/setup.json", "data/dev/corpus/acl.jsonl",
                 "data/dev/queries.jsonl", "data/dev/log_queries.jsonl", "data/dev/users.json",
                 "state/index/manifest.json", "state/index/answers.sqlite", "state/index/query.log.jsonl",
                 "logs/ingest.log", "logs/query.log.jsonl", "logs/deploy.log", "logs/metrics.csv", "tickets/T12.md",
                 "history/LOG.md"):  # fmt: skip
        assert path in night.files
    assert {path: night.files[path] for path in night.plan.starter} == night.plan.starter
    assert len(night.files) < 1100
    assert sum(map(len, night.files.values())) < 5 << 20


def test_the_brief_counts_what_is_there(night: Night) -> None:
    values = night.bundle.values_of(night.plan)
    world = night.plan.worlds.dev.world
    assert values["labelled"] == len(night.rows("data/dev/queries.jsonl")) == 30
    assert values["unlabelled"] == len(night.rows("data/dev/log_queries.jsonl")) > values["labelled"]
    assert (values["company"], values["tenants"], values["products"]) == (world.company, 4, 10)
    assert re.fullmatch(r"02:\d\d", values["since"])


def test_the_tests_of_what_is_handed_out_are_green(folder: Path) -> None:
    ended = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"\b1[4-9] passed", ended.stdout)


def test_two_minutes_after_unpacking_it_a_question_is_answered(night: Night, folder: Path, tmp_path: Path) -> None:
    asked = {"qid": "q-1", **night.rows("data/dev/log_queries.jsonl")[0]}
    with provider(folder) as environment:
        environment["PYTHONPATH"] = os.pathsep.join(without_aiohttp(tmp_path))
        told = ("--corpus", "data/dev/corpus", "--index", "state/index")
        ingested = run(folder, "-m", "ragdesk", "ingest", *told, environment=environment)
        assert ingested.returncode == 0, ingested.stderr
        counts = json.loads(ingested.stdout)
        figures = run(folder, "-m", "ragdesk", "evaluate", "--index", "state/index", environment=environment)
        assert json.loads(figures.stdout)["questions"] == 30
        reply = run(folder, "-c", ASKING, json.dumps(asked), environment=environment)
    assert counts["hash"] == json.loads(night.files["state/index/manifest.json"])["hash"]
    assert set(json.loads(reply.stdout)) >= {"answer", "value", "citations", "abstained"}


def run(folder: Path, *told: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *told], cwd=folder, env={**os.environ, **(environment or {})}, timeout=300, check=False,
        capture_output=True, text=True,
    )  # fmt: skip


@contextmanager
def provider(folder: Path) -> Iterator[dict[str, str]]:
    """`python -m simgate`, and the exports that it prints."""
    command = [sys.executable, "-m", "simgate", "--still", "--port", PORT]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        try:
            exports = [started.stdout.readline().strip() for _ in range(2)]
            yield dict(line.removeprefix("export ").split("=", 1) for line in exports)
        finally:
            started.terminate()


def without_aiohttp(place: Path) -> list[str]:
    """Where there is no aiohttp, a module that lets itself be imported: these commands do not serve."""
    if find_spec("aiohttp") is None:
        (place / "aiohttp.py").write_text("from unittest.mock import MagicMock\nweb = MagicMock()\n")
    return [str(place)]


# ----------------------------------------------------------------------------------------------------- what it shows


def test_what_is_labelled_is_a_mix_that_shows_each_fault(night: Night) -> None:
    kinds = Counter(one.stratum for one in night.found.labelled)
    assert min(kinds.values()) >= 2
    assert kinds.keys() == {one.stratum for one in night.plan.worlds.dev.world.questions}
    for key, shown in night.found.witnesses.items():
        assert any(one.id in shown for one in night.found.labelled), key
    state = night.module("night.state")
    asks = state.asks_of(night.found.labelled, night.found.story, night.form.random("a test"))
    failing = sum(bool(facets) for facets in state.morning(night.plan, frozenset(), asks).failed.values())
    assert 0.2 * len(asks) < failing < 0.95 * len(asks)


def test_labels_are_right_and_name_no_kind(night: Night) -> None:
    by_text = {(one.text, one.user.id): one for one in night.plan.worlds.dev.world.questions}
    for row in night.rows("data/dev/queries.jsonl"):
        question = by_text[row["question"], row["user"]["id"]]
        assert row.keys() == {"question", "user", "value", "relevant"}
        assert (row["value"], tuple(row["relevant"])) == (question.value, question.relevant)


def test_what_is_not_labelled_was_asked_this_morning(night: Night) -> None:
    labelled = {(row["question"], row["user"]["tenant"]) for row in night.rows("data/dev/queries.jsonl")}
    logged = {(row["question"], row["tenant"], row["ts"]) for row in night.rows("logs/query.log.jsonl")}
    for row in night.rows("data/dev/log_queries.jsonl"):
        assert row.keys() == {"question", "user", "ts"}
        assert (row["question"], row["user"]["tenant"], row["ts"]) in logged
        assert (row["question"], row["user"]["tenant"]) not in labelled


def test_eight_tickets_point_at_a_fault_each_and_the_gate_is_content(night: Night) -> None:
    counts = Counter(one.fault for one in night.tickets)
    assert {key for key in counts if key} == night.plan.keys
    assert counts[""] == 2
    assert sum(counts.values()) == 12
    night.bundle.tickets_reproduce(night.plan, None)


def test_what_a_ticket_quotes_was_asked_and_answered_so(night: Night) -> None:
    logged = {row["qid"]: row for row in night.rows("logs/query.log.jsonl")}
    for number, ticket in enumerate(night.tickets, start=1):
        text = night.files[f"tickets/T{number:02}.md"].decode()
        line = logged[ticket.ask.qid]
        assert ticket.ask.qid in text
        assert ticket.said in text
        assert (line["question"], line["value"]) == (ticket.ask.question.text, ticket.reply["value"])
        assert "{question}" not in text
        assert "{answer}" not in text
        assert ticket.ask.at <= ticket.received <= night.found.story.until


def test_the_gate_refuses_a_form_with_a_fault_that_no_question_shows(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = replace(night.found, witnesses={**night.found.witnesses, "RRK-1": {}})
    monkeypatch.setattr(night.bundle, "night_of", lambda _: silent)
    with pytest.raises(FormUnfit, match="RRK-1: no question"):
        night.bundle.tickets_reproduce(night.plan, None)


def test_the_gate_refuses_a_ticket_that_goes_another_way_than_it_tells(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = next(one.ask.question.id for one in night.tickets if not one.fault)
    today = replace(night.found.today, failed={**night.found.today.failed, asked: frozenset(("value",))})
    tickets = night.tickets
    monkeypatch.setattr(night.bundle, "night_of", lambda _: replace(night.found, today=today))
    monkeypatch.setattr(night.bundle, "tickets_of", lambda *_: tickets)
    with pytest.raises(FormUnfit, match="does not go as it is told"):
        night.bundle.tickets_reproduce(night.plan, None)


# ---------------------------------------------------------------------------------------------------------- the logs


def test_the_metrics_have_a_row_for_each_hour_of_fourteen_days(night: Night) -> None:
    lines = night.files["logs/metrics.csv"].decode().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert len(rows) == len({row["hour"] for row in rows}) == 14 * 24
    assert rows[-1]["hour"] == night.found.story.last_hour.strftime("%Y-%m-%dT%H:00")
    for row in rows:
        assert int(row["asks"]) > 0
        assert all(0 <= float(row[name]) <= 1 for name in ("cached_share", "abstained_share", "cited_share"))
    logged = Counter(row["ts"][:13] for row in night.rows("logs/query.log.jsonl"))
    assert [int(row["asks"]) for row in rows[-5:]] == [logged[row["hour"][:13]] for row in rows[-5:]]


def test_last_nights_ingest_is_the_last_in_the_log_and_made_the_index(night: Night) -> None:
    last = night.rows("logs/ingest.log")[-1]
    manifest = json.loads(night.files["state/index/manifest.json"])
    assert (last["event"], last["mode"], last["hash"]) == ("ingested", "full", manifest["hash"])
    assert last["at"].startswith(f"{night.found.story.today}T02:00")
    stamps = [row["at"] for row in night.rows("logs/ingest.log")]
    assert stamps == sorted(stamps)


def test_what_was_deployed_is_in_the_history(night: Night) -> None:
    history = night.files["history/LOG.md"].decode()
    log = night.files["logs/deploy.log"].decode()
    commits = re.findall(r"commit (\w+) by", log)
    assert len(commits) == 14
    assert all(f"`{name}`" in history for name in commits)
    assert len(re.findall(rf"^{night.found.story.yesterday}T\S+ deploy .* started$", log, re.MULTILINE)) == 2


# ------------------------------------------------------------------------------------------------------- the history


def test_git_makes_the_starter_of_the_history(night: Night, folder: Path, tmp_path: Path) -> None:
    who = {"GIT_COMMITTER_NAME": "A Test", "GIT_COMMITTER_EMAIL": "test@deskmate.example"}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}
    patches = sorted((folder / "history").glob("*.patch"))
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, env=environment)
    subprocess.run(["git", "am", "-q", *map(str, patches)], cwd=tmp_path, check=True, env=environment)
    found = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and ".git" not in path.parts]
    assert len(patches) == 16
    assert {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in found} == night.plan.starter


def test_each_commit_changes_something_and_each_fault_of_code_came_with_one(night: Night) -> None:
    steps = night.found.steps
    assert all(one.tree != other.tree for one, other in itertools.pairwise(steps))
    brought = [key for step in steps for key in step.brings]
    assert sorted(brought) == ["ACL-2", "CIT-1", "MON-1", "PRM-2", "RRK-1"]
    assert {step.author for step in steps} <= set(night.module("faults.model").Author)
    assert [step.at for step in steps] == sorted(step.at for step in steps)


def test_it_begins_with_a_repository_without_faults_in_it(night: Night) -> None:
    plan, first = night.plan, night.found.steps[2].tree
    healthy = plan.skin.dressed(plan.blueprint.healthy)
    for step in night.found.steps:
        for key in step.brings:
            chosen = next(one for one in plan.blueprint.everything if one.key == key)
            path = plan.skin.path(chosen.variant.edits[0].path)
            assert path not in first or first[path] != step.tree[path]
    assert "config.toml" in first
    assert first["config.toml"] == healthy["config.toml"]


# ------------------------------------------------------------------------------------------------ what it keeps back


def test_nothing_of_the_hidden_worlds_nor_of_what_is_private_is_in_it(night: Night) -> None:
    everything = b"\n".join(night.files.values())
    practice = {one.id for one in night.plan.worlds.dev.world.documents}
    for place in night.plan.worlds.hidden:
        for document in place.world.documents:
            assert document.id not in practice
            assert document.id.encode() not in everything
        for question in place.world.questions:
            assert question.id.encode() not in everything
    for question in night.plan.worlds.dev.world.questions:
        assert question.id.encode() not in everything
    assert night.form.private["pack.json"].read_bytes() not in everything


def test_no_secret_of_the_form_is_in_it_but_the_one_to_practise_with(night: Night) -> None:
    everything = b"\n".join(night.files.values())
    assert night.form.derive("practice").hex().encode() in everything
    for purpose in ("faults", "skin", "site", "world h1", "world h2", "answers", "poison of CCH-1 in h1"):
        derived = night.form.derive(purpose)
        assert derived not in everything
        assert derived.hex().encode() not in everything
    assert night.form.seed not in everything


def test_nothing_names_a_fault_or_a_kind_of_question(night: Night) -> None:
    keys = re.compile(r"\b(?:ACL|CCH|CHK|CIT|EMB|IDX|ING|MON|PRM|RET|RRK|SEC)-\d\b")
    for path, content in night.files.items():
        if path.startswith(("logs/", "tickets/", "history/", "data/dev/q", "data/dev/log")):
            text = content.decode()
            assert not keys.search(text), path
            assert not any(word in text for word in STRATA), path


def test_figures_and_names_of_the_practice_world_are_known_as_such(night: Night) -> None:
    literals = night.bundle.literals_of(night.plan)
    world = night.plan.worlds.dev.world
    assert {one.value for one in world.questions if one.value} <= literals
    assert {one.id for one in world.documents} <= literals
    assert not any(one in literals for one in ("the", "step", "public"))
