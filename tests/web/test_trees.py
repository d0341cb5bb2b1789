"""How a grading host without a shared folder gets the files of a submission, and how nobody else does."""

import hashlib
import http.client
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from graders.trees import MOST_BYTES, FolderStore, HttpStore, TreeMissing, digest_of, packed
from web.secrecy import SecretUnavailable
from web.settings import PROJECT, TreeSettings
from web.trees import TOKEN_SECONDS, form_token, secret_of, token_for, tree_pages

SECRET: Final = "s" * 40
FILES: Final = {"main.py": b"print(1)\n", "notes/größe.md": b"x" * 1000, "empty": b"", "d/" + "n" * 200: b"\0" * 512}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def client(app: Flask, store: FolderStore) -> FlaskClient:
    app.register_blueprint(tree_pages(store, SECRET))
    return app.test_client()


def unpacked(packed: bytes) -> dict[str, bytes]:
    files = {}
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
        for member in archive:
            assert member.isreg()
            file = archive.extractfile(member)
            assert file is not None
            files[member.name] = file.read()
    return files


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_tree_is_served_to_whoever_holds_its_token(client: FlaskClient, store: FolderStore) -> None:
    digest = store.put(FILES)
    answer = client.get(f"/trees/{digest}", headers=bearer(token_for(digest, SECRET)))
    assert answer.status_code == 200
    assert answer.mimetype == "application/x-tar"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    files = unpacked(answer.data)
    assert files == FILES
    assert digest_of(files) == digest


def test_the_same_tree_is_the_same_bytes_however_it_was_made(client: FlaskClient, store: FolderStore) -> None:
    digest = store.put(FILES)
    headers = bearer(token_for(digest, SECRET))
    first = client.get(f"/trees/{digest}", headers=headers).data
    assert store.put(dict(reversed(FILES.items()))) == digest
    assert client.get(f"/trees/{digest}", headers=headers).data == first


def test_an_empty_tree_is_an_empty_tar(client: FlaskClient, store: FolderStore) -> None:
    digest = store.put({})
    answer = client.get(f"/trees/{digest}", headers=bearer(token_for(digest, SECRET)))
    assert (answer.status_code, unpacked(answer.data)) == (200, {})


class Earlier(TimestampSigner):
    """Signs as the portal did some time ago."""

    seconds = 0

    def get_timestamp(self) -> int:
        return super().get_timestamp() - self.seconds


def signed(digest: str, *, ago: int, salt: str = "assay tree") -> str:
    signer = Earlier(SECRET, salt=salt, digest_method=hashlib.sha256, key_derivation="hmac")
    signer.seconds = ago
    return signer.sign(digest).decode()


def test_a_token_lasts_for_hours_and_not_for_ever(client: FlaskClient, store: FolderStore) -> None:
    digest = store.put(FILES)
    young, old, early = (signed(digest, ago=ago) for ago in (TOKEN_SECONDS - 600, TOKEN_SECONDS + 5, -600))
    assert client.get(f"/trees/{digest}", headers=bearer(young)).status_code == 200
    assert client.get(f"/trees/{digest}", headers=bearer(old)).status_code == 404
    assert client.get(f"/trees/{digest}", headers=bearer(early)).status_code == 404


def test_every_refusal_is_the_same(client: FlaskClient, store: FolderStore) -> None:
    digest, other = store.put(FILES), store.put({"other": b""})
    nowhere = digest_of({"never": b"kept"})
    token = token_for(digest, SECRET)
    nothing_there = client.get("/nowhere")
    for address, headers in (
        (digest, {}),
        (digest, bearer("")),
        (digest, bearer(token_for(other, SECRET))),
        (other, bearer(token)),
        (digest, bearer(token_for(digest, "t" * 40))),
        (digest, bearer(token[:-1])),
        (digest, bearer(f"{token}A")),
        (digest, bearer(signed(digest, ago=0, salt="another use"))),
        (digest, bearer(digest)),
        (digest, {"Authorization": f"Basic {token}"}),
        (digest, {"Authorization": token}),
        (digest.upper(), bearer(token_for(digest, SECRET))),
        (nowhere, bearer(token_for(nowhere, SECRET))),
        ("x", bearer(token_for("x", SECRET))),
    ):
        answer = client.get(f"/trees/{address}", headers=headers)
        assert (answer.status_code, answer.data) == (404, nothing_there.data)
        assert answer.headers == nothing_there.headers
    assert client.get(f"/trees/{digest}?token={token}").status_code == 404  # an address ends up in logs


def test_no_signed_address_leaves_the_store(client: FlaskClient, store: FolderStore, tmp_path: Path) -> None:
    store.put(FILES)
    (tmp_path / "secret").write_text("{}")
    for name in ("../secret", "..%2fsecret", "%2e%2e/secret", "/etc/passwd", "..", "\0"):
        assert client.get(f"/trees/{name}", headers=bearer(token_for(name, SECRET))).status_code == 404


def test_a_damaged_tree_is_not_served(client: FlaskClient, store: FolderStore) -> None:
    digest = store.put(FILES)
    next(store.folder.glob(f"{digest[:2]}/{digest[2:]}*")).write_bytes(b"{}")
    assert client.get(f"/trees/{digest}", headers=bearer(token_for(digest, SECRET))).status_code == 404


@given(token=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
def test_no_guess_is_a_token(token: str) -> None:
    app = Flask(__name__)
    app.register_blueprint(tree_pages(FolderStore(Path("/nonexistent")), SECRET))
    assert app.test_client().get(f"/trees/{digest_of({})}", headers=bearer(token)).status_code == 404


# ----------------------------------------------------------------------------------------- what forming hosts hand in


LARGE: Final = {"rows.json": bytes(range(256)) * 8000, "main.py": b""}  # more than any other request may hold


def tar(files: dict[str, bytes]) -> bytes:
    return b"".join(packed(files))


def test_a_tree_of_a_form_is_kept_when_it_has_its_digest(client: FlaskClient, store: FolderStore) -> None:
    digest, headers = digest_of(LARGE), bearer(form_token("form-1", SECRET))
    for _ in range(2):
        assert client.put(f"/trees/{digest}", data=tar(LARGE), headers=headers).status_code == 204
    assert store.get(digest) == LARGE


def test_who_may_not_hand_in_is_not_listened_to(client: FlaskClient, store: FolderStore) -> None:
    digest = digest_of(FILES)
    early = signed("form-1", ago=TOKEN_SECONDS + 5, salt="assay tree of a form")
    for headers in (
        {},
        bearer(""),
        bearer(token_for(digest, SECRET)),  # a token for reading is none for writing
        bearer(form_token("form-1", "t" * 40)),
        bearer(form_token("form-1", SECRET)[:-1]),
        bearer(early),
    ):
        assert client.put(f"/trees/{digest}", data=tar(FILES), headers=headers).status_code == 404
        assert client.put(f"/trees/{digest}", data=tar(LARGE), headers=headers).status_code == 413
    assert not store.folder.exists()


def test_a_token_for_writing_opens_no_tree(client: FlaskClient, store: FolderStore) -> None:
    digest = store.put(FILES)
    for name in ("form-1", digest):
        assert client.get(f"/trees/{digest}", headers=bearer(form_token(name, SECRET))).status_code == 404


@pytest.mark.parametrize("body", [b"", b"no tar" * 200, tar(FILES)[:700], tar({**FILES, "main.py": b"other"})])
def test_what_has_another_digest_is_not_kept(body: bytes, client: FlaskClient, store: FolderStore) -> None:
    headers = bearer(form_token("form-1", SECRET))
    assert client.put(f"/trees/{digest_of(FILES)}", data=body, headers=headers).status_code == 404
    assert not store.folder.exists()


def test_more_than_any_form_can_be_is_refused_unread(client: FlaskClient) -> None:
    headers, says = bearer(form_token("form-1", SECRET)), {"CONTENT_LENGTH": str(MOST_BYTES + 1)}
    assert client.put(f"/trees/{digest_of({})}", headers=headers, environ_overrides=says).status_code == 413


def test_names_are_data_and_no_path_is_made_of_them(client: FlaskClient, store: FolderStore, tmp_path: Path) -> None:
    files = {"../../escaped": b"x", "/etc/passwd": b"y"}
    headers = bearer(form_token("form-1", SECRET))
    assert client.put(f"/trees/{digest_of(files)}", data=tar(files), headers=headers).status_code == 204
    assert store.get(digest_of(files)) == files
    assert [path.name for path in tmp_path.iterdir() if path.name != "nowhere"] == ["store"]


def test_without_a_secret_there_is_no_token_for_writing() -> None:
    assert form_token("form-1", "") == ""


# ------------------------------------------------------------------------------------------------ the real portal


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `assay web` on a free port, with settings like `ASSAY_TREE_SECRET=...`."""
    with ExitStack() as running:

        def begin(**variables: str) -> subprocess.Popen[str]:
            portal = subprocess.Popen(
                [sys.executable, "-m", "web.cli", "web", "--port", "0"],
                cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={
                    **os.environ, "ASSAY_STATE": str(tmp_path / "state"), "ASSAY_SESSION_SECRET": SECRET,
                    "ASSAY_RECEIPT_KEY": "0a" * 32, **variables,
                },
            )  # fmt: skip
            running.enter_context(portal)
            running.callback(portal.terminate)
            return portal

        yield begin


def ask(portal: subprocess.Popen[str], digest: str, token: str) -> tuple[int, bytes]:
    assert portal.stdout is not None
    where = urlsplit(portal.stdout.readline().strip())
    assert where.hostname
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
    with closing(connection):
        connection.request("GET", f"/trees/{digest}", headers=bearer(token))
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_the_portal_serves_what_lies_in_its_store(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    digest = FolderStore(tmp_path / "state" / "store").put(FILES)
    status, packed = ask(start(ASSAY_TREE_SECRET=SECRET), digest, token_for(digest, SECRET))
    assert (status, unpacked(packed)) == (200, FILES)


def test_a_host_elsewhere_hands_in_a_form_and_reads_it_again(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    portal = start(ASSAY_TREE_SECRET=SECRET)
    assert portal.stdout is not None
    url = portal.stdout.readline().strip()
    digest = HttpStore(url, form_token("form-1", SECRET)).put(LARGE)
    assert FolderStore(tmp_path / "state" / "store").get(digest) == LARGE
    assert HttpStore(url, token_for(digest, SECRET)).get(digest) == LARGE
    with pytest.raises(TreeMissing, match=r"answers 4\d\d: .*takes no token like ours"):
        HttpStore(url, token_for(digest, SECRET)).put({"other": b""})


def test_the_store_may_be_elsewhere(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    digest = FolderStore(tmp_path / "elsewhere").put(FILES)
    portal = start(ASSAY_TREE_SECRET=SECRET, ASSAY_STORE=str(tmp_path / "elsewhere"))
    assert ask(portal, digest, token_for(digest, SECRET))[0] == 200


def test_a_portal_without_the_secret_serves_no_tree(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    digest = FolderStore(tmp_path / "state" / "store").put(FILES)
    assert ask(start(), digest, token_for(digest, SECRET))[0] == 404


def test_a_portal_with_a_secret_that_could_be_guessed_does_not_start(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    portal = start(ASSAY_TREE_SECRET="hunter2")
    said = portal.communicate(timeout=60)[1]
    assert portal.returncode == 3
    assert "assay: ASSAY_TREE_SECRET: is shorter than 32 characters" in said


# ------------------------------------------------------------------------------------------------------- the secret


def settings(**values: Any) -> TreeSettings:
    return TreeSettings(_env_file=None, **values)


def test_without_a_secret_there_is_no_token_and_no_address(store: FolderStore) -> None:
    assert secret_of(settings()) == ""
    assert token_for(digest_of({}), "") == ""
    with pytest.raises(SecretUnavailable, match="not served without one"):
        tree_pages(store, "")


def test_the_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    assert secret_of(settings(tree_secret_file=str(tmp_path / "secret"))) == SECRET
    assert secret_of(settings(tree_secret="o" * 32, tree_secret_file=str(tmp_path / "secret"))) == "o" * 32


@pytest.mark.parametrize(
    ("content", "cause"),
    [(None, "No such file"), (b"", "is empty"), (b"\xff", "is no text"), (b"short", "shorter than")],
)
def test_a_secret_that_cannot_be_used_is_a_sentence(tmp_path: Path, content: bytes | None, cause: str) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SecretUnavailable, match=cause):
        secret_of(settings(tree_secret_file=str(tmp_path / "secret")))


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SecretUnavailable, match="shorter than 32 characters"):
        secret_of(settings(tree_secret="hunter2"))
