"""A COMMIT whose answer is lost on PostgreSQL, with the wire cut in each position around it.

The server is asked what became of it: what is committed is a success, what is not is a lost connection, and only what
nobody can know is an `UnknownCommitError`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from flask_unitofwork import UnknownCommitError
from flask_unitofwork.database import Engines, postgresql_outcome
from flask_unitofwork.database.commits import has_committed, outcome_is_unknown
from flask_unitofwork.database.intent import NO_INTENT, Intent
from flask_unitofwork.database.transactions import begin_as
from flask_unitofwork.database.written import forget_writes
from tests.conftest import Outside
from tests.database.conftest import MakeEngines
from tests.servers.wire import Cut, Wire

QUESTION = "pg_current_xact_id_if_assigned"
INQUIRY = "pg_xact_status"


@pytest.fixture
def wire(postgresql_url: str) -> Iterator[Wire]:
    wire = Wire(postgresql_url)
    yield wire
    wire.close()


@pytest.fixture
def engine(wire: Wire, postgresql_url: str, make_engines: MakeEngines, outside: Outside) -> Engine:
    """An engine with one connection and no more, through the wire, and an empty table."""
    with outside(postgresql_url) as connection:
        connection.execute(text("CREATE TABLE note (name VARCHAR(20))"))
        connection.commit()
    return _engines(make_engines, wire)["default"]


def _engines(make_engines: MakeEngines, wire: Wire) -> Engines:
    # Who waits for the pool gets an error at once, and not after half a minute.
    return make_engines({"default": {"url": wire.url, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}})


@pytest.fixture
def names(postgresql_url: str, outside: Outside) -> Callable[[], list[str]]:
    """What is really in the table."""

    def look() -> list[str]:
        with outside(postgresql_url) as connection:
            return list(connection.scalars(text("SELECT name FROM note ORDER BY name")))

    return look


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for what will not come."""
    monkeypatch.setattr(postgresql_outcome, "PATIENCE_SECONDS", 0.2)


@contextmanager
def unit(engine: Engine, intent: Intent = NO_INTENT) -> Generator[Connection]:
    """A connection in the hands of a unit that has begun."""
    with engine.connect() as connection:
        forget_writes(connection)
        begin_as(connection, intent)
        yield connection


def write(connection: Connection, name: str = "tea") -> None:
    connection.execute(text("INSERT INTO note VALUES (:name)"), {"name": name})


def assert_pool_is_whole(engine: Engine) -> None:
    """It has lent nothing, and what it lends works."""
    pool: Any = engine.pool
    assert pool.checkedout() == 0
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 6 * 7")) == 42
    assert pool.checkedout() == 0


@pytest.fixture(autouse=True)
def nothing_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The pool would log a connection that it cannot reset; nobody raises that."""
    yield
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


# -- where the answer can be found -----------------------------------------------------------------------------------


def test_a_commit_whose_answer_is_lost_has_happened(
    engine: Engine, wire: Wire, names: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)

    with unit(engine) as connection:
        write(connection)
        connection.commit()

        assert wire.all_happened
        assert has_committed(connection)
        assert not outcome_is_unknown(connection)
    assert names() == ["tea"]
    assert_pool_is_whole(engine)
    assert caplog.messages == ["The answer to COMMIT on 'default' was lost; the database says that it was committed."]


def test_the_same_connection_goes_on_after_it(engine: Engine, wire: Wire, names: Callable[[], list[str]]) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)

    with unit(engine) as connection:
        write(connection, "first")
        connection.commit()
        write(connection, "second")
        connection.commit()

    assert names() == ["first", "second"]
    assert_pool_is_whole(engine)


def test_a_commit_that_never_arrived_is_a_lost_connection(
    engine: Engine, wire: Wire, names: Callable[[], list[str]]
) -> None:
    wire.when_sent("COMMIT", Cut.BEFORE)

    with unit(engine) as connection:
        write(connection)
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert wire.all_happened
        assert caught.value.connection_invalidated
        assert not has_committed(connection)
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_a_server_that_has_not_noticed_is_told(engine: Engine, wire: Wire, names: Callable[[], list[str]]) -> None:
    wire.when_sent("COMMIT", Cut.HALF_OPEN)

    with unit(engine) as connection:
        write(connection)
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_a_commit_that_is_still_on_its_way_may_arrive(
    engine: Engine, wire: Wire, names: Callable[[], list[str]]
) -> None:
    wire.when_sent("COMMIT", Cut.HALF_OPEN)
    wire.when_sent(INQUIRY, then=wire.deliver_held)

    with unit(engine) as connection:
        write(connection)
        connection.commit()

        assert wire.all_happened
        assert has_committed(connection)
    assert names() == ["tea"]
    assert_pool_is_whole(engine)


def test_an_inquiry_that_is_lost_too_is_made_again(engine: Engine, wire: Wire, names: Callable[[], list[str]]) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)
    wire.when_sent(INQUIRY, Cut.BEFORE)
    wire.when_sent(INQUIRY, Cut.AFTER)

    with unit(engine) as connection:
        write(connection)
        connection.commit()

    assert wire.all_happened
    assert names() == ["tea"]
    assert_pool_is_whole(engine)


# -- where COMMIT was never sent -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", Cut)
def test_a_connection_lost_before_commit_was_sent_is_just_lost(
    engine: Engine, wire: Wire, names: Callable[[], list[str]], cut: Cut
) -> None:
    wire.when_sent(QUESTION, cut)

    with unit(engine) as connection:
        write(connection)
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert wire.all_happened
        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_a_connection_lost_between_the_last_statement_and_commit_is_just_lost(
    engine: Engine, wire: Wire, names: Callable[[], list[str]]
) -> None:
    with unit(engine) as connection:
        write(connection)
        wire.cut_now()
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_a_connection_lost_before_any_statement_is_just_lost(engine: Engine, wire: Wire) -> None:
    assert_pool_is_whole(engine)
    with unit(engine) as connection:
        wire.cut_now()
        with pytest.raises(OperationalError) as caught:
            write(connection)

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
        connection.rollback()
    assert_pool_is_whole(engine)


def test_a_unit_that_only_reads_has_nothing_to_lose(engine: Engine, wire: Wire) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)

    with unit(engine) as connection:
        connection.execute(text("SELECT name FROM note"))
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert_pool_is_whole(engine)


def test_a_write_that_changed_nothing_has_nothing_to_lose(engine: Engine, wire: Wire) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)

    with unit(engine) as connection:
        connection.execute(text("DELETE FROM note"))
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert_pool_is_whole(engine)


# -- where nobody knows ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize(("cut", "left"), [(Cut.AFTER, ["tea"]), (Cut.BEFORE, [])])
def test_nobody_knows_what_an_unreachable_server_has_done(
    engine: Engine, wire: Wire, names: Callable[[], list[str]], cut: Cut, left: list[str]
) -> None:
    wire.when_sent("COMMIT", cut, then=wire.refuse)

    with unit(engine) as connection:
        write(connection)
        with pytest.raises(UnknownCommitError) as caught:
            connection.commit()

        assert isinstance(caught.value.__cause__, engine.dialect.loaded_dbapi.Error)
        assert outcome_is_unknown(connection)
        assert not has_committed(connection)
        connection.rollback()
    assert names() == left
    wire.allow()
    assert_pool_is_whole(engine)


@pytest.mark.usefixtures("in_haste")
def test_the_error_says_what_to_do_and_no_secret(wire: Wire, make_engines: MakeEngines, engine: Engine) -> None:
    url = make_url(wire.url).set(password="open sesame")
    wire.when_sent("COMMIT", Cut.AFTER, then=wire.refuse)

    with unit(make_engines({"default": "sqlite://", "orders": {"url": url}})["orders"]) as connection:
        write(connection)
        with pytest.raises(UnknownCommitError) as caught:
            connection.commit()

    assert str(caught.value) == (
        "The connection to the database 'orders' was lost after COMMIT was sent and before its answer came, so nobody"
        " knows whether the work was committed: to repeat it may do it twice, to give it up may lose it. PostgreSQL"
        " could not be asked in time what became of it, or has crashed since. Before you repeat the work, look in the"
        " database whether it is there, and give it something to look for, such as a unique key that the client chooses."
    )
    assert "sesame" not in str(caught.value.__cause__)


@pytest.mark.usefixtures("in_haste")
def test_the_next_unit_on_a_connection_that_outlives_them_starts_afresh(engine: Engine, wire: Wire) -> None:
    wire.when_sent("COMMIT", Cut.AFTER, then=wire.refuse)
    with unit(engine) as connection:
        write(connection)
        with pytest.raises(UnknownCommitError):
            connection.commit()
        connection.rollback()

        wire.allow()
        forget_writes(connection)
        begin_as(connection, NO_INTENT)
        write(connection)
        connection.commit()

        assert has_committed(connection)
        assert not outcome_is_unknown(connection)


def test_ctrl_c_during_commit_leaves_it_unknown(engine: Engine, wire: Wire, names: Callable[[], list[str]]) -> None:
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    wire.when_sent("COMMIT", then=interrupt)
    with unit(engine) as connection:
        write(connection)
        with pytest.raises(KeyboardInterrupt):
            connection.commit()
        assert outcome_is_unknown(connection)
        connection.rollback()
    assert_pool_is_whole(engine)


# -- what is asked, and of whom --------------------------------------------------------------------------------------


def test_only_a_unit_that_has_written_asks_before_commit(engine: Engine, wire: Wire) -> None:
    asked: list[str] = []
    wire.when_sent(QUESTION, then=lambda: asked.append("asked"))

    with unit(engine) as connection:
        connection.execute(text("SELECT name FROM note"))
        connection.commit()
    with engine.begin() as connection:
        write(connection)
    assert asked == []

    with unit(engine) as connection:
        write(connection)
        connection.commit()
    assert asked == ["asked"]


def test_a_connection_of_an_engine_is_left_to_sqlalchemy(
    engine: Engine, wire: Wire, names: Callable[[], list[str]]
) -> None:
    with unit(engine) as connection:  # the same connection of the driver was a unit's before
        write(connection, "unit's")
        connection.commit()
    wire.when_sent("COMMIT", Cut.AFTER)

    with engine.connect() as connection:
        write(connection, "own")
        with pytest.raises(OperationalError):
            connection.commit()
        assert not has_committed(connection)
        assert not outcome_is_unknown(connection)

    assert names() == ["own", "unit's"]


def test_an_answer_that_refuses_the_commit_is_raised_as_it_is(engine: Engine, names: Callable[[], list[str]]) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE note ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED"))

    with unit(engine) as connection:
        write(connection)
        write(connection)
        with pytest.raises(DBAPIError) as caught:
            connection.commit()

        assert not caught.value.connection_invalidated
        assert not has_committed(connection)
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_what_is_read_only_has_committed_nothing(engine: Engine) -> None:
    with unit(engine, Intent(read_only=True)) as connection:
        connection.execute(text("SELECT name FROM note"))
        connection.commit()
        assert not has_committed(connection)


def test_the_outcome_is_known_after_the_connection_is_closed(engine: Engine) -> None:
    with unit(engine) as connection:
        write(connection)
        connection.commit()
    assert connection.closed
    assert has_committed(connection)


def test_a_two_phase_commit_is_sqlalchemys(engine: Engine, names: Callable[[], list[str]]) -> None:
    with engine.connect() as connection:
        transaction = connection.begin_twophase()
        forget_writes(connection)
        begin_as(connection, NO_INTENT)
        write(connection)
        transaction.prepare()
        transaction.commit()
    assert names() == ["tea"]
    assert_pool_is_whole(engine)
