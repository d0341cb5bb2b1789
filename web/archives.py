"""Takes a stranger's archive apart into the files of a submission, or says in one sentence why not.

    upload ──unpacking.members──► name, size, content ──names, counts, bytes──► Upload

Nothing is extracted: files are bytes in memory and their names are words, so a link, a device or `../..` has nowhere
to lead. They are refused all the same, since a candidate who packed one expects something that will not happen. What
is taken can go into a room and into every store: no name is empty, hidden behind another, too long or unprintable.
*What a person sees is what runs:* two files that look like one are refused, and so is a name with two readings.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from graders.rubric import SubmissionLimits
from sandbox.checks import MOST_FILES
from web.errors import SubmissionRejected
from web.speech import gettext as _
from web.unpacking import PACK_AGAIN, Member, members, shown

MOST_BESIDE: Final = 16 << 20  # packed bytes of what will be left out: people pack their whole folder
MOST_PLACES: Final = MOST_FILES - 1000  # files and folders; a room must have space for a grader's own as well
LONGEST_NAME: Final = 500  # bytes; evidence names its file, and has no more space
LONGEST_PART: Final = 255
MOST_PARTS: Final = 32
MOST_NAMED: Final = 20  # of what was left out

# What programs leave behind, and what others wrote: no part of a candidate's work, and often most of the bytes.
LEFT_OUT: Final = frozenset(
    {
        *(".git", ".hg", ".svn"),
        *("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".ipynb_checkpoints"),
        *(".venv", "venv", "node_modules"),
        *("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"),
    }
)

# Beside the format characters of Unicode: variation selectors, fillers, joiners that leave no mark.
INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


@dataclass(frozen=True, slots=True)
class Upload:
    files: dict[str, bytes]
    left_out: tuple[str, ...] = ()  # the outermost names, as they can be shown
    folder: str = ""  # that everything was packed in, and that was taken away

    @property
    def notes(self) -> tuple[str, ...]:
        """What the candidate should know: what was taken is not quite what was sent."""
        notes = []
        if self.folder:
            folder = shown(self.folder)
            notes.append(
                _("The files were taken out of the folder %(folder)s that they were packed in.", folder=folder)
            )
        if self.left_out:
            named = ", ".join(self.left_out[:MOST_NAMED])
            more = len(self.left_out) - MOST_NAMED
            if more > 0:
                named = _("%(names)s and %(more)s more", names=named, more=f"{more:,}")
            notes.append(_("Left out: %(names)s.", names=named))
        return tuple(notes)


def most_packed(limits: SubmissionLimits) -> int:
    """Bytes that an upload may have: a view that takes one allows its request as many."""
    return (limits.total_kb << 10) + MOST_BESIDE


def read_archive(upload: BinaryIO | bytes | Path, limits: SubmissionLimits, deliverables: Sequence[str] = ()) -> Upload:
    """The files in a zip, tar or tar.gz. What it is, its content says, and not its name.

    With `deliverables`, what the manifest wants to be handed in, a folder around everything is taken away when
    they are found in it and not outside.
    """
    packed = _packed(upload, most_packed(limits))
    taking = _Taking(limits, frozenset(part for name in deliverables for part in name.split("/")))
    for member in members(packed, limits.total_kb << 10):
        taking.add(member)
    return _unwrapped(taking.done(), deliverables)


def check_names(names: Iterable[str], limits: SubmissionLimits) -> None:
    """Refuse what an archive could not hold either: names that come one by one, from an editor or from git."""
    taking = _Taking(limits, frozenset())
    for name in names:
        parts = name.split("/")
        _check_length(name, parts)
        _check_name(name, parts)
        if taking.foreign(parts):
            _refuse(name, _("files and folders of this name are never handed in"), _("rename it"))
        taking.note_file(name, parts)


def _packed(upload: BinaryIO | bytes | Path, most: int) -> bytes:
    if isinstance(upload, Path):
        with upload.open("rb") as file:
            return _packed(file, most)
    if isinstance(upload, bytes):
        packed = upload
    else:
        pieces, left = [], most + 1
        while left and (piece := upload.read(min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
        packed = b"".join(pieces)
    if len(packed) > most:
        raise SubmissionRejected(
            _(
                "upload: the archive is larger than %(kb)s kB: leave out what others wrote, such as installed packages",
                kb=f"{most >> 10:,}",
            )
        )
    return packed


@dataclass
class _Taking:
    """The files that were taken so far, and what they leave to those that follow."""

    limits: SubmissionLimits
    wanted: frozenset[str]  # parts of the deliverables' names: what is asked for is not left out
    files: dict[str, bytes] = field(default_factory=dict)
    held: int = 0  # bytes
    left_out: dict[str, None] = field(default_factory=dict)  # a set that keeps its order
    looks: dict[str, str] = field(default_factory=dict)  # how each file's name looks to a person, and the name
    folder_looks: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def add(self, member: Member) -> None:
        if member.name in (".", "./"):
            return  # as tar writes when it packs a folder from inside
        name = re.sub(r"\A(?:\./)+", "", member.name)
        is_folder, name = name.endswith("/"), name.removesuffix("/")
        parts = name.split("/")
        _check_length(name, parts)
        if root := self.foreign(parts):
            self.left_out[shown(root)] = None
            return
        _check_name(name, parts)
        if member.odd:
            _refuse(
                name,
                _("this is %(kind)s, and only files and folders are taken", kind=_(member.odd)),
                _("put the file itself there"),
            )
        if is_folder:
            if member.size:
                _refuse(name, _("a folder with a content"), _(PACK_AGAIN))
            self._note_folder(parts)
        else:
            self.note_file(name, parts)
            self.files[name] = self._content(name, member)

    def foreign(self, parts: list[str]) -> str:
        """The outermost part of the name that is left out, with what it lies in."""
        for depth, part in enumerate(parts, 1):
            left_out = part in LEFT_OUT or part.startswith("._") or part.endswith(".pyc")
            if left_out and part not in self.wanted:
                return "/".join(parts[:depth])
        return ""

    def _note_folder(self, parts: list[str]) -> None:
        """This folder, and those that it lies in."""
        for depth in range(len(parts), 0, -1):
            name = "/".join(parts[:depth])
            if name in self.folders:
                return
            look = _look(parts[:depth])
            if look in self.looks:
                other = shown(self.looks[look])
                _refuse(name, _("a folder, and %(other)s a file of that name", other=other), _("rename one of them"))
            self.folder_looks[look] = name
            self.folders.add(name)
            self._check_places()

    def note_file(self, name: str, parts: list[str]) -> None:
        look = _look(parts)
        if name in self.files:
            _refuse(name, _("the archive holds two files of this name"), _("leave one of them out"))
        if look in self.looks:
            other = shown(self.looks[look])
            _refuse(name, _("nobody can tell this name from %(other)s", other=other), _("rename one of them"))
        if look in self.folder_looks:
            other = shown(self.folder_looks[look])
            _refuse(name, _("a file, and %(other)s a folder of that name", other=other), _("rename one of them"))
        if len(self.looks) == self.limits.files:
            most = f"{self.limits.files:,}"
            _refuse(name, _("there are more than %(most)s files", most=most), _("leave out what was not asked for"))
        self.looks[look] = name
        self._note_folder(parts[:-1])
        self._check_places()

    def _check_places(self) -> None:
        if len(self.looks) + len(self.folders) > MOST_PLACES:
            raise SubmissionRejected(
                _("upload: there are more than %(most)s files and folders: leave some out", most=f"{MOST_PLACES:,}")
            )

    def _content(self, name: str, member: Member) -> bytes:
        if self.held + member.size > self.limits.total_kb << 10:
            most = f"{self.limits.total_kb:,}"
            _refuse(name, _("with it the files are larger than %(most)s kB", most=most), _("leave some out"))
        content = member.read()
        self.held += len(content)
        return content

    def done(self) -> Upload:
        if not self.files:
            raise SubmissionRejected(
                _("upload: the archive holds no file but what is always left out: pack what you want to hand in")
                if self.left_out
                else _("upload: the archive holds no file: pack what you want to hand in")
            )
        return Upload(self.files, tuple(self.left_out))


def _refuse(name: str, cause: str, what_to_do: str) -> NoReturn:
    raise SubmissionRejected(
        _(
            "upload: %(name)s: %(cause)s: %(what_to_do)s, and send it again",
            name=shown(name),
            cause=cause,
            what_to_do=what_to_do,
        )
    )


def _check_length(name: str, parts: list[str]) -> None:
    if len(parts) > MOST_PARTS or len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        said = _("the name is too long: %(bytes)s bytes and %(parts)s folders", bytes=LONGEST_NAME, parts=MOST_PARTS)
        _refuse(name, said, _("shorten it"))


def _check_name(name: str, parts: list[str]) -> None:
    """Whatever passes here is a name that a room takes too (sandbox.checks)."""
    kinds = {unicodedata.category(character) for character in name}
    if "Cs" in kinds:
        _refuse(name, _("the name is not in UTF-8"), _("rename it"))
    if kinds & {"Cc", "Zl", "Zp"}:
        _refuse(name, _("the name holds a control character"), _("rename it"))
    if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name):
        _refuse(name, _("the name leads out of the folder"), _("pack the folder itself, with names that begin in it"))
    if "\\" in name:
        _refuse(
            name,
            _("the name holds a backslash"),
            _("pack with a program that writes '/' between folders, or rename it"),
        )
    if "" in parts or "." in parts:
        _refuse(name, _("the name has an empty part"), _(PACK_AGAIN))
    if any(len(part.encode()) > LONGEST_PART for part in parts):
        said = _("a part of the name is longer than %(bytes)s bytes", bytes=LONGEST_PART)
        _refuse(name, said, _("shorten it"))
    if not all(_look([part]) for part in parts):
        _refuse(name, _("a part of the name cannot be seen"), _("rename it"))


def _look(parts: Sequence[str]) -> str:
    """What a person takes the name for: on a disk that ignores case, in a list that shows nothing invisible."""
    return "/".join(_visible(unicodedata.normalize("NFKC", part).casefold()).rstrip(". ") for part in parts)


def _visible(text: str) -> str:
    return "".join(each for each in INVISIBLE.sub("", text) if unicodedata.category(each) != "Cf")


def _unwrapped(upload: Upload, deliverables: Sequence[str]) -> Upload:
    """Without the folders around everything, when what is asked for then lies where it is asked for."""
    asked = [name.rstrip("/") for name in deliverables]
    around = _shared([name.split("/")[:-1] for name in upload.files])
    for depth in range(len(around) + 1):
        files = {"/".join(name.split("/")[depth:]): content for name, content in upload.files.items()}
        if any(name == each or name.startswith(f"{each}/") for name in files for each in asked):
            return replace(upload, files=files, folder="/".join(around[:depth]))
    return upload


def _shared(paths: list[list[str]]) -> list[str]:
    """The folders that all of them begin with; these are what the first and the last in order share."""
    first, last = min(paths), max(paths)
    return [one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]
