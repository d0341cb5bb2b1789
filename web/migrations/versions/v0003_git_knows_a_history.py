"""Git knows a history: where an attempt's branch stood, and what was new with it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "git_tips",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("attempt_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("commit", sa.String(40), nullable=False),
        sa.Column("snapshot_number", sa.Integer, nullable=False),
        sa.Column("blobs", sa.JSON, nullable=False),
        sa.Column("objects", sa.LargeBinary, nullable=False),
        sa.Column("held", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_git_tips_attempt_id_attempts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_git_tips")),
        sa.UniqueConstraint("attempt_id", "number", name=op.f("uq_git_tips_attempt_id_number")),
    )


def downgrade() -> None:
    op.drop_table("git_tips")
