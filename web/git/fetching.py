"""What a candidate's git downloads: where the branch stands, and what it has not got yet."""

from collections.abc import Iterator

from web.database import Database
from web.git.lines import FLUSH, OURS, Unreadable, said, voiced
from web.git.packs import write_pack
from web.git.protocol import Wanted, acknowledged
from web.git.repository import catch_up, newest_tip, opened
from web.work import head

__all__ = ["fetched", "standing_at"]


def standing_at(database: Database, attempt_id: str) -> str:
    """The commit of the newest saved work. Most who ask find that there is one already, and keep nobody waiting."""
    with database.reading() as session:
        tip, newest = newest_tip(session, attempt_id), head(session, attempt_id)
        if tip is not None and newest is not None and tip.snapshot_number == newest.number:
            return tip.commit
    with database.transaction() as session:
        return catch_up(session, attempt_id)


def fetched(database: Database, attempt_id: str, wanted: Wanted, sentences: tuple[str, ...]) -> Iterator[bytes]:
    """The answer, piece by piece. Raises Unreadable, before the first piece, when it wants what never was there."""
    with database.reading() as session:
        repository = opened(session, attempt_id)
    if not all(map(repository.is_commit, wanted.commits)):
        raise Unreadable("it asks for a commit that is not here")
    common = [commit for commit in wanted.has if repository.is_commit(commit)]
    if not wanted.commits:
        return iter(())
    if not wanted.done:
        return iter([acknowledged(wanted, common)])
    known = repository.reached(common)
    lacking = [each for each in repository.reached(wanted.commits) if each not in known]
    pack = write_pack(len(lacking), repository.written(database, lacking))
    return _answer(acknowledged(wanted, common), pack, sentences if wanted.voices else None)


def _answer(first: bytes, pack: Iterator[bytes], sentences: tuple[str, ...] | None) -> Iterator[bytes]:
    yield first
    if sentences is None:
        yield from pack
        return
    for sentence in sentences:
        yield said(sentence)
    for piece in pack:
        yield from voiced(OURS, piece)
    yield FLUSH
