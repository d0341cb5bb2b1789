"""The real git against a real portal process: what a candidate does in a terminal, and what git then says."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import func, select

from graders.contract import CheckReport
from sandbox import Ending
from tests.web.portal_process import PortalProcess
from tests.web.portal_world import Served, candidate_client, invited, make_portal, moment, move_clock, started
from tests.web.valkey_server import ValkeyServer
from tests.web.worker_process import until
from web import access, checks, secrecy, work
from web.database import Database, connect, now
from web.git.passwords import new_password
from web.models import Attempt, AuditEvent, ChallengeVersion, Check, GitTip, Origin, Snapshot
from web.portal import Portal
from web.settings import DatabaseSettings
from web.valkey import SOCKET

# Nothing of this machine's configuration, and nobody who could be asked for a password.
ALONE: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "LC_ALL": "C.UTF-8",
    **{f"GIT_{who}_{what}": "ada" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *words],
        cwd=folder,
        env=ALONE | {"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Clone:
    """A folder in which somebody works."""

    folder: Path

    def run(self, *words: str) -> str:
        ended = git(self.folder, *words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def fail(self, *words: str) -> str:
        ended = git(self.folder, *words)
        assert ended.returncode != 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def write(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, name: str = "windows.py", content: str | bytes = "pass\n", message: str = "work") -> str:
        self.write(name, content)
        self.run("add", "--all", "--force")
        self.run("commit", "--quiet", "--message", message)
        return self.run("rev-parse", "HEAD").strip()

    def pushed(self, *words: str) -> str:
        return self.run("push", *words)

    @property
    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and ".git" not in path.relative_to(self.folder).parts
        }


@dataclass(frozen=True)
class Place:
    served: Served
    attempt: Attempt
    folder: Path

    @property
    def portal(self) -> Portal:
        return self.served.portal

    def password(self, attempt: Attempt | None = None) -> str:
        with self.portal.database.transaction() as session:
            return new_password(session, self.portal, (attempt or self.attempt).id)

    def address(self, password: str, attempt: Attempt | None = None) -> str:
        host = self.served.url.removeprefix("http://")
        return f"http://candidate:{password}@{host}/git/{(attempt or self.attempt).id}.git"

    def clone(self, name: str = "mine") -> Clone:
        ended = git(self.folder, "clone", self.address(self.password()), name)
        assert ended.returncode == 0, ended.stderr
        return Clone(self.folder / name)

    def saved(self) -> tuple[Snapshot, dict[str, bytes]]:
        with self.portal.database.reading() as session:
            head = work.head(session, self.attempt.id)
            assert head is not None
            return head, work.files(session, head)

    def save_in_the_browser(self, **changes: bytes | None) -> Snapshot:
        """`notes_md` is the file notes.md."""
        with self.portal.database.transaction() as session:
            head = work.head(session, self.attempt.id)
            assert head is not None
            renamed = {name.replace("_", "."): content for name, content in changes.items()}
            saved = work.change(session, self.attempt.id, head.number, renamed, now(session), "tab")
            assert isinstance(saved, work.Saved)
            return saved.snapshot


@pytest.fixture
def place(database_settings: DatabaseSettings, database: Database, tmp_path: Path) -> Iterator[Place]:
    yield from served(database_settings, database, tmp_path)


@pytest.fixture
def desk(new_sqlite: Callable[[Path], DatabaseSettings], tmp_path: Path) -> Iterator[Place]:
    """A place on SQLite alone, for what no database has a say in."""
    settings = new_sqlite(tmp_path / "database")
    database = connect(settings)
    yield from served(settings, database, tmp_path)
    database.close()


def address_of(settings: DatabaseSettings) -> str:
    return settings.database_url.get_secret_value() or f"sqlite:///{settings.state / 'assay.db'}"


def served(settings: DatabaseSettings, database: Database, folder: Path, **more: Any) -> Iterator[Place]:
    state = folder / "state"
    with PortalProcess(state=state, database_url=address_of(settings), **more) as process:
        plain = make_portal(database, state)
        given = plain.settings.session_secret
        secret = secrecy.read("SESSION_SECRET", given, str(state / "secrets" / "session_secret"))
        portal = replace(plain, session_secret=secret)
        yield Place(Served(portal, process.url, process), started(portal), folder)


# ---------------------------------------------------------------------------------------------------------- the way


def test_a_clone_holds_the_files_and_the_brief_and_tells_the_time(place: Place) -> None:
    ended = git(place.folder, "clone", place.address(place.password()), "mine")
    mine = Clone(place.folder / "mine")
    _, saved = place.saved()
    files = mine.files
    assert files.pop("BRIEF.md").startswith(b"# Warm-up\n")
    assert files == saved
    assert "remote: 9 minutes left." in ended.stderr
    mine.run("fsck", "--strict")
    assert mine.run("branch", "--show-current") == "main\n"


def test_a_push_becomes_a_snapshot_and_says_so(place: Place) -> None:
    mine = place.clone()
    mine.write("deep/er/notes.md", "Grüße\n")
    commit = mine.commit("windows.py", "print(1)\n")
    said = mine.pushed()
    snapshot, saved = place.saved()
    assert (snapshot.number, snapshot.origin) == (2, Origin.PUSH)
    assert snapshot.saved_by == f"push {commit[:10]}"
    assert saved["windows.py"] == b"print(1)\n"
    assert saved["deep/er/notes.md"] == "Grüße\n".encode()
    assert "BRIEF.md" not in saved  # ours, and unchanged: it is no work of theirs
    assert f"remote: Received snapshot 2: {len(saved)} files, " in said
    assert "remote: 9 minutes left." in said


def test_history_stays_what_was_pushed(place: Place) -> None:
    mine = place.clone()
    mine.commit(content="one\n", message="one")
    mine.commit(content="two\n", message="two, and\n\nmore")
    commit = mine.commit(content="three\n", message="three")
    mine.pushed()
    assert place.saved()[0].number == 2
    other = place.clone("other")
    assert other.run("rev-parse", "HEAD").strip() == commit
    assert other.run("log", "--format=%s").split("\n")[:3] == ["three", "two, and", "one"]
    assert other.run("show", "HEAD~1:windows.py") == "two\n"
    other.run("fsck", "--strict")


def test_what_was_saved_in_the_browser_comes_with_a_pull(place: Place) -> None:
    mine = place.clone()
    for text in (b"one", b"two", b"three"):
        place.save_in_the_browser(notes_md=text)
    mine.run("pull", "--rebase")
    assert mine.files["notes.md"] == b"three"
    assert mine.run("log", "-1", "--format=%an: %s") == "Assay: Save in the browser: snapshots 2 to 4\n"
    mine.commit()
    mine.pushed()
    assert place.saved()[1]["notes.md"] == b"three"


def test_a_push_over_newer_saved_work_is_refused_until_it_is_rebased(place: Place) -> None:
    mine = place.clone()
    mine.commit(content="mine\n")
    place.save_in_the_browser(notes_md=b"from the browser")
    assert "[rejected]" in mine.fail("push")
    assert place.saved()[0].number == 2
    mine.run("pull", "--rebase")
    mine.pushed()
    _, saved = place.saved()
    assert (saved["windows.py"], saved["notes.md"]) == (b"mine\n", b"from the browser")


def test_a_merge_can_be_pushed_too(place: Place) -> None:
    mine = place.clone()
    mine.commit(content="mine\n")
    place.save_in_the_browser(notes_md=b"from the browser")
    mine.run("pull", "--no-rebase", "--no-edit")
    mine.pushed()
    assert place.saved()[1]["notes.md"] == b"from the browser"
    place.clone("other").run("fsck", "--strict")


def test_two_clones_meet_by_a_pull(place: Place) -> None:
    one, two = place.clone("one"), place.clone("two")
    # The password that the second clone made ended the first one's.
    one.run("remote", "set-url", "origin", two.run("remote", "get-url", "origin").strip())
    one.commit("one.py", "1\n")
    one.pushed()
    two.commit("two.py", "2\n")
    assert "[rejected]" in two.fail("push")
    two.run("pull", "--rebase")
    two.pushed()
    one.run("pull", "--rebase")
    assert one.files == two.files
    assert {"one.py", "two.py"} <= place.saved()[1].keys()


def test_of_two_pushes_at_once_one_is_taken_and_the_other_told_to_pull(place: Place) -> None:
    clones = [place.clone(f"clone-{number}") for number in range(4)]
    address = clones[-1].run("remote", "get-url", "origin").strip()
    for number, clone in enumerate(clones):
        clone.run("remote", "set-url", "origin", address)
        clone.commit(f"{number}.py", f"{number}\n")
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda clone: git(clone.folder, "push"), clones))
    assert sorted(one.returncode for one in ended) == [0, 1, 1, 1]
    assert place.saved()[0].number == 2
    won = next(clone for clone, one in zip(clones, ended, strict=True) if one.returncode == 0)
    for clone in clones:
        if clone is not won:
            clone.run("pull", "--rebase")
            clone.pushed()
    assert {f"{number}.py" for number in range(4)} <= place.saved()[1].keys()
    assert place.saved()[0].number == 5


def test_modes_and_the_brief_outlive_a_save_in_the_browser(place: Place) -> None:
    mine = place.clone()
    mine.write("run.sh", "#!/bin/sh\n")
    (mine.folder / "run.sh").chmod(0o755)
    mine.commit()
    mine.pushed()
    place.save_in_the_browser(notes_md=b"x")
    mine.run("pull", "--rebase")
    assert os.access(mine.folder / "run.sh", os.X_OK)
    assert "BRIEF.md" in mine.files
    mine.run("rm", "--quiet", "BRIEF.md")
    mine.commit("windows.py", "2\n")
    mine.pushed()
    place.save_in_the_browser(notes_md=b"y")
    mine.run("pull", "--rebase")
    assert "BRIEF.md" not in mine.files


def test_a_changed_brief_is_a_file_like_any_other(place: Place) -> None:
    mine = place.clone()
    mine.commit("BRIEF.md", "my own notes\n")
    mine.pushed()
    assert place.saved()[1]["BRIEF.md"] == b"my own notes\n"
    place.save_in_the_browser(windows_py=b"1")
    mine.run("pull", "--rebase")
    assert mine.files["BRIEF.md"] == b"my own notes\n"


def test_a_push_that_changes_no_file_is_taken_and_is_no_snapshot(place: Place) -> None:
    mine = place.clone()
    mine.run("commit", "--allow-empty", "--quiet", "--message", "nothing")
    assert "The files are those of snapshot 1, as before." in mine.pushed()
    assert place.saved()[0].number == 1
    place.save_in_the_browser(notes_md=b"x")
    mine.run("pull", "--ff-only")
    assert mine.run("log", "--format=%s", "-2") == "Save in the browser: snapshot 2\nnothing\n"


def test_going_back_in_the_history_is_pushed_as_a_new_commit(place: Place) -> None:
    mine = place.clone()
    before = place.saved()[1]
    mine.commit(content="wrong\n")
    mine.pushed()
    mine.run("revert", "--no-edit", "HEAD")
    mine.pushed()
    assert place.saved()[1] == before
    assert place.saved()[0].number == 3


def test_a_deleted_deliverable_is_named(place: Place) -> None:
    mine = place.clone()
    mine.run("rm", "--quiet", "windows.py")
    mine.run("commit", "--quiet", "--message", "gone")
    assert "remote: Not there yet, and to be handed in: windows.py." in mine.pushed()


def test_large_files_are_pushed_as_long_as_they_may_be_handed_in(place: Place) -> None:
    """Git sends more than a megabyte in pieces whose number it does not know, after trying out the password."""
    mine = place.clone()
    allow(place, total_kb=2048)
    content = os.urandom(1_600_000)
    mine.commit("weights.bin", content)
    mine.pushed()
    assert place.saved()[1]["weights.bin"] == content
    changed = content[:800_000] + b"changed" + content[800_000:]
    mine.commit("weights.bin", changed)  # sent as a difference from what we have, if git finds that smaller
    mine.pushed()
    assert place.saved()[1]["weights.bin"] == changed
    assert place.clone("other").files["weights.bin"] == changed


def test_another_process_goes_on_where_the_first_one_ended(place: Place, database_settings: DatabaseSettings) -> None:
    mine = place.clone()
    mine.commit(content="1\n")
    mine.pushed()
    place.served.process.stop()
    with PortalProcess(state=place.folder / "state", database_url=address_of(database_settings)) as again:
        address = mine.run("remote", "get-url", "origin").strip()
        mine.run("remote", "set-url", "origin", address.replace(f":{place.served.process.port}/", f":{again.port}/"))
        mine.run("fetch")
        mine.commit(content="2\n")
        mine.pushed()
    assert place.saved()[1]["windows.py"] == b"2\n"


def test_every_push_is_in_the_audit_trail(place: Place) -> None:
    mine = place.clone()
    mine.commit()
    mine.pushed()
    with place.portal.database.reading() as session:
        actions = list(session.scalars(select(AuditEvent.action)))
    assert actions.count("work.pushed") == 1
    assert "git_password.made" in actions


# ------------------------------------------------------------------------------------------------------ the checks


def checks_of(place: Place) -> list[Check]:
    with place.portal.database.reading() as session:
        return list(session.scalars(select(Check).where(Check.attempt_id == place.attempt.id)))


@pytest.fixture
def ringing(
    database_settings: DatabaseSettings, database: Database, valkey: ValkeyServer, tmp_path: Path
) -> Iterator[Place]:
    """With a queue, from which the test takes what is asked of workers."""
    yield from served(database_settings, database, tmp_path, redis_url=f"unix://{valkey.folder / SOCKET}")


def test_a_push_tells_what_the_public_checks_say(ringing: Place) -> None:
    mine = ringing.clone()
    mine.commit()
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(mine.pushed)
        until(lambda: bool(checks_of(ringing)))
        [check] = checks_of(ringing)
        assert check.tree == ringing.saved()[0].tree
        report = CheckReport(check=check.id, fence=1, ending=Ending.EXITED, exit_code=1, seconds=2, output=SAID)
        with ringing.portal.database.transaction() as session:
            checks.record(session, report)
        said = pushing.result()
    assert "remote: Received snapshot 2" in said
    assert "remote: The public checks:" in said
    assert "remote: windows.py: 5 of 6" in said
    assert "remote:  [2Jred" in said  # and the terminal obeys nothing of it
    assert "remote: It ended with exit code 1 after 2.0 seconds." in said


SAID: Final = "windows.py: 5 of 6\n\x1b[2Jred\n"


def test_without_a_queue_a_push_is_taken_all_the_same(place: Place) -> None:
    mine = place.clone()
    mine.commit()
    assert f"The public checks run as soon as they can. See here: {place.served.url}/attempts/" in mine.pushed()
    assert place.saved()[0].number == 2


# ------------------------------------------------------------------------------------------------------- the clock


def end_clock(place: Place, seconds: float) -> None:
    move_clock(place.portal, place.attempt, ends_at=moment(place.portal) - timedelta(seconds=seconds))


def test_a_push_after_the_end_is_refused_with_a_sentence(place: Place) -> None:
    mine = place.clone()
    mine.commit(content="late\n")
    end_clock(place, 1)
    said = mine.fail("push")
    assert "remote: Your time was over when this reached us. What you had saved by then is handed in." in said
    assert "[remote rejected] main -> main (too late)" in said
    assert place.saved()[0].number == 1
    assert "The time is over." in mine.run("fetch", "--refetch")


def test_added_minutes_open_it_again(place: Place) -> None:
    mine = place.clone()
    mine.commit(content="late\n")
    end_clock(place, 1)
    mine.fail("push")
    end_clock(place, -30)
    said = mine.pushed()
    assert "seconds left." in said
    assert place.saved()[1]["windows.py"] == b"late\n"


# ---------------------------------------------------------------------------------------------------- who may come in


def test_nobody_comes_in_without_the_password(desk: Place) -> None:
    password = desk.password()
    theirs = started(desk.portal)
    their_password = desk.password(theirs)
    for wrong in (
        desk.address("wrong"),
        desk.address(their_password),
        desk.address(password, theirs),
        desk.address(password).replace(desk.attempt.id, "0" * 32),
        desk.address(password).replace(f"candidate:{password}@", ""),
    ):
        ended = git(desk.folder, "clone", wrong, "never")
        assert ended.returncode == 128
        assert "Authentication failed" in ended.stderr or "could not read" in ended.stderr
    desk.clone()


def test_a_clone_of_one_attempt_cannot_be_pushed_to_another(desk: Place) -> None:
    theirs = started(desk.portal)
    mine = desk.clone()
    mine.commit()
    assert "Authentication failed" in mine.fail("push", desk.address("guess", theirs), "main")
    # Even the other's own password takes no history that does not stand on the other's.
    assert "[rejected]" in mine.fail("push", desk.address(desk.password(theirs), theirs), "main")
    forced = mine.fail("push", "--force", desk.address(desk.password(theirs), theirs), "main")
    assert "[remote rejected] main -> main (there is newer saved work)" in forced


def test_git_is_out_when_the_link_is_revoked(desk: Place) -> None:
    mine = desk.clone()
    with desk.portal.database.transaction() as session:
        access.revoke_links(session, session.get_one(Attempt, desk.attempt.id), "staff")
    assert "Authentication failed" in mine.fail("fetch")


def test_a_new_password_ends_the_one_before(desk: Place) -> None:
    mine = desk.clone()
    mine.commit()
    desk.password()
    assert "Authentication failed" in mine.fail("push")


def test_before_the_start_there_is_no_password(desk: Place) -> None:
    attempt = invited(desk.portal)
    answer = candidate_client(desk.portal, attempt).post(f"/attempts/{attempt.id}/git-password")
    assert answer.status_code == 422
    assert "start your clock first" in answer.text


def test_the_page_shows_a_password_that_works_and_is_kept_nowhere(desk: Place) -> None:
    client = candidate_client(desk.portal, desk.attempt)
    page = client.post(f"/attempts/{desk.attempt.id}/git-password")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    shown = page.text.split('<code class="password">')[1].split("<")[0]
    assert f"candidate@localhost/git/{desk.attempt.id}.git" in page.text
    ended = git(desk.folder, "clone", desk.address(shown), "mine")
    assert ended.returncode == 0, ended.stderr
    unasked = candidate_client(desk.portal, desk.attempt, csrf=True)
    assert unasked.post(f"/attempts/{desk.attempt.id}/git-password").status_code == 400
    Clone(desk.folder / "mine").run("fetch")  # another site has made no new one
    stranger = candidate_client(desk.portal, started(desk.portal))
    assert stranger.post(f"/attempts/{desk.attempt.id}/git-password").status_code == 404


# --------------------------------------------------------------------------------------------------------- refusals


def allow(place: Place, **limits: int) -> None:
    """Another challenge, as far as the size of a submission goes."""
    with place.portal.database.transaction() as session:
        version = session.get_one(ChallengeVersion, place.attempt.challenge_digest)
        version.manifest = version.manifest | {"submission": limits}


def refusal(clone: Clone, *words: str) -> str:
    said = clone.fail("push", *words)
    assert "[remote rejected]" in said
    return "\n".join(line for line in said.splitlines() if line.startswith("remote:"))


def test_a_link_is_refused_and_can_be_taken_out_afterwards(desk: Place) -> None:
    mine = desk.clone()
    (mine.folder / "answers").symlink_to("/etc/passwd")
    mine.commit()
    assert "remote: 'answers': this is a link, and only files and folders are taken" in refusal(mine)
    assert desk.saved()[0].number == 1
    mine.run("rm", "--quiet", "answers")
    mine.commit(content="2\n")
    mine.pushed()
    assert "answers" not in desk.saved()[1]


def test_a_submodule_is_refused(desk: Place) -> None:
    mine = desk.clone()
    inner = Clone(mine.folder / "inner")
    inner.folder.mkdir()
    inner.run("init", "--quiet")
    inner.commit()
    mine.commit()
    assert "'inner': this is a submodule" in refusal(mine)


def test_a_list_of_submodules_is_refused(desk: Place) -> None:
    mine = desk.clone()
    mine.commit(".gitmodules", '[submodule "x"]\n\tpath = x\n\turl = -u./payload\n')
    assert "submodules are not fetched" in refusal(mine)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("README.MD", "nobody can tell this name from"),
        ("a\\b.py", "which git would not make"),
        ("line\nbreak.py", "the name holds a control character"),
        (os.fsdecode(b"latin-\xe9.py"), "the name is not in UTF-8"),
        ("node_modules/x/index.js", "files and folders of this name are never handed in"),
        ("/".join("d" * 33) + "/x.py", "the name is too long"),
        ("i\u0307.py", ""),
    ],
)
def test_names_that_no_archive_may_hold_are_refused(desk: Place, name: str, said: str) -> None:
    mine = desk.clone()
    mine.commit(name, "x\n")
    if said:
        assert said in refusal(mine)
        assert desk.saved()[0].number == 1
    else:
        mine.pushed()


def test_too_many_files_are_refused(desk: Place) -> None:
    mine = desk.clone()
    allow(desk, files=200)
    for number in range(250):
        mine.write(f"many/{number}.txt", f"{number}")
    mine.commit()
    assert "There are more than 200 files" in refusal(mine)


def test_too_much_is_refused_with_a_sentence(desk: Place) -> None:
    mine = desk.clone()
    allow(desk, total_kb=2048)
    mine.commit("weights.bin", os.urandom(3 << 20))
    assert "Together the files are larger than 2,048 kB" in refusal(mine)
    mine.run("reset", "--quiet", "--hard", "origin/main")
    mine.commit("weights.bin", os.urandom(40 << 20))
    assert "This push is larger than" in refusal(mine)
    mine.run("rm", "--quiet", "weights.bin")
    mine.commit(content="small\n")
    said = refusal(mine)  # what is in no commit but an earlier one
    assert "git reset --soft origin/main" in said
    mine.run("reset", "--soft", "origin/main")
    mine.run("commit", "--quiet", "--message", "all but what is too large")
    mine.pushed()
    assert desk.saved()[1]["windows.py"] == b"small\n"


def test_zeros_without_end_are_refused_by_what_they_become(desk: Place) -> None:
    """A hundred megabytes that travel as a hundred kilobytes."""
    mine = desk.clone()
    allow(desk, total_kb=2048)
    mine.commit("zeros.bin", bytes(100 << 20))
    assert "All that is new in it is larger than 18,432 kB" in refusal(mine)


def test_only_main_is_kept_and_only_forward(desk: Place) -> None:
    mine = desk.clone()
    first = mine.run("rev-parse", "HEAD").strip()
    mine.commit(content="1\n")
    mine.run("tag", "--annotate", "--message", "v1", "v1")
    assert "Only the branch main is kept here" in refusal(mine, "origin", "HEAD:other")
    said = mine.fail("push", "--follow-tags", "origin", "main")
    assert "main -> main" in said
    assert "[remote rejected] v1 -> v1 (only main is kept here)" in said
    assert desk.saved()[1]["windows.py"] == b"1\n"
    assert "cannot be removed" in refusal(mine, "origin", ":main")
    mine.run("reset", "--quiet", "--hard", first)
    mine.commit(content="2\n")
    assert "git pull --rebase" in refusal(mine, "--force")
    assert "git pull --rebase" in refusal(mine, "--force", "origin", f"{first}:main")
    assert desk.saved()[1]["windows.py"] == b"1\n"
    assert mine.run("ls-remote", "--quiet").split()[1::2] == ["HEAD", "refs/heads/main"]


def test_a_history_of_another_repository_is_refused(desk: Place) -> None:
    desk.clone()
    other = Clone(desk.folder / "other")
    other.folder.mkdir()
    other.run("init", "--quiet", "--initial-branch", "main")
    other.commit()
    said = other.fail("push", "--force", desk.address(desk.password()), "main")
    assert "there is newer saved work" in said
    assert desk.saved()[0].number == 1


def test_an_empty_commit_hands_in_nothing_by_mistake(desk: Place) -> None:
    mine = desk.clone()
    mine.run("rm", "--quiet", "-r", ".")
    mine.run("commit", "--quiet", "--message", "oh")
    assert "the last commit holds no file" in refusal(mine).casefold()


def test_a_shallow_clone_is_refused_by_git_itself(desk: Place) -> None:
    ended = git(desk.folder, "clone", "--depth", "1", desk.address(desk.password()), "shallow")
    assert ended.returncode == 128
    assert "does not support shallow" in ended.stderr


def test_a_push_that_is_refused_leaves_nothing(place: Place) -> None:
    mine = place.clone()
    (mine.folder / "answers").symlink_to("/etc/passwd")
    mine.commit()
    refusal(mine)
    with place.portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(GitTip)) == 1
        assert session.scalar(select(func.count()).select_from(Snapshot)) == 1
