"""The competence brain: right as often as model, difficulty and prompt say, and no oracle for facts."""

from collections.abc import Sequence
from typing import Any

import pytest

from graders.simgate import CARD, Fact, Item, Seed
from graders.simgate.asking import chat_request
from graders.simgate.brains import Said
from graders.simgate.brains.competence import Competence
from tests.graders.simgate.world import opened

MODELS = {model.name: model for model in CARD}
GROUNDED = "Answer only from the given facts. Be brief."


def items(count: int = 300, difficulty: float = 0.0, **changes: Any) -> list[Item]:
    return [
        Item(
            f"i{n}", f"how long is the return window for order zq{n}x", "faq", difficulty,
            facts=(Fact(f"{20 + n} days", ("return", "window")),), **changes,
        )
        for n in range(count)
    ]  # fmt: skip


def ask(brain: Competence, text: str, model: str = "swift-2", **changes: Any) -> Said:
    body = {"model": model, "temperature": 0, "messages": [{"role": "user", "content": text}], **changes}
    asked = chat_request(body)
    return brain.answer(asked, MODELS[model], Seed(b"draws").draws(asked.digest))


def prompt(item: Item, rules: str = GROUNDED, noise: str = "") -> str:
    facts = " ".join(f"The return window is {fact.value}." for fact in item.facts)
    return f"{rules}\n{noise}\nFacts: {facts}\nQuestion: {item.text}"


def share(
    known: Sequence[Item], model: str = "swift-2", rules: str = GROUNDED, noise: str = "", **changes: Any
) -> float:
    brain = Competence(Seed(b"secret"))
    right = 0
    for item in known:
        brain.expect([item])
        said = ask(brain, prompt(item, rules, noise), model, **changes)
        assert said.item == item.key
        right += said.correct is True
        brain.release([item.key])
    return right / len(known)


def test_an_abler_model_is_right_more_often_and_mostly_where_the_weaker_one_is() -> None:
    known = items(difficulty=0.4)
    shares = [share(known, model) for model in ("nano-1", "swift-2", "core-3", "apex-4")]
    assert shares == sorted(shares)
    assert shares[0] < 0.2 < 0.4 < shares[1] < 0.65  # logistic(2.2 (0.45 - 0.4)) is 0.53
    assert shares[3] > 0.95


def test_a_fact_that_is_not_in_the_prompt_is_never_given_away() -> None:
    brain = Competence(Seed(b"secret"))
    for item in items(difficulty=-4):
        brain.expect([item])
        said = ask(brain, f"{GROUNDED}\nQuestion: {item.text}", "apex-4")
        assert said.correct is False
        assert item.facts[0].value not in said.text
        brain.release([item.key])


def test_a_number_far_from_what_it_is_about_is_no_evidence() -> None:
    known = items(difficulty=-4)
    assert share(known) == 1
    far = "nothing of that kind " * 40
    brain = Competence(Seed(b"secret"))
    right = 0
    for item in known:
        brain.expect([item])
        right += ask(brain, f"{item.facts[0].value} {far} {GROUNDED} {item.text}", "apex-4").correct is True
        brain.release([item.key])
    assert 0 < right < 30  # 4 of a hundred


def test_noise_a_missing_rule_and_difficulty_each_cost() -> None:
    known = items(difficulty=0.2)
    best = share(known)
    assert share(known, noise="unrelated words about something else " * 600) < best
    assert share(known, rules="Be brief.") < best
    assert share(items(difficulty=1.5)) < best


def test_a_follow_up_needs_its_history() -> None:
    known = items(difficulty=-2.0, history="blue kettle")
    assert share(known) < 0.3
    assert share(known, noise="Earlier: the blue kettle.") > 0.9


def test_asking_again_is_no_second_chance() -> None:
    brain = Competence(Seed(b"secret"))
    known = items(30, difficulty=0.45)
    brain.expect(known)
    for item in known:
        assert len({ask(brain, prompt(item), top_p=number / 10).correct for number in range(1, 6)}) == 1


def test_what_is_said_holds_the_value_only_when_it_is_right() -> None:
    brain = Competence(Seed(b"secret"))
    for item in items(60, difficulty=0.45):
        brain.expect([item])
        said = ask(brain, prompt(item))
        assert said.correct is (item.facts[0].value in said.text)
        brain.release([item.key])


def test_confidence_tells_right_from_wrong_but_not_surely() -> None:
    brain = Competence(Seed(b"secret"))
    told: dict[bool | None, list[float]] = {True: [], False: []}
    for item in items(400, difficulty=0.45):
        brain.expect([item])
        said = ask(brain, prompt(item))
        told[said.correct].append(said.confidence)
        brain.release([item.key])
    pairs = [(right, wrong) for right in told[True] for wrong in told[False]]
    assert 0.75 < sum(right > wrong for right, wrong in pairs) / len(pairs) < 0.95


def test_an_answer_cut_off_before_its_value_is_not_right() -> None:
    assert share(items(40, difficulty=-3), max_tokens=10) == 0
    assert share(items(40, difficulty=-3), max_tokens=400) == 1


def test_a_schema_of_one_choice_is_classification() -> None:
    schema = {"type": "object", "properties": {"category": {"enum": ["faq", "complaint", "other"]}}}
    form = {"type": "json_schema", "json_schema": {"name": "c", "schema": schema}}
    brain = Competence(Seed(b"secret"))
    right = 0
    for item in items(200, difficulty=0.45):
        brain.expect([item])
        right += ask(brain, prompt(item), response_format=form).text == '{"category": "faq"}'
        brain.release([item.key])
    assert 120 < right < 190  # logistic(2 * 0.6) is 0.77


def test_a_rewritten_question_needs_what_it_refers_to() -> None:
    item = Item("a", "and how long is it for that one", "faq", 0, history="blue kettle",
                standalone="how long is the return window for the blue kettle")  # fmt: skip
    brain = Competence(Seed(b"secret"))
    brain.expect([item])
    rules = {"role": "system", "content": "Rewrite as a standalone question."}
    without = ask(brain, "", messages=[rules, {"role": "user", "content": item.text}])
    having = ask(brain, "", messages=[rules, {"role": "user", "content": f"blue kettle\n{item.text}"}])
    assert (without.text, having.text) == (item.text, item.standalone)


def test_verification_is_better_than_chance_and_less_than_certain() -> None:
    brain = Competence(Seed(b"secret"))
    hits = asked = 0
    for item in items(200, difficulty=0.45):
        brain.expect([item])
        said = ask(brain, prompt(item))
        judged = ask(brain, f"{item.text}\nAnswer: {said.text}\nIs this correct? Answer yes or no.")
        hits += (judged.text == "yes") is said.correct
        asked += 1
        brain.release([item.key])
    assert 0.65 < hits / asked < 0.95


@pytest.mark.parametrize(("expects", "phrase"), [("abstain", "cannot answer"), ("refuse", "cannot help"),
                                                 ("hand off", "colleague"), ("chat", "welcome")])  # fmt: skip
def test_an_item_is_right_in_the_way_that_it_expects(expects: Any, phrase: str) -> None:
    brain = Competence(Seed(b"secret"))
    brain.expect([Item("a", "tell me the secrets of order zq7x", "abuse", -4, expects=expects)])
    said = ask(brain, "tell me the secrets of order zq7x")
    assert said.correct is True
    assert phrase in said.text


def test_the_driver_registers_items_and_reads_who_was_right_in_the_ledger() -> None:
    [item] = items(1, difficulty=-3)
    with opened(brain="competence") as (gateway, openai_client):
        gateway.expect(item)
        said = openai_client.chat.completions.create(
            model="swift-2", messages=[{"role": "user", "content": prompt(item)}]
        )
        gateway.release(item.key)
        openai_client.chat.completions.create(model="swift-2", messages=[{"role": "user", "content": prompt(item)}])
        known, unknown = gateway.rows()
        assert gateway.find(said.id) == known
    assert (known.item, known.correct) == (item.key, True)
    assert (unknown.item, unknown.correct) == (None, None)
