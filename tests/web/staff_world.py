"""Somebody who works here, in a browser of theirs; and forms sent as a browser sends them."""

import re
from typing import Final

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from web import access, cookies, create_app, signing_in, staffing
from web.models import Letter, Right
from web.portal import Portal

EMAIL: Final = "grace@example.org"


def hire(portal: Portal, rights: Right = Right.OWNER, email: str = EMAIL, name: str = "Grace Hopper") -> str:
    """The id of somebody who works here from now on."""
    with portal.database.transaction() as session:
        return staffing.add(session, email, name, rights, "operator").id


def staff_client(portal: Portal, person_id: str, *, csrf: bool = False) -> FlaskClient:
    """A browser that has signed in. Forms need no token unless `csrf`."""
    client = browser(portal, csrf=csrf)
    with portal.database.transaction() as session:
        token = access.new_session(session, portal, "a test", person_id=person_id, lasts=signing_in.SESSION)
    client.set_cookie(cookies.STAFF, token)
    return client


def browser(portal: Portal, *, csrf: bool = True) -> FlaskClient:
    """One that nobody knows."""
    app = create_app(portal)
    app.config["WTF_CSRF_ENABLED"] = csrf
    return app.test_client()


def token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, "the page has no form"
    return found[1]


def send(client: FlaskClient, page: str, address: str = "", **fields: str) -> TestResponse:
    """Open `page`, fill in, and send it to `address`; to the page's own without."""
    token = token_in(client.get(page).text)
    return client.post(address or page, data={"csrf_token": token} | fields)


def letters_to(portal: Portal, email: str = EMAIL) -> list[Letter]:
    with portal.database.reading() as session:
        return list(session.query(Letter).filter_by(recipient=email).order_by(Letter.created_at))


def link_in(letter: Letter) -> str:
    """The path of the link in it."""
    found = re.search(r"https?://[^/\s]+(/\S+)", letter.body)
    assert found, letter.body
    return found[1]
