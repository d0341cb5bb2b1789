"""A portal with a candidate in it: real pages over a real database, the real warm-up, and a form that was really made.

portal = make_portal(database, tmp_path)
attempt = invited(portal)                    invited(portal, made=False): nobody has made the form yet
client = candidate_client(portal, attempt)   a browser that has come in by the attempt's link
begin(portal, attempt)                       the clock runs, and the first snapshot is there; started(portal): both

with served_portal(tmp_path) as served: ...  the same as a process that listens, for real browsers
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from graders.challenge import Challenge, read_challenge
from graders.forms import build, form_for
from graders.trees import FolderStore
from tests.web.conftest import made_of
from tests.web.databases import sqlite_settings
from tests.web.portal_process import PortalProcess
from tests.web.world import apply_for_role
from web import access, attempts, challenges, create_app, queue, secrecy, work
from web.candidate.door import COOKIE
from web.database import Database, connect, migrate, now
from web.models import Application, Attempt, ChallengeVersion, Form, FormState, Person
from web.portal import Portal, make_secrets
from web.queue import Doorbell
from web.settings import PROJECT, PortalSettings

WARM_UP: Final = PROJECT / "challenges" / "warm-up"
SECRET: Final = b"of the instance, in tests"


def make_portal(database: Database, folder: Path, bell: Doorbell | None = None, **settings: Any) -> Portal:
    """With the warm-up published. Without `bell` the queue is away, which no page of a candidate needs to know."""
    portal = made_of(database, bell or Doorbell(queue.connect("", folder / "nowhere")), folder, **settings)
    publish_warm_up(portal)
    return portal


@cache
def warm_up() -> Challenge:
    return read_challenge(WARM_UP)


def publish_warm_up(portal: Portal) -> ChallengeVersion:
    challenge = warm_up()
    with portal.database.transaction() as session:
        return challenges.publish(session, challenge, portal.store, "author")


def make_form(portal: Portal, form_id: str) -> Form:
    """As a worker makes it: by the challenge's own generator."""
    challenge = warm_up()
    with portal.database.reading() as session:
        reference = session.get_one(Form, form_id).reference
    form, bundle = build(challenge, form_for(challenge.slug, challenge.manifest.version, reference, SECRET))
    tree = portal.store.put(bundle.files)
    with portal.database.transaction() as session:
        row = session.get_one(Form, form_id)
        row.bundle, row.brief, row.signature = tree, bundle.brief, form.signature
        row.state = FormState.POOL if row.state is FormState.POOL else FormState.ISSUED
        return row


def invited(portal: Portal, *, made: bool = True, application: Application | None = None, **given: Any) -> Attempt:
    """An attempt of somebody's at the warm-up; `given` is what attempts.invite takes besides."""
    given = {"contact": "Grace Hopper, grace@example.org"} | given
    with portal.database.transaction() as session:
        version = challenges.newest(session, "warm-up")
        assert version is not None
        mine = application or apply_for_role(session, email="")
        attempt = attempts.invite(session, mine, version, "staff", **given)
    if made:
        make_form(portal, attempt.form_id)
    return attempt


def begin(portal: Portal, attempt: Attempt) -> Attempt:
    """Start as the page does: the clock, and the first snapshot."""
    with portal.database.reading() as session:
        form = session.get_one(Form, attempt.form_id)
    assert form.bundle is not None
    files = portal.store.get(form.bundle)
    with portal.database.transaction() as session:
        running = attempts.start(session, attempt.id, now(session))
        work.begin(session, running, files)
        return running


def started(portal: Portal, **given: Any) -> Attempt:
    return begin(portal, invited(portal, **given))


def move_clock(portal: Portal, attempt: Attempt, **moments: datetime | None) -> None:
    """Rewrite moments of the attempt, such as ends_at: the world in which so much time has passed."""
    with portal.database.transaction() as session:
        row = session.get_one(Attempt, attempt.id)
        for name, moment in moments.items():
            setattr(row, name, moment)


def moment(portal: Portal) -> datetime:
    """The database's now."""
    with portal.database.reading() as session:
        return now(session)


def agree(attempt: Attempt, client: FlaskClient) -> None:
    """Accept what has to be accepted before the start, on the page that shows it."""
    page = client.get(f"/attempts/{attempt.id}").text
    found = re.search(r'name="text_hash" value="([0-9a-f]{64})"', page)
    assert found, "the page asks for no consent"
    client.post(f"/attempts/{attempt.id}/consent", data={"text_hash": found[1], "agree": "yes"})


def session_token(portal: Portal, attempt: Attempt, browser: str = "a test") -> str:
    """What the cookie of a browser holds that has come in for this attempt."""
    with portal.database.transaction() as session:
        return access.new_session(session, portal, browser, attempt_id=attempt.id)


def candidate_client(portal: Portal, attempt: Attempt, *, csrf: bool = False) -> FlaskClient:
    """A browser that has come in. Forms need no token unless `csrf`, which has tests of its own."""
    client = stranger(portal, csrf=csrf)
    client.set_cookie(COOKIE, session_token(portal, attempt))
    return client


def stranger(portal: Portal, *, csrf: bool = False) -> FlaskClient:
    """A browser that nobody knows."""
    app = create_app(portal)
    app.config["WTF_CSRF_ENABLED"] = csrf
    return app.test_client()


def person_of(session: Session, attempt: Attempt) -> Person:
    application = session.get_one(Application, attempt.application_id)
    return session.get_one(Person, application.person_id)


@dataclass(frozen=True)
class Served:
    portal: Portal  # the same database, store and secrets, from the test's own process
    url: str
    process: PortalProcess

    def cookie(self, attempt: Attempt) -> Any:
        """For `context.add_cookies` of Playwright."""
        return {"name": COOKIE, "value": session_token(self.portal, attempt), "url": self.url}


@contextmanager
def served_portal(folder: Path, **settings: Any) -> Iterator[Served]:
    """On a free port, with a SQLite database of its own, and the warm-up published."""
    where = sqlite_settings(folder)
    migrate(where)
    given = PortalSettings(_env_file=None)
    make_secrets(given, where)
    database = connect(where)
    portal = Portal(
        given,
        database,
        Doorbell(queue.connect("", folder / "nowhere")),
        FolderStore(folder / "store"),
        session_secret=secrecy.read("SESSION_SECRET", given.session_secret, str(folder / "secrets" / "session_secret")),
        receipt_key=secrecy.read("RECEIPT_KEY", given.receipt_key, str(folder / "secrets" / "receipt_key")),
    )
    publish_warm_up(portal)
    try:
        with PortalProcess(state=folder, **settings) as process:
            yield Served(portal, process.url, process)
    finally:
        database.close()
