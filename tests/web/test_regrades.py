"""A regrade changes nothing until somebody has seen what it would change, and loses nothing when it does."""

import threading
from collections.abc import Mapping
from typing import Any, Final

import pytest
from sqlalchemy import select, update

from graders.contract import Fault
from tests.web.world import (
    MANIFEST,
    RUBRIC,
    SETTINGS,
    begin,
    failure,
    findings,
    grading,
    hand_in,
    publish,
    report,
    work,
)
from web import audit, gradings, regrades
from web.database import Database, now
from web.errors import Refused
from web.models import AuditEvent, Finding, Grading, GradingState, Purpose, Submission, Urgency
from web.regrades import Preview, State

OLD: Final = "a" * 64
NEW: Final = "b" * 64


def grade(database: Database, grading_id: str, earned: Mapping[str, float | None], digest: str = OLD) -> None:
    send(database, grading_id)
    with database.transaction() as session:
        said = gradings.record(session, report(grading_id, told=findings(earned), digest=digest), SETTINGS)
    assert said.outcome is gradings.Outcome.GRADED, said


def fail(database: Database, grading_id: str) -> None:
    send(database, grading_id)
    with database.transaction() as session:
        assert gradings.record(session, failure(grading_id, fault=Fault.AUTHOR), SETTINGS).outcome == "failed"


def send(database: Database, grading_id: str) -> None:
    with database.transaction() as session:
        session.execute(
            update(Grading)
            .where(Grading.id == grading_id)
            .values(state=GradingState.SENT, fence=1, lease_until=now(session))
        )


def graded(database: Database, *earned: Mapping[str, float | None]) -> list[str]:
    """Submissions of different people that earned so much, in the order that they were handed in."""
    made = hand_in(database, len(earned))
    for one, credits_ in zip(made, earned, strict=True):
        grade(database, one, credits_)
    return [grading(database, one).submission_id for one in made]


def start(database: Database, submissions: list[str], **new_version: Any) -> str:
    with database.transaction() as session:
        publish(session, NEW, **({"version": "1.1.0"} | new_version))
    with database.transaction() as session:
        return regrades.start(session, "windows", NEW, submissions, "a case was wrong", "admin ada").id


def gradings_of(database: Database, regrade: str) -> dict[str, str]:
    """The newest by submission."""
    with database.reading() as session:
        rows = session.scalars(select(Grading).where(Grading.regrade_id == regrade).order_by(Grading.created_at))
        return {row.submission_id: row.id for row in rows}


def regrade(database: Database, regrade_id: str, submission: str, earned: Mapping[str, float | None]) -> None:
    grade(database, gradings_of(database, regrade_id)[submission], earned, NEW)


def preview(database: Database, regrade_id: str) -> Preview:
    with database.reading() as session:
        return regrades.preview(session, regrade_id)


def counting(database: Database, submission: str) -> str | None:
    with database.reading() as session:
        found = gradings.effective(session, submission)
        return found.challenge_digest if found else None


HALF: Final = {"counts": 0.5, "edges": 0.5}  # 40 points, and 20 more if a person says so
ALL: Final = {"counts": 1.0, "edges": 1.0}  # 80 to 100
NONE: Final = {"counts": 0.0, "edges": 0.0}


# -------------------------------------------------------------------------------------------------------- starting


def test_a_regrade_stands_beside_what_is_there_and_lets_everybody_pass(database: Database) -> None:
    submissions = graded(database, HALF, ALL)
    made = gradings_of(database, start(database, submissions))
    assert set(made) == set(submissions)
    for one in made.values():
        row = grading(database, one)
        assert (row.state, row.purpose, row.urgency) == (GradingState.WAITING, Purpose.REGRADE, Urgency.BULK)
        assert row.challenge_digest == NEW
    assert {counting(database, one) for one in submissions} == {OLD}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"submissions": []}, "no submission was chosen"),
        ({"submissions": ["nobody", "no one"]}, "nobody, and 1 more: is no submission of this challenge"),
        ({"reason": " "}, "say why"),
        ({"digest": "c" * 64}, "there is no published version cccccccccccc of it"),
        ({"slug": "other"}, "other: there is no published version"),
    ],
)
def test_a_regrade_that_makes_no_sense_is_refused(changed: dict[str, Any], words: str, database: Database) -> None:
    submissions = graded(database, HALF)
    asked = {"slug": "windows", "digest": OLD, "submissions": submissions, "reason": "why", "actor": "ada"} | changed
    with pytest.raises(Refused, match=words), database.transaction() as session:
        regrades.start(session, **asked)


def test_a_second_click_starts_nothing(database: Database) -> None:
    submissions = graded(database, HALF, ALL)
    with database.transaction() as session:
        publish(session, NEW)
    ended: list[str] = []

    def click() -> None:
        try:
            with database.transaction() as session:
                regrades.start(session, "windows", NEW, submissions, "why", "ada")
            ended.append("started")
        except Refused as error:
            ended.append(str(error))

    clicks = [threading.Thread(target=click) for _ in range(4)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    assert sorted(ended, reverse=True)[0] == "started"
    assert len([one for one in ended if "has some of these already: apply or drop it first" in one]) == 3


def test_usually_the_last_submission_of_each_attempt_is_graded_again(database: Database) -> None:
    hand_in(database, 2, each=3)
    with database.transaction() as session:
        publish(session, "c" * 64, slug="other")
        gradings.accept(session, begin(session, "c" * 64).id, work(), "key")
    with database.reading() as session:
        last = [session.get_one(Submission, one) for one in regrades.last_submissions(session, "windows")]
    assert [one.number for one in last] == [3, 3]


# ------------------------------------------------------------------------------------------------------ previewing


def test_a_preview_says_who_changes_by_how_much_and_in_what(database: Database) -> None:
    same, up, down = graded(database, HALF, HALF, ALL)
    made = start(database, [same, up, down])
    regrade(database, made, same, HALF)
    regrade(database, made, up, {"counts": 0.5, "edges": 1.0})
    regrade(database, made, down, NONE)
    seen = preview(database, made)
    assert seen.state is State.READY
    assert [(one.submission, one.moved) for one in seen.compared] == [(down, -80), (up, 10), (same, 0)]
    assert [one.submission for one in seen.changed] == [down, up]
    assert (seen.mean, seen.largest) == (-35, -80)
    assert [one.submission for one in seen.changing_band] == [down]
    first = seen.compared[0]
    assert first.old is not None
    assert ((first.old.low, first.old.high), (first.new.low, first.new.high)) == ((80, 100), (0, 20))
    assert [change.criterion for change in first.changes] == ["counts", "edges"]
    assert [change.criterion for change in seen.compared[1].changes] == ["edges"]
    (change,) = seen.compared[1].changes
    assert change.old is not None
    assert change.new is not None
    assert (change.old.credit, change.new.credit) == (0.5, 1.0)
    assert seen.compared[2].changes == ()


def test_a_band_changes_before_a_person_has_judged_the_rest(database: Database) -> None:
    (one,) = graded(database, {"counts": 1.0, "edges": 0.95})  # 79 to 99: band B or A
    made = start(database, [one])
    regrade(database, made, one, ALL)  # 80 to 100: band A
    seen = preview(database, made)
    assert [found.submission for found in seen.changing_band] == [one]
    assert seen.largest == 1


def test_old_and_new_are_each_counted_by_their_own_rubric(database: Database) -> None:
    (one,) = graded(database, ALL)
    criteria = RUBRIC["criteria"]
    other = {"counts": criteria["counts"] | {"points": 40}, "speed": criteria["edges"] | {"points": 60}}
    made = start(database, [one], rubric={"criteria": other}, manifest=MANIFEST)
    regrade(database, made, one, {"counts": 1.0, "speed": 0.5})
    (found,) = preview(database, made).compared
    assert (found.new.low, found.new.high) == (70, 70)
    assert found.moved == -30
    assert {change.criterion: (change.old is None, change.new is None) for change in found.changes} == {
        "counts": (False, False),
        "speed": (True, False),
        "edges": (False, True),
        "reasons": (False, True),
    }


def test_a_preview_counts_what_still_runs_and_what_failed(database: Database) -> None:
    running, failed, done = graded(database, HALF, HALF, HALF)
    made = start(database, [running, failed, done])
    fail(database, gradings_of(database, made)[failed])
    regrade(database, made, done, ALL)
    seen = preview(database, made)
    assert (seen.state, seen.running, seen.failed, len(seen.compared)) == (State.RUNNING, 1, 1, 1)


def test_who_had_no_score_gets_a_first_one_and_does_not_count_as_moved(database: Database) -> None:
    (broken,) = hand_in(database)
    fail(database, broken)
    submission = grading(database, broken).submission_id
    made = start(database, [submission])
    regrade(database, made, submission, ALL)
    seen = preview(database, made)
    assert [(one.old, one.moved) for one in seen.compared] == [(None, 0)]
    assert len(seen.changed) == len(seen.changing_band) == 1
    assert (seen.mean, seen.largest) == (0, 0)
    with database.reading() as session:
        assert [one.id for one in gradings.needing_a_person(session)] == [broken]
    with database.transaction() as session:
        regrades.apply(session, made, "admin ada")
    with database.reading() as session:
        assert gradings.needing_a_person(session) == []


def test_a_second_regrade_is_compared_with_what_counts_now(database: Database) -> None:
    (one,) = graded(database, NONE)
    first = start(database, [one])
    regrade(database, first, one, HALF)
    with database.transaction() as session:
        regrades.apply(session, first, "admin ada")
    with database.transaction() as session:
        second = regrades.start(session, "windows", OLD, [one], "once more", "admin ada").id
    grade(database, gradings_of(database, second)[one], HALF)
    assert preview(database, second).largest == 0
    assert preview(database, first).largest == 40


# -------------------------------------------------------------------------------------------------------- deciding


def test_applied_it_counts_and_the_old_one_is_kept(database: Database) -> None:
    (one,) = graded(database, HALF)
    made = start(database, [one])
    regrade(database, made, one, ALL)
    assert counting(database, one) == OLD
    with database.transaction() as session:
        regrades.apply(session, made, "admin ada")
    assert counting(database, one) == NEW
    with database.reading() as session:
        assert len(session.scalars(select(Finding)).all()) == 4
        actions = session.scalars(select(AuditEvent.action).where(AuditEvent.subject_id == made)).all()
        assert actions == ["regrade.started", "regrade.applied"]
        assert audit.verify(session) is None


def test_dropped_it_never_counts_and_is_kept(database: Database) -> None:
    (one,) = graded(database, HALF)
    made = start(database, [one])
    regrade(database, made, one, ALL)
    with database.transaction() as session:
        regrades.drop(session, made, "admin ada")
    assert counting(database, one) == OLD
    assert preview(database, made).state is State.DROPPED
    assert len(gradings_of(database, made)) == 1
    with database.transaction() as session:
        regrades.start(session, "windows", NEW, [one], "once more", "admin ada")


def test_nothing_is_decided_while_it_runs(database: Database) -> None:
    (one, other) = graded(database, HALF, HALF)
    made = start(database, [one, other])
    regrade(database, made, one, ALL)
    for decide in (regrades.apply, regrades.drop):
        with pytest.raises(Refused, match="1 of its gradings still run"), database.transaction() as session:
            decide(session, made, "admin ada")
    assert counting(database, one) == OLD


def test_a_decision_is_made_once(database: Database) -> None:
    (one,) = graded(database, HALF)
    made = start(database, [one])
    regrade(database, made, one, ALL)
    with database.transaction() as session:
        regrades.apply(session, made, "admin ada")
    for decide in (regrades.apply, regrades.drop):
        with pytest.raises(Refused, match="was applied by admin ada already"), database.transaction() as session:
            decide(session, made, "admin bob")


def test_of_two_people_who_decide_at_once_one_wins(database: Database) -> None:
    (one,) = graded(database, HALF)
    made = start(database, [one])
    regrade(database, made, one, ALL)
    ready = threading.Barrier(4)
    ended: list[str] = []

    def decide(name: str) -> None:
        ready.wait()
        try:
            with database.transaction() as session:
                (regrades.apply if name in "ab" else regrades.drop)(session, made, name)
            ended.append(f"{name} won")
        except Refused as error:
            ended.append(str(error))

    people = [threading.Thread(target=decide, args=(name,)) for name in "abcd"]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len([said for said in ended if said.endswith("won")]) == 1
    assert len([said for said in ended if said.endswith("already")]) == 3
    with database.reading() as session:
        events = session.scalars(select(AuditEvent.action).where(AuditEvent.subject_id == made)).all()
        assert len(events) == 2


def test_where_nothing_came_to_a_score_there_is_nothing_to_apply(database: Database) -> None:
    (one,) = graded(database, HALF)
    made = start(database, [one])
    fail(database, gradings_of(database, made)[one])
    with pytest.raises(Refused, match="there is nothing to apply"), database.transaction() as session:
        regrades.apply(session, made, "admin ada")
    with database.transaction() as session:
        regrades.drop(session, made, "admin ada")
    with database.reading() as session:
        assert gradings.needing_a_person(session) == []


def test_a_failed_one_is_graded_again_within_its_regrade_until_that_is_decided(database: Database) -> None:
    one, other = graded(database, HALF, HALF)
    made = start(database, [one, other])
    broken = gradings_of(database, made)[one]
    fail(database, broken)
    regrade(database, made, other, ALL)
    assert preview(database, made).state is State.READY
    with database.transaction() as session:
        again = gradings.retry(session, broken, "operator eve").id
    assert preview(database, made).state is State.RUNNING
    fail(database, again)
    with database.transaction() as session:
        regrades.apply(session, made, "admin ada")
    with pytest.raises(Refused, match="its regrade was applied: start a new one"), database.transaction() as session:
        gradings.retry(session, again, "operator eve")
    assert (counting(database, one), counting(database, other)) == (OLD, NEW)


def test_a_regrade_that_is_not_there_is_refused(database: Database) -> None:
    with database.transaction() as session:
        for ask in (regrades.apply, regrades.drop):
            with pytest.raises(Refused, match="regrade nobody: there is none"):
                ask(session, "nobody", "ada")
        with pytest.raises(Refused, match="regrade nobody: there is none"):
            regrades.preview(session, "nobody")
