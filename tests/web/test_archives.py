"""What candidates pack, read as they meant it. What attackers pack is in tests/hostile/test_ingress.py."""

import gzip
import io
import os
import subprocess
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graders.rubric import SubmissionLimits
from sandbox.checks import check_names
from web.archives import LEFT_OUT, MOST_BESIDE, Upload, most_packed, read_archive
from web.errors import SubmissionRejected

LIMITS: Final = SubmissionLimits(files=50, total_kb=64)
WORK: Final = {"main.py": b"print(1)\n" * 40, "notes/answer.md": "größer\n".encode(), "empty": b""}

Pack = Callable[[Mapping[str, bytes]], bytes]


def as_zip(compression: int) -> Pack:
    def pack(files: Mapping[str, bytes]) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", compression) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name), content, compression)
        return packed.getvalue()

    return pack


def as_tar(layout: int, *, compressed: bool) -> Pack:
    def pack(files: Mapping[str, bytes]) -> bytes:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz" if compressed else "w", format=layout) as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return packed.getvalue()

    return pack


PACKERS: Final = {
    "zip": as_zip(zipfile.ZIP_DEFLATED),
    "zip without compression": as_zip(zipfile.ZIP_STORED),
    "tar by POSIX": as_tar(tarfile.PAX_FORMAT, compressed=False),
    "tar by GNU": as_tar(tarfile.GNU_FORMAT, compressed=False),
    "tar.gz by POSIX": as_tar(tarfile.PAX_FORMAT, compressed=True),
    "tar.gz by GNU": as_tar(tarfile.GNU_FORMAT, compressed=True),
}
every_packer: Final = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS.keys())
pack_zip, pack_tar = PACKERS["zip"], PACKERS["tar by POSIX"]


# ------------------------------------------------------------------------------------------------------- properties

plain_part: Final = st.text("abcdefgäßж0-_ .", min_size=1, max_size=30).filter(
    lambda part: part.strip(". ") and not part.startswith("._")
)
any_part: Final = st.text(min_size=1, max_size=12).map(lambda part: part.replace("\0", ""))


def trees_of(part: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, bytes]]:
    names = st.lists(part, min_size=1, max_size=5).map("/".join)
    return st.dictionaries(names, st.binary(max_size=300), min_size=1, max_size=8)


def looks_twice(names: list[str]) -> bool:
    """Whether one name is another's folder, or only spaces and dots at a part's end tell two apart."""
    seen = ["/".join(part.rstrip(". ").casefold() for part in name.split("/")) for name in names]
    above = {one.rsplit("/", depth)[0] for one in seen for depth in range(1, one.count("/") + 1)}
    return len(set(seen)) < len(seen) or not above.isdisjoint(seen)


@given(files=trees_of(plain_part), packer=st.sampled_from(list(PACKERS)))
def test_what_was_packed_is_what_is_read(files: dict[str, bytes], packer: str) -> None:
    assume(not looks_twice(list(files)))
    assert read_archive(PACKERS[packer](files), LIMITS) == Upload(files)


@given(files=trees_of(any_part), packer=st.sampled_from(["zip", "tar by POSIX", "tar.gz by GNU"]))
def test_every_name_that_is_taken_is_one_that_a_room_takes(files: dict[str, bytes], packer: str) -> None:
    try:
        packed = PACKERS[packer](files)
    except UnicodeEncodeError:
        assume(False)
    try:
        taken = read_archive(packed, LIMITS).files
    except SubmissionRejected:
        return
    check_names(taken)
    assert set(taken.values()) <= set(files.values())
    assert not [name for name in taken if {unicodedata.category(letter) for letter in name} & {"Cc", "Cs", "Zl", "Zp"}]


@given(
    packer=st.sampled_from(list(PACKERS)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 40)), min_size=1, max_size=6),
)
def test_a_damaged_archive_is_read_within_its_limits_or_refused(
    packer: str, changes: list[tuple[float, bytes, int]]
) -> None:
    packed = PACKERS[packer](WORK)
    for place, put, taken_away in changes:
        at = int(place * len(packed))
        packed = packed[:at] + put + packed[at + taken_away :]
    try:
        files = read_archive(packed, LIMITS).files
    except SubmissionRejected:
        return
    check_names(files)
    assert len(files) <= LIMITS.files
    assert sum(len(content) for content in files.values()) <= LIMITS.total_kb << 10


@given(st.binary(max_size=2000), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08\0"]))
def test_bytes_that_are_no_archive_are_refused(noise: bytes, mark: bytes) -> None:
    with pytest.raises(SubmissionRejected):
        read_archive(mark + noise, LIMITS)


@every_packer
def test_no_beginning_of_an_archive_is_taken_for_the_whole(pack: Pack) -> None:
    packed = pack(WORK)
    whole = len(packed.rstrip(b"\0")) if packed.startswith(b"main.py") else len(packed)
    for length in range(0, whole, 7):
        with pytest.raises(SubmissionRejected):
            read_archive(packed[:length], LIMITS)


# ------------------------------------------------------------------------------------------------- how it may arrive


def test_an_archive_may_come_as_bytes_as_a_file_or_as_a_stream(tmp_path: Path) -> None:
    packed = pack_zip(WORK)
    (tmp_path / "work.txt").write_bytes(packed)
    for upload in (packed, tmp_path / "work.txt", io.BytesIO(packed)):
        assert read_archive(upload, LIMITS).files == WORK


def test_a_stream_that_gives_few_bytes_at_a_time_is_read_to_its_end() -> None:
    packed = pack_zip(WORK)
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as stream, os.fdopen(writing, "wb", buffering=0) as sender:
        for at in range(0, len(packed), 100):
            sender.write(packed[at : at + 100])
        sender.close()
        assert read_archive(stream, LIMITS).files == WORK


def test_a_stream_is_read_no_further_than_an_upload_may_be_long() -> None:
    endless = io.BytesIO(bytes(most_packed(LIMITS) + 5000))
    with pytest.raises(SubmissionRejected, match="larger than 16,448 kB"):
        read_archive(endless, LIMITS)
    assert endless.tell() == most_packed(LIMITS) + 1


def pack_with(program: list[str], folder: Path) -> bytes:
    return subprocess.run(program, cwd=folder, check=True, capture_output=True).stdout


@pytest.mark.parametrize(
    "program",
    [
        ["tar", "-cf", "-", "."],
        ["tar", "-czf", "-", "main.py", "notes", "empty"],
        ["tar", "--format=pax", "-cf", "-", "./main.py", "./notes", "./empty"],
        ["tar", "--format=v7", "-cf", "-", "."],
        ["tar", "--format=oldgnu", "-cf", "-", "."],
        ["python3", "-m", "zipfile", "-c", "/dev/stdout", "main.py", "notes", "empty"],
    ],
    ids=" ".join,
)
def test_what_other_programs_pack_is_read(program: list[str], tmp_path: Path) -> None:
    for name, content in WORK.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    if program[0] == "python3":
        subprocess.run([*program[:4], "packed", *program[5:]], cwd=tmp_path, check=True)
        packed = (tmp_path / "packed").read_bytes()
    else:
        packed = pack_with(program, tmp_path)
    assert read_archive(packed, LIMITS) == Upload(WORK)


def test_what_git_packs_is_read(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_bytes(WORK["main.py"])
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Begin"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    for layout in ("zip", "tar", "tar.gz"):
        packed = pack_with(["git", "archive", f"--format={layout}", "HEAD"], tmp_path)
        assert read_archive(packed, LIMITS).files == {"main.py": WORK["main.py"]}


def test_a_zip_that_was_written_into_a_pipe_is_read() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as sender, zipfile.ZipFile(sender, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("main.py", "w", force_zip64=True) as file:
            file.write(WORK["main.py"])
        archive.writestr("other.py", b"")
    with os.fdopen(reading, "rb") as stream:
        assert read_archive(stream, LIMITS).files == {"main.py": WORK["main.py"], "other.py": b""}


def test_a_comment_at_the_end_of_a_zip_does_no_harm() -> None:
    packed = io.BytesIO(pack_zip(WORK))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.comment = b"PK\x05\x06 and more" * 40
    assert read_archive(packed.getvalue(), LIMITS).files == WORK


def test_gzip_may_be_in_several_streams_and_end_in_zeros() -> None:
    plain = pack_tar(WORK)
    packed = b"".join(gzip.compress(plain[at : at + 700]) for at in range(0, len(plain), 700))
    assert read_archive(packed + bytes(512), LIMITS).files == WORK


# ----------------------------------------------------------------------------------------------------------- limits


@every_packer
def test_as_many_files_as_are_allowed_are_taken_and_not_one_more(pack: Pack) -> None:
    files = {f"{number}.txt": b"" for number in range(LIMITS.files)}
    assert read_archive(pack(files), LIMITS).files == files
    with pytest.raises(SubmissionRejected, match="'one more': there are more than 50 files"):
        read_archive(pack({**files, "one more": b""}), LIMITS)


@every_packer
def test_as_many_bytes_as_are_allowed_are_taken_and_not_one_more(pack: Pack) -> None:
    files = {"half": b"a" * (32 << 10), "other half": b"b" * (32 << 10)}
    assert read_archive(pack(files), LIMITS).files == files
    with pytest.raises(SubmissionRejected, match="'last': with it the files are larger than 64 kB"):
        read_archive(pack({**files, "last": b"."}), LIMITS)


def test_a_room_has_space_for_all_that_is_taken() -> None:
    deep = {f"{number}/" + "/".join("abcdefghij") + "/file": b"" for number in range(900)}
    with pytest.raises(SubmissionRejected, match="more than 7,000 files and folders"):
        read_archive(pack_zip(deep), SubmissionLimits(files=5000))


@every_packer
def test_an_archive_without_a_file_is_refused(pack: Pack) -> None:
    with pytest.raises(SubmissionRejected, match=r"^upload: .*(no file|neither a zip nor a tar|no tar archive)"):
        read_archive(pack({}), LIMITS)


def test_folders_alone_are_no_submission() -> None:
    with pytest.raises(SubmissionRejected, match="holds no file: pack what you want to hand in"):
        read_archive(pack_zip({"src/": b""}), LIMITS)


# --------------------------------------------------------------------------------------------- what is left out


@pytest.mark.parametrize("foreign", sorted(LEFT_OUT))
def test_what_programs_leave_behind_is_left_out_and_named(foreign: str) -> None:
    upload = read_archive(pack_tar({"src/a.py": b"", f"src/{foreign}/b/c": b"x", f"src/{foreign}/d": b"x"}), LIMITS)
    assert upload.files == {"src/a.py": b""}
    assert upload.left_out == (f"'src/{foreign}'",)
    assert upload.notes == (f"Left out: 'src/{foreign}'.",)


@pytest.mark.parametrize("name", ["a.pyc", "._a.py", "src/._a.py"])
def test_files_that_programs_leave_behind_are_left_out(name: str) -> None:
    assert read_archive(pack_zip({"a.py": b"", name: b"x"}), LIMITS).files == {"a.py": b""}


def test_what_is_left_out_counts_neither_as_files_nor_as_bytes() -> None:
    installed = {f"node_modules/{number}.js": b"x" * 3000 for number in range(300)}
    for pack in PACKERS.values():
        upload = read_archive(pack({**installed, "a.py": b""}), LIMITS)
        assert upload.files == {"a.py": b""}
        assert upload.left_out == ("'node_modules'",)


def test_links_in_what_is_left_out_are_left_out_too(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    (tmp_path / "a.py").touch()
    assert read_archive(pack_with(["tar", "-c", "."], tmp_path), LIMITS) == Upload({"a.py": b""}, ("'.venv'",))


def test_a_submission_of_nothing_else_is_refused_with_the_reason() -> None:
    with pytest.raises(SubmissionRejected, match="holds no file but what is always left out"):
        read_archive(pack_zip({".git/HEAD": b"", ".DS_Store": b""}), LIMITS)


def test_what_the_challenge_asks_for_is_never_left_out() -> None:
    files = {".git/HEAD": b"ref", "a.py": b""}
    assert read_archive(pack_zip(files), LIMITS, [".git", "a.py"]).files == files


def test_only_the_first_of_many_that_were_left_out_are_named() -> None:
    files = {f"{number}/__pycache__/x": b"" for number in range(30)}
    upload = read_archive(pack_zip({**files, "a.py": b""}), LIMITS)
    assert upload.notes[0].endswith("'19/__pycache__' and 10 more.")


# ------------------------------------------------------------------------------------------- a folder around it all


@pytest.mark.parametrize("folder", ["my work", "outer/inner", "src"])
@pytest.mark.parametrize("deliverables", [["main.py"], ["notes/"], ["notes/answer.md", "missing.py"]])
def test_a_folder_around_everything_is_taken_away_and_named(folder: str, deliverables: list[str]) -> None:
    packed = pack_zip({f"{folder}/{name}": content for name, content in WORK.items()})
    upload = read_archive(packed, LIMITS, deliverables)
    assert upload == Upload(WORK, folder=folder)
    assert upload.notes == (f"The files were taken out of the folder {folder!r} that they were packed in.",)


@pytest.mark.parametrize(
    ("names", "deliverables"),
    [
        (["src/main.py"], ["src/main.py"]),
        (["src/main.py"], ["src"]),
        (["src/src/main.py"], ["src"]),
        (["work/main.py", "README"], ["main.py"]),
        (["work/main.py", "more/other.py"], ["main.py"]),
        (["work/other.py"], ["main.py"]),
        (["work/main.python"], ["main.py"]),
        (["work/main.py"], []),
    ],
)
def test_a_folder_stays_where_it_is_not_only_a_wrapping(names: list[str], deliverables: list[str]) -> None:
    upload = read_archive(pack_tar(dict.fromkeys(names, b"x")), LIMITS, deliverables)
    assert (list(upload.files), upload.folder, upload.notes) == (names, "", ())


def test_what_a_mac_packs_is_its_files_alone() -> None:
    packed = pack_zip(
        {
            "answer/": b"",
            "answer/main.py": b"1",
            "__MACOSX/answer/._main.py": b"resource",
            "answer/.DS_Store": b"view",
            "__MACOSX/._answer": b"resource",
        }
    )
    upload = read_archive(packed, LIMITS, ["main.py"])
    assert upload.files == {"main.py": b"1"}
    assert upload.folder == "answer"
    assert upload.left_out == ("'__MACOSX'", "'answer/.DS_Store'")


def test_the_allowance_for_what_is_left_out_is_beside_the_submission() -> None:
    assert most_packed(SubmissionLimits(total_kb=1)) == 1024 + MOST_BESIDE
