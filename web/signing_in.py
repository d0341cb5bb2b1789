"""How staff come in: by a link in a letter, good once and for a quarter of an hour, or by way of an issuer.

    ask ──► letter ──► look (GET, does nothing) ──► use (POST) ──► a session, which a cookie names, for a working day

Whoever asks is told the same whether or not somebody of that address works here, and the same work is done for it.
Mail programs open links before people do, so to open one lets nobody in.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from web import access, audit, letters
from web.database import now
from web.models import BrowserSession, Person, Right, SignInLink, Staff
from web.portal import Portal

__all__ = ["LINK_MINUTES", "Colleague", "ask", "colleague_of", "enter_as", "look", "new_link", "use"]

LINK_MINUTES: Final = 15
MOST_LINKS: Final = 5  # an hour, for one person: nobody fills a colleague's mailbox
SESSION: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who works here, at this request."""

    person_id: str
    name: str
    email: str
    rights: Right

    @property
    def actor(self) -> str:
        """As the audit trail names them."""
        return f"staff {self.person_id}"


# ------------------------------------------------------------------------------------------------------------ links


def ask(session: Session, portal: Portal, email: str) -> None:
    """A letter with a link, if somebody of this address works here."""
    person = _staff_by(session, email)
    if person is None:
        audit.note(session, "somebody", "sign-in.asked in vain", "staff", "nobody")
        return
    at = now(session)
    recent = select(func.count()).where(
        SignInLink.person_id == person.id, SignInLink.created_at > at - timedelta(hours=1)
    )
    if (session.scalar(recent) or 0) >= MOST_LINKS:
        audit.note(session, "somebody", "sign-in.asked too often", "staff", person.id)
        return
    url = f"{portal.address_in_letters}/staff/sign-in/{new_link(session, portal, person.id, 'somebody')}"
    letters.write(
        session,
        person.email,
        "Sign in to Assay",
        f"Hello {person.name},\n\nthis link signs you in to Assay:\n\n    {url}\n\nIt works once, within "
        f"{LINK_MINUTES} minutes. If you did not ask for it, do nothing: without the link nobody comes in.\n",
    )


def new_link(session: Session, portal: Portal, person_id: str, actor: str) -> str:
    """The token of a link for this person, for whoever brings it to them."""
    at = now(session)
    secret = secrets.token_urlsafe(24)
    session.add(
        SignInLink(
            person_id=person_id,
            token_hash=portal.sealed("sign-in", secret),
            created_at=at,
            expires_at=at + timedelta(minutes=LINK_MINUTES),
        )
    )
    audit.note(session, actor, "sign-in.link_made", "staff", person_id)
    return str(_signer(portal).dumps(secret))


def _signer(portal: Portal) -> URLSafeSerializer:
    return URLSafeSerializer(portal.session_secret, salt="assay sign-in")


def look(session: Session, portal: Portal, token: str) -> SignInLink | None:
    """The link of this token, if it can still be used. To look uses up nothing."""
    try:
        secret = str(_signer(portal).loads(token))
    except (BadSignature, UnicodeError):
        return None
    link = session.scalar(select(SignInLink).where(SignInLink.token_hash == portal.sealed("sign-in", secret)))
    if link is None or link.used_at is not None or now(session) > link.expires_at:
        return None
    return link if _works_here(session, link.person_id) else None


def use(session: Session, portal: Portal, token: str, browser: str) -> str | None:
    """Come in. The new session's token, for the cookie; None when the link is no longer good."""
    link = look(session, portal, token)
    if link is None:
        return None
    at = now(session)
    # All that this person has open ends with it; and of two browsers in one moment one comes in.
    ending = update(SignInLink).where(SignInLink.person_id == link.person_id, SignInLink.used_at.is_(None))
    ended = session.scalars(ending.values(used_at=at).returning(SignInLink.id)).all()
    return _enter(session, portal, link.person_id, browser, "link") if link.id in ended else None


# --------------------------------------------------------------------------------------------------------- sessions


def _enter(session: Session, portal: Portal, person_id: str, browser: str, way: str) -> str:
    """The new session's token. The caller has made sure that this person works here, and is who they say."""
    token = access.new_session(session, portal, browser, person_id=person_id, lasts=SESSION)
    audit.note(session, f"staff {person_id}", "sign-in.entered", "staff", person_id, way=way)
    return token


def enter_as(session: Session, portal: Portal, email: str, browser: str, way: str) -> str | None:
    """For an address that somebody else has verified; None when nobody of it works here."""
    person = _staff_by(session, email)
    if person is None:
        audit.note(session, "somebody", "sign-in.refused", "staff", "nobody", way=way)
        return None
    return _enter(session, portal, person.id, browser, way)


def colleague_of(session: Session, portal: Portal, token: str) -> Colleague | None:
    """Who sent this cookie, with the rights that they have now: what an owner takes away is gone at once."""
    browser: BrowserSession | None = access.session_of(session, portal, token)
    if browser is None or browser.person_id is None:
        return None
    member = _works_here(session, browser.person_id)
    if member is None:
        return None
    person = session.get_one(Person, browser.person_id)
    return Colleague(person.id, person.name, person.email, member.rights)


def _works_here(session: Session, person_id: str) -> Staff | None:
    member = session.get(Staff, person_id)
    return member if member is not None and member.left_at is None else None


def _staff_by(session: Session, email: str) -> Person | None:
    working = select(Person).join(Staff, Staff.person_id == Person.id).where(Staff.left_at.is_(None))
    return session.scalar(working.where(Person.email == email.strip().lower()))
