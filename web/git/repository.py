"""An attempt's history as git sees it, kept in the database beside the snapshots that it is about.

    saved in the browser, uploaded, restored ──► snapshot ──► catch_up: one commit of ours for all since the last tip
    pushed ──► take: its commits as they are, and what the last of them holds as a snapshot

Any process of the portal can answer, and none has a repository on its disk. Contents that a snapshot names lie among
the contents, each once; commits and trees lie with the tip that brought them.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from graders.rubric import SubmissionLimits
from web import work
from web.database import Database
from web.errors import SubmissionRejected
from web.git.objects import (
    FILE,
    FOLDER,
    SUBMODULE,
    Kind,
    Leaf,
    Object,
    damaged,
    leaves,
    read_commit,
    read_tree,
    write_commit,
    write_trees,
)
from web.models import Attempt, Content, Form, GitTip, Origin, Snapshot
from web.packing import BRIEF
from web.speech import gettext

__all__ = [
    "Behind",
    "Pushed",
    "Repository",
    "behind",
    "catch_up",
    "examine",
    "most_inflated",
    "newest_tip",
    "opened",
    "take",
]

MOST_BESIDE: Final = 16 << 20  # bytes of a push that are not in its last commit, and of all pushes together
PORTION: Final = 16  # contents that are read at a time while a pack is written
HEADER: Final = struct.Struct(">BL")
SAVED: Final = {
    Origin.STARTER: "Start",
    Origin.RESTORED: "Restore",
    Origin.BROWSER: "Save in the browser",
    Origin.UPLOAD: "Upload",
}


class Behind(SubmissionRejected):
    """The push does not stand on the newest saved work."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push would make of an attempt, nothing of it written yet."""

    commit: str
    files: dict[str, bytes]
    objects: list[Object]  # that are new


@dataclass
class Repository:
    attempt_id: str
    tips: list[GitTip]
    objects: dict[str, Object] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)  # of all others, the digest of the content

    @property
    def tip(self) -> GitTip | None:
        return self.tips[-1] if self.tips else None

    def is_commit(self, commit: str) -> bool:
        return commit in self.objects and self.objects[commit].kind is Kind.COMMIT

    def object(self, session: Session, wanted: str) -> Object | None:
        """With its content, wherever that lies."""
        if wanted in self.objects:
            return self.objects[wanted]
        found = _contents(session, [self.blobs[wanted]]) if wanted in self.blobs else {}
        return next((Object(Kind.BLOB, content) for content in found.values()), None)

    def files(self, commit: str) -> dict[str, Leaf]:
        return leaves(read_commit(self.objects[commit].content).tree, lambda tree: self.objects[tree].content)

    def reached(self, commits: Iterable[str]) -> dict[str, None]:
        """The ids of all that these commits consist of, commits first; all of them are here."""
        found: dict[str, None] = {}
        trees: list[str] = []
        waiting = list(commits)
        while waiting:
            commit = waiting.pop()
            if commit not in found:
                found[commit] = None
                tree, parents = read_commit(self.objects[commit].content)
                trees.append(tree)
                waiting.extend(parents)
        while trees:
            tree = trees.pop()
            if tree not in found:
                found[tree] = None
                for mode, _, entry in read_tree(self.objects[tree].content):
                    if mode == FOLDER:
                        trees.append(entry)
                    elif mode != SUBMODULE:
                        found[entry] = None
        return found

    def written(self, database: Database, wanted: Iterable[str]) -> Iterator[Object]:
        """Those objects, for a pack: no more contents in memory than one portion of them."""
        lacking = []
        for each in wanted:
            if each in self.objects:
                yield self.objects[each]
            else:
                lacking.append(each)
        for at in range(0, len(lacking), PORTION):
            digests = [self.blobs[blob] for blob in lacking[at : at + PORTION]]
            with database.reading() as session:
                found = _contents(session, digests)
            yield from (Object(Kind.BLOB, found[digest]) for digest in digests)


def opened(session: Session, attempt_id: str) -> Repository:
    tips = session.scalars(select(GitTip).where(GitTip.attempt_id == attempt_id).order_by(GitTip.number)).all()
    repository = Repository(attempt_id, list(tips))
    for tip in tips:
        repository.blobs.update(tip.blobs)
        repository.objects.update((one.id, one) for one in _unpacked(tip.objects))
    return repository


def newest_tip(session: Session, attempt_id: str) -> GitTip | None:
    newest = select(GitTip).where(GitTip.attempt_id == attempt_id).order_by(GitTip.number.desc())
    return session.scalar(newest.limit(1))


# ------------------------------------------------------------------------------------------------ what others saved


def catch_up(session: Session, attempt_id: str) -> str:
    """The commit of the newest saved work. It is made if there is none: what was saved since in other ways."""
    attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
    tip, head = newest_tip(session, attempt_id), work.head(session, attempt_id)
    if head is None:
        raise SubmissionRejected("There is nothing to clone yet: start your clock first.")
    if tip is not None and tip.snapshot_number == head.number:
        return tip.commit
    repository = opened(session, attempt_id)
    files, made = _listed(session, repository, attempt, head)
    root, trees = write_trees(files)
    first = tip.snapshot_number + 1 if tip else 1
    message = f"{SAVED.get(head.origin, 'Save')}: snapshot{'s' if first < head.number else ''} {first}"
    message += f" to {head.number}" if first < head.number else ""
    commit = write_commit(root, tip.commit if tip else None, head.taken_at, message)
    _add(session, repository, head, commit.id, [commit, *trees, *made])
    return commit.id


def _listed(
    session: Session, repository: Repository, attempt: Attempt, head: Snapshot
) -> tuple[dict[str, Leaf], list[Object]]:
    """The files of the snapshot, and the blobs of those that git has not seen.

    With what snapshots do not have and git would miss: which files are executable, and the brief beside them, until
    the candidate removes it.
    """
    names = head.names
    if names is None:
        raise SubmissionRejected("This saved work is in the store, and cannot be cloned.")
    before = repository.files(repository.tip.commit) if repository.tip else {}
    known = {digest: blob for blob, digest in repository.blobs.items()}
    lacking = sorted({digest for digest in names.values() if digest not in known})
    blobs = {digest: Object(Kind.BLOB, content) for digest, content in _contents(session, lacking).items()}
    known |= {digest: blob.id for digest, blob in blobs.items()}
    listed = {name: Leaf(before[name].mode if name in before else FILE, known[names[name]]) for name in names}
    made = list(blobs.values())
    brief = Object(Kind.BLOB, (session.get_one(Form, attempt.form_id).brief or "").encode())
    stays = BRIEF in before and before[BRIEF].id == brief.id if before else bool(brief.content)
    if stays and BRIEF not in names:
        listed[BRIEF] = Leaf(FILE, brief.id)
        made.append(brief)
    return listed, made


def _add(session: Session, repository: Repository, snapshot: Snapshot, commit: str, made: Iterable[Object]) -> None:
    """A tip, with those of the objects that are new. What the snapshot holds, the contents have."""
    fresh = {one.id: one for one in made if one.id not in repository.objects and one.id not in repository.blobs}
    digests = set((snapshot.names or {}).values())
    blobs = {name: digest for name, one in fresh.items() if one.kind is Kind.BLOB and (digest := one.digest) in digests}
    kept = [one for name, one in fresh.items() if name not in blobs]
    session.add(
        GitTip(
            attempt_id=repository.attempt_id,
            number=1 + len(repository.tips),
            commit=commit,
            snapshot_number=snapshot.number,
            blobs=blobs,
            objects=_packed(kept),
            held=sum(len(one.content) + HEADER.size for one in kept),
        )
    )
    session.flush()


# ---------------------------------------------------------------------------------------------------- what is pushed


def most_inflated(limits: SubmissionLimits) -> int:
    """Bytes that are new in one push."""
    return (limits.total_kb << 10) + MOST_BESIDE


def examine(
    session: Session, repository: Repository, sent: Mapping[str, Object], commit: str, limits: SubmissionLimits
) -> Pushed:
    """What the push makes of the attempt; or why it cannot be taken. It has to stand on the newest tip."""
    walk = _Walk(repository, sent)
    met = walk.commits(commit)
    if repository.tip is None or repository.tip.commit not in met or commit not in sent:
        raise behind()
    files = leaves(read_commit(sent[commit].content).tree, walk.tree)
    if not files:
        raise SubmissionRejected("push: the last commit holds no file: bring back what you want to hand in")
    if ".gitmodules" in files:
        raise SubmissionRejected(
            "push: '.gitmodules': submodules are not fetched: put their files there, and remove it"
        )
    if len(files) > limits.files + 1:  # the brief is one that does not count
        raise SubmissionRejected(f"push: there are more than {limits.files:,} files: remove what was not asked for")
    walk.everything()
    fresh = [sent[each] for each in walk.fresh]
    last = {leaf.id for leaf in files.values()}
    held = sum(tip.held for tip in repository.tips) + sum(len(one.content) for one in fresh if one.id not in last)
    if held > most_inflated(limits):
        raise SubmissionRejected("push: the history has become too large: go on in the browser, or upload an archive")
    return Pushed(commit, _read(session, repository, sent, files), fresh)


def behind() -> Behind:
    return Behind(
        gettext(
            "This push does not stand on the newest saved work, perhaps from the browser, and nothing of that may be "
            "lost. Run `git pull --rebase`, then push again."
        )
    )


def take(session: Session, repository: Repository, pushed: Pushed, snapshot: Snapshot) -> None:
    """Keep its commits as they are: the candidate's own git counts on finding them again."""
    _add(session, repository, snapshot, pushed.commit, pushed.objects)


@dataclass
class _Walk:
    """Over what a push brought, down to what is known. Whatever is named has to be there, and be what it is said."""

    repository: Repository
    sent: Mapping[str, Object]
    fresh: dict[str, None] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)

    def commits(self, newest: str) -> set[str]:
        """All that were met, with the known ones on which the others stand."""
        met, waiting = set(), [newest]
        while waiting:
            commit = waiting.pop()
            if commit in met:
                continue
            met.add(commit)
            if self.repository.is_commit(commit):
                continue
            tree, parents = read_commit(self._sent(commit, Kind.COMMIT).content)
            self.fresh[commit] = None
            self.roots.append(tree)
            waiting.extend(parents)
        return met

    def everything(self) -> None:
        """Trees and blobs. A tree that is known is whole."""
        waiting = self.roots
        while waiting:
            tree = waiting.pop()
            if tree in self.fresh or self._is_known(tree, Kind.TREE):
                continue
            entries = read_tree(self._sent(tree, Kind.TREE).content)
            self.fresh[tree] = None
            for mode, _, entry in entries:
                if mode == FOLDER:
                    waiting.append(entry)
                elif mode != SUBMODULE and not self._is_known(entry, Kind.BLOB):
                    self._sent(entry, Kind.BLOB)
                    self.fresh[entry] = None

    def tree(self, wanted: str) -> bytes:
        if self._is_known(wanted, Kind.TREE):
            return self.repository.objects[wanted].content
        return self._sent(wanted, Kind.TREE).content

    def _is_known(self, wanted: str, kind: Kind) -> bool:
        if wanted in self.repository.blobs:
            return kind is Kind.BLOB
        return wanted in self.repository.objects and self.repository.objects[wanted].kind is kind

    def _sent(self, wanted: str, kind: Kind) -> Object:
        found = self.sent.get(wanted)
        if found is None or found.kind is not kind:
            damaged(f"{kind.name.lower()} {wanted[:10]} is not there")
        return found


def _read(
    session: Session, repository: Repository, sent: Mapping[str, Object], files: Mapping[str, Leaf]
) -> dict[str, bytes]:
    """The contents of a commit's files: each once in memory, in however many places it stands.

    What an id names, it names for ever: a second content with the same SHA-1 is not looked at.
    """
    wanted = {leaf.id for leaf in files.values()}
    digests = {blob: repository.blobs[blob] for blob in wanted if blob in repository.blobs}
    contents = _contents(session, sorted(set(digests.values())))
    found = {blob: contents[digest] for blob, digest in digests.items()}
    for blob in wanted - found.keys():
        found[blob] = (repository.objects.get(blob) or sent[blob]).content
    return {name: found[leaf.id] for name, leaf in files.items()}


# --------------------------------------------------------------------------------------------------------- contents


def _contents(session: Session, digests: list[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for at in range(0, len(digests), 500):
        rows = session.execute(select(Content.digest, Content.bytes).where(Content.digest.in_(digests[at : at + 500])))
        found.update((digest, content) for digest, content in rows)
    return found


def _packed(objects: Iterable[Object]) -> bytes:
    return zlib.compress(b"".join(HEADER.pack(kind, len(content)) + content for kind, content in objects))


def _unpacked(packed: bytes) -> Iterator[Object]:
    content, at = zlib.decompress(packed), 0
    while at < len(content):
        kind, size = HEADER.unpack_from(content, at)
        at += HEADER.size + size
        yield Object(Kind(kind), content[at - size : at])
