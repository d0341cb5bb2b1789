"""Uploads, and the history that keeps everything: real pages on both databases, without a script."""

import io
import re
import socket
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, stream_encode_multipart

from tests.web.portal_world import candidate_client, invited, make_portal, move_clock, served_portal, started
from web import histories, work
from web.candidate.door import COOKIE
from web.database import Database, now
from web.models import Attempt, AuditEvent, Content, Origin, Snapshot
from web.portal import Portal


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path)


@pytest.fixture
def attempt(portal: Portal) -> Attempt:
    return started(portal)


@pytest.fixture
def client(portal: Portal, attempt: Attempt) -> FlaskClient:
    return candidate_client(portal, attempt)


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def send(client: FlaskClient, attempt: Attempt, *files: tuple[str, bytes]) -> TestResponse:
    given = MultiDict([("file", FileStorage(io.BytesIO(content), name)) for name, content in files])
    body, _, boundary = stream_encode_multipart(given, use_tempfile=False)
    kind = f"multipart/form-data; boundary={boundary}"
    return client.post(f"/attempts/{attempt.id}/upload", data=body.read(), content_type=kind)


def head(portal: Portal, attempt: Attempt) -> Snapshot:
    with portal.database.reading() as session:
        found = work.head(session, attempt.id)
        assert found is not None
        return found


def state(portal: Portal, attempt: Attempt) -> dict[str, bytes]:
    with portal.database.reading() as session:
        found = work.head(session, attempt.id)
        assert found is not None
        return work.files(session, found)


def save(portal: Portal, attempt: Attempt, name: str, text: str) -> None:
    with portal.database.transaction() as session:
        newest = work.head(session, attempt.id)
        assert newest is not None
        done = work.change(session, attempt.id, newest.number, {name: text.encode()}, now(session))
        assert isinstance(done, work.Saved)


# ---------------------------------------------------------------------------------------------------------- uploads


@pytest.mark.parametrize(("name", "pack"), [("mine.zip", zipped), ("mine.tar.gz", tarred)])
def test_an_archive_becomes_the_whole_state(
    client: FlaskClient, portal: Portal, attempt: Attempt, name: str, pack: object
) -> None:
    files = {"windows.py": b"x = 1\n", "more/notes.md": b"why"}
    assert callable(pack)
    answer = send(client, attempt, (name, pack(files)))
    assert answer.status_code == 200
    assert state(portal, attempt) == files
    assert head(portal, attempt).origin is Origin.UPLOAD
    assert "number 2 of your history" in answer.text


def test_the_page_says_what_was_left_out_and_what_is_gone(client: FlaskClient, attempt: Attempt) -> None:
    files = {"mine/windows.py": b"x = 1\n", "mine/.git/config": b"[core]", "mine/__pycache__/a.pyc": b""}
    answer = send(client, attempt, ("mine.zip", zipped(files)))
    assert answer.status_code == 200
    assert "were taken out of the folder" in answer.text
    assert ".git" in answer.text
    assert "removed" in answer.text
    assert f"/attempts/{attempt.id}/history/1" in answer.text


def test_the_bundle_comes_back_as_it_went_out(client: FlaskClient, portal: Portal, attempt: Attempt) -> None:
    before = state(portal, attempt)
    packed = client.get(f"/attempts/{attempt.id}/bundle.zip").data
    answer = send(client, attempt, ("work-1.zip", packed))
    assert answer.status_code == 200
    assert "nothing has changed" in answer.text
    assert state(portal, attempt) == before
    assert head(portal, attempt).number == 1


def test_a_brief_that_a_candidate_wrote_into_is_theirs(client: FlaskClient, portal: Portal, attempt: Attempt) -> None:
    send(client, attempt, ("mine.zip", zipped({"windows.py": b"", "BRIEF.md": b"my notes"})))
    assert state(portal, attempt)["BRIEF.md"] == b"my notes"


def test_single_files_replace_those_of_their_name(client: FlaskClient, portal: Portal, attempt: Attempt) -> None:
    save(portal, attempt, "deep/inside/model.py", "old")
    before = state(portal, attempt)
    answer = send(client, attempt, ("windows.py", b"new"), ("model.py", b"new too"), ("mine/memo.md", b"memo"))
    assert answer.status_code == 200
    added = {"windows.py": b"new", "deep/inside/model.py": b"new too", "memo.md": b"memo"}
    assert state(portal, attempt) == before | added


def test_a_file_that_stands_in_several_folders_is_not_guessed_at(
    client: FlaskClient, portal: Portal, attempt: Attempt
) -> None:
    save(portal, attempt, "one/model.py", "1")
    save(portal, attempt, "two/model.py", "2")
    answer = send(client, attempt, ("model.py", b"3"))
    assert answer.status_code == 422
    assert "in several folders" in answer.text
    assert head(portal, attempt).number == 3


BOMB = zipped({"windows.py": bytes(50 << 20)})
REFUSED = {
    "no file": ([("", b"")], "No file was chosen"),
    "not what it says": ([("mine.zip", b"I am no zip")], "This is neither a zip nor a tar"),
    "a bomb": ([("mine.zip", BOMB)], "larger than"),
    "a name that leads out": ([("mine.zip", zipped({"../../etc/passwd": b"x"}))], "leads out of the folder"),
    "damaged": ([("mine.zip", zipped({"windows.py": b"x" * 4000})[:-30])], "damaged"),
    "another kind": ([("mine.rar", b"Rar!\x1a\x07" + bytes(100))], "RAR"),
    "an archive among files": ([("a.zip", zipped({"a": b""})), ("b.py", b"")], "Send it alone"),
    "a name that cannot be": ([("a\x01b.py", b"x")], "control character"),
    "nothing but the brief": ([("a.zip", zipped({}))], "holds no file"),
    "two of a name": ([("a/x.py", b"1"), ("b/x.py", b"2")], "Two of the files"),
    "too large": ([("big.md", bytes(3 << 20))], "larger than"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_taken_is_a_sentence_and_nothing_is_stored(
    client: FlaskClient, portal: Portal, attempt: Attempt, what: str
) -> None:
    files, sentence = REFUSED[what]
    before = kept(portal)
    answer = send(client, attempt, *files)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "Nothing was changed" in answer.text
    assert kept(portal) == before


def kept(portal: Portal) -> tuple[int, int]:
    with portal.database.reading() as session:
        counts = (session.scalar(select(func.count()).select_from(table)) or 0 for table in (Snapshot, Content))
        return next(counts), next(counts)


def test_more_than_any_upload_may_be_is_refused_before_it_is_read(client: FlaskClient, attempt: Attempt) -> None:
    answer = client.post(f"/attempts/{attempt.id}/upload", environ_overrides=untouched(2 << 30))
    assert answer.status_code == 413
    assert "too large" in answer.text


def untouched(length: int) -> dict[str, object]:
    """A request with a body of that length, which nobody may read."""
    kind = "multipart/form-data; boundary=x"
    return {"CONTENT_LENGTH": str(length), "CONTENT_TYPE": kind, "wsgi.input": Untouched()}


class Untouched(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, _: object) -> int:
        raise AssertionError("the body was read")


def test_megabytes_of_a_stranger_are_not_read(portal: Portal, attempt: Attempt) -> None:
    stranger = candidate_client(portal, invited(portal))
    for address in ("upload", "save"):
        answer = stranger.post(f"/attempts/{attempt.id}/{address}", environ_overrides=untouched(1 << 20))
        assert answer.status_code == 404


def test_an_upload_after_the_end_is_told_what_counts(client: FlaskClient, portal: Portal, attempt: Attempt) -> None:
    move_clock(portal, attempt, ends_at=datetime(2020, 1, 1, tzinfo=UTC))
    answer = send(client, attempt, ("windows.py", b"late"))
    assert answer.status_code == 410
    assert "Your time was over when this reached us" in answer.text


def test_an_upload_is_in_the_audit_trail_and_an_autosave_is_not(
    client: FlaskClient, portal: Portal, attempt: Attempt
) -> None:
    save(portal, attempt, "windows.py", "one")
    send(client, attempt, ("windows.py", b"two"))
    client.post(f"/attempts/{attempt.id}/history/2/restore")
    with portal.database.reading() as session:
        noted = select(AuditEvent.action, AuditEvent.details).where(AuditEvent.subject_id == attempt.id)
        events = [(one.action, one.details.get("number")) for one in session.execute(noted.order_by(AuditEvent.id))]
    assert [one for one in events if one[0].startswith("work.")] == [("work.uploaded", 3), ("work.restored", 4)]


def test_a_network_that_is_cut_in_the_middle_leaves_nothing_half_done(tmp_path: Path) -> None:
    with served_portal(tmp_path) as served:
        attempt = started(served.portal)
        before = kept(served.portal)
        cookie = served.cookie(attempt)
        body = zipped({"windows.py": b"x" * 100_000})
        start = (
            f"POST /attempts/{attempt.id}/upload HTTP/1.1\r\nHost: {urlsplit(served.url).netloc}\r\n"
            f"Cookie: {COOKIE}={cookie['value']}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        )
        part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n' + body[: len(body) // 2]
        whole = len(part) + len(body)
        for framing in (f"Content-Length: {whole}\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
            chunked = "chunked" in framing
            with served.process.connect() as connection:
                sent = f"{whole:x}\r\n".encode() + part if chunked else part
                connection.sendall(start.encode() + framing.encode() + sent)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(4096)
            assert b" 200 " not in answer.split(b"\r\n")[0]
        assert served.process.get("/healthz")[0] == 200
        assert kept(served.portal) == before


# ---------------------------------------------------------------------------------------------------------- history


def test_the_history_tells_when_how_and_what(client: FlaskClient, portal: Portal, attempt: Attempt) -> None:
    with portal.database.transaction() as session:
        session.get_one(Attempt, attempt.id).time_zone = "Asia/Tokyo"
    save(portal, attempt, "windows.py", "one")
    send(client, attempt, ("notes.md", b"two"))
    page = client.get(f"/attempts/{attempt.id}/history")
    assert page.status_code == 200
    text = " ".join(re.sub("<[^>]+>", " ", page.text).split())
    assert "JST" in text
    assert text.index("uploaded") < text.index("saved in the browser") < text.index("what you began with")
    assert "new notes.md" in text
    assert "changed windows.py" in text


def test_a_long_history_is_read_page_by_page(client: FlaskClient, portal: Portal, attempt: Attempt) -> None:
    for number in range(histories.PAGE + 5):
        save(portal, attempt, "windows.py", f"{number}")
    first = client.get(f"/attempts/{attempt.id}/history").text
    found = re.search(r'href="([^"]*\?before=\d+)"', first)
    assert found
    second = client.get(found[1]).text
    links = re.compile(rf'<th scope="row"><a href="/attempts/{attempt.id}/history/(\d+)"')
    numbers = [int(number) for page in (first, second) for number in links.findall(page)]
    assert numbers == list(range(histories.PAGE + 6, 0, -1))
    assert "?before=" not in second


def test_any_two_states_are_compared(client: FlaskClient, portal: Portal, attempt: Attempt) -> None:
    save(portal, attempt, "notes.md", "one\ntwo\n")
    save(portal, attempt, "notes.md", "one\n<b>three</b>\n")
    asked = client.get(f"/attempts/{attempt.id}/history?older=3&newer=2")
    assert asked.status_code == 302
    assert asked.headers["Location"] == f"/attempts/{attempt.id}/history/2..3"
    page = client.get(asked.headers["Location"])
    assert page.status_code == 200
    assert "<del>two</del>" in page.text
    assert "<ins>&lt;b&gt;three&lt;/b&gt;</ins>" in page.text
    assert "same files" in client.get(f"/attempts/{attempt.id}/history/2..2").text


def test_any_state_is_looked_at_and_restored(client: FlaskClient, portal: Portal, attempt: Attempt) -> None:
    began_with = state(portal, attempt)
    save(portal, attempt, "windows.py", "a mistake")
    page = client.get(f"/attempts/{attempt.id}/history/1").text
    assert f'action="/attempts/{attempt.id}/history/1/restore"' in page
    assert f"/attempts/{attempt.id}/preview?name=windows.py&amp;number=1" in page
    answer = client.post(f"/attempts/{attempt.id}/history/1/restore", follow_redirects=True)
    assert answer.status_code == 200
    assert "what you work on again" in answer.text
    assert state(portal, attempt) == began_with
    assert head(portal, attempt).origin is Origin.RESTORED
    with portal.database.reading() as session:
        mistake = work.numbered(session, attempt.id, 2)
        assert mistake is not None
        assert work.content(session, mistake, "windows.py") == b"a mistake"


def test_after_the_end_the_history_can_be_read_and_nothing_restored(
    client: FlaskClient, portal: Portal, attempt: Attempt
) -> None:
    save(portal, attempt, "windows.py", "last")
    move_clock(portal, attempt, ends_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert "/restore" not in client.get(f"/attempts/{attempt.id}/history/1").text
    assert client.get(f"/attempts/{attempt.id}/history").status_code == 200
    assert client.post(f"/attempts/{attempt.id}/history/1/restore").status_code == 410
    assert head(portal, attempt).number == 2


@pytest.mark.parametrize("address", ["9", "0", "1..9", "99999999999999999999", "1..99999999999999999999", "-1", "1..x"])
def test_a_state_that_is_not_there_is_no_page(client: FlaskClient, attempt: Attempt, address: str) -> None:
    assert client.get(f"/attempts/{attempt.id}/history/{address}").status_code == 404


def test_nobody_sees_the_work_of_another(client: FlaskClient, portal: Portal, attempt: Attempt) -> None:
    other = started(portal)
    addresses = ("work", "state", "file?name=windows.py", "bundle.zip", "history", "history/1", "history/1..1")
    for address in addresses:
        assert client.get(f"/attempts/{other.id}/{address}").status_code == 404
        assert client.get(f"/attempts/{attempt.id}/{address}").status_code == 200
    for address in ("save", "upload", "history/1/restore"):
        assert client.post(f"/attempts/{other.id}/{address}").status_code == 404
