"""How the grading of a submission stands, in plain words. Never a score: feedback is the employer's to allow."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from graders.rubric import Kind
from web.gradings import effective, read_rubric
from web.models import ChallengeVersion, Finding, Grading, GradingState, Submission
from web.speech import gettext, ngettext

__all__ = ["Progress", "Step", "look"]


class Step(StrEnum):
    CLOSING = "closing"  # the time is over, and the clock hands in what was saved
    NOTHING = "nothing"  # it ended, and there was nothing to hand in
    WAITING = "waiting"
    AGAIN = "again"  # a try failed by our own fault, and another follows by itself
    GRADING = "grading"
    GRADED = "graded"
    FAILED = "failed"  # by our own fault or the author's: a person has been told


@dataclass(frozen=True, slots=True)
class Progress:
    step: Step
    sentence: str
    more: str

    @property
    def is_final(self) -> bool:
        return self.step in (Step.GRADED, Step.FAILED, Step.NOTHING)


def look(session: Session, submission: Submission | None, *, is_ended: bool = True) -> Progress:
    """Of the newest submission; None when there is none, because the clock has not come to it or never will."""
    if submission is None and is_ended:
        return Progress(
            Step.NOTHING,
            gettext("Your time is over, and there was nothing to hand in."),
            gettext("If you did work on it, something of ours went wrong: write to the person named below."),
        )
    if submission is None:
        return Progress(
            Step.CLOSING,
            gettext("Your time is over. What you had saved is being handed in now."),
            gettext("That takes less than a minute. You need not do anything."),
        )
    counts = effective(session, submission.id)
    if counts is not None:
        return _graded(session, counts)
    of_submission = select(Grading).where(Grading.submission_id == submission.id, Grading.regrade_id.is_(None))
    newest = session.scalars(of_submission.order_by(Grading.created_at.desc(), Grading.id).limit(1)).one()
    match newest.state:
        case GradingState.FAILED:
            return Progress(
                Step.FAILED,
                gettext("Something of ours failed, and a person is looking at it."),
                gettext(
                    "Nothing is lost: what you handed in is kept as your receipt says. A fault of ours never counts "
                    "against you. This page tells you when it is graded."
                ),
            )
        case GradingState.SENT if newest.alive_at is not None:
            return Progress(
                Step.GRADING,
                gettext("Your work is being graded now."),
                gettext("It usually takes a few minutes. You may close this page: nothing depends on it."),
            )
        case GradingState.WAITING if newest.tries:
            return Progress(
                Step.AGAIN,
                gettext("Something of ours failed while your work was graded. It is graded once more, by itself."),
                gettext("Nothing is lost, and it does not count against you. You need not do anything."),
            )
    return _waiting(session, newest)


def _waiting(session: Session, grading: Grading) -> Progress:
    ahead = session.scalar(
        select(func.count())
        .select_from(Grading)
        .where(
            Grading.finished_at.is_(None),
            Grading.alive_at.is_(None),
            Grading.id != grading.id,
            or_(
                Grading.urgency < grading.urgency,
                (Grading.urgency == grading.urgency) & (Grading.created_at < grading.created_at),
            ),
        )
    )
    sentence = (
        ngettext(
            "Your work is in line, and %(num)s other is before it.",
            "Your work is in line, and %(num)s others are before it.",
            ahead,
        )
        if ahead
        else gettext("Your work is the next in line to be graded.")
    )
    return Progress(Step.WAITING, sentence, gettext("You may close this page: nothing depends on it."))


def _graded(session: Session, grading: Grading) -> Progress:
    """How many criteria are open is told, and what was earned is not."""
    rubric = read_rubric(session.get_one(ChallengeVersion, grading.challenge_digest))
    judged = set(
        session.scalars(select(Finding.criterion).where(Finding.grading_id == grading.id, Finding.credit.is_not(None)))
    )
    scored = [key for key, criterion in rubric.criteria.items() if criterion.kind is not Kind.RED_FLAG]
    still_open = sum(key not in judged for key in scored)
    if not still_open:
        return Progress(Step.GRADED, gettext("Your work is graded."), gettext("What happens next is up to people."))
    return Progress(
        Step.GRADED,
        gettext("Your work is graded, as far as programs can do it."),
        ngettext(
            "%(num)s of %(all)s criteria is still open: it is judged by reading, which takes longer.",
            "%(num)s of %(all)s criteria are still open: they are judged by reading, which takes longer.",
            still_open,
            all=len(scored),
        ),
    )
