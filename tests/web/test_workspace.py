"""The workspace as its script sees it: JSON over real pages, on both databases."""

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web.portal_world import candidate_client, make_portal, started
from web.database import Database
from web.models import Attempt
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


def save(client: FlaskClient, attempt: Attempt, base: int, **texts: str | None) -> TestResponse:
    """Keyword `windows_py` is the file windows.py."""
    changes = {name.replace("_", "."): None if text is None else {"text": text} for name, text in texts.items()}
    return send(client, attempt, {"base": base, "changes": changes, "saved_by": "tab 1"})


def send(client: FlaskClient, attempt: Attempt, said: Any) -> TestResponse:
    return client.post(f"/attempts/{attempt.id}/save", json=said)


def content(client: FlaskClient, attempt: Attempt, name: str, **query: Any) -> bytes:
    answer = client.get(f"/attempts/{attempt.id}/file", query_string={"name": name, **query})
    assert answer.status_code == 200
    return bytes(answer.data)


def test_the_state_says_how_much_time_is_left_and_which_files_there_are(client: FlaskClient, attempt: Attempt) -> None:
    state = client.get(f"/attempts/{attempt.id}/state").json
    assert state is not None
    assert state["phase"] == "running"
    assert state["number"] == 1
    assert attempt.ends_at is not None
    assert state["ends_at"] == attempt.ends_at.isoformat()
    assert 0 < state["seconds_left"] <= attempt.minutes * 60
    assert "windows.py" in state["deliverables"]
    assert state["added"] == []
    assert state["check"] is None
    listed = {file["name"]: file["size"] for file in state["files"]}
    assert listed["windows.py"] == len(content(client, attempt, "windows.py"))


def test_a_state_that_has_not_changed_is_not_told_again(client: FlaskClient, attempt: Attempt) -> None:
    address = f"/attempts/{attempt.id}/state"
    mark = client.get(address).headers["ETag"]
    again = client.get(address, headers={"If-None-Match": mark})
    assert (again.status_code, again.data) == (304, b"")
    assert save(client, attempt, 1, notes_md="one").status_code == 200
    assert client.get(address, headers={"If-None-Match": mark}).status_code == 200


def test_what_is_saved_is_there(client: FlaskClient, attempt: Attempt) -> None:
    answer = save(client, attempt, 1, windows_py="print('Grüße')\n", notes_md="")
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["number"] == 2
    sizes = {file["name"]: file["size"] for file in answer.json["files"]}
    assert sizes["windows.py"] == 17
    assert sizes["notes.md"] == 0
    assert content(client, attempt, "windows.py").decode() == "print('Grüße')\n"


def test_the_same_save_twice_is_one_snapshot(client: FlaskClient, attempt: Attempt) -> None:
    first, second = (save(client, attempt, 1, windows_py="x = 1\n") for _ in range(2))
    assert first.json is not None
    assert second.json is not None
    assert first.json["number"] == second.json["number"] == 2
    assert first.json["files"] == second.json["files"]


def test_two_tabs_that_change_different_files_are_merged(client: FlaskClient, attempt: Attempt) -> None:
    save(client, attempt, 1, windows_py="x = 1\n")
    answer = save(client, attempt, 1, notes_md="from the other tab")
    assert answer.status_code == 200
    assert content(client, attempt, "windows.py") == b"x = 1\n"
    assert content(client, attempt, "notes.md") == b"from the other tab"


def test_two_tabs_never_overwrite_each_other(client: FlaskClient, attempt: Attempt) -> None:
    save(client, attempt, 1, windows_py="x = 1\n")
    answer = save(client, attempt, 1, windows_py="x = 2\n", notes_md="also")
    assert answer.status_code == 409
    assert answer.json is not None
    assert answer.json["number"] == 2
    assert answer.json["conflicts"] == {"windows.py": {"text": "x = 1\n"}}
    assert content(client, attempt, "windows.py") == b"x = 1\n"
    assert client.get(f"/attempts/{attempt.id}/file?name=notes.md").status_code == 404


def test_a_file_that_was_removed_here_and_changed_there_is_a_conflict(client: FlaskClient, attempt: Attempt) -> None:
    save(client, attempt, 1, windows_py=None)
    answer = save(client, attempt, 1, windows_py="x = 2\n")
    assert answer.status_code == 409
    assert answer.json is not None
    assert answer.json["conflicts"] == {"windows.py": None}


def test_bytes_that_are_no_text_come_back_as_they_were(client: FlaskClient, attempt: Attempt) -> None:
    raw = bytes(range(256))
    packed = {"base64": base64.b64encode(raw).decode()}
    assert send(client, attempt, {"base": 1, "changes": {"raw.bin": packed}}).status_code == 200
    assert content(client, attempt, "raw.bin") == raw
    other = {"base64": base64.b64encode(b"\0other").decode()}
    answer = send(client, attempt, {"base": 1, "changes": {"raw.bin": other}})
    assert answer.status_code == 409
    assert answer.json is not None
    assert answer.json["conflicts"] == {"raw.bin": packed}


def test_the_bundle_holds_the_work_and_what_is_asked_and_is_always_the_same(
    client: FlaskClient, attempt: Attempt
) -> None:
    save(client, attempt, 1, windows_py="x = 1\n")
    first, second = (client.get(f"/attempts/{attempt.id}/bundle.zip").data for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.read("windows.py") == b"x = 1\n"
        assert b"windows" in archive.read("BRIEF.md")
    older = client.get(f"/attempts/{attempt.id}/bundle.zip?number=1").data
    with zipfile.ZipFile(io.BytesIO(older)) as archive:
        assert archive.read("windows.py") != b"x = 1\n"
