"""Who works here, and with which rights: what owners decide, from the terminal or on their page.

The first owner is made at a terminal of the machine, `assay staff add`; there is no page that lets somebody in who is
not listed. Whoever leaves is out at once. One owner always stays: nobody else could make another.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import click
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from web import audit, signing_in
from web.database import now
from web.errors import Refused
from web.models import BrowserSession, Person, Right, SignInLink, Staff
from web.portal import Portal, assemble
from web.settings import DatabaseSettings, PortalSettings

__all__ = ["Member", "add", "change_rights", "everybody", "let_go", "staff"]

ACTOR: Final = "operator"
LONGEST_NAME: Final = 200
LONGEST_EMAIL: Final = 320


@dataclass(frozen=True, slots=True)
class Member:
    person_id: str
    name: str
    email: str
    rights: Right
    since: datetime
    left_at: datetime | None


def everybody(session: Session) -> list[Member]:
    """Who works here first, then who did."""
    rows = session.execute(select(Staff, Person).join(Person, Person.id == Staff.person_id).order_by(Person.name)).all()
    found = [
        Member(person.id, person.name, person.email, member.rights, member.created_at, member.left_at)
        for member, person in rows
    ]
    return sorted(found, key=lambda one: one.left_at is not None)


def add(session: Session, email: str, name: str, rights: Right, actor: str) -> Person:
    """Somebody new, or somebody who comes back. Refused for one who is here already."""
    email, name = email.strip().lower(), name.strip()
    before, at, host = email.partition("@")
    if not (before and at and host) or len(email) > LONGEST_EMAIL or not email.isprintable() or " " in email:
        raise Refused(f"e-mail: {email!r}: is no address")
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refused(f"name: give one line of 1 to {LONGEST_NAME} characters")
    moment = now(session)
    person = session.scalar(select(Person).where(Person.email == email))
    if person is None:
        person = Person(name=name, email=email, created_at=moment)
        session.add(person)
        session.flush()
    member = session.get(Staff, person.id)
    if member is None:
        session.add(Staff(person_id=person.id, rights=rights, created_at=moment))
    elif member.left_at is None:
        raise Refused(f"{email}: works here already, as {member.rights}")
    else:
        member.rights, member.left_at = rights, None
    session.flush()
    audit.note(session, actor, "staff.added", "staff", person.id, rights=rights.value)
    return person


def change_rights(session: Session, person_id: str, rights: Right, actor: str) -> None:
    member = _member(session, person_id)
    if member.rights is Right.OWNER and rights is not Right.OWNER:
        _keep_an_owner(session, person_id)
    if member.rights is not rights:
        audit.note(
            session, actor, "staff.rights_changed", "staff", person_id, was=member.rights.value, now=rights.value
        )
        member.rights = rights


def let_go(session: Session, person_id: str, actor: str) -> None:
    """Out, in every browser, and no link leads in."""
    member = _member(session, person_id)
    if member.rights is Right.OWNER:
        _keep_an_owner(session, person_id)
    at = now(session)
    member.left_at = at
    mine = BrowserSession.person_id == person_id
    session.execute(update(BrowserSession).where(mine, BrowserSession.ended_at.is_(None)).values(ended_at=at))
    links = SignInLink.person_id == person_id
    session.execute(update(SignInLink).where(links, SignInLink.used_at.is_(None)).values(used_at=at))
    audit.note(session, actor, "staff.left", "staff", person_id)


def _member(session: Session, person_id: str) -> Staff:
    member = session.get(Staff, person_id, with_for_update=True)
    if member is None or member.left_at is not None:
        raise Refused("Nobody of that name works here any more.")
    return member


def _keep_an_owner(session: Session, person_id: str) -> None:
    # All owners are held: of two who each remove the other, one comes second and is refused.
    owners = select(Staff.person_id).where(Staff.rights == Right.OWNER, Staff.left_at.is_(None)).with_for_update()
    if set(session.scalars(owners)) <= {person_id}:
        raise Refused("This is the only owner. Make somebody else an owner first.")


# ---------------------------------------------------------------------------------------------------------- commands


@click.group()
def staff() -> None:
    """Say who works here, and let them in."""


RIGHTS: Final = click.Choice([right.value for right in Right])


@staff.command("add")
@click.argument("email")
@click.option("--name", required=True, help="As colleagues know them.")
@click.option("--rights", type=RIGHTS, required=True, help="What they may do.")
def add_one(email: str, name: str, rights: str) -> None:
    """Let EMAIL work here, and print a link that signs them in once, within a quarter of an hour.

    \b
    owner          everything
    interviewer    invites candidates, gives time, reads their work
    author         challenges, and no candidate
    read-only      sees what interviewers see, and changes nothing
    """
    portal = _portal()
    with portal.database.transaction() as session:
        person = add(session, email, name, Right(rights), ACTOR)
        url = _way_in(session, portal, person.id)
    click.echo(url)
    click.echo(
        f"assay: {person.email} works here as {rights}; the link is good once, within a quarter of an hour", err=True
    )


@staff.command("link")
@click.argument("email")
def link(email: str) -> None:
    """Print another link that signs EMAIL in, for when no letter arrives."""
    portal = _portal()
    with portal.database.transaction() as session:
        url = _way_in(session, portal, _find(session, email))
    click.echo(url)


@staff.command("list")
def list_all() -> None:
    """Who works here, and who did."""
    with _portal().database.reading() as session:
        for one in everybody(session):
            left = f", left {one.left_at:%Y-%m-%d}" if one.left_at else ""
            click.echo(f"{one.email}  {one.rights}  {one.name}{left}")


@staff.command("rights")
@click.argument("email")
@click.argument("rights", type=RIGHTS)
def set_rights(email: str, rights: str) -> None:
    """Change what EMAIL may do, from now on."""
    with _portal().database.transaction() as session:
        change_rights(session, _find(session, email), Right(rights), ACTOR)


@staff.command("remove")
@click.argument("email")
def remove(email: str) -> None:
    """EMAIL works here no more: every browser of theirs is signed out."""
    with _portal().database.transaction() as session:
        let_go(session, _find(session, email), ACTOR)


def _portal() -> Portal:
    return assemble(PortalSettings(), DatabaseSettings())


def _find(session: Session, email: str) -> str:
    known = select(Staff.person_id).join(Person, Person.id == Staff.person_id)
    found = session.scalar(known.where(Person.email == email.strip().lower(), Staff.left_at.is_(None)))
    if found is None:
        raise Refused(f"{email}: does not work here: see `assay staff list`")
    return found


def _way_in(session: Session, portal: Portal, person_id: str) -> str:
    return f"{portal.address_in_letters}/staff/sign-in/{signing_in.new_link(session, portal, person_id, ACTOR)}"
