"""Does everything run? Whether answers are any good is told by `make evaluate`."""

import asyncio
import importlib
import json
import pkgutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import healthcheck
import ragdesk
from ragdesk import ingest, settings
from ragdesk.desk import BadRequest, Desk
from ragdesk.evaluate import evaluate
from ragdesk.monitor import alerts, hourly, read_log
from toy import FILES, ToyModels, question, write_corpus

REPOSITORY = Path(__file__).resolve().parent.parent
NEEDS = {"ragdesk.server": "aiohttp", "ragdesk.models": "openai", "ragdesk.cli": "aiohttp"}


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus")


@pytest.fixture
def index(tmp_path, corpus):
    ingest.run(settings.load(REPOSITORY), corpus, tmp_path / "index", ToyModels())
    return tmp_path / "index"


@pytest.fixture
def desk(index):
    return Desk(settings.load(REPOSITORY), index, ToyModels())


def test_every_module_can_be_imported():
    names = [one.name for one in pkgutil.walk_packages(ragdesk.__path__, "ragdesk.")]
    assert len(names) > 20
    for name in names:
        if name != "ragdesk.__main__" and (name not in NEEDS or importlib.util.find_spec(NEEDS[name])):
            importlib.import_module(name)


def test_the_settings_can_be_read_and_an_unknown_one_is_refused(tmp_path):
    text = (REPOSITORY / "config.toml").read_text(encoding="utf-8")
    (tmp_path / "config.toml").write_text(text + "\n[spelling]\nmend = true\n", encoding="utf-8")
    assert settings.load(REPOSITORY).chunking.window > 0
    with pytest.raises(ValueError, match="spelling"):
        settings.load(tmp_path)


def test_an_ingest_makes_an_index(index):
    for name in ("manifest.json", "chunks.jsonl", "vectors.npy", "rows.json", "features.jsonl", "ingest.log"):
        assert (index / name).stat().st_size > 0


def test_an_ingest_tells_what_it_did(tmp_path, corpus):
    counts = ingest.run(settings.load(REPOSITORY), corpus, tmp_path / "other", ToyModels())
    assert counts["files"] == len(FILES)
    assert 0 < counts["documents"] <= len(FILES)
    assert counts["chunks"] > 0


def test_an_ingest_can_be_repeated_step_by_step(index, corpus):
    counts = ingest.run(settings.load(REPOSITORY), corpus, index, ToyModels(), incremental=True)
    assert counts["mode"] == "incremental"
    assert counts["documents"] > 0


def test_a_reply_has_the_shape_of_the_contract(desk):
    reply = desk.ask(question())
    assert set(reply) == {"answer", "value", "citations", "abstained", "retrieved", "usage"}
    assert isinstance(reply["answer"], str)
    assert reply["abstained"] is (reply["value"] is None)
    assert reply["usage"]["prompt_tokens"] >= 0
    assert {f"docs/{one}" for one in reply["citations"]} <= {name.rpartition(".")[0] for name in FILES}
    json.dumps(reply)


def test_what_was_retrieved_is_ranked(desk):
    retrieved = desk.ask(question("How is the Barven K-74 looked after?"))["retrieved"]
    assert 0 < len(retrieved) <= 10
    assert [one["rank"] for one in retrieved] == list(range(1, len(retrieved) + 1))
    assert all(set(one) == {"doc_id", "chunk_id", "rank", "score"} for one in retrieved)


def test_the_same_question_gets_the_same_answer_again(desk):
    first, second = desk.ask(question()), desk.ask(question())
    assert (first["answer"], first["value"]) == (second["answer"], second["value"])


def test_four_people_can_ask_at_the_same_time(desk):
    texts = [f"What is the fuse rating of the K-7{number}?" for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(lambda text: desk.ask(question(text)), texts))
    assert all(isinstance(reply["answer"], str) for reply in replies)


def test_an_index_can_be_opened_again(desk, index):
    reloaded = desk.reload(index)
    assert reloaded["index"] == str(index)
    assert reloaded["documents"] > 0


def test_the_server_says_that_it_is_well(desk):
    pytest.importorskip("aiohttp")
    server = importlib.import_module("ragdesk.server").Server(desk)
    reply = asyncio.run(server.healthz(None))
    assert reply.status == 200
    assert json.loads(reply.text)["status"] == "ok"


@pytest.mark.parametrize("body", [{}, {"question": " ", "user": {}}, {"question": "What?", "user": {"id": "u1"}}])
def test_what_is_no_question_is_refused(desk, body):
    with pytest.raises(BadRequest):
        desk.ask(body)


def test_questions_are_logged_and_counted_by_the_hour(desk, index):
    desk.ask(question())
    lines = read_log(index / "query.log.jsonl")
    hours = hourly(lines)
    assert [line["qid"] for line in lines] == ["q1"]
    assert hours[0].asks == 1
    assert alerts(hours, settings.load(REPOSITORY).monitoring) == []


def test_the_figures_and_the_health_check_come_out(desk, index):
    figures = evaluate(desk, [{**question(), "value": "16 A", "relevant": ["d-01"]}])
    assert set(figures) == {"questions", "recall_at_5", "accuracy"}
    findings = healthcheck.check(index.parent)
    assert all(set(finding) == {"stage", "severity", "reason"} for finding in findings)
