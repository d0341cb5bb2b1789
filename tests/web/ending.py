"""What the end of an attempt needs around it: work that can be handed in, and gradings that stand somewhere."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from sqlalchemy import select

from graders.contract import Evidence, Finding, GradingReport
from tests.web.portal_world import moment
from tests.web.world import SETTINGS, provenance
from web import gradings, work
from web.database import now
from web.models import Attempt, Grading, GradingState, Origin, Submission
from web.portal import Portal

GOOD: Final[Mapping[str, bytes]] = {
    "windows.py": b"def split(text, size, overlap):\n    return []\n",
    "evaluate.ipynb": json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}).encode(),
    "answer.md": b"Overlap makes neighbours near copies, so the first hits are one passage.\n",
}
SECRET: Final = "expected ['hidden', 'answer'], got []"


def save(portal: Portal, attempt: Attempt, files: Mapping[str, bytes] = GOOD) -> int:
    with portal.database.transaction() as session:
        return work.save(session, attempt.id, files, Origin.UPLOAD, now(session)).number


def newest_grading(portal: Portal, attempt: Attempt) -> Grading:
    with portal.database.reading() as session:
        return session.scalars(
            select(Grading)
            .join(Submission, Submission.id == Grading.submission_id)
            .where(Submission.attempt_id == attempt.id)
            .order_by(Submission.number.desc())
        ).first() or pytest.fail("there is no grading")


def change_grading(portal: Portal, attempt: Attempt, **changed: Any) -> None:
    grading = newest_grading(portal, attempt)
    with portal.database.transaction() as session:
        row = session.get_one(Grading, grading.id)
        for name, value in changed.items():
            setattr(row, name, value)


def graded(portal: Portal, attempt: Attempt, found: list[Finding] | None = None) -> None:
    """As the recording worker writes down what a grading worker reports."""
    at_now = moment(portal)
    change_grading(portal, attempt, state=GradingState.SENT, fence=1, lease_until=at_now, alive_at=at_now)
    grading = newest_grading(portal, attempt)
    told = GradingReport(
        grading=grading.id,
        fence=1,
        findings=tuple(found or findings()),
        provenance=provenance(grading.challenge_digest),
    )
    with portal.database.transaction() as session:
        assert gradings.record(session, told, SETTINGS).outcome is gradings.Outcome.GRADED


def findings() -> list[Finding]:
    quote = Evidence(text="def split(text, size, overlap):", file="windows.py", line=1)
    return [
        Finding(
            criterion="ordinary-texts", credit=0.5, reason="6 of 12 answers right",
            evidence=(Evidence(text=SECRET), Evidence(text=SECRET, file="windows.py", line=2), quote),
        ),
        Finding(criterion="special-cases", credit=0.0, reason="0 of 4 answers right"),
        Finding(criterion="refusals", credit=1.0, reason="6 of 6 answers right"),
        Finding(criterion="recall", credit=1.0, reason="1 of 1 values right"),
        Finding(criterion="mrr", credit=1.0, reason="1 of 1 values right"),
    ]  # fmt: skip
