"""What a candidate sees before the start."""

from pathlib import Path

from tests.web.portal_world import make_portal, started
from web import work
from web.database import Database


def test_the_world_starts_with_a_first_snapshot(database: Database, tmp_path: Path) -> None:
    portal = make_portal(database, tmp_path)
    attempt = started(portal)
    with database.reading() as session:
        head = work.head(session, attempt.id)
        assert head is not None
        assert "windows.py" in work.files(session, head)
