"""Inviting somebody, from a terminal: the attempt, its link, and the letter."""

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.web.portal_world import make_portal, moment, move_clock, stranger
from web import inviting
from web.cli import status_of
from web.database import Database, now
from web.errors import Refused
from web.invitations import Invitation, Wish, invite, renew
from web.models import Application, Attempt, AttemptKind, Letter, Link, Person, Role
from web.portal import Portal

URL = "https://assay.example.org"


@pytest.fixture
def portal(database: Database, tmp_path: Path) -> Portal:
    return make_portal(database, tmp_path, public_url=URL)


def ask(portal: Portal, **given: Any) -> Invitation:
    wish = {"role": "Engineer", "challenge": "warm-up", "email": "Ada@Example.org", "name": "Ada"} | given
    with portal.database.transaction() as session:
        return invite(session, portal, URL, Wish(**wish), "staff")


def count(portal: Portal, kind: type[Any]) -> int:
    with portal.database.reading() as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


def test_an_invitation_is_an_attempt_a_link_and_a_letter(portal: Portal) -> None:
    at = moment(portal)
    made = ask(portal, multiplier=1.5, days=7, contact="Grace, grace@example.org")
    assert made.attempt.kind is AttemptKind.TAKE_HOME
    assert made.attempt.closes_at is not None
    assert timedelta(0) <= made.attempt.closes_at - at - timedelta(days=7) < timedelta(minutes=1)
    with portal.database.reading() as session:
        letter, person = session.scalars(select(Letter)).one(), session.scalars(select(Person)).one()
        assert session.scalars(select(Link)).one().expires_at > made.attempt.closes_at + timedelta(days=30)
    assert (letter.recipient, person.email) == ("ada@example.org", "ada@example.org")
    assert letter.subject == "Your take-home for Engineer: Warm-up"
    for words in ("Hello Ada,", made.url, "No clock", "Please start by", "Ask Grace, grace@example.org."):
        assert words in letter.body
    assert stranger(portal).post(made.url.removeprefix(URL)).status_code == 303


def test_a_person_and_a_role_that_are_known_are_not_made_again(portal: Portal) -> None:
    first = ask(portal)
    move_clock(portal, first.attempt, ended_at=moment(portal), started_at=moment(portal), ends_at=moment(portal))
    second = ask(portal, name="Somebody else", email=" ada@example.ORG ")
    assert first.attempt.id != second.attempt.id
    assert [count(portal, kind) for kind in (Person, Role, Application, Attempt)] == [1, 1, 1, 2]
    ask(portal, role="Researcher")
    assert [count(portal, kind) for kind in (Person, Role, Application, Attempt)] == [1, 2, 2, 3]


def test_who_has_an_open_attempt_gets_another_link_to_it_instead(portal: Portal) -> None:
    made = ask(portal)
    with pytest.raises(Refused, match=f"assay link {made.attempt.id}"):
        ask(portal)
    with portal.database.transaction() as session:
        again = renew(session, portal, URL, made.attempt.id, "staff")
    assert stranger(portal).post(made.url.removeprefix(URL)).status_code == 303
    assert stranger(portal).post(again.url.removeprefix(URL)).status_code == 303
    with portal.database.transaction() as session:
        renew(session, portal, URL, made.attempt.id, "staff", revoke=True)
    assert stranger(portal).get(again.url.removeprefix(URL)).status_code == 410


def test_who_missed_the_window_can_be_invited_again(portal: Portal) -> None:
    made = ask(portal)
    move_clock(portal, made.attempt, closes_at=moment(portal) - timedelta(days=1))
    assert ask(portal).attempt.id != made.attempt.id


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"email": "ada"}, "is no address"),
        ({"email": "ada@example.org, eve@example.org"}, "one address"),
        ({"email": "ada@example.org\nBcc: eve@example.org"}, "is no address"),
        ({"name": " "}, "one line"),
        ({"name": "A\nda"}, "one line"),
        ({"role": "x" * 201}, "one line"),
        ({"challenge": "nothing"}, "is not published"),
        ({"days": 0}, "from 1 to 365"),
        ({"multiplier": 0.5}, "must be from 1 to 4"),
        ({"locale": "xx"}, "language"),
        ({"contact": "x" * 501}, "contact"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(portal: Portal, given: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        ask(portal, **given)
    assert [count(portal, kind) for kind in (Person, Role, Attempt, Link, Letter)] == [0] * 5


def test_another_link_to_nobodys_attempt_is_refused(portal: Portal) -> None:
    with pytest.raises(Refused, match="there is none"), portal.database.transaction() as session:
        renew(session, portal, URL, "0" * 32, "staff")


# ------------------------------------------------------------------------------------------------------ the commands


def run(portal: Portal, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]) -> int:
    monkeypatch.setattr(inviting, "assemble", lambda _, __: portal)
    return status_of(words)


def test_the_command_prints_the_link_alone(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["invite", "AI engineer", "warm-up", "ada@example.org", "--name", "Ada", "--extra-time", "2", "--days", "3"]
    assert run(portal, monkeypatch, words) == 0
    said = capsys.readouterr()
    assert re.fullmatch(rf"{URL}/a/\S+\n", said.out)
    with portal.database.reading() as session:
        attempt = session.scalars(select(Attempt)).one()
        assert (attempt.multiplier, attempt.feedback) == (2, True)
        assert attempt.closes_at is not None
        assert attempt.closes_at < now(session) + timedelta(days=3)
    assert attempt.id in said.err
    assert run(portal, monkeypatch, ["link", attempt.id]) == 0
    assert capsys.readouterr().out.startswith(f"{URL}/a/")


def test_the_command_refuses_in_a_sentence(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(portal, monkeypatch, ["invite", "R", "nothing", "ada@example.org", "--name", "Ada"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "assay: challenge: nothing: is not published: run `assay publish nothing`" in said.err
    assert run(portal, monkeypatch, ["invite", "R", "warm-up", "ada@example.org"]) == 2
    assert "--name" in capsys.readouterr().err


def test_without_a_public_address_the_operator_is_told(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    portal = make_portal(database, tmp_path)
    assert run(portal, monkeypatch, ["invite", "R", "warm-up", "ada@example.org", "--name", "Ada"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"http://{portal.settings.host}:{portal.settings.port}/a/")
    assert "ASSAY_PUBLIC_URL is not set" in said.err


def test_a_number_that_is_none_is_wrong_usage(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["invite", "R", "warm-up", "ada@example.org", "--name", "Ada", "--extra-time", json.dumps("much")]
    assert run(portal, monkeypatch, words) == 2
    assert "--extra-time" in capsys.readouterr().err
