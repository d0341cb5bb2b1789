"""Pushes that attack whoever reads them. Each is refused in a sentence, and has changed nothing."""

import gzip
import hashlib
import random
import struct
import time
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from tests.hostile.git_packing import (
    blob,
    by_id,
    by_offset,
    commit,
    copy,
    entry,
    header,
    insert,
    offer,
    pack,
    sealed,
    steps,
    tree,
)  # fmt: skip
from tests.web.databases import sqlite_settings
from tests.web.portal_world import make_portal, moment, move_clock, started, stranger
from web import work
from web.arrival import HEADER
from web.database import connect, migrate
from web.errors import SubmissionRejected
from web.git.lines import FLUSH, line
from web.git.objects import Kind, Leaf, Object, leaves, read_commit, read_tree, write_trees
from web.git.packs import MOST_OBJECTS, read_pack
from web.git.passwords import new_password
from web.git.protocol import NOTHING
from web.models import Attempt, Content, GitTip
from web.portal import Portal

MEGABYTE: Final = 1 << 20
FILE, FOLDER, LINK, SUBMODULE = b"100644", b"40000", b"120000", b"160000"
NOBODY: Final = "ab" * 20


def read(packed: bytes, *known: Object, most: int = 4 * MEGABYTE) -> dict[str, Object]:
    return read_pack(packed, most, {one.id: one for one in known}.get)


def sentence(packed: bytes, *known: Object, most: int = 4 * MEGABYTE) -> str:
    with pytest.raises(SubmissionRejected) as refused:
        read(packed, *known, most=most)
    assert str(refused.value).isprintable()
    assert str(refused.value).startswith("push: ")
    return str(refused.value)


# ------------------------------------------------------------------------------------------------------------ packs

HONEST: Final = blob(b"print('hello')\n" * 20)
BASE: Final = len(HONEST.content)


def honest() -> bytes:
    made = by_id(HONEST.id, steps(BASE, 20, copy(0, 15), insert(b"hello")))
    return pack(entry(HONEST), made, entry(blob(b"")), entry(commit(NOBODY)))


def test_an_honest_pack_is_read() -> None:
    found = read(honest())
    contents = {one.content for one in found.values() if one.kind is Kind.BLOB}
    assert contents == {b"", HONEST.content, b"print('hello')\nhello"}
    assert all(name == one.id for name, one in found.items())


def test_a_pack_that_ends_anywhere_is_refused() -> None:
    whole = honest()
    for length in range(len(whole) - 20):
        sentence(whole[:length])  # as it comes
        if length >= 12:
            sentence(sealed(whole[:length]))  # as somebody would send it on purpose


def test_no_change_of_a_byte_is_more_than_a_refusal() -> None:
    chance = random.Random(7)
    whole = honest()[:-20]
    for _ in range(3000):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            found = read(sealed(bytes(changed)))
        except SubmissionRejected:
            continue
        assert all(name == one.id for name, one in found.items())


@pytest.mark.parametrize("count", [3, 5, MOST_OBJECTS])
def test_a_count_that_is_not_the_packs_is_refused(count: int) -> None:
    assert "damaged" in sentence(sealed(honest()[:8] + struct.pack(">L", count) + honest()[12:-20]))


def test_more_objects_than_anybody_made_are_refused_before_one_is_read() -> None:
    assert "more than 20,000 objects" in sentence(pack(count=2**32 - 1))


def test_another_version_and_another_mark_are_refused() -> None:
    assert "no pack" in sentence(pack(entry(HONEST), version=3))
    assert "no pack" in sentence(sealed(b"KCAP" + honest()[4:-20]))
    assert "not what it says" in sentence(honest()[:-1] + b"\0")


@pytest.mark.parametrize(("size", "why"), [(BASE - 1, "longer"), (BASE + 1, "shorter"), (0, "longer")])
def test_an_object_of_another_length_than_it_says_is_refused(size: int, why: str) -> None:
    assert f"{why} than it says" in sentence(pack(entry(HONEST, size=size)))


def test_what_it_says_is_counted_before_it_is_inflated() -> None:
    assert "larger than 4,096 kB" in sentence(pack(entry(HONEST, size=2**59)))
    assert "endless" in sentence(pack(b"\xbf" + b"\xff" * 20 + zlib.compress(b"")))


def test_a_bomb_is_inflated_no_further_than_it_says() -> None:
    bomb = header(Kind.BLOB, 100) + zlib.compress(bytes(200 * MEGABYTE), 9)
    packed = pack(bomb)
    tracemalloc.start()
    try:
        assert "longer than it says" in sentence(packed)
        assert tracemalloc.get_traced_memory()[1] < 2 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_empty_blocks_without_end_are_an_end() -> None:
    """Of five bytes that inflate to none there may be as many as somebody likes to send."""
    endless = b"\x78\x9c" + b"\0\0\0\xff\xff" * 100_000
    assert "ends too early" in sentence(pack(header(Kind.BLOB, 1) + endless))


def test_many_small_objects_count_together() -> None:
    large = entry(blob(bytes(MEGABYTE)))
    assert "larger than 4,096 kB" in sentence(pack(*[large] * 5))


def test_an_object_of_no_kind_is_refused() -> None:
    for kind in (0, 5):
        assert "of no kind" in sentence(pack(header(kind, 0) + zlib.compress(b"")))


# ------------------------------------------------------------------------------------------------------ differences


def test_differences_that_wait_for_each_other_wait_in_vain() -> None:
    one, two = blob(b"a" * 30), blob(b"a" * 29 + b"b")
    there, back = (steps(30, 30, copy(0, 29), insert(letter)) for letter in (b"a", b"b"))
    assert "is not there" in sentence(pack(by_id(two.id, there), by_id(one.id, back)))
    assert "is not there" in sentence(pack(by_id(one.id, there)))


def test_a_long_chain_of_differences_has_an_end() -> None:
    longer = steps(30, 30, copy(0, 29), insert(b"b"))
    first = entry(blob(b"a" * 30))
    link = by_offset(len(longer), longer)
    back = len(first)
    entries = [first]
    for _ in range(5000):
        link = by_offset(back, longer)
        entries.append(link)
        back = len(link)
    assert len(read(pack(*entries))) == 2


@pytest.mark.parametrize("back", [1, 2, 10_000, 2**70])
def test_a_difference_from_no_entry_is_refused(back: int) -> None:
    packed = pack(entry(HONEST), by_offset(back, steps(BASE, 5, insert(b"hello"))))
    assert "damaged" in sentence(packed)


def test_a_difference_from_itself_is_refused() -> None:
    made = header(6, 3) + b"\0" + zlib.compress(steps(0, 0)[:3])
    assert "from nothing" in sentence(pack(made))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (steps(BASE + 1, 5, insert(b"hello")), "from something else"),
        (steps(BASE, 5, copy(BASE - 2, 5)), "beyond the end"),
        (steps(BASE, 5, copy(2**32 - 1, 5)), "beyond the end"),
        (steps(BASE, 4, insert(b"hello")), "more than it says"),
        (steps(BASE, 6, insert(b"hello")), "less than it says"),
        (steps(BASE, 5, b"\0"), "step to nowhere"),
        (steps(BASE, 5, b"\x05hel"), "step to nowhere"),
        (steps(BASE, 5, b"\xff\0"), "ends too early"),
        (b"", "without its lengths"),
        (b"\xff" * 20, "without its lengths"),
    ],
)
def test_a_difference_that_cannot_be_taken_is_refused(made: bytes, why: str) -> None:
    assert why in sentence(pack(entry(HONEST), by_id(HONEST.id, made)))


def test_what_differences_become_is_counted_before_it_is_made() -> None:
    """Seven bytes copy sixteen megabytes, and may stand there as often as somebody likes."""
    large = blob(bytes(MEGABYTE))
    again = steps(MEGABYTE, 64 * MEGABYTE, *[copy(0, MEGABYTE)] * 64)
    tracemalloc.start()
    try:
        assert "larger than 4,096 kB" in sentence(pack(entry(large), by_id(large.id, again)))
        assert tracemalloc.get_traced_memory()[1] < 8 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_steps_without_end_are_refused() -> None:
    many = steps(BASE, 1_100_000, insert(b"a") * 1_100_000)
    assert "packed too tightly" in sentence(pack(entry(HONEST), by_id(HONEST.id, many)))


def test_a_difference_from_what_we_have_is_taken() -> None:
    made = pack(by_id(HONEST.id, steps(BASE, 5, insert(b"hello"))))
    assert [one.content for one in read(made, HONEST).values()] == [b"hello"]
    assert "is not there" in sentence(made)


# ------------------------------------------------------------------------------------------------------------ trees


@pytest.mark.parametrize(
    "name",
    [
        *(b"", b".", b"..", b"a/b", rb"a\b"),
        *(b".git", b".GIT", b".Git", b".git.", b".git ", b".git . .", b"git~1", b"GIT~1"),
        *(b".git::$INDEX_ALLOCATION", ".g\u200cit".encode(), "\ufeff.git".encode()),
    ],
)
def test_a_name_that_a_client_would_obey_is_in_no_tree(name: bytes) -> None:
    with pytest.raises(SubmissionRejected, match=r"which git would not make|cannot be read"):
        read_tree(tree((FILE, name, NOBODY)).content)


@pytest.mark.parametrize(
    "made",
    [
        tree((FILE, b"b", NOBODY), (FILE, b"a", NOBODY)),
        tree((FILE, b"a", NOBODY), (FILE, b"a", NOBODY)),
        tree((FILE, b"a", NOBODY), (FILE, b"a-b", NOBODY), (FOLDER, b"a", NOBODY)),
        tree((b"100664", b"a", NOBODY)),
        tree((b"040000", b"a", NOBODY)),
        tree((b"0", b"a", NOBODY)),
        tree((b"", b"a", NOBODY)),
        Object(Kind.TREE, b"100644 a\0short"),
        Object(Kind.TREE, b"100644 a"),
        Object(Kind.TREE, b"no tree at all"),
    ],
)
def test_a_tree_that_git_would_not_make_is_refused(made: Object) -> None:
    with pytest.raises(SubmissionRejected):
        read_tree(made.content)


def test_one_tree_in_a_million_places_is_not_walked() -> None:
    """Ten levels of ten folders that all are the same: a kilobyte, and ten billion files."""
    trees, inner = {}, tree((FILE, b"file", NOBODY))
    for _ in range(10):
        trees[inner.id] = inner.content
        inner = tree(*((FOLDER, b"%d" % name, inner.id) for name in range(10)))
    trees[inner.id] = inner.content
    with pytest.raises(SubmissionRejected, match="files and folders"):
        leaves(inner.id, trees.__getitem__)


def test_folders_without_end_are_too_deep() -> None:
    trees, inner = {}, tree((FILE, b"file", NOBODY))
    for _ in range(10_000):
        trees[inner.id] = inner.content
        inner = tree((FOLDER, b"deeper", inner.id))
    trees[inner.id] = inner.content
    with pytest.raises(SubmissionRejected, match="the name is too long"):
        leaves(inner.id, trees.__getitem__)


def test_what_is_written_can_be_read_again() -> None:
    files = {name: Leaf(FILE, NOBODY) for name in ("a", "a-b", "b/c/d", "b/c.d", "b/c/e/f", "z/y", "a.b/c", "ü")}
    root, made = write_trees(files)
    assert leaves(root, {one.id: one.content for one in made}.__getitem__) == files
    for one in made:
        assert tree(*((entry.mode, entry.name, entry.id) for entry in read_tree(one.content))) == one


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"tree \n",
        b"parent " + b"a" * 40 + b"\n",
        b"tree " + b"A" * 40 + b"\nauthor a\ncommitter a\n\n",
        b"tree " + b"a" * 40 + b"\nauthor a\n\n",
        b"tree " + b"a" * 40 + b"\n" + (b"parent " + b"b" * 40 + b"\n") * 65 + b"author a\ncommitter a\n\n",
        b"tree " + b"a" * 40 + b"\nauthor a\ncommitter a\0\n\n",
    ],
)
def test_a_commit_that_git_would_not_make_is_refused(content: bytes) -> None:
    with pytest.raises(SubmissionRejected):
        read_commit(content)


# ------------------------------------------------------------------------------------------------------ whole pushes


@dataclass(frozen=True)
class Desk:
    """Somebody with the password of an attempt, and no git in their hands."""

    portal: Portal
    attempt: Attempt
    client: FlaskClient
    password: str

    def send(self, service: str, body: bytes, attempt: str = "", **headers: str) -> TestResponse:
        told = {"Authorization": f"Basic {b64encode(f'x:{self.password}'.encode()).decode()}"}
        told |= {"Content-Type": f"application/x-{service}-request"} | headers
        address = f"/git/{attempt or self.attempt.id}.git/{service}"
        return self.client.post(address, data=body, headers=told)

    def tip(self) -> str:
        word = b64encode(f"x:{self.password}".encode()).decode()
        address = f"/git/{self.attempt.id}.git/info/refs?service=git-receive-pack"
        answer = self.client.get(address, headers={"Authorization": f"Basic {word}"})
        return str(answer.data.split(b"0000", 1)[1][4:44], "ascii")

    def push(self, *objects: Object, after: str = "") -> str:
        packed = pack(*map(entry, objects))
        answer = self.send("git-receive-pack", offer(self.tip(), after or objects[-1].id, packed))
        assert answer.status_code == 200
        return str(answer.data, errors="replace")

    def refused(self, *objects: Object, after: str = "") -> str:
        self.tip()  # to ask makes a commit of what is saved
        before = self.rows()
        said = self.push(*objects, after=after)
        assert "ng refs/heads/main" in said, said
        assert "ok refs/heads/main" not in said
        assert self.rows() == before
        return said

    def rows(self) -> list[int | None]:
        with self.portal.database.reading() as session:
            counts = [session.scalar(select(func.count()).select_from(table)) for table in (Content, GitTip)]
            head = work.head(session, self.attempt.id)
            return [*counts, head.number if head else None]


def sit_down(portal: Portal) -> Desk:
    attempt = started(portal)
    with portal.database.transaction() as session:
        password = new_password(session, portal, attempt.id)
    return Desk(portal, attempt, stranger(portal, csrf=True), password)


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    settings = sqlite_settings(tmp_path / "database")
    migrate(settings)
    database = connect(settings)
    yield make_portal(database, tmp_path)
    database.close()


@pytest.fixture
def desk(portal: Portal) -> Desk:
    return sit_down(portal)


CONTENT: Final = blob(b"mine\n")
HONEST_TREE: Final = tree((FILE, b"windows.py", CONTENT.id))


def test_an_honest_push_by_hand_is_taken(desk: Desk) -> None:
    assert "ok refs/heads/main" in desk.push(CONTENT, HONEST_TREE, commit(HONEST_TREE.id, desk.tip()))
    assert desk.rows()[-1] == 2


def test_a_push_that_began_in_time_counts_however_long_it_waited_for_us(desk: Desk) -> None:
    made = commit(HONEST_TREE.id, desk.tip())
    offered = offer(desk.tip(), made.id, pack(*map(entry, (CONTENT, HONEST_TREE, made))))
    move_clock(desk.portal, desk.attempt, ends_at=moment(desk.portal) - timedelta(seconds=20))
    for waited, fate in ((10, b"ng refs/heads/main too late"), (30, b"ok refs/heads/main")):
        arrived = {HEADER: repr(time.monotonic() - waited)}  # as our own server says it
        assert fate in desk.send("git-receive-pack", offered, **arrived).data


@pytest.mark.parametrize(
    "objects",
    [
        (HONEST_TREE,),  # a file is missing
        (CONTENT,),  # the tree
        (CONTENT, tree((FOLDER, b"windows.py", CONTENT.id))),  # a file as a folder
        (CONTENT, HONEST_TREE, tree((FILE, b"windows.py", HONEST_TREE.id))),  # a folder as a file
        (tree((FILE, b"windows.py", NOBODY)),),
    ],
)
def test_what_a_push_names_has_to_be_there(desk: Desk, objects: tuple[Object, ...]) -> None:
    root = objects[-1].id if objects[-1].kind is Kind.TREE else HONEST_TREE.id
    assert "is not there" in desk.refused(*objects, commit(root, desk.tip()))


def test_a_parent_that_is_missing_or_no_commit_is_refused(desk: Desk) -> None:
    for parent in (NOBODY, CONTENT.id):
        made = commit(HONEST_TREE.id, desk.tip(), parent)
        assert "is not there" in desk.refused(CONTENT, HONEST_TREE, made)


def test_the_branch_cannot_be_moved_to_what_is_no_commit(desk: Desk) -> None:
    for other in (CONTENT, HONEST_TREE):
        assert "is not there" in desk.refused(CONTENT, HONEST_TREE, after=other.id)
    assert "is not there" in desk.refused(CONTENT, after=NOBODY)


def test_a_file_of_another_attempt_cannot_be_named_by_its_hash(desk: Desk) -> None:
    """Contents lie together, each once. Who guesses a hash must not get the file that another has saved."""
    other = sit_down(desk.portal)
    secret = blob(b"what another candidate has written\n")
    theirs = tree((FILE, b"windows.py", secret.id))
    assert "ok refs" in other.push(secret, theirs, commit(theirs.id, other.tip()))
    assert "is not there" in desk.refused(theirs, commit(theirs.id, desk.tip()))
    packed = pack(by_id(secret.id, steps(len(secret.content), 35, copy(0, 35))))
    answer = desk.send("git-receive-pack", offer(desk.tip(), NOBODY, packed))
    assert b"a difference from an object that is not there" in answer.data
    wanted = line(f"want {other.tip()}\n") + FLUSH + line("done\n")
    assert b"ERR it asks for a commit that is not here" in desk.send("git-upload-pack", wanted).data


def test_a_link_in_an_older_commit_is_history_and_in_the_last_one_refused(desk: Desk) -> None:
    target = blob(b"/etc/passwd")
    linked = tree((LINK, b"answers", target.id), (FILE, b"windows.py", CONTENT.id))
    first = commit(linked.id, desk.tip())
    assert "this is a link" in desk.refused(CONTENT, target, linked, first)
    then = commit(HONEST_TREE.id, first.id)
    assert "ok refs/heads/main" in desk.push(CONTENT, target, linked, first, HONEST_TREE, then)
    with desk.portal.database.reading() as session:
        head = work.head(session, desk.attempt.id)
        assert head is not None
        assert work.files(session, head) == {"windows.py": CONTENT.content}


def test_one_file_in_many_places_counts_in_each(desk: Desk) -> None:
    large = blob(bytes(200_000))
    many = tree(*((FILE, b"%02d.bin" % number, large.id) for number in range(40)))
    assert "larger than 512 kB" in desk.refused(large, many, commit(many.id, desk.tip()))


def test_a_history_cannot_grow_for_ever(desk: Desk) -> None:
    """What is in no last commit is kept all the same, so that a clone is whole; there is an end to it."""
    chance = random.Random(7)
    tip = desk.tip()
    for turns in range(10):  # noqa: B007
        hidden = blob(chance.randbytes(3 * MEGABYTE))
        first_tree = tree((FILE, b"hidden.bin", hidden.id))
        first = commit(first_tree.id, tip)
        last = commit(HONEST_TREE.id, first.id)
        said = desk.push(hidden, first_tree, first, CONTENT, HONEST_TREE, last)
        if "ok refs" not in said:
            break
        tip = last.id
    assert turns == 5
    assert "the history has become too large" in said.casefold()


def test_a_commit_of_many_parents_and_one_met_many_times_have_an_end(desk: Desk) -> None:
    """Sixty layers of two commits that each have both of the layer below: as many ways as there are atoms."""
    below: tuple[str, ...] = (desk.tip(),)
    made: list[Object] = []
    for _ in range(60):
        pair = [commit(HONEST_TREE.id, *below, *([below[0]] * number)) for number in range(2)]
        made += pair
        below = tuple(one.id for one in pair)
    assert "ok refs/heads/main" in desk.push(CONTENT, HONEST_TREE, *made)


# ---------------------------------------------------------------------------------------------------------- the wire


def test_junk_is_never_our_fault(portal: Portal, desk: Desk) -> None:
    chance = random.Random(7)
    good = offer(desk.tip(), NOBODY, honest())
    asked = line(f"want {desk.tip()} side-band-64k\n") + FLUSH + line(f"have {NOBODY}\n") + line("done\n")
    for service, honest_body in (("git-receive-pack", good), ("git-upload-pack", asked)):
        desk = sit_down(portal)  # one that has not asked too often yet
        bodies = [b"", b"0", b"0000", b"0003", b"0001", b"ffff", b"0004", b"-001", b"+004", b"0x10", b"\xb2" * 300]
        bodies += [honest_body[:length] for length in range(0, len(honest_body), 7)]
        for _ in range(100):
            changed = bytearray(honest_body)
            changed[chance.randrange(len(changed))] = chance.randrange(256)
            bodies.append(bytes(changed))
        for body in bodies:
            answer = desk.send(service, body)
            assert answer.status_code == 200, body
            assert "ok refs/heads/main" not in answer.data.decode(errors="replace")
        assert desk.rows()[-1] == 1


def test_only_gits_own_types_are_taken(desk: Desk) -> None:
    """A form of another site sends the password that a browser remembers, and cannot send these types."""
    body = offer(desk.tip(), NOBODY, honest())
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert desk.send("git-receive-pack", body, **{"Content-Type": kind}).status_code == 415
    assert desk.send("git-receive-pack", body, **{"Content-Encoding": "br"}).status_code == 415
    assert desk.send("git-receive-pack", body, **{"Content-Encoding": "gzip"}).status_code == 415


def test_a_body_that_inflates_without_end_is_read_no_further_than_it_may_be(desk: Desk) -> None:
    bomb = gzip.compress(b"0032want " + bytes(200 * MEGABYTE))
    tracemalloc.start()
    try:
        answer = desk.send("git-upload-pack", bomb, **{"Content-Encoding": "gzip"})
        assert b"ERR " in answer.data
        assert desk.send("git-receive-pack", bomb, **{"Content-Encoding": "gzip"}).status_code == 200
        assert tracemalloc.get_traced_memory()[1] < 80 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_no_name_of_a_branch_writes_a_line_of_the_report(desk: Desk) -> None:
    for name in ("refs/heads/x\nok refs/heads/main", "refs/heads/x\x1b[2J", "refs/heads/a b"):
        answer = desk.send("git-receive-pack", offer(desk.tip(), NOBODY, honest(), name=name))
        assert b"ERR " in answer.data
    odd = desk.send("git-receive-pack", offer(desk.tip(), NOBODY, honest(), name="refs/heads/../../main"))
    assert b"ng refs/heads/../../main only main is kept here" in odd.data


def test_main_cannot_be_named_twice_or_away(desk: Desk) -> None:
    tip = desk.tip()
    twice = line(f"{tip} {NOBODY} refs/heads/main\0report-status") + line(f"{tip} {tip} refs/heads/main") + FLUSH
    assert b"ng refs/heads/main main stays" in desk.send("git-receive-pack", twice + honest()).data
    for before, after in ((tip, NOTHING), (NOTHING, NOBODY), (NOTHING, NOTHING)):
        answer = desk.send("git-receive-pack", offer(before, after, honest()))
        assert b"ng refs/heads/main main stays" in answer.data


def test_a_thousand_branches_are_refused(desk: Desk) -> None:
    many = b"".join(line(f"{NOTHING} {NOBODY} refs/heads/{number}") for number in range(1000))
    assert b"ERR " in desk.send("git-receive-pack", many + FLUSH + honest()).data


def test_the_password_is_looked_at_before_anything_that_was_sent(desk: Desk) -> None:
    other = sit_down(desk.portal)
    for attempt in (other.attempt.id, "0" * 32, "x", "%00", "..%2f.."):
        for service in ("git-receive-pack", "git-upload-pack"):
            answer = desk.send(service, b"x" * 1000, attempt)
            assert answer.status_code in (401, 404)
            if answer.status_code == 401:
                assert answer.headers["WWW-Authenticate"].startswith('Basic realm="Assay"')
    for header_said in ("Basic", "Basic !!!", "Basic eA==", f"Bearer {desk.password}", "Basic " + "QQ" * 20000):
        answer = desk.send("git-receive-pack", b"", Authorization=header_said)
        assert answer.status_code == 401


def test_the_hash_in_the_database_opens_nothing(desk: Desk) -> None:
    sealed_password = desk.portal.sealed(f"git {desk.attempt.id}", desk.password)
    assert desk.password not in sealed_password
    word = b64encode(f"x:{sealed_password}".encode()).decode()
    assert desk.send("git-receive-pack", b"", Authorization=f"Basic {word}").status_code == 401
    assert hashlib.sha256(desk.password.encode()).hexdigest() != sealed_password
