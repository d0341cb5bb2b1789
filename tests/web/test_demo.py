"""What `assay up --demo` adds."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.web.conftest import made_of
from tests.web.portal_world import make_portal, moment, move_clock
from tests.web.valkey_server import ValkeyServer
from web import create_app, queue
from web.database import Database
from web.demo import furnish
from web.errors import Refused
from web.models import Attempt, Person
from web.portal import Portal
from web.queue import Doorbell

URL = "http://127.0.0.1:8000"


@pytest.fixture
def portal(database: Database, valkey: ValkeyServer, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path, Doorbell(valkey.connect()))


def paths(lines: list[str]) -> list[str]:
    return [line.rpartition(URL)[2] for line in lines]


def test_the_links_lead_a_candidate_and_an_owner_in(portal: Portal) -> None:
    candidate, owner = paths(furnish(portal, URL))
    app = create_app(portal)
    app.config["WTF_CSRF_ENABLED"] = False
    browser = app.test_client()
    page = browser.post(candidate, follow_redirects=True)
    assert page.status_code == 200
    assert "Warm-up" in page.text
    browser = app.test_client()
    assert browser.post(owner, follow_redirects=True).status_code == 200
    assert "Ada Okafor" in browser.get("/staff/attempts").text


def test_started_again_it_adds_nobody_and_the_attempt_is_the_same(portal: Portal) -> None:
    furnish(portal, URL)
    furnish(portal, URL)
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Person)) == 2
        assert session.scalar(select(func.count()).select_from(Attempt)) == 1


def test_when_the_attempt_has_ended_there_is_another(portal: Portal) -> None:
    furnish(portal, URL)
    with portal.database.reading() as session:
        attempt = session.scalars(select(Attempt)).one()
    at = moment(portal)
    move_clock(portal, attempt, started_at=at, ends_at=at, ended_at=at)
    furnish(portal, URL)
    with portal.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == 2


def test_without_the_warm_up_it_says_what_to_do(database: Database, tmp_path: Path) -> None:
    empty = made_of(database, Doorbell(queue.connect("", tmp_path / "nowhere")), tmp_path)
    with pytest.raises(Refused, match="warm-up: is not published"):
        furnish(empty, URL)
