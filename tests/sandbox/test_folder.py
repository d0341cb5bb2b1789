import os
import socket
import subprocess
from pathlib import Path

import pytest

from sandbox import SandboxMisused
from sandbox.folder import read_folder


def test_all_files_below_the_folder_are_read_under_their_relative_names(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "deep.txt").write_bytes(b"deep")
    (tmp_path / ".hidden").write_bytes(b"")
    assert read_folder(tmp_path, 1) == {"a/b/deep.txt": b"deep", ".hidden": b""}


def test_an_empty_folder_is_no_files(tmp_path: Path) -> None:
    assert read_folder(tmp_path, 1) == {}


def test_many_small_files_are_too_much_together(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).write_bytes(b"x" * 400_000)
    with pytest.raises(SandboxMisused, match="more than the 1 MB"):
        read_folder(tmp_path, 1)


@pytest.mark.parametrize("kind", ["link", "dangling link", "link to a folder", "pipe", "socket"])
def test_what_is_neither_file_nor_folder_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    odd = tmp_path / "odd"
    match kind:
        case "link":
            odd.symlink_to("/etc/passwd")
        case "dangling link":
            odd.symlink_to("nowhere")
        case "link to a folder":
            odd.symlink_to("/etc")
        case "pipe":
            os.mkfifo(odd)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(odd))
    with pytest.raises(SandboxMisused, match="odd"):
        read_folder(tmp_path, 1)


def test_a_name_that_is_no_text_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))).write_bytes(b"")
    with pytest.raises(SandboxMisused, match="not valid Unicode"):
        read_folder(tmp_path, 1)


def test_folders_a_thousand_deep_are_no_trouble_to_us(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    read = list(read_folder(tmp_path, 1))
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # pytest's own clean-up cannot go that deep
    assert read == ["d/" * 1500 + "leaf"]


def test_too_many_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    for number in range(8001):
        (tmp_path / str(number)).touch()
    with pytest.raises(SandboxMisused, match="more than 8,000 files"):
        read_folder(tmp_path, 1)


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SandboxMisused, match="there is no such folder"):
        read_folder(tmp_path / "nowhere", 1)


def test_a_file_with_a_hole_counts_as_long_as_it_says_it_is(tmp_path: Path) -> None:
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SandboxMisused, match="more than the 1 MB"):
        read_folder(tmp_path, 1)
