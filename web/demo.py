"""What `assay up --demo` adds: a role, somebody who applied for it and the link that they were sent, and an owner.

Started again it adds nobody: the same candidate gets another link, and another attempt when the last one has ended.
"""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from web import access, attempts, signing_in, staffing
from web.attempts import Phase, standing
from web.challenges import newest
from web.database import now
from web.errors import Refused
from web.models import Application, Attempt, AttemptKind, ChallengeVersion, Person, Right, Role
from web.portal import Portal

__all__ = ["furnish"]

ACTOR: Final = "demo"
ROLE: Final = "AI engineer"
CANDIDATE: Final = ("Ada Okafor", "ada@example.org")
CONTACT: Final = "Grace Lindqvist, grace@example.org"
OWNER: Final = ("Grace Lindqvist", "grace@example.org")
CHALLENGE: Final = "warm-up"
TO_GO_ON: Final = {Phase.READY, Phase.RUNNING}


def furnish(portal: Portal, url: str) -> list[str]:
    """Lines that say where to go, and as whom."""
    with portal.database.transaction() as session:
        version = newest(session, CHALLENGE)
        if version is None:
            raise Refused(f"demo: {CHALLENGE}: is not published: put challenges/{CHALLENGE} back, and start again")
        attempt = _attempt(session, _application(session), version)
        token = access.new_link(session, portal, attempt, ACTOR)
        key = signing_in.new_link(session, portal, _owner(session), ACTOR)
    return [
        f"demo: be the candidate {CANDIDATE[0]}: {url}/a/{token}",
        f"demo: be the owner {OWNER[0]}, within a quarter of an hour: {url}/staff/sign-in/{key}",
    ]


def _owner(session: Session) -> str:
    name, email = OWNER
    known = next((member for member in staffing.everybody(session) if member.email == email), None)
    if known is not None and known.left_at is None:
        return known.person_id
    return staffing.add(session, email, name, Right.OWNER, ACTOR).id


def _application(session: Session) -> Application:
    at = now(session)
    name, email = CANDIDATE
    person = session.scalar(select(Person).where(Person.email == email))
    if person is None:
        person = Person(name=name, email=email, created_at=at)
    role = session.scalar(select(Role).where(Role.title == ROLE).limit(1)) or Role(title=ROLE, created_at=at)
    session.add_all([person, role])
    session.flush()
    mine = select(Application).where(Application.person_id == person.id, Application.role_id == role.id)
    application = session.scalar(mine)
    if application is None:
        application = Application(person_id=person.id, role_id=role.id, created_at=at)
        session.add(application)
        session.flush()
    return application


def _attempt(session: Session, application: Application, version: ChallengeVersion) -> Attempt:
    mine = select(Attempt).where(Attempt.application_id == application.id, Attempt.kind == AttemptKind.TAKE_HOME)
    last = session.scalar(mine.order_by(Attempt.created_at.desc()).limit(1))
    if last is not None and standing(session, last, now(session)).phase in TO_GO_ON:
        return last
    return attempts.invite(session, application, version, ACTOR, contact=CONTACT)
