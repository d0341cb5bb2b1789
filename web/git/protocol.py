"""Git's smart protocol over HTTP, version 0: every git understands it, and it is the smallest that there is.

    GET  info/refs?service=...   ──► advertised: where the branch stands, and what we can do
    POST git-upload-pack         ──► Wanted: what the client wants and has  ──► a pack
    POST git-receive-pack        ──► Offered: from where to where, and a pack  ──► reported: taken, or why not

There is one branch. It only goes forward, so whoever has any commit of ours has all before it.
"""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from web.git.lines import FLUSH, OURS, Unreadable, line, lines, read_line, voiced

__all__ = [
    "BRANCH",
    "NOTHING",
    "RECEIVE",
    "UPLOAD",
    "Move",
    "Offered",
    "Wanted",
    "acknowledged",
    "advertised",
    "read_offered",
    "read_wanted",
    "reported",
]

UPLOAD: Final = "git-upload-pack"  # as git names its programs: what the client downloads, the server uploads
RECEIVE: Final = "git-receive-pack"
BRANCH: Final = "refs/heads/main"
NOTHING: Final = "0" * 40  # the id of what is not there
MOST_MOVES: Final = 100
ID: Final = rb"([0-9a-f]{40})"
WANT: Final = re.compile(b"want " + ID + rb"(?: (.*))?")
HAVE: Final = re.compile(b"have " + ID)
MOVE: Final = re.compile(ID + b" " + ID + rb" ([^\0-\x20\x7f]{1,500})(?:\0(.*))?")

CAN: Final = {
    UPLOAD: f"multi_ack_detailed side-band-64k ofs-delta symref=HEAD:{BRANCH} object-format=sha1 agent=assay",
    # `no-thin` asks for packs that are whole by themselves; `delete-refs` for the question, so that we can say no.
    RECEIVE: "report-status delete-refs side-band-64k ofs-delta no-thin object-format=sha1 agent=assay",
}


def advertised(service: str, commit: str) -> bytes:
    names = ("HEAD", BRANCH) if service == UPLOAD else (BRANCH,)
    first, *others = (f"{commit} {name}" for name in names)
    listed = (line(f"{first}\0{CAN[service]}\n"), *(line(f"{other}\n") for other in others))
    return line(f"# service={service}\n") + FLUSH + b"".join(listed) + FLUSH


# ------------------------------------------------------------------------------------------------------- downloading


@dataclass(frozen=True, slots=True)
class Wanted:
    commits: tuple[str, ...]
    has: tuple[str, ...]
    done: bool  # it has told all that it has, and the pack may follow
    detailed: bool
    voices: bool


def read_wanted(body: bytes) -> Wanted:
    stream = io.BytesIO(body)
    commits: list[str] = []
    able = frozenset[bytes]()
    for said in lines(stream):
        want = WANT.fullmatch(said)
        if want is None:
            raise Unreadable("only whole histories are sent: clone without --depth and --shallow")
        commits.append(want[1].decode())
        able |= frozenset((want[2] or b"").split())
    has, done = [], False
    while not done and stream.tell() < len(body):
        for said in lines(stream):
            if said == b"done":
                done = True
                break
            have = HAVE.fullmatch(said)
            if have is None:
                raise Unreadable("a line that is neither `have` nor `done`")
            has.append(have[1].decode())
    return Wanted(tuple(commits), tuple(has), done, b"multi_ack_detailed" in able, b"side-band-64k" in able)


def acknowledged(wanted: Wanted, common: list[str]) -> bytes:
    """What of it we have as well; before the pack, or until the client has told enough."""
    if not wanted.detailed:
        return line(f"ACK {common[0]}\n") if common else line("NAK\n")
    said = [f"ACK {commit} common\n" for commit in common]
    if not wanted.done:
        said += [f"ACK {common[-1]} ready\n"] if common else []
        said.append("NAK\n")
    else:
        said.append(f"ACK {common[-1]}\n" if common else "NAK\n")
    return b"".join(map(line, said))


# --------------------------------------------------------------------------------------------------------- uploading


class Move(NamedTuple):
    """A branch or tag that the client wants to stand elsewhere."""

    before: str
    after: str
    name: str  # as it was sent: it may hold anything but NUL


@dataclass(frozen=True, slots=True)
class Offered:
    moves: tuple[Move, ...]
    pack: bytes
    reports: bool  # it reads a report
    voices: bool


def read_offered(body: bytes) -> Offered:
    stream = io.BytesIO(body)
    moves: list[Move] = []
    able = frozenset[bytes]()
    while (said := read_line(stream)) is not None:
        move = MOVE.fullmatch(said.removesuffix(b"\n"))
        if move is None or len(moves) == MOST_MOVES:
            raise Unreadable("only whole histories of a few branches are taken")
        moves.append(Move(move[1].decode(), move[2].decode(), move[3].decode("utf-8", "replace")))
        able |= frozenset((move[4] or b"").split())
    return Offered(tuple(moves), body[stream.tell() :], b"report-status" in able, b"side-band-64k" in able)


def reported(offered: Offered, unpacked: str, fates: Iterable[tuple[Move, str]]) -> bytes:
    """For git: `unpacked` says why the pack could not be read, and each fate why a branch stays; empty is well."""
    if not offered.reports:
        return b""
    said = [line(f"unpack {unpacked or 'ok'}\n")]
    said += [line(f"ng {move.name} {why}\n" if why else f"ok {move.name}\n") for move, why in fates]
    whole = b"".join(said) + FLUSH
    return b"".join(voiced(OURS, whole)) if offered.voices else whole
