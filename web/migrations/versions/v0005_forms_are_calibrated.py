"""Forms are calibrated: what was found out about each is kept beside it, and some are not fit to be handed out."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

STATES_BEFORE = "state IN ('making', 'failed', 'pool', 'reserved', 'issued', 'retired')"
STATES = "state IN ('making', 'failed', 'unfit', 'pool', 'reserved', 'issued', 'retired')"


def _allow(rule: str) -> None:
    with op.batch_alter_table("forms") as batch:
        batch.drop_constraint(op.f("ck_forms_state"), type_="check")
        batch.create_check_constraint(op.f("ck_forms_state"), rule)


def upgrade() -> None:
    op.add_column("forms", sa.Column("calibration", sa.Text))
    _allow(STATES)


def downgrade() -> None:
    op.execute("UPDATE forms SET state = 'retired' WHERE state = 'unfit'")
    op.drop_column("forms", "calibration")
    _allow(STATES_BEFORE)
