"""Tables are made, changed and taken back the same way on SQLite and on PostgreSQL."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import IntegrityError

from tests.web.databases import sqlite_settings
from web.database import MIGRATIONS, Database, DatabaseUnavailable, connect, migrate
from web.models import Table
from web.settings import PROJECT, DatabaseSettings


def tables(settings: DatabaseSettings) -> set[str]:
    database = connect(settings)
    with database.engine.connect() as connection:
        names = set(inspect(connection).get_table_names()) - {"alembic_version"}
    database.close()
    return names


def test_tables_are_made_and_taken_back_and_made_again(empty_settings: DatabaseSettings) -> None:
    wanted = set(Table.metadata.tables)
    for _ in range(2):
        migrate(empty_settings)
        assert tables(empty_settings) == wanted
        migrate(empty_settings, to="base")
        assert tables(empty_settings) == set()


def test_the_models_say_what_the_migrations_make(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_the_databases_checks_are_those_of_the_models(database: Database) -> None:
    wanted = sorted(
        (table.name, f"ck_{table.name}_{str(constraint.name).removeprefix(f'ck_{table.name}_')}")
        for table in Table.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    )
    with database.engine.connect() as connection:
        seen = inspect(connection)
        found = sorted(  # one of a name: SQLite bears an old rule beside the new one, and then both hold
            (table, str(check["name"]))
            for table in Table.metadata.tables
            for check in seen.get_check_constraints(table)
        )
    assert wanted
    assert found == wanted


def test_migrating_again_changes_nothing(database_settings: DatabaseSettings) -> None:
    database = connect(database_settings)
    with database.transaction() as session:
        session.execute(text("INSERT INTO roles VALUES ('1', 'Engineer', '2026-01-01 00:00:00')"))
    migrate(database_settings)
    with database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM roles")) == 1
    database.close()


INSERT_FORM = """
INSERT INTO forms (id, challenge_digest, reference, state, fence, failure, created_at)
VALUES (:id, 'd', :id, :state, 1, :failure, '2026-01-01 00:00:00')
"""


def test_forms_survive_that_they_are_calibrated_and_that_this_is_taken_back(empty_settings: DatabaseSettings) -> None:
    migrate(empty_settings)
    migrate(empty_settings, to="0004")
    database = connect(empty_settings)
    with database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO challenge_versions (digest, slug, version, manifest, rubric, brief, starter, published_at)"
                " VALUES ('d', 'sums', '1.0.0', '{}', '{}', '', 's', '2026-01-01 00:00:00')"
            )
        )
        session.execute(text(INSERT_FORM), {"id": "old", "state": "pool", "failure": None})
    migrate(empty_settings)
    with database.transaction() as session:
        assert session.execute(text("SELECT state, calibration FROM forms")).all() == [("pool", None)]
        session.execute(text(INSERT_FORM), {"id": "unfit", "state": "unfit", "failure": "gate 1: dull"})
        session.execute(text("UPDATE forms SET calibration = '{}' WHERE id = 'old'"))
    migrate(empty_settings, to="0004")
    with database.reading() as session:
        kept = session.execute(text("SELECT id, state, failure FROM forms ORDER BY id")).all()
    assert kept == [("old", "pool", None), ("unfit", "retired", "gate 1: dull")]
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(text(INSERT_FORM), {"id": "again", "state": "unfit", "failure": None})
    database.close()


MIGRATE = """
import sys
from pathlib import Path
from pydantic import SecretStr
from web.database import migrate
from web.settings import DatabaseSettings

state, url = sys.argv[1:]
settings = DatabaseSettings(_env_file=None, state=Path(state), database_url=SecretStr(url))
print("ready", flush=True)
sys.stdin.readline()
migrate(settings)
"""


def test_processes_that_start_at_once_migrate_once(empty_settings: DatabaseSettings) -> None:
    command = [
        sys.executable,
        "-P",
        "-c",
        MIGRATE,
        str(empty_settings.state),
        empty_settings.database_url.get_secret_value(),
    ]
    running = [
        subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        _, complaint = process.communicate(timeout=60)
        assert (process.returncode, complaint) == (0, "")
    assert tables(empty_settings) == set(Table.metadata.tables)


def test_a_database_of_a_newer_version_is_refused(empty_settings: DatabaseSettings) -> None:
    migrate(empty_settings)
    database = connect(empty_settings)
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnavailable, match=r"revision 9999, which this version does not know: run the version"):
        migrate(empty_settings)
    assert tables(empty_settings) == set(Table.metadata.tables)
    database.close()


def test_a_migration_that_fails_leaves_nothing_behind(empty_settings: DatabaseSettings) -> None:
    database = connect(empty_settings)
    if database.engine.dialect.name == "sqlite":
        empty_settings.state.mkdir()
    with database.transaction() as session:
        session.execute(text("CREATE TABLE findings (taken integer)"))  # the last but one that is made
    with pytest.raises(Exception, match="findings"):  # each database has its own kind
        migrate(empty_settings)
    assert tables(empty_settings) == {"findings"}
    database.close()


DRAFT_AND_TAKE = """
set -e
"$0" -P -m web.migrations "Give people a nickname"
"$0" -P -c '
from pathlib import Path
from web.database import migrate
from web.settings import DatabaseSettings
migrate(DatabaseSettings(_env_file=None, state=Path("state"), database_url="", database_url_file=""))
'
! "$0" -P -m web.migrations "Nothing"
"""


def test_the_next_migration_is_drafted_from_the_models(tmp_path: Path) -> None:
    for name in ("web", "graders", "sandbox"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    people = tmp_path / "web" / "models" / "people.py"
    named = "    name: Mapped[Name]\n"
    people.write_text(people.read_text().replace(named, f"{named}    nickname: Mapped[Name | None]\n"))
    ended = subprocess.run(
        ["sh", "-c", DRAFT_AND_TAKE, sys.executable],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == "the migrations make all that the models say\n"
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    number = int(newest or 0) + 1
    draft = tmp_path / "web" / "migrations" / "versions" / f"v{number:04}_give_people_a_nickname.py"
    words = draft.read_text()
    assert f'down_revision = "{newest}"' in words
    assert "nickname" in words.partition("def downgrade")[0]
    assert "drop_column('nickname')" in words.partition("def downgrade")[2]


def test_every_migration_has_one_before_it_and_one_end() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_the_file_is_for_nobody_elses_eyes(tmp_path: Path) -> None:
    settings = sqlite_settings(tmp_path / "new" / "state")
    migrate(settings)
    database = connect(settings)
    with database.transaction() as session:
        session.execute(text("INSERT INTO roles VALUES ('1', 'Engineer', '2026-01-01 00:00:00')"))
        names = sorted(settings.state.glob("assay.db*"))
        assert {path.stat().st_mode & 0o077 for path in names} == {0}
        assert settings.state / "assay.db-wal" in names
    database.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://ada@build/assay", "mysql: only sqlite:///PATH and postgresql://"),
        ("sqlite://", "sqlite: only sqlite:///PATH and postgresql://"),
        ("what is this", "is no address of a database"),
    ],
)
def test_an_address_that_is_none_gets_a_sentence(url: str, words: str, tmp_path: Path) -> None:
    settings = DatabaseSettings(_env_file=None, state=tmp_path, database_url=SecretStr(url))
    with pytest.raises(DatabaseUnavailable, match=words):
        connect(settings)


def test_the_address_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"sqlite:///{tmp_path}/elsewhere.db\n")
    settings = DatabaseSettings(
        _env_file=None, state=tmp_path, database_url=SecretStr(""), database_url_file=str(tmp_path / "secret")
    )
    migrate(settings)
    assert (tmp_path / "elsewhere.db").exists()
    gone = settings.model_copy(update={"database_url_file": str(tmp_path / "gone")})
    with pytest.raises(DatabaseUnavailable, match=r"ASSAY_DATABASE_URL_FILE: .*/gone: No such file"):
        connect(gone)
