import psycopg
import pytest

from tests.web.postgres_server import postgres_server


@pytest.mark.postgres
def test_the_tests_have_a_postgresql_of_their_own_that_listens_on_no_port() -> None:
    with postgres_server() as address, psycopg.connect(address) as connection:
        row = connection.execute("select current_setting('listen_addresses'), current_user").fetchone()
        assert row == ("", "assay")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address).close()
