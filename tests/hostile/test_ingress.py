"""Archives that attack whoever reads them. Each is refused in a sentence, or is files and nothing else."""

import gzip
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Final

import pytest

from graders.rubric import SubmissionLimits
from tests.hostile.packing import (
    DEVICE,
    EMPTY_BLOCK,
    FOLDER,
    LINK,
    PIPE,
    Zipped,
    deflated,
    header,
    long_end,
    long_name,
    pax,
    record,
    tar,
    tar_file,
    tar_gz,
    zipped,
)  # fmt: skip
from web.archives import read_archive
from web.errors import SubmissionRejected
from web.settings import PROJECT

LIMITS: Final = SubmissionLimits()  # 200 files, 2 MB
MEGABYTE: Final = 1 << 20

BOTH: Final[dict[str, Callable[[bytes], bytes]]] = {
    "zip": lambda name: zipped(Zipped(b"main.py"), Zipped(name, b"x")),
    "tar": lambda name: tar(tar_file(b"main.py"), tar_file(name, b"x")),
    "tar.gz": lambda name: tar_gz(tar_file(b"main.py"), tar_file(name, b"x")),
    "tar with GNU's long names": lambda name: tar(tar_file(b"main.py"), long_name(name), tar_file(b"short", b"x")),
    "tar with pax": lambda name: tar(tar_file(b"main.py"), pax((b"path", name)), tar_file(b"short", b"x")),
}
in_both: Final = pytest.mark.parametrize("pack", BOTH.values(), ids=BOTH.keys())


def sentence(packed: bytes, limits: SubmissionLimits = LIMITS) -> str:
    """Why it is refused. What is printed may reach a terminal, a log and a page."""
    with pytest.raises(SubmissionRejected) as refused:
        read_archive(packed, limits)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400
    assert str(refused.value).startswith("upload: ")
    return str(refused.value)


# ------------------------------------------------------------------------------------------------------------ names


@in_both
@pytest.mark.parametrize(
    "name", [b"../x", b"a/../../x", b"a/..", b"/abs", b"//abs", b"C:/x", b"c:x", b"./../x", b"..", b"a/../main.py"]
)
def test_a_name_that_leads_elsewhere_is_refused(pack: Callable[[bytes], bytes], name: bytes) -> None:
    assert "leads out of the folder" in sentence(pack(name))


@in_both
@pytest.mark.parametrize("name", [rb"..\x", rb"a\b", rb"\\unc\share\x"])
def test_a_backslash_is_refused_since_it_means_two_things(pack: Callable[[bytes], bytes], name: bytes) -> None:
    assert "a backslash" in sentence(pack(name))


@pytest.mark.parametrize("kind", ["zip", "tar with GNU's long names", "tar with pax"])
def test_a_nul_character_is_refused(kind: str) -> None:
    assert "'a\\x00b.py': the name holds a control character" in sentence(BOTH[kind](b"a\0b.py"))


def test_nothing_stands_behind_a_name_in_a_tar() -> None:
    assert "a second name behind it" in sentence(tar(tar_file(b"main.py\0other.py")))


@in_both
@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\tb", "a\rb", "a\x7fb", "a\u2028b", "a\u0085b"])
def test_a_control_character_is_refused_and_shown_escaped(pack: Callable[[bytes], bytes], name: str) -> None:
    said = sentence(pack(name.encode()))
    assert "a control character" in said
    assert repr(name) in said


@in_both
@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff", b"\xed\xa0\x80", b"\xc0\xae\xc0\xae/x"])
def test_a_name_that_is_no_text_is_refused(pack: Callable[[bytes], bytes], name: bytes) -> None:
    assert "not in UTF-8" in sentence(pack(name))


@in_both
@pytest.mark.parametrize("name", [b"a//b", b"a/./b", b"a/."])
def test_a_name_with_an_empty_part_is_refused(pack: Callable[[bytes], bytes], name: bytes) -> None:
    assert "an empty part" in sentence(pack(name))


@in_both
@pytest.mark.parametrize("name", [" ", "...", "\u200b", "a/ /b", "\ufe0f", "\u3164", "\u00ad"])
def test_a_name_that_nobody_can_see_is_refused(pack: Callable[[bytes], bytes], name: str) -> None:
    assert "cannot be seen" in sentence(pack(name.encode()))


@pytest.mark.parametrize("kind", ["zip", "tar with GNU's long names", "tar with pax"])
@pytest.mark.parametrize("name", [b"d/" * 299 + b"x", b"d/" * 32 + b"x", b"n" * 501, b"x/" * 20_000 + b"x"])
def test_a_name_that_is_too_long_or_too_deep_is_refused(kind: str, name: bytes) -> None:
    assert "the name is too long" in sentence(BOTH[kind](name))


@pytest.mark.parametrize("kind", ["zip", "tar with GNU's long names", "tar with pax"])
def test_a_part_of_a_name_that_no_disk_could_take_is_refused(kind: str) -> None:
    assert "longer than 255 bytes" in sentence(BOTH[kind](b"n" * 256))
    assert "n" * 255 in read_archive(BOTH[kind](b"n" * 255), LIMITS).files


@in_both
@pytest.mark.parametrize(
    "name",
    [
        "report\u202egpj.exe", "-rf", "$(id)", " lead", "=cmd|'/c calc'!A1", "<img src=x onerror=alert(1)>.py",
        "conftest.py", "sitecustomize.py", "evil.pth", "setup.cfg", "tests/numpy.py", "'; drop table people; --",
    ],
)  # fmt: skip
def test_an_odd_name_is_kept_as_it_is(pack: Callable[[bytes], bytes], name: str) -> None:
    assert read_archive(pack(name.encode()), LIMITS).files == {"main.py": b"", name: b"x"}


def test_a_name_that_turns_text_around_is_shown_escaped() -> None:
    assert r"'report\u202egpj.exe'" in sentence(zipped(Zipped("report\u202egpj.exe".encode(), mode=LINK)))


# --------------------------------------------------------------------------- what a person sees is what runs


@in_both
def test_two_files_of_one_name_are_refused(pack: Callable[[bytes], bytes]) -> None:
    assert "'main.py': the archive holds two files of this name" in sentence(pack(b"main.py"))


@in_both
@pytest.mark.parametrize("name", ["MAIN.py", "main.py.", "main.py ", "ma\u200bin.py", "\ufeffmain.py", "\uff4dain.py"])
def test_two_names_that_look_the_same_are_refused(pack: Callable[[bytes], bytes], name: str) -> None:
    assert "nobody can tell this name from 'main.py'" in sentence(pack(name.encode()))


def test_two_ways_to_write_one_letter_are_one_name() -> None:
    assert "nobody can tell" in sentence(zipped(Zipped("é.py".encode()), Zipped("e\u0301.py".encode())))


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("A", "a/b"), ("a /b", "a"), ("a/", "a"), ("a", "a/")])
def test_a_file_is_not_another_files_folder(names: tuple[str, str]) -> None:
    assert "rename one of them" in sentence(zipped(*(Zipped(name.encode()) for name in names)))


@pytest.mark.parametrize("name", [b"a/../main.py", b"./main.py", b"././main.py"])
def test_a_second_name_for_a_file_is_no_way_around(name: bytes) -> None:
    assert sentence(zipped(Zipped(b"main.py"), Zipped(name)))


def test_a_zip_whose_list_names_other_files_than_its_members_is_refused() -> None:
    assert "another name in the list" in sentence(zipped(Zipped(b"main.py", b"x", inner_name=b"evil.py")))


def test_a_zip_with_a_second_name_for_readers_that_know_of_it_is_refused() -> None:
    body = b"\x01" + zlib.crc32(b"main.py").to_bytes(4, "little") + b"evil.py"
    extra = struct.pack("<2H", 0x7075, len(body)) + body
    assert "'main.py': is also called 'evil.py'" in sentence(zipped(Zipped(b"main.py", b"x", extra=extra)))


def test_a_zip_with_two_ends_is_refused() -> None:
    inner = zipped(Zipped(b"evil.py", b"x"))
    assert "it has two ends" in sentence(zipped(Zipped(b"main.py"), comment=inner))


@pytest.mark.parametrize("told", [pax((b"path", b"a")) + pax((b"path", b"c")), long_name(b"a") * 2])
def test_a_tar_that_names_a_file_twice_is_refused(told: bytes) -> None:
    assert "has a second name" in sentence(tar(told, tar_file(b"main.py")))


@pytest.mark.parametrize("field", [(b"path", b"evil.py"), (b"size", b"0")])
def test_a_name_or_length_for_all_that_follows_is_refused(field: tuple[bytes, bytes]) -> None:
    assert "meant for many" in sentence(tar(pax(field, kind=b"g"), tar_file(b"main.py")))


@pytest.mark.parametrize("behind", [b"\0" * 1024 + tar(tar_file(b"evil.py")), b"\0" * 512 + b"evil"])
def test_nothing_hides_behind_the_end_of_an_archive(behind: bytes) -> None:
    assert "something follows its end" in sentence(tar(tar_file(b"main.py")) + behind)
    assert "something follows its end" in sentence(gzip.compress(tar(tar_file(b"main.py")) + behind))
    assert "something follows its end" in sentence(tar_gz(tar_file(b"main.py")) + behind)
    assert "it has no end" in sentence(zipped(Zipped(b"main.py"), follows=behind))


# ------------------------------------------------------------------------------------- neither file nor folder


@pytest.mark.parametrize("mode", [LINK, PIPE, DEVICE, 0o060644, 0o140777])
def test_a_zip_with_a_link_or_a_device_is_refused(mode: int) -> None:
    assert "only files and folders are taken" in sentence(zipped(Zipped(b"d", b"/etc/passwd", mode=mode)))


def test_a_folder_with_the_name_of_a_file_is_refused() -> None:
    assert "a folder with the name of a file" in sentence(zipped(Zipped(b"d", mode=FOLDER)))


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"6", b"M", b"V", b"D", b"N", b"\xff"])
def test_a_tar_with_a_link_or_a_device_is_refused(kind: bytes) -> None:
    assert "only files and folders are taken" in sentence(tar(tar_file(b"main.py"), header(b"d", 0, kind, to=b"/etc")))


@pytest.mark.parametrize("kind", [b"1", b"2", b"5"])
def test_a_link_or_folder_that_claims_a_content_is_refused(kind: bytes) -> None:
    """Readers disagree whether the next header begins behind it: a file could be hidden from one of them."""
    assert "has a content, though it is no file" in sentence(tar(tar_file(b"d", b"hidden", kind)))


def test_a_link_that_a_later_file_would_be_written_through_is_refused() -> None:
    assert "'d': this is a link" in sentence(tar(header(b"d", 0, b"2", to=b"/tmp"), tar_file(b"d/pwn", b"x")))
    assert "'d': this is a link" in sentence(zipped(Zipped(b"d", b"/tmp", mode=LINK), Zipped(b"d/pwn", b"x")))


def test_chains_of_links_that_deceived_the_filters_of_python_are_refused() -> None:
    """A path that grows beyond PATH_MAX while it is resolved; a hard link to a link that is made later."""
    long = b"d" * 99
    chain = [header(long, 0, b"5"), header(b"a", 0, b"2", to=long), header(b"a/escape", 0, b"2", to=b"../" * 16)]
    assert "this is a link" in sentence(tar(*chain, tar_file(b"a/escape/flag", b"x")))
    hard = [header(b"h", 0, b"1", to=b"deep/../../etc/passwd"), header(b"deep", 0, b"2", to=b"/")]
    assert "this is a hard link" in sentence(tar(*hard))


@pytest.mark.parametrize(
    "sparse",
    [
        header(b"main.py", 0, b"S"),
        pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.name", b"evil.py")) + tar_file(b"main.py"),
        pax((b"GNU.sparse.map", b"0,10000000000"), kind=b"g") + tar_file(b"main.py"),
    ],
)
def test_a_sparse_file_is_refused(sparse: bytes) -> None:
    assert "a sparse file" in sentence(tar(sparse))


# -------------------------------------------------------------------------------------------------- bytes that lie


@pytest.mark.parametrize(
    "size",
    [
        b"-0000000010",
        b"\xff" * 12,
        b"\xff" * 11 + b"\x80",
        b"0x10",
        b"1_0",
        b"+10",
        b"9",
        b"1.5",
        "\uff11".encode(),
        b"1 0",
    ],
)
def test_a_length_that_is_no_number_is_refused(size: bytes) -> None:
    assert "a length is no number" in sentence(tar(header(b"main.py", size_field=size)))
    if size != b"9":
        assert "a length is no number" in sentence(tar(pax((b"size", size)), tar_file(b"main.py")))


@pytest.mark.parametrize("size", [b"77777777777", b"\x80" + b"\xff" * 11, b"\x80" + bytes(6) + b"\x7f" * 5])
def test_a_length_beyond_the_archive_is_refused(size: bytes) -> None:
    assert "are larger than 2,048 kB" in sentence(tar(header(b"main.py", size_field=size)))
    assert "it ends too early" in sentence(tar(header(b".git/x", size_field=size)))  # left out, and skipped


def test_the_old_kind_of_file_with_a_slash_behind_its_name_is_a_folder() -> None:
    folder = long_name(b"n" * 120 + b"/") + header(b"n" * 99 + b"/", 0, b"\0")
    assert list(read_archive(tar(folder, tar_file(b"main.py")), LIMITS).files) == ["main.py"]
    assert "though it is no file" in sentence(tar(long_name(b"d/"), tar_file(b"d", b"content", b"\0")))


@pytest.mark.parametrize(
    "records",
    [
        b"9999 path=a\n", b"0 path=a\n", b"-7 path=a\n", b"path=a\n", b"11 path=a\n", b"8 path\n", b"10 path=ab",
        b"1 \n", b"7 a=b\n" * 2, b"6 a=b\n" * 2, b"\xd9\xa7 a=b\n",
    ],
)  # fmt: skip
def test_a_pax_header_that_cannot_be_read_is_refused(records: bytes) -> None:
    assert "a header cannot be read" in sentence(tar(tar_file(b"pax", records, b"x"), tar_file(b"main.py")))


def test_a_header_without_a_file_behind_it_is_refused() -> None:
    assert "something follows its end" in sentence(tar(tar_file(b"main.py"), long_name(b"evil.py")))


@pytest.mark.parametrize(
    ("file", "cause"),
    [
        (Zipped(b"main.py", b"x" * 50, size=10), "not as long as"),
        (Zipped(b"main.py", b"x" * 50, size=90), "not as long as"),
        (Zipped(b"main.py", b"x" * 50, size=10, method=0), "not as long as"),
        (Zipped(b"main.py", b"x" * 50, packed_size=5), "does not end where it should"),
        (Zipped(b"main.py", b"x", packed=deflated(b"x") + b"hidden"), "does not end where it should"),
        (Zipped(b"main.py", b"x", packed=b"\xff\xff\xff"), "cannot be decompressed"),
        (Zipped(b"main.py", b"x", crc=7), "another content"),
        (Zipped(b"main.py", b"x", packed_size=5000), "lie over each other"),
        (Zipped(b"main.py", b"x", start=1), "not where it should be"),
        (Zipped(b"main.py", b"x", start=10**9), "not where it should be"),
        (Zipped(b"main.py", b"x", flags=0x801), "is encrypted"),
        (Zipped(b"main.py", b"x", flags=0x840), "is encrypted"),
        (Zipped(b"main.py", b"x", method=99), "number 99"),
        (Zipped(b"main.py", b"x", method=12), "number 12"),
        (Zipped(b"main.py", b"x", method=14), "number 14"),
        (Zipped(b"main.py", b"x", size=0xFFFFFFFF), "a length is missing"),
        (Zipped(b"d/", b"content"), "a folder with a content"),
    ],
)
def test_a_zip_whose_list_lies_about_a_file_is_refused(file: Zipped, cause: str) -> None:
    assert cause in sentence(zipped(Zipped(b"a.py", b"a" * 40), file))


@pytest.mark.parametrize("count", [0, 1, 3, 0xFFFE, 0xFFFF])
def test_a_zip_that_miscounts_its_files_is_refused(count: int) -> None:
    assert "the archive" in sentence(zipped(Zipped(b"a.py"), Zipped(b"b.py"), count=count))


def zip64(**lies: int) -> bytes:
    body = zipped(Zipped(b"main.py", b"x"))[:-22]
    begins = body.index(b"PK\x01\x02")
    told = {"count": 1, "size": len(body) - begins, "start": begins, "place": len(body)} | lies
    return body + long_end(**told)


def test_the_long_form_of_a_zip_is_read() -> None:
    assert read_archive(zip64(), LIMITS).files == {"main.py": b"x"}


@pytest.mark.parametrize(
    "lie",
    [
        {"place": 1}, {"place": 2**63}, {"length": 2**63}, {"length": 43}, {"count": 2**63}, {"count": 2},
        {"size": 2**63}, {"start": 2**63}, {"start": 1},
    ],
)  # fmt: skip
def test_the_long_form_of_a_zip_may_not_lie_either(lie: dict[str, int]) -> None:
    assert "the archive" in sentence(zip64(**lie))


@pytest.mark.parametrize(
    ("packed", "kind"),
    [
        (b"BZh91AY&SY", "a bzip2 file"),
        (b"\xfd7zXZ\0\0", "an xz file"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"Rar!\x1a\x07\1", "a RAR archive"),
        (b"print('a program alone')", "neither a zip nor a tar"),
        (b"<html>" + zipped(Zipped(b"main.py")), "neither a zip nor a tar"),
        (b"GIF89a" + zipped(Zipped(b"main.py")), "neither a zip nor a tar"),
        (b"", "neither a zip nor a tar"),
        (bytes(10240), "neither a zip nor a tar"),
        (gzip.compress(b"print('a program alone')" * 50, mtime=0), "a gzip file, and holds no tar"),
    ],
)
def test_what_it_is_is_seen_by_its_content_and_said(packed: bytes, kind: str) -> None:
    assert kind in sentence(packed)


# ----------------------------------------------------------------------------------------- bombs, in bounded memory


# Reads what comes on stdin; says why it was refused, and how many kilobytes more than the upload that took.
READER: Final = """
import resource, sys
from graders.rubric import SubmissionLimits
from web.archives import read_archive
from web.errors import SubmissionRejected
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))  # it would be killed, and nothing said
packed = sys.stdin.buffer.read()

def watch(event, arguments):
    if event == "open" or event.startswith(("os.", "shutil.", "subprocess.", "socket.")):
        raise RuntimeError(f"{event}: {arguments}")

sys.addaudithook(watch)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    said = str(len(read_archive(packed, SubmissionLimits()).files))
except SubmissionRejected as refused:
    said = str(refused)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, said)
"""


def read_elsewhere(packed: bytes) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-c", READER], cwd=PROJECT, input=packed, capture_output=True, check=False
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr.decode()
    kilobytes, _, said = ended.stdout.decode().strip().partition(" ")
    return int(kilobytes), said


ZEROS: Final = 50 * MEGABYTE  # a program that kept them would be seen


def many_names(count: int) -> list[bytes]:
    return [b"%d.py" % number for number in range(count)]


BOMBS: Final[dict[str, tuple[Callable[[], bytes], str]]] = {
    "a zip of zeros": (lambda: zipped(Zipped(b"a", bytes(ZEROS))), "larger than 2,048 kB"),
    "a zip of zeros that says it is small": (lambda: zipped(Zipped(b"a", bytes(ZEROS), size=10)), "not as long as"),
    "files that lie over each other": (
        lambda: zipped(
            Zipped(b"0", b"x" * MEGABYTE, method=0),
            *(Zipped(name, b"x" * MEGABYTE, start=0, method=0) for name in many_names(2)),
        ),
        "lie over each other",
    ),
    "blocks of nothing, read by every file": (
        lambda: zipped(
            Zipped(b"0", packed=EMPTY_BLOCK * MEGABYTE + b"\3\0"),
            *(Zipped(name, packed=EMPTY_BLOCK * MEGABYTE + b"\3\0", start=0) for name in many_names(150)),
        ),
        "lie over each other",
    ),
    "a zip in a zip in a zip": (
        lambda: zipped(Zipped(b"1.zip", zipped(Zipped(b"2.zip", zipped(Zipped(b"a", bytes(ZEROS))))))),
        "1",
    ),
    "a tar.gz of zeros": (lambda: tar_gz(tar_file(b"a", bytes(ZEROS))), "larger than 2,048 kB"),
    "zeros in what is left out": (lambda: tar_gz(tar_file(b".git/a", bytes(2 * ZEROS))), "becomes too large"),
    "many streams of zeros": (
        lambda: gzip.compress(header(b".git/a", size_field=b"77777777777")) + gzip.compress(bytes(ZEROS)) * 99,
        "becomes too large",
    ),
    "zeros behind the end": (lambda: tar_gz(tar_file(b"a"), bytes(2 * ZEROS)), "becomes too large"),
    "streams of nothing": (lambda: gzip.compress(header(b"a", 9)) + gzip.compress(b"") * 500_000, "too many streams"),
    "100,000 files in a zip": (lambda: zipped(*map(Zipped, many_names(100_000))), "more than 20,000 entries"),
    "60,000 files in a zip": (lambda: zipped(*map(Zipped, many_names(60_000))), "more than 20,000 entries"),
    "20,000 files in a zip": (lambda: zipped(*map(Zipped, many_names(20_000))), "more than 200 files"),
    "100,000 files in a tar": (lambda: tar(*map(tar_file, many_names(100_000))), "larger than"),
    "100,000 files in a tar.gz": (lambda: tar_gz(*map(tar_file, many_names(100_000))), "more than 200 files"),
    "100,000 folders": (
        lambda: tar_gz(*(header(b"%d" % number, 0, b"5") for number in range(100_000))),
        "more than 7,000",
    ),
    "100,000 entries of .git": (
        lambda: tar_gz(*(header(b".git/%d" % number) for number in range(100_000))),
        "more than 20,000 entries",
    ),
    "a header of 10 megabytes": (lambda: tar_gz(tar_file(b"pax", bytes(10 * MEGABYTE), b"x")), "longer than 64 kB"),
    "a name of 10 megabytes": (lambda: tar_gz(long_name(b"a" * 10 * MEGABYTE)), "longer than 64 kB"),
    "headers that follow headers": (lambda: tar_gz(pax((b"comment", b"x")) * 50_000), "more than 20,000 entries"),
    "headers of many records": (
        lambda: tar_gz(tar_file(b"pax", b"".join(record(b"%d" % key, b"") for key in range(6000)), b"x") * 900),
        "says too much",
    ),
    "names of many parts": (lambda: tar_gz((long_name(b"a/" * 30_000) + tar_file(b"a")) * 900), "name is too long"),
    "names that begin with many dots": (
        lambda: tar_gz((long_name(b"./" * 30_000 + b".git") + tar_file(b"a")) * 900),
        "no file but what is always left out",
    ),
}


@pytest.mark.parametrize(("make", "cause"), BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_with_little_memory_and_in_the_end(make: Callable[[], bytes], cause: str) -> None:
    kilobytes, said = read_elsewhere(make())
    assert cause in said
    assert kilobytes < 24 << 10


def test_an_archive_in_an_archive_is_a_file() -> None:
    inner = zipped(Zipped(b"../evil.py", bytes(10 * MEGABYTE)))
    assert read_archive(zipped(Zipped(b"inner.zip", inner)), LIMITS).files == {"inner.zip": inner}


@pytest.mark.parametrize("name", [b"main.py", b"../x", b"/tmp/x"])
@pytest.mark.parametrize("pack", [BOTH["zip"], BOTH["tar.gz"]])
def test_no_archive_makes_its_reader_open_anything(pack: Callable[[bytes], bytes], name: bytes) -> None:
    assert read_elsewhere(pack(b"a/" + name))[1]
