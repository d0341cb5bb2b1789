"""What candidates send as files: an archive of all their work, or single files of it.

    an archive      becomes the whole state: what is not in it is no longer there, and history has it still
    single files    replace those of their name, or join them

Which of the two it is, a person has to foresee: so by the ending of a name, and by the content only where a name has
none. An archive is then whatever its content says, or is refused (web.archives).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from graders.rubric import Manifest
from web.archives import read_archive
from web.errors import SubmissionRejected
from web.packing import without_brief
from web.speech import gettext as _
from web.unpacking import shown

__all__ = ["Archive", "Sent", "Singles", "read"]

ENDINGS: Final = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst")
BEGINNINGS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b")
USTAR: Final = slice(257, 262)
MOST_SINGLES: Final = 50


@dataclass(frozen=True, slots=True)
class Sent:
    """One file of a form. Its name is whatever the browser says."""

    name: str
    stream: BinaryIO


@dataclass(frozen=True, slots=True)
class Archive:
    files: dict[str, bytes]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Singles:
    files: dict[str, bytes]


def read(sent: Sequence[Sent], manifest: Manifest, brief: str, present: Mapping[str, object]) -> Archive | Singles:
    """Raises SubmissionRejected with a sentence; nothing was stored then."""
    chosen = [one for one in sent if one.name]
    if not chosen:
        raise SubmissionRejected(_("No file was chosen. Choose one, then send it."))
    archives = [one for one in chosen if _is_archive(one)]
    if archives and len(chosen) > 1:
        raise SubmissionRejected(_("An archive is all of your work. Send it alone, without other files."))
    if archives:
        return _archive(archives[0], manifest, brief)
    return _singles(chosen, manifest, present)


def _is_archive(one: Sent) -> bool:
    name = _last_part(one.name).lower()
    if "." in name.strip("."):
        return name.endswith(ENDINGS)
    start = one.stream.read(USTAR.stop)
    one.stream.seek(0)
    return start.startswith(BEGINNINGS) or start[USTAR] == b"ustar"


def _archive(one: Sent, manifest: Manifest, brief: str) -> Archive:
    upload = read_archive(one.stream, manifest.submission, manifest.deliverables)
    files = without_brief(upload.files, brief)
    if not files:
        raise SubmissionRejected(_("The archive holds nothing but the brief. Pack your own files, and send it again."))
    return Archive(files, upload.notes)


def _singles(chosen: Sequence[Sent], manifest: Manifest, present: Mapping[str, object]) -> Singles:
    if len(chosen) > MOST_SINGLES:
        raise SubmissionRejected(_("These are many files. Pack them into a zip, and send that."))
    left = manifest.submission.total_kb << 10
    files: dict[str, bytes] = {}
    for one in chosen:
        content = one.stream.read(left + 1)
        left -= len(content)
        if left < 0:
            raise SubmissionRejected(
                _(
                    "Together the files are larger than %(kb)s kB, which is the most that can be handed in.",
                    kb=manifest.submission.total_kb,
                )
            )
        name = _place(_last_part(one.name), present)
        if name in files:
            raise SubmissionRejected(_("Two of the files are named %(name)s. Send one of them.", name=shown(name)))
        files[name] = content
    return Singles(files)


def _last_part(name: str) -> str:
    """Some browsers send the path on the candidate's own disk."""
    return name.replace("\\", "/").rpartition("/")[2]


def _place(name: str, present: Mapping[str, object]) -> str:
    """Where the file of this name is now, if it is in one place; else beside all folders."""
    places = [known for known in present if known.rpartition("/")[2] == name]
    if len(places) > 1 and name not in places:
        raise SubmissionRejected(
            _(
                "There is a %(name)s in several folders. Change it in the browser, or send an archive of all files.",
                name=shown(name),
            )
        )
    return places[0] if len(places) == 1 else name
