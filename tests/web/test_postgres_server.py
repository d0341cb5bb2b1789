import psycopg
import pytest

from tests.web.postgres_server import postgres_server, running_postgres


@pytest.mark.postgres
def test_the_tests_have_a_postgresql_of_their_own_that_listens_on_no_port() -> None:
    with postgres_server() as address, psycopg.connect(address) as connection:
        row = connection.execute("select current_setting('listen_addresses'), current_user").fetchone()
        assert row == ("", "assay")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address).close()


@pytest.mark.postgres
def test_the_tests_postgresql_comes_back_with_what_was_committed() -> None:
    with running_postgres() as server:
        with psycopg.connect(server.address) as connection:
            connection.execute("create table kept (word text)")
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.address).close()
        server.start()
        with psycopg.connect(server.address) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (0,)
