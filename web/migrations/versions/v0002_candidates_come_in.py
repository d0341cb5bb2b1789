"""Candidates come in: links, saved work, checks, receipts, time that was added; and letters, and staff."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.String(32)
DIGEST = sa.String(64)
MOMENT = sa.DateTime(timezone=True)


def one_of(column: str, *words: str) -> str:
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


# The checks of tables that change, as they are afterwards and were before.
FORMS_BEFORE = one_of("state", "pool", "reserved", "issued", "retired")
FORMS = one_of("state", "making", "failed", "pool", "reserved", "issued", "retired")
SNAPSHOTS_BEFORE = one_of("origin", "browser", "upload", "push", "rehearsal")
SNAPSHOTS = one_of("origin", "starter", "restored", "browser", "upload", "push", "rehearsal")
RUNNING = sa.text("ends_at IS NOT NULL AND ended_at IS NULL")


def _of_attempts() -> list[sa.Column[Any]]:
    return [
        sa.Column("closes_at", MOMENT),
        sa.Column("minutes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("multiplier", sa.Float, nullable=False, server_default="1"),
        sa.Column("feedback", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("contact", sa.String(500), nullable=False, server_default=""),
        sa.Column("locale", sa.String(20), nullable=False, server_default="en"),
        sa.Column("time_zone", sa.String(60), nullable=False, server_default="UTC"),
        sa.Column("ended_at", MOMENT),
        sa.Column("withdrawn_at", MOMENT),
    ]


def _of_forms() -> list[sa.Column[Any]]:
    return [
        sa.Column("bundle", DIGEST),
        sa.Column("brief", sa.Text),
        sa.Column("asked_at", MOMENT),
        sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failure", sa.Text),
    ]


def _of_snapshots() -> list[sa.Column[Any]]:
    return [
        sa.Column("number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("names", sa.JSON),
        sa.Column("saved_by", sa.String(40), nullable=False, server_default=""),
    ]


def upgrade() -> None:
    op.create_table(
        "contents",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_contents")),
    )
    op.create_table(
        "letters",
        sa.Column("id", ID, nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attachment_name", sa.String(length=100)),
        sa.Column("attachment", sa.Text()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("not_before", MOMENT),
        sa.Column("sent_at", MOMENT),
        sa.Column("given_up_at", MOMENT),
        sa.Column("failure", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
    )
    with op.batch_alter_table("letters", schema=None) as batch_op:
        batch_op.create_index(
            "ix_letters_unsent",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
            postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
        )

    op.create_table(
        "sign_in_links",
        sa.Column("id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("token_hash", DIGEST, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_sign_in_links_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_in_links_token_hash")),
    )
    with op.batch_alter_table("sign_in_links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_in_links_person_id"), ["person_id"], unique=False)

    op.create_table(
        "staff",
        sa.Column("person_id", ID, nullable=False),
        sa.Column(
            "rights",
            sa.Enum(
                "owner",
                "interviewer",
                "author",
                "read-only",
                name="rights",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("left_at", MOMENT),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_staff_person_id_people")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_staff")),
    )
    op.create_table(
        "added_times",
        sa.Column("id", ID, nullable=False),
        sa.Column("attempt_id", ID, nullable=False),
        sa.Column("cause", sa.String(length=100), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("why", sa.String(length=500), nullable=False),
        sa.Column("added_by", sa.String(length=200), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("seconds > 0", name="time_is_added"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_added_times_attempt_id_attempts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_added_times")),
        sa.UniqueConstraint("attempt_id", "cause", name=op.f("uq_added_times_attempt_id_cause")),
    )
    op.create_table(
        "browser_sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("token_hash", DIGEST, nullable=False),
        sa.Column("attempt_id", ID),
        sa.Column("person_id", ID),
        sa.Column("browser", sa.String(length=300), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.CheckConstraint("(attempt_id IS NULL) <> (person_id IS NULL)", name="one_or_the_other"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_browser_sessions_attempt_id_attempts")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_browser_sessions_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_browser_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_browser_sessions_token_hash")),
    )
    with op.batch_alter_table("browser_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_browser_sessions_attempt_id"), ["attempt_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_browser_sessions_person_id"), ["person_id"], unique=False)

    op.create_table(
        "consents",
        sa.Column("id", ID, nullable=False),
        sa.Column("attempt_id", ID, nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("text_hash", DIGEST, nullable=False),
        sa.Column("locale", sa.String(length=20), nullable=False),
        sa.Column("browser", sa.String(length=300), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_consents_attempt_id_attempts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
        sa.UniqueConstraint("attempt_id", "text_hash", name=op.f("uq_consents_attempt_id_text_hash")),
    )
    op.create_table(
        "git_passwords",
        sa.Column("id", ID, nullable=False),
        sa.Column("attempt_id", ID, nullable=False),
        sa.Column("password_hash", DIGEST, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_git_passwords_attempt_id_attempts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_git_passwords")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_git_passwords_attempt_id")),
    )
    op.create_table(
        "links",
        sa.Column("id", ID, nullable=False),
        sa.Column("attempt_id", ID, nullable=False),
        sa.Column("token_hash", DIGEST, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.Column("claimed_at", MOMENT),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_links_attempt_id_attempts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_links_token_hash")),
    )
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_links_attempt_id"), ["attempt_id"], unique=False)

    op.create_table(
        "checks",
        sa.Column("id", ID, nullable=False),
        sa.Column("attempt_id", ID, nullable=False),
        sa.Column("snapshot_id", ID, nullable=False),
        sa.Column("tree", DIGEST, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "running",
                "done",
                "failed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("rung_at", MOMENT),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("began_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("ending", sa.String(length=40)),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("seconds", sa.Float()),
        sa.Column("output", sa.Text()),
        sa.Column("failure", sa.Text()),
        sa.CheckConstraint("(state IN ('done', 'failed')) = (ended_at IS NOT NULL)", name="ended_says_when"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_checks_attempt_id_attempts")),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name=op.f("fk_checks_snapshot_id_snapshots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checks")),
    )
    with op.batch_alter_table("checks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_checks_attempt_id"), ["attempt_id"], unique=False)
        batch_op.create_index(
            "ix_checks_open",
            ["asked_at"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "codes",
        sa.Column("id", ID, nullable=False),
        sa.Column("link_id", ID, nullable=False),
        sa.Column("code_hash", DIGEST, nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.ForeignKeyConstraint(["link_id"], ["links.id"], name=op.f("fk_codes_link_id_links")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_codes")),
    )
    with op.batch_alter_table("codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_codes_link_id"), ["link_id"], unique=False)

    op.create_table(
        "contests",
        sa.Column("id", ID, nullable=False),
        sa.Column("submission_id", ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("criterion", sa.String(length=60), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submissions.id"], name=op.f("fk_contests_submission_id_submissions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contests")),
        sa.UniqueConstraint("submission_id", name=op.f("uq_contests_submission_id")),
    )
    op.create_table(
        "receipts",
        sa.Column("submission_id", ID, nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("signature", sa.String(length=100), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submissions.id"], name=op.f("fk_receipts_submission_id_submissions")
        ),
        sa.PrimaryKeyConstraint("submission_id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("code", name=op.f("uq_receipts_code")),
    )
    _add("attempts", _of_attempts())
    op.create_index("ix_attempts_running", "attempts", ["ends_at"], sqlite_where=RUNNING, postgresql_where=RUNNING)
    _add("forms", _of_forms())
    _allow("forms", "state", FORMS)
    _add("snapshots", _of_snapshots())
    op.execute(
        """
        UPDATE snapshots SET number = (
            SELECT count(*) FROM snapshots AS other WHERE other.attempt_id = snapshots.attempt_id
            AND (other.taken_at, other.id) <= (snapshots.taken_at, snapshots.id))
        """
    )
    _allow("snapshots", "origin", SNAPSHOTS)
    with op.batch_alter_table("snapshots") as batch:
        batch.create_unique_constraint("uq_snapshots_attempt_id_number", ["attempt_id", "number"])


def _add(table: str, columns: list[sa.Column[Any]]) -> None:
    for column in columns:
        op.add_column(table, column)


def _drop(table: str, columns: list[sa.Column[Any]]) -> None:
    for column in columns:
        op.drop_column(table, column.name)


def _allow(table: str, name: str, rule: str) -> None:
    """Put another rule in the place of the one check of this name."""
    with op.batch_alter_table(table) as batch:
        batch.drop_constraint(op.f(f"ck_{table}_{name}"), type_="check")
        batch.create_check_constraint(op.f(f"ck_{table}_{name}"), rule)


def downgrade() -> None:
    # A submission may stand on saved work of a new kind: nothing is deleted, it is called by the nearest old word.
    op.execute("UPDATE snapshots SET origin = 'browser' WHERE origin IN ('starter', 'restored')")
    with op.batch_alter_table("snapshots") as batch:
        batch.drop_constraint("uq_snapshots_attempt_id_number", type_="unique")
    _drop("snapshots", _of_snapshots())
    _allow("snapshots", "origin", SNAPSHOTS_BEFORE)
    op.execute("UPDATE forms SET state = 'retired' WHERE state IN ('making', 'failed')")
    _drop("forms", _of_forms())
    _allow("forms", "state", FORMS_BEFORE)
    op.drop_index("ix_attempts_running", "attempts")
    _drop("attempts", _of_attempts())
    op.drop_table("receipts")
    op.drop_table("contests")
    with op.batch_alter_table("codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_codes_link_id"))

    op.drop_table("codes")
    with op.batch_alter_table("checks", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_checks_open", sqlite_where=sa.text("ended_at IS NULL"), postgresql_where=sa.text("ended_at IS NULL")
        )
        batch_op.drop_index(batch_op.f("ix_checks_attempt_id"))

    op.drop_table("checks")
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_links_attempt_id"))

    op.drop_table("links")
    op.drop_table("git_passwords")
    op.drop_table("consents")
    with op.batch_alter_table("browser_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_browser_sessions_person_id"))
        batch_op.drop_index(batch_op.f("ix_browser_sessions_attempt_id"))

    op.drop_table("browser_sessions")
    op.drop_table("added_times")
    op.drop_table("staff")
    with op.batch_alter_table("sign_in_links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sign_in_links_person_id"))

    op.drop_table("sign_in_links")
    with op.batch_alter_table("letters", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_letters_unsent",
            sqlite_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
            postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
        )

    op.drop_table("letters")
    op.drop_table("contents")
