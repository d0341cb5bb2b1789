"""Invites somebody: the person, their application, an attempt, its link, and the letter that brings it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from web import access, attempts, letters
from web.challenges import newest
from web.database import now
from web.errors import Refused
from web.models import Application, Attempt, AttemptKind, ChallengeVersion, Person, Role
from web.portal import Portal
from web.speech import LOCALES, format_moment, gettext, speaking

__all__ = ["Invitation", "Wish", "invite", "renew"]

AFTERWARDS: Final = 60  # days for which a link outlives the window: receipt, grading and feedback are behind it
LONGEST_EMAIL: Final = 320
LONGEST_NAME: Final = 200
MOST_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom to invite to what."""

    role: str
    challenge: str
    email: str
    name: str
    multiplier: float = 1.0
    days: int = 30  # in which it may be started
    contact: str = ""
    locale: str = "en"
    feedback: bool = True


@dataclass(frozen=True, slots=True)
class Invitation:
    attempt: Attempt
    url: str


def invite(session: Session, portal: Portal, address: str, wish: Wish, actor: str) -> Invitation:
    """`address` is the portal's, as the candidate reaches it. The letter goes out when this is committed."""
    _check(wish)
    version = newest(session, wish.challenge)
    if version is None:
        raise Refused(f"challenge: {wish.challenge}: is not published: run `assay publish {wish.challenge}`")
    application = _application(session, _person(session, wish), _role(session, wish.role))
    open_one = _open_attempt(session, application, wish.challenge)
    if open_one is not None:
        raise Refused(
            f"{wish.email}: has an attempt at {wish.challenge} that has not ended: "
            f"send another link to it with `assay link {open_one.id}`"
        )
    attempt = attempts.invite(
        session,
        application,
        version,
        actor,
        multiplier=wish.multiplier,
        closes_at=now(session) + timedelta(days=wish.days),
        feedback=wish.feedback,
        contact=wish.contact,
        locale=wish.locale,
    )
    return _send(session, portal, address, attempt, actor, days=wish.days + AFTERWARDS)


def renew(
    session: Session, portal: Portal, address: str, attempt_id: str, actor: str, *, revoke: bool = False
) -> Invitation:
    """Another link to the same attempt. `revoke`: earlier ones open nothing, and who came in by them is out."""
    attempt = session.get(Attempt, attempt_id)
    if attempt is None or attempt.application_id is None:
        raise Refused(f"attempt: {attempt_id}: there is none, or it is nobody's")
    if revoke:
        access.revoke_links(session, attempt, actor)
    window = (attempt.closes_at - now(session)).days + 1 if attempt.closes_at is not None else 0
    return _send(session, portal, address, attempt, actor, days=max(access.LINK_DAYS, window) + AFTERWARDS)


def _check(wish: Wish) -> None:
    name, at, host = wish.email.strip().partition("@")
    if not (name and at and "." in host) or len(wish.email) > LONGEST_EMAIL or not wish.email.strip().isprintable():
        raise Refused(f"e-mail: {wish.email!r}: is no address")
    if any(sign in wish.email.strip() for sign in " ,;<>"):
        raise Refused(f"e-mail: {wish.email!r}: give one address, and nothing beside it")
    for what, given in (("name", wish.name), ("role", wish.role)):
        if not 1 <= len(given.strip()) <= LONGEST_NAME or not given.isprintable():
            raise Refused(f"{what}: {given!r}: give one line of 1 to {LONGEST_NAME} characters")
    if not 1 <= wish.days <= MOST_DAYS:
        raise Refused(f"days: {wish.days}: must be from 1 to {MOST_DAYS}")
    if wish.locale not in LOCALES:
        raise Refused(f"language: {wish.locale}: there are {', '.join(LOCALES)}")
    if len(wish.contact) > 500 or not wish.contact.isprintable():
        raise Refused("contact: give one line of at most 500 characters")


def _person(session: Session, wish: Wish) -> Person:
    email = wish.email.strip().lower()
    person = session.scalar(select(Person).where(Person.email == email))
    if person is None:
        person = Person(name=wish.name.strip(), email=email, created_at=now(session))
        session.add(person)
        session.flush()
    return person


def _role(session: Session, title: str) -> Role:
    role = session.scalar(select(Role).where(Role.title == title.strip()).order_by(Role.created_at.desc()).limit(1))
    if role is None:
        role = Role(title=title.strip(), created_at=now(session))
        session.add(role)
        session.flush()
    return role


def _application(session: Session, person: Person, role: Role) -> Application:
    known = select(Application).where(Application.person_id == person.id, Application.role_id == role.id)
    application = session.scalar(known)
    if application is None:
        application = Application(person_id=person.id, role_id=role.id, created_at=now(session))
        session.add(application)
        session.flush()
    return application


def _open_attempt(session: Session, application: Application, slug: str) -> Attempt | None:
    at = now(session)
    mine = (
        select(Attempt)
        .join(ChallengeVersion, ChallengeVersion.digest == Attempt.challenge_digest)
        .where(Attempt.application_id == application.id, Attempt.kind == AttemptKind.TAKE_HOME)
        .where(ChallengeVersion.slug == slug, Attempt.ended_at.is_(None))
    )
    over = {attempts.Phase.MISSED, attempts.Phase.ENDED, attempts.Phase.WITHDRAWN}
    return next((one for one in session.scalars(mine) if attempts.standing(session, one, at).phase not in over), None)


def _send(session: Session, portal: Portal, address: str, attempt: Attempt, actor: str, *, days: int) -> Invitation:
    url = f"{address}/a/{access.new_link(session, portal, attempt, actor, days)}"
    application = session.get_one(Application, attempt.application_id)
    person = session.get_one(Person, application.person_id)
    role = session.get_one(Role, application.role_id).title
    title = session.get_one(ChallengeVersion, attempt.challenge_digest).manifest["title"]
    with speaking(attempt.locale):
        letters.write(
            session,
            person.email,
            gettext("Your take-home for %(role)s: %(title)s", role=role, title=title),
            _letter(attempt, person.name, role, title, url),
        )
    return Invitation(attempt, url)


def _letter(attempt: Attempt, name: str, role: str, title: str, url: str) -> str:
    said = [
        gettext("Hello %(name)s,", name=name),
        gettext('you are invited to the take-home "%(title)s" for the role %(role)s:', title=title, role=role),
        f"    {url}",
        gettext(
            "The page says what is asked, how it is scored and what the rules are, and you can practise there. No "
            "clock starts before you press Start. The link is yours alone: please do not pass it on."
        ),
    ]
    if attempt.closes_at is not None and attempt.started_at is None:
        said.append(gettext("Please start by %(moment)s.", moment=format_moment(attempt.closes_at, attempt.time_zone)))
    if attempt.contact:
        said.append(gettext("Questions? Ask %(contact)s.", contact=attempt.contact))
    return "\n\n".join(said) + "\n"
