"""All that a candidate has to know before the clock starts, in one look at the database."""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from graders.rubric import Judge, Kind, Manifest, Rubric
from web import challenges, consents
from web.attempts import Standing, open_practice, standing
from web.database import now
from web.gradings import read_manifest, read_rubric
from web.models import (
    AddedTime,
    Application,
    Attempt,
    AttemptKind,
    ChallengeVersion,
    Consent,
    Form,
    FormState,
    Person,
    Role,
)
from web.settings import PROJECT
from web.speech import gettext, ngettext

__all__ = ["WARM_UP", "Briefing", "Environment", "Part", "brief", "real_of", "spell_length"]

WARM_UP: Final = "warm-up"  # what candidates practise with
IMAGES: Final = PROJECT / "sandbox" / "images"


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the score."""

    title: str
    points: float
    judged: str  # in words


@dataclass(frozen=True, slots=True)
class Environment:
    """What a candidate's program meets."""

    python: str
    packages: tuple[str, ...]  # each with its version


@dataclass(frozen=True, slots=True)
class Briefing:
    attempt: Attempt
    standing: Standing
    manifest: Manifest
    role: str
    name: str
    form: Form
    parts: tuple[Part, ...]
    environment: Environment
    added: tuple[AddedTime, ...]
    consent: Consent | None
    practice: Attempt | None  # one that is still open
    may_practise: bool
    real: Attempt | None  # of a practice: what it is practice for

    @property
    def is_practice(self) -> bool:
        return self.attempt.kind is AttemptKind.PRACTICE

    @property
    def form_is_made(self) -> bool:
        return self.form.bundle is not None

    @property
    def form_has_failed(self) -> bool:
        return self.form.state is FormState.FAILED

    @property
    def own_time(self) -> str:
        return spell_length(self.standing.length)

    @property
    def sum(self) -> str:
        """How the candidate's own time comes about; empty when it is what everybody has."""
        said = ""
        if self.attempt.multiplier != 1:
            said = gettext(
                "%(multiplier)s times %(minutes)s",
                multiplier=f"{self.attempt.multiplier:g}",
                minutes=spell_length(timedelta(minutes=self.manifest.minutes)),
            )
        if self.added:
            before = said or spell_length(timedelta(minutes=self.manifest.minutes))
            more = spell_length(timedelta(seconds=sum(one.seconds for one in self.added)))
            said = gettext("%(before)s, and %(more)s more", before=before, more=more)
        return said

    @property
    def effort(self) -> str:
        low, high = self.manifest.expert_minutes
        if low == high:
            return spell_length(timedelta(minutes=low))
        if high < 60:
            return gettext("%(low)s to %(high)s minutes", low=low, high=high)
        return gettext(
            "%(low)s to %(high)s",
            low=spell_length(timedelta(minutes=low)),
            high=spell_length(timedelta(minutes=high)),
        )

    @property
    def contact(self) -> tuple[str, str, str]:
        """Whom to ask: words, the address in them, and words."""
        before, address, after = "", "", self.attempt.contact
        if found := re.search(r"[^\s<>,;:()\"']+@[^\s<>,;:()\"']+\.[^\s<>,;:()\"'.]+", self.attempt.contact):
            before, address, after = after[: found.start()], found[0], after[found.end() :]
        return before, address, after


def brief(session: Session, attempt: Attempt) -> Briefing:
    version = session.get_one(ChallengeVersion, attempt.challenge_digest)
    manifest = read_manifest(version)
    added = select(AddedTime).where(AddedTime.attempt_id == attempt.id).order_by(AddedTime.at)
    application = session.get(Application, attempt.application_id) if attempt.application_id else None
    is_practice = attempt.kind is AttemptKind.PRACTICE
    return Briefing(
        attempt=attempt,
        standing=standing(session, attempt, now(session)),
        manifest=manifest,
        role=session.get_one(Role, application.role_id).title if application else "",
        name=session.get_one(Person, application.person_id).name if application else "",
        form=session.get_one(Form, attempt.form_id),
        parts=_parts(manifest, read_rubric(version)),
        environment=_environment(manifest.image),
        added=tuple(session.scalars(added)),
        consent=consents.accepted(session, attempt),
        practice=None if is_practice else open_practice(session, attempt),
        may_practise=not is_practice and challenges.newest(session, WARM_UP) is not None,
        real=real_of(session, attempt) if is_practice else None,
    )


def real_of(session: Session, practice: Attempt) -> Attempt | None:
    """What it is practice for."""
    mine = select(Attempt).where(
        Attempt.application_id == practice.application_id,
        Attempt.application_id.is_not(None),
        Attempt.kind == AttemptKind.TAKE_HOME,
    )
    return session.scalar(mine.order_by(Attempt.created_at.desc()).limit(1))


def _parts(manifest: Manifest, rubric: Rubric) -> tuple[Part, ...]:
    """Who looks at what is told, and what is looked for is not: the brief says it as far as candidates are to know."""
    found = []
    for key, part in manifest.parts.items():
        criteria = [one for one in rubric.criteria.values() if one.part == key and one.kind is not Kind.RED_FLAG]
        found.append(Part(part.title, part.points, _judged({one.judged_by for one in criteria})))
    return tuple(found)


def _judged(judges: set[Judge]) -> str:
    run, read = Judge.TESTS in judges, judges - {Judge.TESTS}
    if run and read:
        return gettext("It is run with hidden checks, and read by a person.")
    if run:
        return gettext("It is run with hidden checks.")
    if Judge.MODEL in read:
        return gettext("It is read: by a person, and first by a language model where the employer has one.")
    return gettext("It is read by a person.")


def spell_length(length: timedelta) -> str:
    """In words: hours and minutes, and seconds only where there is nothing else."""
    seconds = round(length.total_seconds())
    if seconds < 60:
        return ngettext("%(num)s second", "%(num)s seconds", seconds)
    hours, minutes = divmod(seconds // 60, 60)
    said = []
    if hours:
        said.append(ngettext("%(num)s hour", "%(num)s hours", hours))
    if minutes:
        said.append(ngettext("%(num)s minute", "%(num)s minutes", minutes))
    return gettext("%(hours)s and %(minutes)s", hours=said[0], minutes=said[1]) if len(said) == 2 else said[0]


# -------------------------------------------------------------------------------------------------- what runs it


@cache
def _environment(image: str) -> Environment:
    """Read from what the image is built of."""
    folder = IMAGES / image
    dockerfile, wanted, lock = (_read(folder / name) for name in ("Dockerfile", "requirements.in", "requirements.lock"))
    found = re.search(r"^ARG BASE_IMAGE=python:(\d+\.\d+)", dockerfile, re.MULTILINE)
    offered, _, _ = wanted.partition("# Installs the others")
    names = [line.strip() for line in offered.splitlines() if line.strip() and not line.startswith("#")]
    pinned = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock, re.MULTILINE))
    return Environment(found[1] if found else "", tuple(f"{name} {pinned.get(name, '')}".strip() for name in names))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # an image of the operator's own, of which the portal knows the name alone
        return ""
