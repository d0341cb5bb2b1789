"""Who may come in: candidates by the link of their attempt, and whose browser is whose.

    new_link ──► https://.../a/<token> ──► follow ──► enter ──► a session, which a cookie names
                                              └─► claimed before, by another browser: a code by e-mail ──► enter

A token is signed, so that a truncated or invented one is refused without a look into the database; the database says
whether it was revoked, has expired, and which browser came first. To look at a link
does nothing: mail programs do that.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from web import audit
from web.database import now
from web.errors import Refused
from web.models import Attempt, BrowserSession, Code, GitPassword, Link, new_id
from web.portal import Portal
from web.speech import gettext

__all__ = [
    "Followed",
    "Way",
    "enter",
    "enter_with_code",
    "follow",
    "leave",
    "new_code",
    "new_link",
    "new_session",
    "revoke_links",
    "session_of",
]

LINK_DAYS: Final = 30
SESSION_DAYS: Final = 30
AFTER_A_LINK: Final = " .,;:)>]\"'"  # what mail programs take for a part of the link that stands before it
CODE_MINUTES: Final = 15
MOST_WRONG: Final = 5  # codes until the code is no longer good
MOST_CODES: Final = 5  # an hour, for one link


class Way(StrEnum):
    OPEN = "open"  # nobody has followed it yet
    CLAIMED = "claimed"  # another browser has: this one needs a code
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNKNOWN = "unknown"  # truncated, mistyped, or never ours


@dataclass(frozen=True, slots=True)
class Followed:
    way: Way
    link: Link | None = None


def new_link(session: Session, portal: Portal, attempt: Attempt, actor: str, days: int = LINK_DAYS) -> str:
    """The token of a new link. Earlier links of the attempt stay good until somebody revokes them."""
    at = now(session)
    secret = secrets.token_urlsafe(18)
    session.add(
        Link(
            attempt_id=attempt.id,
            token_hash=portal.sealed("link", secret),
            created_at=at,
            expires_at=at + timedelta(days=days),
        )
    )
    audit.note(session, actor, "link.made", "attempt", attempt.id)
    return str(_signer(portal).dumps(secret))


def _signer(portal: Portal) -> URLSafeSerializer:
    return URLSafeSerializer(portal.session_secret, salt="assay link")


def follow(session: Session, portal: Portal, token: str) -> Followed:
    """Where this link leads, without following it."""
    try:
        secret = str(_signer(portal).loads(token.strip().rstrip(AFTER_A_LINK)))
    except (BadSignature, UnicodeError):
        return Followed(Way.UNKNOWN)
    link = session.scalar(select(Link).where(Link.token_hash == portal.sealed("link", secret)))
    if link is None:
        return Followed(Way.UNKNOWN)
    if link.revoked_at is not None:
        return Followed(Way.REVOKED, link)
    if now(session) > link.expires_at:
        return Followed(Way.EXPIRED, link)
    return Followed(Way.CLAIMED if link.claimed_at else Way.OPEN, link)


def enter(session: Session, portal: Portal, token: str, browser: str) -> str:
    """Come in as the first who follows this link. Gives the new session's token, for the cookie."""
    followed = follow(session, portal, token)
    if followed.way is not Way.OPEN or followed.link is None:
        raise Refused(f"link: is {followed.way}")
    at = now(session)
    claim = update(Link).where(Link.id == followed.link.id, Link.claimed_at.is_(None)).values(claimed_at=at)
    if session.execute(claim.returning(Link.id)).first() is None:  # two browsers in the same moment
        raise Refused(f"link: is {Way.CLAIMED}")
    audit.note(session, f"attempt {followed.link.attempt_id}", "link.opened", "attempt", followed.link.attempt_id)
    return new_session(session, portal, browser, attempt_id=followed.link.attempt_id)


def revoke_links(session: Session, attempt: Attempt, actor: str) -> None:
    """Nobody comes in by them any more, and who came in by them is out, with their git."""
    at = now(session)
    session.execute(update(Link).where(Link.attempt_id == attempt.id, Link.revoked_at.is_(None)).values(revoked_at=at))
    session.execute(
        update(BrowserSession)
        .where(BrowserSession.attempt_id == attempt.id, BrowserSession.ended_at.is_(None))
        .values(ended_at=at)
    )
    session.execute(delete(GitPassword).where(GitPassword.attempt_id == attempt.id))
    audit.note(session, actor, "link.revoked", "attempt", attempt.id)


# ----------------------------------------------------------------------------------------------- codes, by e-mail


def new_code(session: Session, portal: Portal, link: Link) -> str:
    """Six digits that open this link on another device, for a quarter of an hour."""
    at = now(session)
    recent = select(Code).where(Code.link_id == link.id, Code.created_at > at - timedelta(hours=1))
    if len(session.scalars(recent).all()) >= MOST_CODES:
        raise Refused(
            gettext("Five codes were sent within an hour. Use the newest one, or wait an hour and ask for another.")
        )
    code = f"{secrets.randbelow(10**6):06}"
    fresh = Code(
        id=new_id(), link_id=link.id, code_hash="", created_at=at, expires_at=at + timedelta(minutes=CODE_MINUTES)
    )
    fresh.code_hash = portal.sealed(f"code {fresh.id}", code)
    session.add(fresh)
    session.flush()
    audit.note(session, f"attempt {link.attempt_id}", "code.sent", "attempt", link.attempt_id)
    return code


def enter_with_code(session: Session, portal: Portal, link: Link, code: str, browser: str) -> str | None:
    """The new session's token; None when the code is not, or no longer, the one that was sent last.

    The caller has to commit also then: wrong ones are counted.
    """
    newest = select(Code).where(Code.link_id == link.id).order_by(Code.created_at.desc()).limit(1).with_for_update()
    sent = session.scalar(newest)
    if sent is None or sent.used_at is not None or now(session) > sent.expires_at or sent.wrong >= MOST_WRONG:
        return None
    if not hmac.compare_digest(sent.code_hash, portal.sealed(f"code {sent.id}", code.strip().replace(" ", ""))):
        sent.wrong += 1
        audit.note(session, f"attempt {link.attempt_id}", "code.wrong", "attempt", link.attempt_id, times=sent.wrong)
        return None
    sent.used_at = now(session)
    audit.note(session, f"attempt {link.attempt_id}", "code.entered", "attempt", link.attempt_id)
    return new_session(session, portal, browser, attempt_id=link.attempt_id)


# -------------------------------------------------------------------------------------------------------- sessions


def new_session(
    session: Session,
    portal: Portal,
    browser: str,
    *,
    attempt_id: str | None = None,
    person_id: str | None = None,
    lasts: timedelta = timedelta(days=SESSION_DAYS),
) -> str:
    """A browser has come in. The token is for its cookie; the database keeps a hash."""
    at = now(session)
    token = secrets.token_urlsafe(32)
    session.add(
        BrowserSession(
            token_hash=portal.sealed("session", token),
            attempt_id=attempt_id,
            person_id=person_id,
            browser=browser[:300],
            created_at=at,
            expires_at=at + lasts,
        )
    )
    session.flush()
    return token


def session_of(session: Session, portal: Portal, token: str) -> BrowserSession | None:
    """Whose browser sent this cookie; None when nobody's, or nobody's any more."""
    if not token:
        return None
    found = session.scalar(select(BrowserSession).where(BrowserSession.token_hash == portal.sealed("session", token)))
    return found if found is not None and _lasts(found, now(session)) else None


def _lasts(found: BrowserSession, at: datetime) -> bool:
    return found.ended_at is None and at <= found.expires_at


def leave(session: Session, portal: Portal, token: str) -> None:
    found = session_of(session, portal, token)
    if found is not None:
        found.ended_at = now(session)
        subject = ("attempt", found.attempt_id) if found.attempt_id else ("person", found.person_id)
        audit.note(session, " ".join(map(str, subject)), "browser.left", subject[0], str(subject[1]))
