"""Handing in: the end of an attempt, and the proof of it.

    keep ──► hand_in ──► submission + grading + ended + receipt + letter, in one transaction
      └────► close        the same by the clock, when the time is over

*Once is once:* a double click, two tabs, and whoever asks again after a lost answer get the same submission and the
same receipt, because the key of a submission is its number. *Nobody hands in what they have not seen:* who hands in
names the snapshot that the page showed, and when another is the newest by then, nothing is handed in.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from graders.trees import FolderStore
from web import audit, gradings, letters, receipts, work
from web.attempts import ARRIVING, may_write
from web.database import Database, now
from web.errors import Refused, SubmissionRejected
from web.models import (
    Application,
    Attempt,
    AttemptKind,
    ChallengeVersion,
    Form,
    Person,
    Receipt,
    Submission,
)
from web.portal import Portal
from web.receipts import Hand, Signed, Signer
from web.speech import format_moment, gettext, speaking

__all__ = [
    "Desk",
    "Kept",
    "MovedOn",
    "all_of",
    "by_code",
    "close",
    "desk_of",
    "goes_by_mail",
    "hand_in",
    "keep",
    "next_number",
    "numbered",
    "receipt_of",
    "signed",
]

ATTACHED: Final = "receipt.json"


@dataclass(frozen=True, slots=True)
class Desk:
    """What it takes to take something in: where workers read it, what signs, and where people find the portal."""

    store: FolderStore
    signer: Signer
    address: str  # without a slash at its end


@dataclass(frozen=True, slots=True)
class Kept:
    """Saved work that the store has: bytes are made safe before anything speaks of them."""

    attempt_id: str
    number: int  # of the snapshot
    work: gradings.Work
    names: dict[str, str]  # each file, and the SHA-256 of it


class MovedOn(Refused):
    """Something else was saved since, so what would be handed in is not what was seen. Nothing was handed in."""


def desk_of(portal: Portal) -> Desk:
    return Desk(portal.store, Signer(portal.receipt_key), portal.address_in_letters)


# --------------------------------------------------------------------------------------------------------- handing in


def keep(session: Session, desk: Desk, attempt_id: str, number: int | None = None) -> Kept:
    """Put a snapshot, or the newest, where workers read. Outside of a transaction that writes: disks are slow."""
    snapshot = work.head(session, attempt_id) if number is None else work.numbered(session, attempt_id, number)
    if snapshot is None or snapshot.names is None:
        raise SubmissionRejected("There is no saved work of that number. Load the page again.")
    tree = work.store(session, snapshot, desk.store)
    made = gradings.Work(tree, snapshot.files, snapshot.bytes, snapshot.origin)
    return Kept(attempt_id, snapshot.number, made, dict(snapshot.names))


def hand_in(session: Session, desk: Desk, kept: Kept, number: int, arrived_at: datetime) -> Submission:
    """Take this as submission `number` of its attempt, and end the attempt.

    Raises MovedOn when the newest saved work is another, and TooLate when the time was over as the request arrived.
    """
    session.get_one(Attempt, kept.attempt_id, with_for_update=True, populate_existing=True)
    known = numbered(session, kept.attempt_id, number)
    if known is not None and known.tree == kept.work.tree:
        return known
    attempt = may_write(session, kept.attempt_id, arrived_at)
    if number != next_number(session, attempt.id) or not _is_newest(session, kept):
        raise MovedOn("Something else was saved since this page was shown. Nothing was handed in.")
    return _take(session, desk, attempt, kept, number, arrived_at, "candidate")


def close(database: Database, desk: Desk, attempt_id: str) -> Submission | None:
    """The time is over: what was saved last is handed in. For each of attempts.overdue; twice does no harm.

    None when there is nothing to close any more: somebody handed in, or time was added in this very moment.
    """
    with database.reading() as session:
        kept = None if work.head(session, attempt_id) is None else keep(session, desk, attempt_id)
    with database.transaction() as session:
        attempt = session.get_one(Attempt, attempt_id, with_for_update=True, populate_existing=True)
        if attempt.ended_at is not None or attempt.ends_at is None or attempt.ends_at > now(session) - ARRIVING:
            return None
        if kept is None:
            attempt.ended_at = attempt.ends_at  # nothing was ever saved, not even what they began with
            audit.note(session, "clock", "attempt.ended_without_work", "attempt", attempt.id)
            return None
        if not _is_newest(session, kept):
            return None  # the next turn of the clock finds the newer one
        return _take(session, desk, attempt, kept, next_number(session, attempt_id), attempt.ends_at, "clock")


def _is_newest(session: Session, kept: Kept) -> bool:
    newest = work.head(session, kept.attempt_id)
    return newest is not None and newest.number == kept.number


def _take(
    session: Session, desk: Desk, attempt: Attempt, kept: Kept, number: int, received_at: datetime, by: Hand
) -> Submission:
    submission = gradings.accept(session, attempt.id, kept.work, _key(number))
    submission.received_at = received_at  # when it reached us, however long it then waited
    attempt.ended_at = received_at
    receipt = _sign(session, desk, attempt, submission, kept, by)
    session.flush()
    audit.note(
        session, "clock" if by == "clock" else f"attempt {attempt.id}", "attempt.handed_in", "attempt", attempt.id,
        submission=submission.id, number=number, receipt=receipt.receipt.code,
    )  # fmt: skip
    _write(session, desk, attempt, submission, receipt)
    return submission


def _key(number: int) -> str:
    return f"hand-in {number}"


def _sign(session: Session, desk: Desk, attempt: Attempt, submission: Submission, kept: Kept, by: Hand) -> Signed:
    version = session.get_one(ChallengeVersion, attempt.challenge_digest)
    form = session.get_one(Form, attempt.form_id)
    made = desk.signer.sign(
        receipts.Body(
            code=receipts.new_code(),
            attempt=attempt.id,
            submission=submission.number,
            content=submission.tree,
            files=kept.names,
            received_at=receipts.second(submission.received_at),
            handed_in_by=by,
            challenge=version.slug,
            challenge_version=version.version,
            challenge_digest=version.digest,
            form=receipts.digest_of_signature(form.signature),
            portal=desk.address,
            key=desk.signer.key_id,
        )
    )
    session.add(
        Receipt(
            submission_id=submission.id,
            code=made.receipt.code,
            body=made.receipt.spelled(),
            signature=made.signature,
            key_id=made.receipt.key,
        )
    )
    return made


def goes_by_mail(attempt: Attempt) -> bool:
    return attempt.application_id is not None and attempt.kind is AttemptKind.TAKE_HOME


def _write(session: Session, desk: Desk, attempt: Attempt, submission: Submission, receipt: Signed) -> None:
    """The receipt goes out by mail too, so that the proof is not in our hands only. Practice is worth no letter."""
    if not goes_by_mail(attempt):
        return
    application = session.get_one(Application, attempt.application_id)
    recipient = session.get_one(Person, application.person_id).email
    with speaking(attempt.locale):
        subject, body = _letter(session, desk, attempt, submission, receipt)
    letters.write(session, recipient, subject, body, (ATTACHED, receipt.document()))


def _letter(session: Session, desk: Desk, attempt: Attempt, submission: Submission, receipt: Signed) -> tuple[str, str]:
    title = gradings.read_manifest(session.get_one(ChallengeVersion, attempt.challenge_digest)).title
    said = receipt.receipt
    first = (
        gettext("You have handed in.")
        if said.handed_in_by == "candidate"
        else gettext("Your time was over, so what you had saved last was handed in for you.")
    )
    lines = [
        f"{first} {title}",
        "",
        gettext("Received: %(moment)s", moment=format_moment(submission.received_at, attempt.time_zone)),
        gettext("Files: %(count)s", count=len(said.files)),
        gettext("Receipt: %(code)s", code=said.code),
        "",
        gettext("The file receipt.json that comes with this letter is signed. It proves what you handed in, and when."),
    ]
    if desk.address:
        lines += [
            gettext("Anybody can check it here:"),
            f"{desk.address}/receipts/{said.code}",
            "",
            gettext("How the grading stands:"),
            f"{desk.address}/attempts/{attempt.id}/status",
        ]
    return gettext("Your receipt: %(title)s", title=title), "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------------------ reading


def next_number(session: Session, attempt_id: str) -> int:
    """Of the submission that would come next."""
    last = select(func.max(Submission.number)).where(Submission.attempt_id == attempt_id)
    return 1 + (session.scalar(last) or 0)


def numbered(session: Session, attempt_id: str, number: int) -> Submission | None:
    return session.scalar(select(Submission).where(Submission.attempt_id == attempt_id, Submission.number == number))


def all_of(session: Session, attempt_id: str) -> list[Submission]:
    """The newest first: it is the one that counts."""
    of_attempt = select(Submission).where(Submission.attempt_id == attempt_id)
    return list(session.scalars(of_attempt.order_by(Submission.number.desc())))


def receipt_of(session: Session, submission: Submission) -> Signed | None:
    """None for what was never handed in by this way, a rehearsal's for instance."""
    row = session.get(Receipt, submission.id)
    return None if row is None else signed(row)


def by_code(session: Session, code: str) -> Signed | None:
    row = session.scalar(select(Receipt).where(Receipt.code == receipts.normal(code)))
    return None if row is None else signed(row)


def signed(row: Receipt) -> Signed:
    return Signed(receipt=receipts.Body.model_validate_json(row.body), signature=row.signature)
