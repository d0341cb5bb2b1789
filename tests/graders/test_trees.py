"""Trees: what is kept is what comes back, or nothing comes back."""

import errno
import hashlib
import io
import os
import signal
import socketserver
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders import trees
from graders.trees import FolderStore, HttpStore, TreeMissing, digest_of, digest_of_hashes
from web.settings import PROJECT

FEW = st.dictionaries(st.sampled_from("abc"), st.binary(max_size=2), max_size=3)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
FILES = {"sum.py": b"def add(a, b): return a + b\n", "data/rows.json": b"[]", "empty": b"", "ü/日本": b"\xff\0"}


def places(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# Digests


def test_a_digest_is_of_names_and_content_in_whatever_order() -> None:
    assert digest_of(FILES) == digest_of(dict(reversed(FILES.items())))
    others = [{}, {"a": b""}, {"a": b"x"}, {"b": b"x"}, {"a": b"x", "b": b"x"}, {"ab": b"x"}, {"a": b"xx"}]
    assert len({digest_of(files) for files in others}) == len(others)


@given(
    st.dictionaries(NAMES, st.binary(max_size=8), max_size=4), st.dictionaries(NAMES, st.binary(max_size=8), max_size=4)
)
def test_two_trees_share_a_digest_only_when_they_are_the_same(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert (digest_of(one) == digest_of(other)) is (one == other)


def test_a_file_that_looks_like_a_tree_is_none(tmp_path: Path) -> None:
    """A candidate may hand in a list of names and hashes; it must not open a tree of that content."""
    store = FolderStore(tmp_path)
    listed = places_of_manifest(store, {"a": b"secret of another"})
    forged = store.put({"x": listed})
    assert store.get(forged) == {"x": listed}
    with pytest.raises(TreeMissing):
        store.get(hashlib.sha256(listed).hexdigest())


def places_of_manifest(store: FolderStore, files: Mapping[str, bytes]) -> bytes:
    digest = store.put(files)
    return next(store.folder.glob(f"{digest[:2]}/{digest[2:]}*")).read_bytes()


def test_no_file_takes_the_place_of_a_tree(tmp_path: Path) -> None:
    """Whoever knows what another will hand in could hand in, before, a file with the hash of that tree."""
    listed = places_of_manifest(FolderStore(tmp_path / "elsewhere"), FILES)
    store = FolderStore(tmp_path / "store")
    store.put({"x": trees.MARK + listed})
    assert hashlib.sha256(trees.MARK + listed).hexdigest() == digest_of(FILES)
    assert store.get(store.put(FILES)) == FILES


def test_a_digest_can_be_made_of_hashes_alone() -> None:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    assert digest_of_hashes(hashes) == digest_of(FILES)


# A folder


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "not" / "yet" / "there")
    assert store.get(store.put(FILES)) == FILES
    assert store.get(store.put({})) == {}
    assert store.put(FILES) == digest_of(FILES)


@given(st.dictionaries(NAMES | st.sampled_from(["../x", "/etc/passwd", "nul\0"]), st.binary(max_size=64), max_size=5))
def test_names_are_never_places(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("store")
    store = FolderStore(folder / "inner")
    assert store.get(store.put(files)) == files
    assert [path for path in places(folder) if not path.is_relative_to(folder / "inner")] == []


def test_what_did_not_change_is_kept_once(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(FILES)
    before = len(places(tmp_path))
    store.put({**FILES, "sum.py": b"changed"})
    assert len(places(tmp_path)) == before + 2
    store.put(FILES)
    assert len(places(tmp_path)) == before + 2


@pytest.mark.parametrize("digest", ["0" * 64, "", "..", "/etc/passwd", "0" * 63 + "g", "0" * 64 + "\n"])
def test_what_was_never_put_is_missing(tmp_path: Path, digest: str) -> None:
    with pytest.raises(TreeMissing):
        FolderStore(tmp_path).get(digest)


def test_damage_anywhere_is_found(tmp_path: Path) -> None:
    for victim in range(len(FILES) + 1):
        folder = tmp_path / str(victim)
        store = FolderStore(folder)
        digest = store.put(FILES)
        place = places(folder)[victim]
        content = place.read_bytes()
        for damaged in (content + b"x", content[:-1] or b"x", bytes(len(content)) or b"x"):
            place.write_bytes(damaged)
            with pytest.raises(TreeMissing, match="damaged: restore the store from a backup"):
                store.get(digest)
        place.unlink()
        with pytest.raises(TreeMissing, match=r"does not hold it: .*ASSAY_STORE"):
            store.get(digest)


def test_many_may_put_the_same_tree_at_once(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    files = {str(number): bytes([number]) * 1000 for number in range(40)}
    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(lambda _: store.put(files), range(16)))
    assert set(digests) == {digest_of(files)}
    assert store.get(digests[0]) == files
    assert len(places(tmp_path)) == 41, "half-written files were left"


def test_a_put_that_is_killed_leaves_no_tree_and_does_no_harm_to_the_next(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom graders.trees import FolderStore\n"
        "files = {str(number): str(number).encode() * 100 for number in range(1500)}\n"
        "print('begins', flush=True)\nFolderStore(Path(sys.argv[1])).put(files)\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-P", "-c", program, str(tmp_path)], env={"PYTHONPATH": str(PROJECT)}, stdout=subprocess.PIPE
    )
    with running:
        assert running.stdout is not None
        running.stdout.readline()
        while not places(tmp_path):
            assert running.poll() is None
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    files = {str(number): str(number).encode() * 100 for number in range(1500)}
    store = FolderStore(tmp_path)
    with pytest.raises(TreeMissing):
        store.get(digest_of(files))
    assert store.get(store.put(files)) == files


def test_a_full_disk_is_told_and_nothing_half_is_kept(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the kernel refuses in the middle of a write."""
    program = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom graders.trees import FolderStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    FolderStore(Path(sys.argv[1])).put({'a': b'x', 'b': bytes(200_000)})\n"
        "except OSError as error:\n    print(error.errno)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path)],
        env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout == f"{errno.EFBIG}\n"
    assert [path.read_bytes() for path in places(tmp_path)] == [b"x"]
    with pytest.raises(TreeMissing):
        FolderStore(tmp_path).get(digest_of({"a": b"x", "b": bytes(200_000)}))


# A portal elsewhere


def tar_of(files: Mapping[str, bytes], **more: object) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in more.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


class Portal:
    """Answers every request in one way, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""


@contextmanager
def portal_at(portal: Portal) -> Iterator[Portal]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # a name of the library's
            portal.asked.append((self.path, self.headers["Authorization"]))
            self.send_response(portal.status)
            for name, value in portal.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(portal.body)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        portal.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield portal
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def portal() -> Iterator[Portal]:
    with portal_at(Portal()) as answering:
        yield answering


@pytest.mark.parametrize("files", [FILES, {}, {"a" * 255: b"x", "/".join(["folder"] * 40): b"y" * 100_000}])
def test_a_tree_is_fetched_with_the_token_and_proved(portal: Portal, files: dict[str, bytes]) -> None:
    portal.body = tar_of(files)
    digest = digest_of(files)
    assert HttpStore(portal.url + "/assay/", "secret").get(digest) == files
    assert portal.asked == [(f"/assay/trees/{digest}", "Bearer secret")]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (tar_of({**FILES, "sum.py": b"forged"}), "sends other files than those of this digest"),
        (tar_of({**FILES, "more": b""}), "sends other files than those of this digest"),
        (tar_of({}), "sends other files"),
        (b"", "sends no tar"),
        (b"<html>" * 1000, "sends no tar"),
        (tar_of(FILES)[:700], "sends no tar|sends other files"),
        (tar_of({"link": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd"), "sends something else than files"),
        (tar_of({"link": b""}, type=tarfile.LNKTYPE, linkname="x"), "sends something else than files"),
        (tar_of({"device": b""}, type=tarfile.CHRTYPE), "sends something else than files"),
        (tar_of({"folder": b""}, type=tarfile.DIRTYPE), "sends something else than files"),
        (
            tar_of({"holes": b""}, pax_headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 40)}),
            "sends something else than files|sends no tar|sends other files",
        ),
    ],
)
def test_what_does_not_have_the_digest_was_never_given(portal: Portal, body: bytes, why: str) -> None:
    portal.body = body
    with pytest.raises(TreeMissing, match=why):
        HttpStore(portal.url, "secret").get(digest_of(FILES))


def test_a_redirection_is_not_followed_with_the_token(portal: Portal) -> None:
    with portal_at(Portal()) as elsewhere:
        elsewhere.body = tar_of(FILES)
        portal.status, portal.headers = 302, {"Location": elsewhere.url}
        with pytest.raises(TreeMissing, match="answers 302"):
            HttpStore(portal.url, "secret").get(digest_of(FILES))
        assert elsewhere.asked == []


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_portal_that_refuses_is_told_with_what_to_look_at(portal: Portal, status: int) -> None:
    portal.status = status
    with pytest.raises(TreeMissing, match=f"answers {status}: .*ASSAY_TREE_SECRET"):
        HttpStore(portal.url, "secret").get(digest_of(FILES))


def test_more_than_any_submission_can_be_is_not_read(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MOST_BYTES", 1 << 20)
    portal.body = bytes(3 << 20)
    with pytest.raises(TreeMissing, match="sends more than 1 MB"):
        HttpStore(portal.url, "secret").get(digest_of(FILES))


def test_a_portal_that_is_away_is_named() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_address[1]
    with pytest.raises(TreeMissing, match=f"http://127.0.0.1:{port}: .*does the portal answer there"):
        HttpStore(f"http://127.0.0.1:{port}", "secret").get(digest_of(FILES))


def test_a_proxy_of_the_environment_is_not_asked(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    with portal_at(Portal()) as proxy:
        monkeypatch.setitem(os.environ, "http_proxy", proxy.url)
        monkeypatch.setitem(os.environ, "no_proxy", "")
        portal.body = tar_of(FILES)
        assert HttpStore(portal.url, "secret").get(digest_of(FILES)) == FILES
        assert proxy.asked == []
