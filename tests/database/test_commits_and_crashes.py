"""What a server says of a transaction counts only if it has not crashed since: then ids are given out again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from flask_unitofwork import UnknownCommitError
from flask_unitofwork.database.commits import has_committed, outcome_is_unknown
from tests.database.committing import begin_unit
from tests.database.conftest import MakeEngines
from tests.servers.postgresql import PostgreSQL
from tests.servers.wire import Cut, Wire

INQUIRY = "pg_xact_status"


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    """A server of the test's own: others must not feel how it dies."""
    server = PostgreSQL()
    yield server
    server.stop()


@pytest.fixture
def wire(server: PostgreSQL) -> Iterator[Wire]:
    wire = Wire(server.borrow())
    yield wire
    wire.close()


@pytest.fixture
def engine(wire: Wire, make_engines: MakeEngines) -> Engine:
    return make_engines({"default": {"url": wire.url}})["default"]


@pytest.fixture
def outsider(wire: Wire) -> Iterator[Engine]:
    """Connects to the same server, past the wire, and has made the table."""
    engine = create_engine(wire.server_url, poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What was there before outlives the crash; and nothing after it reaches the disk by itself.
        connection.execute(text("ALTER SYSTEM SET wal_writer_delay = '10s'"))
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("SET synchronous_commit = on"))
        connection.execute(text("CREATE TABLE note (name VARCHAR(20))"))
    yield engine
    engine.dispose()


def write(connection: Connection) -> int:
    """Write as a unit does, and return which process of the server has done it."""
    begin_unit(connection)
    connection.execute(text("INSERT INTO note VALUES ('tea')"))
    backend: int = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
    return backend


def use_ids(outsider: Engine, last: int) -> set[int]:
    """As soon as the server is there, commit transactions until the id *last* is behind us; return their ids."""
    for attempt in Retrying(
        retry=retry_if_exception_type(DBAPIError), stop=stop_after_delay(30), wait=wait_fixed(0.05)
    ):
        with attempt, outsider.connect() as connection:
            connection.scalar(text("SELECT 1"))
    ids = {0}
    with outsider.connect() as connection:
        while max(ids) < last:
            ids.add(connection.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one())
            connection.commit()
    return ids


def test_after_a_crash_the_commit_of_a_namesake_is_not_ours(engine: Engine, wire: Wire, outsider: Engine) -> None:
    with engine.connect() as connection:
        backend = write(connection)
        ours = connection.execute(text("SELECT pg_current_xact_id_if_assigned()::text::bigint")).scalar_one()
        given_again: set[int] = set()

        def crash() -> None:
            with outsider.connect() as witness, pytest.raises(DBAPIError):
                os.kill(backend, signal.SIGKILL)
                witness.execute(text("SELECT pg_sleep(30)"))  # the crash ends it
            given_again.update(use_ids(outsider, ours))

        wire.when_sent("COMMIT", Cut.BEFORE, then=crash)
        with pytest.raises(UnknownCommitError, match="has crashed since"):
            connection.commit()
        assert outcome_is_unknown(connection)
        connection.rollback()

    with outsider.connect() as admin:
        assert admin.scalar(text("SELECT count(*) FROM note")) == 0
        status = admin.scalar(text("SELECT pg_xact_status((:id)::xid8)"), {"id": str(ours)})
    # It is somebody else's by now, whose commit would have passed for ours. (Unless it reached the disk in time.)
    assert (status == "committed") == (ours in given_again)


def test_an_orderly_restart_forgets_nothing(engine: Engine, wire: Wire, server: PostgreSQL, outsider: Engine) -> None:
    def restart() -> None:
        server._run("pg_ctl", "--wait", "--mode=fast", "restart")

    wire.when_sent("COMMIT", Cut.AFTER)
    wire.when_sent(INQUIRY, Cut.BEFORE, then=restart)
    with engine.connect() as connection:
        write(connection)
        connection.commit()
        assert has_committed(connection)

    assert wire.all_happened
    with outsider.connect() as admin:
        assert admin.scalar(text("SELECT count(*) FROM note")) == 1
