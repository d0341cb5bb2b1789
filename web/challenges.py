"""Publishes a challenge: from then on people can be given attempts at it."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from graders.challenge import Challenge, starter_files
from graders.trees import Store
from web import audit
from web.database import lock, now
from web.errors import Refused
from web.models import Attempt, AttemptKind, ChallengeVersion

__all__ = ["newest", "publish"]


def publish(session: Session, challenge: Challenge, store: Store, actor: str = "operator") -> ChallengeVersion:
    """Make this the version that new attempts get. To publish what is published already changes nothing.

    While an author works, one version has many contents, and the last that was published is the one that counts. Once
    somebody has an attempt at it, the number stands for what they saw: other content needs another number.
    """
    starter = store.put(starter_files(challenge))  # before the transaction begins: a disk is slow
    lock(session, f"publish {challenge.slug}")
    last = newest(session, challenge.slug)
    if last is not None and last.digest == challenge.digest:
        return last
    number = challenge.manifest.version
    if _is_in_use(session, challenge.slug, number, challenge.digest):
        raise Refused(
            f"{challenge.slug}: version {number}: somebody has an attempt at it, and its content was another: "
            "raise the version in challenge.toml, then publish again"
        )
    at = now(session)
    version = session.get(ChallengeVersion, challenge.digest)
    if version is None:
        version = ChallengeVersion(
            digest=challenge.digest,
            slug=challenge.slug,
            version=number,
            manifest=challenge.manifest.model_dump(mode="json"),
            rubric=challenge.rubric.model_dump(mode="json"),
            brief=challenge.brief,
            starter=starter,
        )
        session.add(version)
    # After the last one, however the database's clock stands: this is the one that counts now.
    version.published_at = max(at, last.published_at + timedelta(milliseconds=1)) if last else at
    audit.note(
        session, actor, "challenge.published", "challenge", challenge.slug, digest=version.digest, version=number
    )
    return version


def newest(session: Session, slug: str) -> ChallengeVersion | None:
    """The version that new attempts get."""
    of_slug = select(ChallengeVersion).where(ChallengeVersion.slug == slug)
    return session.scalar(of_slug.order_by(ChallengeVersion.published_at.desc(), ChallengeVersion.digest).limit(1))


def _is_in_use(session: Session, slug: str, number: str, but_for: str) -> bool:
    others = (
        select(Attempt.id)
        .join(ChallengeVersion, ChallengeVersion.digest == Attempt.challenge_digest)
        .where(ChallengeVersion.slug == slug, ChallengeVersion.version == number, ChallengeVersion.digest != but_for)
        .where(Attempt.kind != AttemptKind.REHEARSAL)
    )
    return session.scalar(others.limit(1)) is not None
