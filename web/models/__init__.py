"""The tables, in the words that everything else uses. `web.database` connects to them, `web.migrations` makes them."""

from web.models.access import BrowserSession, Code, GitPassword, Link, Right, SignInLink, Staff
from web.models.attempts import (
    AddedTime,
    Attempt,
    AttemptKind,
    Check,
    CheckState,
    Consent,
    Content,
    Contest,
    Origin,
    Receipt,
    Snapshot,
    Submission,
)
from web.models.audit import AuditEvent
from web.models.challenges import ChallengeVersion, Form, FormState
from web.models.columns import Table, new_id
from web.models.git import GitTip
from web.models.gradings import OPEN, Decision, Finding, Grading, GradingState, Purpose, Regrade, Urgency
from web.models.letters import Letter
from web.models.outages import SignOfLife
from web.models.people import Application, Person, Role

__all__ = [
    "OPEN",
    "AddedTime",
    "Application",
    "Attempt",
    "AttemptKind",
    "AuditEvent",
    "BrowserSession",
    "ChallengeVersion",
    "Check",
    "CheckState",
    "Code",
    "Consent",
    "Content",
    "Contest",
    "Decision",
    "Finding",
    "Form",
    "FormState",
    "GitPassword",
    "GitTip",
    "Grading",
    "GradingState",
    "Letter",
    "Link",
    "Origin",
    "Person",
    "Purpose",
    "Receipt",
    "Regrade",
    "Right",
    "Role",
    "SignInLink",
    "SignOfLife",
    "Snapshot",
    "Staff",
    "Submission",
    "Table",
    "Urgency",
    "new_id",
]
