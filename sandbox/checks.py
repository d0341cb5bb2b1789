"""What a caller may ask for. Everything is checked before a container exists, and refused in one sentence."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from sandbox import Limits, SandboxMisused

LONGEST_ORDER: Final = 130_000  # the words of a command; the kernel takes none longer than this
MOST_FILES: Final = 8000  # and folders, that go in; a room can hold a few more
BLOCK: Final = 4096


def check_order(command: Sequence[str], stdin: bytes, collect: Sequence[str], limits: Limits) -> None:
    """There is a command, and the names of what is to be collected stay in /box."""
    if isinstance(command, str) or not command or not command[0]:
        raise SandboxMisused(f"command: {command!r}: a list of words is needed, the program first")
    for word in command:
        check_word("command", word)
    for name in collect:
        check_name("collect", name)
    if sum(len(word.encode("utf-8", "surrogateescape")) + 1 for word in (*command, *collect)) > LONGEST_ORDER:
        raise SandboxMisused(f"command: the words and the names to collect are longer than {LONGEST_ORDER:,} bytes")
    check_size("stdin", [len(stdin)], limits)


def check_files(files: Mapping[str, bytes], limits: Limits) -> None:
    """Every name is below /box, none is a folder of another, there are not too many, and they fit."""
    check_names(files)
    check_size("files", [len(content) for content in files.values()], limits)


def check_names(files: Iterable[str]) -> None:
    seen: set[str] = set()
    folders: set[str] = set()
    for name in files:
        seen.add(name)
        check_name("files", name)
        if name == ".":
            raise SandboxMisused("files: '.': a file needs a name")
        folder = name.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
        if len(seen) + len(folders) > MOST_FILES:
            raise SandboxMisused(f"files: more than {MOST_FILES:,} files and folders: leave some out")
    for name in folders & seen:
        raise SandboxMisused(f"files: {name!r}: a file, and the folder of another file")


def check_name(what: str, name: str) -> None:
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise SandboxMisused(f"{what}: {name!r}: the name is not valid Unicode") from None
    parts = name.split("/")
    if "\0" in name or name.startswith("/") or ".." in parts or "" in parts or ("." in parts and name != "."):
        raise SandboxMisused(f"{what}: {name!r}: a name must be relative and must not contain '..', '.' or '//'")
    if len(encoded) > 4000 or any(len(part.encode()) > 255 for part in parts):
        raise SandboxMisused(f"{what}: {name[:60]!r}...: the name is too long: 255 bytes a part, 4,000 in all")


def check_size(what: str, sizes: Sequence[int], limits: Limits) -> None:
    """Files lie in memory: what is put in must leave at least half of it to the program."""
    needed = sum(-(-size // BLOCK) for size in sizes) * BLOCK / 2**20
    if needed > limits.disk_mb:
        raise SandboxMisused(f"{what}: {needed:.1f} MB: more than disk_mb = {limits.disk_mb}: raise it, or send less")
    if needed > limits.memory_mb / 2:
        raise SandboxMisused(
            f"{what}: {needed:.1f} MB: more than half of memory_mb = {limits.memory_mb}: raise it, or send less"
        )


def check_word(what: str, word: str) -> None:
    try:
        encoded = word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise SandboxMisused(f"{what}: {word[:60]!r}: a word must be valid Unicode") from None
    if b"\0" in encoded:
        raise SandboxMisused(f"{what}: {word[:60]!r}: a word cannot contain a NUL character")


def check_environment(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
            raise SandboxMisused(f"environment: {name!r}: a name is letters, digits and _")
        if name.startswith("LD_"):
            raise SandboxMisused(f"environment: {name!r}: the warden would be loaded with it too")
        check_word("environment", value)
    sizes = [len(name) + len(value.encode("utf-8", "surrogateescape")) for name, value in environment.items()]
    if sum(sizes) > LONGEST_ORDER:
        raise SandboxMisused(f"environment: longer than {LONGEST_ORDER:,} bytes")


def check_gateways(gateways: Mapping[int, Path]) -> None:
    for port, path in gateways.items():
        if not 1024 <= port <= 65535:
            raise SandboxMisused(f"gateways: {port}: a port between 1024 and 65535 is needed")
        if not path.is_socket():
            raise SandboxMisused(f"gateways: {path}: there is no unix socket")
