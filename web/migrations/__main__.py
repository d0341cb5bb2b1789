"""Drafts the next migration: `python -m web.migrations "what it does"`. It touches no database of yours."""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr

from web.database import MIGRATIONS, connect, migrate
from web.models import Table
from web.models.columns import Moment
from web.settings import DatabaseSettings

DRAFT = '''"""{title}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    {up}


def downgrade() -> None:
    {down}
'''


@click.command()
@click.argument("title")
@click.option("--folder", default=MIGRATIONS / "versions", type=click.Path(path_type=Path), help="Where it is written.")
def draft(title: str, folder: Path) -> None:
    """Write what the models have and the migrations do not make yet. TITLE says what it does."""
    with TemporaryDirectory() as place:
        settings = DatabaseSettings(_env_file=None, state=Path(place), database_url=SecretStr(""), database_url_file="")
        migrate(settings)
        database = connect(settings)
        with database.engine.connect() as connection:
            options = {
                "compare_type": True,
                "render_item": lambda _, item, __: "sa.DateTime(timezone=True)" if isinstance(item, Moment) else False,
            }
            context = MigrationContext.configure(connection, opts=options)
            found = produce_migrations(context, Table.metadata)
            up, down = (
                render_python_code(steps, render_as_batch=True, migration_context=context)
                for steps in (found.upgrade_ops, found.downgrade_ops)
                if steps is not None
            )
        database.close()
    if found.upgrade_ops is None or found.upgrade_ops.is_empty():
        sys.exit("the migrations make all that the models say")
    before = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    revision = f"{int(before or 0) + 1:04}"
    words = "_".join(re.findall("[a-z0-9]+", title.lower()))
    path = folder / f"v{revision}_{words}.py"
    path.write_text(DRAFT.format(title=title, revision=revision, before=before, up=up.strip(), down=down.strip()))
    click.echo(path)


if __name__ == "__main__":
    draft()
