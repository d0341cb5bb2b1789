"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.String(32)
DIGEST = sa.String(64)
MOMENT = sa.DateTime(timezone=True)

AUDIT_ON_SQLITE = """
CREATE TRIGGER audit_events_keep_{verb} BEFORE {verb} ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit_events: may only be added to'); END
"""
AUDIT_ON_POSTGRESQL = (
    """
    CREATE FUNCTION audit_events_keep() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'audit_events: may only be added to'; END $$
    """,
    """
    CREATE TRIGGER audit_events_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_keep()
    """,
)


def one_of(name: str, *words: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=20)


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(320), nullable=False, unique=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("email = lower(email)", name="email_is_lowered"),
    )
    op.create_table(
        "roles",
        sa.Column("id", ID, primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_table(
        "applications",
        sa.Column("id", ID, primary_key=True),
        sa.Column("person_id", ID, sa.ForeignKey("people.id"), nullable=False),
        sa.Column("role_id", ID, sa.ForeignKey("roles.id"), nullable=False, index=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.UniqueConstraint("person_id", "role_id"),
    )
    _create_challenges()
    _create_attempts()
    _create_gradings()
    _create_audit()


def _create_challenges() -> None:
    op.create_table(
        "challenge_versions",
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("slug", sa.String(60), nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("manifest", sa.JSON, nullable=False),
        sa.Column("rubric", sa.JSON, nullable=False),
        sa.Column("brief", sa.Text, nullable=False),
        sa.Column("starter", DIGEST, nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.Index("ix_challenge_versions_slug_published_at", "slug", "published_at"),
    )
    op.create_table(
        "forms",
        sa.Column("id", ID, primary_key=True),
        sa.Column("challenge_digest", DIGEST, sa.ForeignKey("challenge_versions.digest"), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False, unique=True),
        sa.Column("signature", sa.String(200)),
        sa.Column("state", one_of("state", "pool", "reserved", "issued", "retired"), nullable=False),
        sa.Column("equating", sa.JSON),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Index("ix_forms_challenge_digest_state", "challenge_digest", "state"),
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", ID, primary_key=True),
        sa.Column("application_id", ID, sa.ForeignKey("applications.id"), index=True),
        sa.Column("kind", one_of("kind", "take-home", "practice", "rehearsal"), nullable=False),
        sa.Column("challenge_digest", DIGEST, sa.ForeignKey("challenge_versions.digest"), nullable=False, index=True),
        sa.Column("form_id", ID, sa.ForeignKey("forms.id"), nullable=False, index=True),
        sa.Column("opens_at", MOMENT),
        sa.Column("started_at", MOMENT),
        sa.Column("ends_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("kind <> 'take-home' OR application_id IS NOT NULL", name="take_home_is_somebodys"),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", ID, primary_key=True),
        sa.Column("attempt_id", ID, sa.ForeignKey("attempts.id"), nullable=False),
        sa.Column("tree", DIGEST, nullable=False),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("origin", one_of("origin", "browser", "upload", "push", "rehearsal"), nullable=False),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.Index("ix_snapshots_attempt_id_tree", "attempt_id", "tree"),
    )
    op.create_table(
        "submissions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("attempt_id", ID, sa.ForeignKey("attempts.id"), nullable=False),
        sa.Column("snapshot_id", ID, sa.ForeignKey("snapshots.id"), nullable=False, index=True),
        sa.Column("tree", DIGEST, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.UniqueConstraint("attempt_id", "number"),
        sa.UniqueConstraint("attempt_id", "key"),
    )


def _create_gradings() -> None:
    op.create_table(
        "regrades",
        sa.Column("id", ID, primary_key=True),
        sa.Column("slug", sa.String(60), nullable=False),
        sa.Column("challenge_digest", DIGEST, sa.ForeignKey("challenge_versions.digest"), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("decision", one_of("decision", "undecided", "applied", "dropped"), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("decided_at", MOMENT),
        sa.Column("decided_by", sa.String(200)),
        sa.CheckConstraint(
            "(decision = 'undecided') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)",
            name="who_decided",
        ),
    )
    op.create_table(
        "gradings",
        sa.Column("id", ID, primary_key=True),
        sa.Column("submission_id", ID, sa.ForeignKey("submissions.id"), nullable=False, index=True),
        sa.Column("challenge_digest", DIGEST, sa.ForeignKey("challenge_versions.digest"), nullable=False),
        sa.Column("purpose", one_of("purpose", "first", "regrade", "again"), nullable=False),
        sa.Column("regrade_id", ID, sa.ForeignKey("regrades.id"), index=True),
        sa.Column("repeats_id", ID, sa.ForeignKey("gradings.id"), unique=True),
        sa.Column("candidate", ID, nullable=False),
        sa.Column("grading_seconds", sa.Integer, nullable=False),
        sa.Column("urgency", sa.SmallInteger, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("state", one_of("state", "waiting", "sent", "graded", "failed"), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("not_before", MOMENT),
        sa.Column("sent_at", MOMENT),
        sa.Column("alive_at", MOMENT),
        sa.Column("lease_until", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.Column("late_reports", sa.Integer, nullable=False),
        sa.Column("fault_of", one_of("fault_of", "author", "operator")),
        sa.Column("failure", sa.Text),
        sa.Column("provenance", sa.JSON),
        sa.CheckConstraint("(state IN ('graded', 'failed')) = (finished_at IS NOT NULL)", name="finished_says_when"),
        sa.CheckConstraint("(state = 'failed') = (fault_of IS NOT NULL)", name="failed_says_whose_fault"),
        sa.CheckConstraint("(state = 'sent') = (lease_until IS NOT NULL)", name="sent_has_a_lease"),
    )
    _create_partial_index("ix_gradings_open", ["state", "urgency", "created_at"], "finished_at IS NULL")
    _create_partial_index(
        "uq_gradings_open_of_submission",
        ["submission_id", "challenge_digest"],
        "finished_at IS NULL AND regrade_id IS NULL",
        unique=True,
    )
    _create_partial_index(
        "uq_gradings_open_of_regrade",
        ["regrade_id", "submission_id"],
        "finished_at IS NULL AND regrade_id IS NOT NULL",
        unique=True,
    )
    _create_partial_index("ix_gradings_failed", ["finished_at"], "fault_of IS NOT NULL")
    op.create_table(
        "findings",
        sa.Column("grading_id", ID, sa.ForeignKey("gradings.id"), primary_key=True),
        sa.Column("criterion", sa.String(60), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("credit", sa.Float),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.UniqueConstraint("grading_id", "position"),
        sa.CheckConstraint("credit >= 0 AND credit <= 1", name="credit_is_a_fraction"),
    )


def _create_partial_index(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    rows = sa.text(where)
    op.create_index(name, "gradings", columns, unique=unique, sqlite_where=rows, postgresql_where=rows)


def _create_audit() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("subject_kind", sa.String(60), nullable=False),
        sa.Column("subject_id", sa.String(100), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("previous", DIGEST, nullable=False),
        sa.Column("hash", DIGEST, nullable=False, unique=True),
        sa.Index("ix_audit_events_subject_kind_subject_id", "subject_kind", "subject_id"),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(AUDIT_ON_SQLITE.format(verb=verb))
    else:
        for statement in AUDIT_ON_POSTGRESQL:
            op.execute(statement)


def downgrade() -> None:
    for table in (
        "findings",
        "gradings",
        "regrades",
        "submissions",
        "snapshots",
        "attempts",
        "forms",
        "challenge_versions",
        "applications",
        "roles",
        "people",
        "audit_events",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_events_keep()")
