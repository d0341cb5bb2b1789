"""Saved work: nothing is lost, nothing silently overwritten, whoever saves at the same time. On both databases."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select

from graders.trees import digest_of
from tests.web import world
from tests.web.portal_world import candidate_client, make_portal, started
from web import work
from web.attempts import TooLate
from web.database import Database, clock, dialect_of, now
from web.errors import SubmissionRejected
from web.models import Attempt, ChallengeVersion, Content, Origin, Snapshot
from web.speech import format_moment
from web.work import Conflict, Saved

BEGAN_WITH = {"windows.py": b"def count(): ...\n", "notes.md": b""}


SMALL = {"files": 5, "total_kb": 8}


def begin(
    database: Database, began_with: Mapping[str, bytes] = BEGAN_WITH, limits: Mapping[str, int] | None = None
) -> Attempt:
    """An attempt that runs for ten minutes."""
    with database.transaction() as session:
        if session.get(ChallengeVersion, "a" * 64) is None:
            world.publish(session, manifest=world.MANIFEST | {"submission": dict(limits or {})})
        attempt = world.begin(session)
        attempt.ends_at = now(session) + timedelta(minutes=10)
        work.begin(session, attempt, began_with)
    return attempt


def change(database: Database, attempt: Attempt, base: int, changes: Mapping[str, bytes | None]) -> Saved | Conflict:
    with database.transaction() as session:
        return work.change(session, attempt.id, base, changes, now(session))


def state(database: Database, attempt: Attempt) -> dict[str, bytes]:
    with database.reading() as session:
        head = work.head(session, attempt.id)
        assert head is not None
        return work.files(session, head)


def numbers(database: Database, attempt: Attempt) -> list[int]:
    with database.reading() as session:
        return [one.number for one in work.history(session, attempt.id)]


# ------------------------------------------------------------------------------------------------------ one after one


def test_what_is_begun_twice_is_there_once(database: Database) -> None:
    attempt = begin(database)
    with database.transaction() as session:
        again = work.begin(session, session.get_one(Attempt, attempt.id), {"other.py": b""})
    assert again.number == 1
    assert state(database, attempt) == BEGAN_WITH


def test_a_snapshot_is_told_apart_by_what_workers_will_read(database: Database) -> None:
    attempt = begin(database)
    done = change(database, attempt, 1, {"windows.py": b"x"})
    assert isinstance(done, Saved)
    assert done.snapshot.tree == digest_of({"windows.py": b"x", "notes.md": b""})
    assert done.sizes == {"windows.py": 1, "notes.md": 0}
    assert done.snapshot.bytes == 1


def test_what_changes_nothing_is_no_new_snapshot(database: Database) -> None:
    attempt = begin(database)
    for changes in ({}, {"notes.md": b""}, {"never.there": None}):
        done = change(database, attempt, 1, changes)
        assert isinstance(done, Saved)
        assert done.snapshot.number == 1
    assert numbers(database, attempt) == [1]


def test_both_sides_wrote_the_same_is_no_conflict(database: Database) -> None:
    attempt = begin(database)
    change(database, attempt, 1, {"windows.py": b"same", "notes.md": b"1"})
    done = change(database, attempt, 1, {"windows.py": b"same", "new.md": b"2"})
    assert isinstance(done, Saved)
    assert state(database, attempt) == {"windows.py": b"same", "notes.md": b"1", "new.md": b"2"}


def test_an_answer_that_was_lost_does_not_hurt_whoever_sends_again(database: Database) -> None:
    attempt = begin(database)
    sent = {"windows.py": b"first"}
    change(database, attempt, 1, sent)
    change(database, attempt, 2, {"notes.md": b"meanwhile"})
    again = change(database, attempt, 1, sent)
    assert isinstance(again, Saved)
    assert again.snapshot.number == 3
    assert state(database, attempt) == {"windows.py": b"first", "notes.md": b"meanwhile"}


@pytest.mark.parametrize("base", [0, 2, 2**31 - 1])
def test_a_base_that_is_not_there_is_refused(database: Database, base: int) -> None:
    attempt = begin(database)
    with pytest.raises(SubmissionRejected, match="of another attempt"):
        change(database, attempt, base, {"windows.py": b"x"})


@pytest.mark.parametrize(
    "changes",
    [
        {"../up.py": b""},
        {"a\0b": b""},
        {"": b""},
        {"/": b""},
        {"a//b": b""},
        {"WINDOWS.py": b""},
        {"windows.py/in.py": b""},
        {"x" * 600: b""},
        {".git/config": b""},
        {"a\ud800": b""},
        {"big.bin": bytes(9 << 10)},
        {"1": b"", "2": b"", "3": b"", "4": b""},
    ],
    ids=lambda changes: ascii(next(iter(changes)))[:20],
)
def test_what_could_not_be_handed_in_is_not_saved(database: Database, changes: dict[str, bytes]) -> None:
    attempt = begin(database, limits=SMALL)
    with pytest.raises(SubmissionRejected):
        change(database, attempt, 1, changes)
    assert numbers(database, attempt) == [1]
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Content)) == len(set(BEGAN_WITH.values()))


def test_a_file_that_takes_anothers_place_may_be_as_large(database: Database) -> None:
    attempt = begin(database, {"windows.py": bytes(8 << 10)}, SMALL)
    done = change(database, attempt, 1, {"windows.py": None, "other.py": b"x" * (8 << 10)})
    assert isinstance(done, Saved)
    with pytest.raises(SubmissionRejected, match="larger than 8 kB"):
        change(database, attempt, 2, {"one.more": b"x"})


def test_restoring_brings_all_files_back_and_keeps_what_was_there(database: Database) -> None:
    attempt = begin(database)
    change(database, attempt, 1, {"windows.py": None, "other.py": b"1"})
    with database.transaction() as session:
        back = work.restore(session, attempt.id, 1, now(session))
        assert (back.number, back.origin) == (3, Origin.RESTORED)
        assert work.restore(session, attempt.id, 1, now(session)).number == 3  # it is what is there
    assert state(database, attempt) == BEGAN_WITH
    with database.transaction() as session:
        work.restore(session, attempt.id, 2, now(session))
    assert state(database, attempt) == {"notes.md": b"", "other.py": b"1"}


def test_what_is_put_into_the_store_is_what_was_saved(database: Database, tmp_path: Path) -> None:
    portal = make_portal(database, tmp_path)
    attempt = begin(database)
    with database.reading() as session:
        head = work.head(session, attempt.id)
        assert head is not None
        assert work.store(session, head, portal.store) == head.tree
    assert portal.store.get(head.tree) == BEGAN_WITH


names = st.sampled_from(["windows.py", "notes.md", "deep/a.py", "b.bin"])
contents = st.none() | st.binary(max_size=3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.dictionaries(names, contents, max_size=3)), max_size=8))
def test_editors_behind_each_other_lose_nothing(
    database: Database, steps: list[tuple[int, dict[str, bytes | None]]]
) -> None:
    """Each step is an editor who is so many snapshots behind. The model is a list of whole states."""
    attempt = begin(database)
    known: list[dict[str, bytes]] = [dict(BEGAN_WITH)]
    for behind, changes in steps:
        base = max(1, len(known) - behind)
        done = change(database, attempt, base, changes)
        old, present = known[base - 1], known[-1]
        torn = {
            name
            for name, content in changes.items()
            if old.get(name) != present.get(name) and present.get(name) != content
        }
        if torn:
            assert isinstance(done, Conflict)
            assert set(done.names) == torn
        else:
            assert isinstance(done, Saved)
            kept = {name: content for name, content in changes.items() if content is not None}
            after = {name: content for name, content in present.items() if name not in changes} | kept
            if after != present:
                known.append(after)
            assert done.snapshot.number == len(known)
            assert done.sizes == {name: len(content) for name, content in known[-1].items()}
        assert state(database, attempt) == known[-1]
    with database.reading() as session:
        for number, files in enumerate(known, 1):
            snapshot = work.numbered(session, attempt.id, number)
            assert snapshot is not None
            assert work.files(session, snapshot) == files


# ----------------------------------------------------------------------------------------------------- at the same time


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    ready = Barrier(count)

    def one(number: int) -> Any:
        ready.wait()
        return act(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


def test_tabs_that_save_different_files_in_the_same_moment_are_all_heard(database: Database) -> None:
    attempt = begin(database)
    done = at_once(8, lambda number: change(database, attempt, 1, {f"{number}.py": b"%d" % number}))
    assert all(isinstance(one, Saved) for one in done)
    assert sorted(one.snapshot.number for one in done) == list(range(2, 10))
    assert state(database, attempt) == BEGAN_WITH | {f"{number}.py": b"%d" % number for number in range(8)}


def test_of_tabs_that_save_one_file_in_the_same_moment_one_is_first(database: Database) -> None:
    attempt = begin(database)
    done = at_once(6, lambda number: change(database, attempt, 1, {"windows.py": b"%d" % number}))
    saved = [number for number, one in enumerate(done) if isinstance(one, Saved)]
    assert len(saved) == 1
    assert state(database, attempt)["windows.py"] == b"%d" % saved[0]
    assert {one.names for one in done if isinstance(one, Conflict)} == {("windows.py",)}


def test_the_same_save_at_once_is_one_snapshot(database: Database) -> None:
    attempt = begin(database)
    done = at_once(6, lambda _: change(database, attempt, 1, {"windows.py": b"once"}))
    assert {one.snapshot.number for one in done} == {2}
    assert numbers(database, attempt) == [2, 1]


def test_candidates_who_save_the_same_bytes_at_once_never_wait_for_each_other(database: Database) -> None:
    """Contents are shared by all: two who insert them in different order would be a deadlock."""
    attempts = [begin(database) for _ in range(6)]
    files = {f"{number}.py": b"shared %d" % number for number in range(20)}

    def save(number: int) -> Saved | Conflict:
        order = sorted(files, reverse=bool(number % 2))
        return change(database, attempts[number], 1, {name: files[name] for name in order})

    assert all(isinstance(one, Saved) for one in at_once(6, save))
    assert all(state(database, attempt) == BEGAN_WITH | files for attempt in attempts)


def test_a_save_and_an_upload_at_once_are_both_in_the_history(database: Database) -> None:
    attempt = begin(database)

    def act(number: int) -> Any:
        if number:
            return change(database, attempt, 1, {"windows.py": b"edited"})
        with database.transaction() as session:
            return work.save(session, attempt.id, {"up.py": b"loaded"}, Origin.UPLOAD, now(session))

    at_once(2, act)
    with database.reading() as session:
        every = [work.files(session, one) for one in work.history(session, attempt.id)]
    assert {"up.py": b"loaded"} in every
    assert len(every) in (2, 3)  # the edit came first, or was told of a conflict


# --------------------------------------------------------------------------------------------------------- the clock


def test_the_end_is_the_last_moment_that_counts(database: Database) -> None:
    attempt = begin(database)
    with database.transaction() as session:
        end = session.get_one(Attempt, attempt.id).ends_at
        assert end is not None
        work.change(session, attempt.id, 1, {"windows.py": b"just in time"}, end)
    with pytest.raises(TooLate), database.transaction() as session:
        work.change(session, attempt.id, 2, {"windows.py": b"late"}, end + timedelta(microseconds=1000))
    assert state(database, attempt)["windows.py"] == b"just in time"


@pytest.mark.parametrize(
    ("start", "zone", "shown"),
    [
        (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), "Europe/Berlin", ("01:30 CET", "04:30 CEST")),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Europe/Berlin", ("02:30 CEST", "03:30 CET")),
        (datetime(2026, 4, 4, 14, 30, tzinfo=UTC), "Australia/Lord_Howe", ("01:30 +11", "03:00 +1030")),
    ],
)
def test_an_hour_that_is_skipped_or_comes_twice_changes_nobodys_time(
    database: Database, start: datetime, zone: str, shown: tuple[str, str]
) -> None:
    """Two hours are two hours, whatever the clock on the wall does meanwhile; the page shows what that clock says."""
    attempt = begin(database)
    with database.transaction() as session:
        row = session.get_one(Attempt, attempt.id)
        row.started_at, row.ends_at, row.time_zone = start, start + timedelta(hours=2), zone
    with database.reading() as session:
        row = session.get_one(Attempt, attempt.id)
        assert row.started_at is not None
        assert row.ends_at is not None
        assert row.ends_at - row.started_at == timedelta(hours=2)
        assert tuple(format_moment(one, zone)[11:] for one in (row.started_at, row.ends_at)) == shown
    for moment, counts in ((timedelta(minutes=119, seconds=59), True), (timedelta(minutes=120, seconds=1), False)):
        with database.transaction() as session:
            try:
                work.change(session, attempt.id, 1, {"windows.py": repr(moment).encode()}, start + moment)
                assert counts
            except TooLate:
                assert not counts


def test_the_clock_as_a_column_is_the_clock(database: Database) -> None:
    with database.reading() as session:
        before, told, after = now(session), session.scalar(select(clock(dialect_of(session)))), now(session)
    assert isinstance(told, datetime)
    assert before <= told <= after
    assert told.tzinfo is not None


# ------------------------------------------------------------------------------------------------------- what it costs


@contextmanager
def statements() -> Iterator[list[str]]:
    said: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if not statement.startswith(("BEGIN", "SELECT 1")):
            said.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_a_save_costs_the_same_whatever_there_is(database: Database, tmp_path: Path) -> None:
    """Statements of one request: with few files and no history, and with many of both."""
    portal = make_portal(database, tmp_path)
    attempt = started(portal)
    client = candidate_client(portal, attempt)
    costs = []
    for many in (False, True):
        if many:
            with database.transaction() as session:
                files = {f"{number}.py": b"%d" % number for number in range(40)}
                work.save(session, attempt.id, files, Origin.UPLOAD, now(session))
            for number in range(30):
                with database.reading() as session:
                    head = work.head(session, attempt.id)
                assert head is not None
                change(database, attempt, head.number, {"windows.py": b"%d" % number})
        state_of = client.get(f"/attempts/{attempt.id}/state").json
        assert state_of is not None
        said = {"base": state_of["number"], "changes": {"windows.py": {"text": f"many: {many}"}}}
        with statements() as spoken:
            assert client.post(f"/attempts/{attempt.id}/save", json=said).status_code == 200
        costs.append(list(spoken))
    assert costs[0] != []
    assert len(costs[0]) == len(costs[1]) <= 8, "\n".join(costs[1])


def test_to_ask_in_vain_costs_next_to_nothing(database: Database, tmp_path: Path) -> None:
    portal = make_portal(database, tmp_path)
    attempt = started(portal)
    client = candidate_client(portal, attempt)
    mark = client.get(f"/attempts/{attempt.id}/state").headers["ETag"]
    with statements() as spoken:
        assert client.get(f"/attempts/{attempt.id}/state", headers={"If-None-Match": mark}).status_code == 304
    assert len(spoken) <= 2, "\n".join(spoken)


def test_bytes_that_are_saved_again_and_again_are_kept_once(database: Database) -> None:
    attempt = begin(database)
    for base in range(1, 9):
        change(database, attempt, base, {"windows.py": b"even" if base % 2 else b"odd"})
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Snapshot)) == 9
        assert session.scalar(select(func.count()).select_from(Content)) == 4  # these two, and what they began with
