"""What the parts of the healthy repository promise each other."""

import dataclasses
import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import pytest

from graders.challenge.loading import load
from web.settings import PROJECT

TEMPLATE: Final = PROJECT / "challenges" / "rag-overnight" / "template"
LOADED: Final = load(TEMPLATE, "ragdesk", "ragdesk.settings").__name__.removesuffix(".settings")


def ragdesk(name: str) -> ModuleType:
    return importlib.import_module(f"{LOADED}.{name}")


SETTINGS: Final = ragdesk("settings").load(TEMPLATE)


def user(tenant: str = "tolk", *roles: str, name: str = "u1") -> Any:
    return ragdesk("records").User(name, tenant, roles or ("engineer",))


def hit(text: str, doc_id: str = "d-1", score: float = 1.0) -> Any:
    records = ragdesk("records")
    chunk = records.Chunk(f"{doc_id}:{text}", doc_id, "T", "H", text, f"{doc_id}{text}", records.Access("public", ()))
    return records.Hit(chunk, score)


# --------------------------------------------------------------------------------------------------------- documents


def test_a_table_gives_a_section_for_each_row() -> None:
    rows = b"<tr><td>weight</td><td>40 kg</td></tr><tr><td>odd</td></tr>"
    page = b"<h1>K-74 &amp; co</h1><p>Read.</p><table>" + rows + b"</table>"
    document = ragdesk("ingest.loaders").load_document("d-1", "html", page)
    assert document.title == "K-74 & co"
    assert [(one.heading, one.text) for one in document.sections] == [("", "Read."), ("weight", "40 kg")]


def test_markdown_is_cut_at_headings_and_hyphens_are_one_sign() -> None:
    text = "# Manual K\u201174\n\nBefore.\n\n## fuse rating\n\nIt is\u00a016 A.\n".encode()
    document = ragdesk("ingest.loaders").load_document("d-1", "md", text)
    assert document.title == "Manual K-74"
    assert [(one.heading, one.text) for one in document.sections] == [("", "Before."), ("fuse rating", "It is 16 A.")]


@pytest.mark.parametrize("content", [b"{", b'{"title": "T"}', b"[]", b"\xff"])
def test_an_article_that_cannot_be_read_says_so(content: bytes) -> None:
    loaders = ragdesk("ingest.loaders")
    with pytest.raises(loaders.Unreadable, match="d-1"):
        loaders.load_document("d-1", "json", content)


def feed(*rows: tuple[str, str, str, bool]) -> Any:
    lines = [
        json.dumps({"doc_id": doc_id, "key": key, "revision": "A", "valid_from": since, "deleted": deleted})
        for doc_id, key, since, deleted in rows
    ]
    return ragdesk("ingest.revisions").read_feed("\n".join(lines))


def test_the_latest_revision_counts_and_a_deleted_one_ends_its_family() -> None:
    lines = feed(
        ("d-1", "a", "2020-01-01", False), ("d-2", "a", "2021-01-01", False),
        ("d-3", "b", "2020-01-01", False), ("d-4", "b", "2021-01-01", True),
        ("d-5", "c", "2020-01-01", False), ("d-6", "c", "2021-01-01", False),
    )  # fmt: skip
    in_force = ragdesk("ingest.revisions").in_force
    assert in_force(["d-1", "d-2", "d-3", "d-4", "d-5", "d-6", "d-7"], lines) == ["d-2", "d-6", "d-7"]
    assert in_force(["d-1", "d-3", "d-5"], lines) == ["d-1", "d-5"]  # what is gone ends a family at most


@pytest.mark.parametrize(
    ("row", "reader", "may"),
    [
        ({"tenant": "public", "roles": ["manager"]}, ("tolk", "engineer"), True),
        ({"tenant": "tolk", "roles": ["engineer", "manager"]}, ("tolk", "engineer"), True),
        ({"tenant": "tolk", "roles": []}, ("tolk", "engineer"), True),
        ({"tenant": "tolk", "roles": ["manager"]}, ("tolk", "engineer"), False),
        ({"tenant": "tolk", "roles": []}, ("tolknord", "engineer"), False),
        ({"tenant": "tolknord", "roles": []}, ("tolk", "engineer"), False),
    ],
)
def test_a_document_is_for_its_tenant_and_roles(row: dict[str, Any], reader: tuple[str, ...], may: bool) -> None:
    acl = ragdesk("ingest.acl")
    rows = acl.read_acl(json.dumps({"doc_id": "d-1", **row}))
    assert acl.may_read(user(*reader), acl.access_of("d-1", rows)) is may
    assert acl.access_of("d-2", rows) is None


# ---------------------------------------------------------------------------------------------------------- passages


def test_windows_overlap_and_reach_the_end() -> None:
    words = [str(number) for number in range(150)]
    windows = list(ragdesk("chunk").windows(words, 70, 56))
    assert [window[0] for window in windows] == ["0", "56", "112"]
    assert windows[-1][-1] == "149"
    assert list(ragdesk("chunk").windows([], 70, 56)) == []


def test_every_passage_has_title_and_heading() -> None:
    records = ragdesk("records")
    section = records.Section("fuse rating", " ".join(["word"] * 100))
    document = records.Document("d-1", "Manual K-74", (section,))
    chunks = ragdesk("chunk").chunks_of(document, records.Access("public", ()), SETTINGS.chunking)
    assert len(chunks) == 2
    assert all(chunk.text.startswith("Manual K-74. fuse rating: word") for chunk in chunks)


# ------------------------------------------------------------------------------------------------------------- index


def test_a_table_of_vectors_is_compacted_and_arranged() -> None:
    table_of = ragdesk("index.compact").VectorTable
    table = table_of({"a": 0, "b": 1, "c": 2, "d": 3}, np.arange(4, dtype=np.float32)[:, None])
    table = table.extended(["e"], np.array([[4]], dtype=np.float32))
    compacted = table.compacted(table.tombstones(["a", "c", "e"]))
    assert compacted.row_of == {"a": 0, "c": 1, "e": 2}
    arranged = compacted.arranged(["e", "a", "c"])
    assert arranged.vectors[:, 0].tolist() == [4, 0, 2]
    assert arranged.row_of == {"e": 0, "a": 1, "c": 2}


def test_vectors_of_another_model_are_not_taken_over(tmp_path: Path) -> None:
    class Counting:
        asked = 0

        def embed(self, texts: list[str], model: str) -> list[list[float]]:
            self.asked += len(texts)
            return [[1.0 if model.endswith("1") else 0.0, 1.0] + [0.0] * 254 for _ in texts]

    (tmp_path / "corpus" / "docs").mkdir(parents=True)
    (tmp_path / "corpus" / "docs" / "d-1.md").write_text("# A\n\nText.\n")
    (tmp_path / "corpus" / "acl.jsonl").write_text('{"doc_id": "d-1", "tenant": "public", "roles": []}\n')
    (tmp_path / "corpus" / "feed.jsonl").write_text("")
    older = dataclasses.replace(SETTINGS, models=dataclasses.replace(SETTINGS.models, embedding="embed-s-v1"))
    models = Counting()
    run = ragdesk("ingest").run
    run(older, tmp_path / "corpus", tmp_path / "index", models)
    run(SETTINGS, tmp_path / "corpus", tmp_path / "index", models)
    assert np.load(tmp_path / "index" / "vectors.npy")[0, 0] == 0
    assert models.asked == 4  # a passage and a title, twice


def test_words_are_counted_and_one_slip_is_mended() -> None:
    passages = [["barven", "k-74", "fuse"], ["barven", "fuse", "fuse"]]
    arm = ragdesk("index.sparse").SparseArm.build(passages, SETTINGS.sparse)
    everyone, nobody = np.ones(2, dtype=np.bool_), np.zeros(2, dtype=np.bool_)
    assert [row for row, _ in arm.search(["k-74"], everyone, 5)] == [0]
    assert next(row for row, _ in arm.search(["fuse"], everyone, 5)) == 1
    assert arm.search(["fuse"], nobody, 5) == []
    assert arm.idf("k-74") > arm.idf("fuse") > arm.idf("unknown") == 0
    assert [arm.mended(word) for word in ("bavren", "k-47", "fsue", "barven")] == ["barven", "k-47", "fsue", "barven"]


def test_centroids_stay_until_the_index_has_changed_by_half(tmp_path: Path) -> None:
    dense = ragdesk("index.dense")
    kept = np.full((3, 8), 0.5, dtype=np.float32)
    np.save(tmp_path / "centroids.npy", kept)
    vectors = np.eye(8, dtype=np.float32)
    assert np.array_equal(dense.centroids_for(vectors, tmp_path, 6, SETTINGS.dense), kept)
    assert not np.array_equal(dense.centroids_for(vectors, tmp_path, 5, SETTINGS.dense), kept)


# --------------------------------------------------------------------------------------------------------- questions


def test_ranks_are_fused_whatever_the_scores() -> None:
    fused = ragdesk("retrieve").fused_by_rank([[(1, 0.9), (2, 0.8)], [(2, 30.0), (3, 20.0)]], 60)
    assert [row for row, _ in fused] == [2, 1, 3]
    assert fused[0][1] == pytest.approx(1 / 61 + 1 / 60)


def test_a_context_is_filled_from_the_best_on_and_says_nothing_twice() -> None:
    prompt = ragdesk("prompt")
    small = dataclasses.replace(SETTINGS.prompt, budget_tokens=3)
    hits = [hit("a b"), hit("a b"), hit("c"), hit("d")]
    assert [one.chunk.text for one in prompt.chosen(hits, small)] == ["a b", "c"]
    assert len(prompt.chosen([hit(str(number)) for number in range(9)], SETTINGS.prompt)) == SETTINGS.prompt.passages


def test_a_prompt_names_the_tenant_and_has_the_question_last() -> None:
    messages = ragdesk("prompt").build("Why?", [hit("Text.")], "tolk", [("Before?", "So.")], SETTINGS.prompt)
    assert [role for role, _ in messages] == ["system", "user", "assistant", "user"]
    assert "tolk" in messages[0][1]
    assert messages[-1][1].endswith("Question: Why?")
    assert '<doc id="1">\nText.\n</doc>' in messages[-1][1]


@pytest.mark.parametrize(
    ("text", "value", "sources"),
    [
        ('{"answer": "It is 16 A [2].", "value": "16 A", "sources": ["2"]}', "16 A", ("2",)),
        ('```json\n{"value": "16 A", "sources": []}\n```', "16 A", ()),
        ('{"answer": "No.", "value": null, "sources": []}', None, ()),
        ("I do not know.", None, ()),
    ],
)
def test_a_reply_is_read(text: str, value: str | None, sources: tuple[str, ...]) -> None:
    reply = ragdesk("cite").read_reply(text)
    assert (reply.value, reply.sources) == (value, sources)
    assert "[" not in reply.answer


def test_numbers_of_a_reply_are_places_in_the_context() -> None:
    context = [hit("x", "d-1"), hit("y", "d-2"), hit("z", "d-2")]
    cited = ragdesk("cite").cited_documents
    assert cited(["2", "3", "[1]"], context) == ["d-2", "d-1"]
    assert cited(["0", "4", "none"], context) == []


def nothing() -> Any:
    raise AssertionError("no vector is needed")


def test_an_answer_is_given_again_to_the_same_readers_on_the_same_corpus(tmp_path: Path) -> None:
    cache = ragdesk("cache")
    answers = cache.AnswerCache(tmp_path / "answers.sqlite", SETTINGS.cache)
    answers.put(cache.Asked("What is our fuse rating?", user(), "v1"), {"value": "16 A"}, nothing)
    assert answers.get(cache.Asked("what is  our FUSE rating", user(name="u2"), "v1"), nothing) == {"value": "16 A"}
    for other in (
        cache.Asked("What is our fuse rating?", user("ulmia"), "v1"),
        cache.Asked("What is our fuse rating?", user("tolk", "manager"), "v1"),
        cache.Asked("What is our fuse rating?", user(), "v2"),
        cache.Asked("What is our oil charge?", user(), "v1"),
    ):
        assert answers.get(other, nothing) is None
    answers.close()


def test_the_semantic_cache_tells_codes_apart(tmp_path: Path) -> None:
    cache = ragdesk("cache")
    vector = np.array([1, 0], dtype=np.float32)
    settings = dataclasses.replace(SETTINGS.cache, semantic=True)
    answers = cache.AnswerCache(tmp_path / "answers.sqlite", settings)
    answers.put(cache.Asked("The fuse rating of K-74?", user(), "v1"), {"value": "16 A"}, lambda: vector)
    near = np.array([0.99, 0.14], dtype=np.float32)
    assert answers.get(cache.Asked("K-74: fuse rating", user(), "v1"), lambda: near) == {"value": "16 A"}
    assert answers.get(cache.Asked("K-47: fuse rating", user(), "v1"), lambda: near) is None
    assert answers.get(cache.Asked("K-74: oil", user(), "v1"), lambda: vector[::-1]) is None
    answers.close()


def test_what_was_asked_before_matters_for_a_follow_up_of_the_same_person_only() -> None:
    memory = ragdesk("conversation").Memory(SETTINGS.conversation)
    memory.keep(user(), "What is the fuse rating of the K-74?", "It is 16 A.", 0.0)
    turn = ("What is the fuse rating of the K-74?", "It is 16 A.")
    assert memory.earlier(user(), "And of the K-47?", 5.0) == [turn]
    assert memory.earlier(user(), "What is the oil charge of the K-47?", 5.0) == []
    assert memory.earlier(user(name="u2"), "And of the K-47?", 5.0) == []
    assert memory.earlier(user("ulmia"), "And of the K-47?", 5.0) == []
    assert memory.earlier(user(), "And of the K-47?", 3600.0) == []


# -------------------------------------------------------------------------------------------------------- monitoring


def test_shares_of_an_hour_are_of_what_was_worked_on() -> None:
    line = {"ts": "2026-03-02T08:10:00Z", "citations": [], "top_score": 1.0, "prompt_tokens": 9, "ms": 5.0}
    lines = [{**line, "cached": True, "abstained": False}] * 3 + [{**line, "cached": False, "abstained": True}]
    [hour] = ragdesk("monitor").hourly(lines)
    assert (hour.hour, hour.asks, hour.cached_share, hour.abstained_share) == ("2026-03-02T08:00", 4, 0.75, 1.0)


def test_an_alert_compares_with_the_days_before_the_latest() -> None:
    monitor = ragdesk("monitor")

    def hour(day: int, abstained: float) -> Any:
        return monitor.Hour(f"2026-03-{day:02}T08:00", 50, 0.0, abstained, 0.9, 1.0, 1.0, 1.0)

    fell_ill_yesterday = [*(hour(day, 0.1) for day in range(1, 8)), hour(8, 0.5), hour(9, 0.5)]
    [alert] = monitor.alerts(fell_ill_yesterday, SETTINGS.monitoring)
    assert (alert.metric, alert.value, alert.usual) == ("abstained_share", 0.5, 0.1)
    assert monitor.alerts(fell_ill_yesterday[:7], SETTINGS.monitoring) == []
