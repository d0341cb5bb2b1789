"""The tables, in the words that everything else uses. `web.database` connects to them, `web.migrations` makes them."""

from web.models.attempts import Attempt, AttemptKind, Origin, Snapshot, Submission
from web.models.audit import AuditEvent
from web.models.challenges import ChallengeVersion, Form, FormState
from web.models.columns import Table, new_id
from web.models.gradings import OPEN, Decision, Finding, Grading, GradingState, Purpose, Regrade, Urgency
from web.models.people import Application, Person, Role

__all__ = [
    "OPEN",
    "Application",
    "Attempt",
    "AttemptKind",
    "AuditEvent",
    "ChallengeVersion",
    "Decision",
    "Finding",
    "Form",
    "FormState",
    "Grading",
    "GradingState",
    "Origin",
    "Person",
    "Purpose",
    "Regrade",
    "Role",
    "Snapshot",
    "Submission",
    "Table",
    "Urgency",
    "new_id",
]
