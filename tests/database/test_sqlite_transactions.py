"""SQLite's transactions are real: what is rolled back is gone, what was read stays, and nobody is refused at once."""

from __future__ import annotations

import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, column, event, select, table, text
from sqlalchemy.exc import IntegrityError, OperationalError, PendingRollbackError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_unitofwork.database import Engines
from flask_unitofwork.database.intent import Intent
from flask_unitofwork.database.transactions import begin_as
from tests.conftest import Outside
from tests.database.conftest import MakeEngines
from tests.database.test_sqlite import A_LONG_TIME

STOCK = table("stock", column("product"), column("amount"))


@pytest.fixture(params=["sqlite-file", "sqlite-memory"])
def engines(request: pytest.FixtureRequest, make_engines: MakeEngines) -> Engines:
    url: str = request.getfixturevalue("sqlite_url") if request.param == "sqlite-file" else "sqlite://"
    engines = make_engines(url)
    with engines["default"].begin() as connection:
        connection.execute(text("CREATE TABLE stock (product UNIQUE, amount)"))
        connection.execute(text("INSERT INTO stock VALUES ('tea', 0)"))
    return engines


@pytest.fixture
def engine(engines: Engines) -> Engine:
    return engines["default"]


def stock(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row.product: row.amount for row in connection.execute(select(STOCK))}


def tables(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(text("SELECT name FROM sqlite_schema WHERE type = 'table'")))


# -- real ------------------------------------------------------------------------------------------------------------


def test_a_rollback_undoes_ddl(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE customer (name)"))
        connection.execute(text("INSERT INTO customer VALUES ('Ada')"))
        connection.execute(text("ALTER TABLE stock ADD COLUMN place"))
        connection.rollback()

    assert tables(engine) == {"stock"}
    assert stock(engine) == {"tea": 0}


def test_a_savepoint_rolls_back_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        with connection.begin_nested() as savepoint:
            connection.execute(text("INSERT INTO stock VALUES ('rum', 1)"))
            savepoint.rollback()
        with connection.begin_nested():
            connection.execute(text("INSERT INTO stock VALUES ('cake', 2)"))

    assert stock(engine) == {"tea": 0, "cake": 2}


def test_a_rollback_undoes_a_released_savepoint(engine: Engine) -> None:
    with engine.connect() as connection:
        with connection.begin_nested():
            connection.execute(text("INSERT INTO stock VALUES ('rum', 1)"))
        connection.rollback()

    assert stock(engine) == {"tea": 0}


def test_a_failed_statement_leaves_the_others_of_its_transaction(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO stock VALUES ('rum', 1)"))
        with pytest.raises(IntegrityError):
            connection.execute(text("INSERT INTO stock VALUES ('tea', 1)"))

    assert stock(engine) == {"tea": 0, "rum": 1}


@pytest.mark.parametrize(
    "write",
    [
        "INSERT INTO stock VALUES ('rum', 1)",
        "/* first */ update stock set amount = 1",
        "WITH more(product, amount) AS (VALUES ('rum', 1)) INSERT INTO stock SELECT * FROM more",
        "CREATE TABLE customer (name)",
        "SAVEPOINT here",
    ],
)
def test_whatever_writes_takes_the_write_lock_with_its_first_statement(
    write: str, sqlite_url: str, make_engines: MakeEngines
) -> None:
    engine = make_engines(sqlite_url, lock_timeout=0.01)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stock (product, amount)"))

    with engine.connect() as first, engine.connect() as second:
        first.execute(text(write))
        with pytest.raises(OperationalError, match="database is locked") as raised:
            second.execute(text("DELETE FROM stock"))

    assert raised.value.statement == "DELETE FROM stock"


def test_many_rows_are_written_in_one_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO stock VALUES (:product, 1)"), [{"product": "rum"}, {"product": "cake"}])
        connection.rollback()
        connection.exec_driver_sql("INSERT INTO stock VALUES ('rum', 1)")
        connection.rollback()
        connection.execution_options(no_parameters=True).exec_driver_sql("INSERT INTO stock VALUES ('rum', 1)")
        connection.rollback()

    assert stock(engine) == {"tea": 0}


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def test_the_orm_writes_in_one_transaction(engine: Engine) -> None:
    with Session(engine) as session:
        Base.metadata.create_all(session.connection())
        session.add_all(Note(name=str(number)) for number in range(3))
        session.flush()
        session.rollback()

    assert "note" not in tables(engine)


# -- readers ---------------------------------------------------------------------------------------------------------


def test_reading_leaves_the_database_to_writers(engine: Engine) -> None:
    with engine.connect() as reader:
        assert reader.scalar(select(STOCK.c.amount)) == 0
        with engine.begin() as writer:
            writer.execute(STOCK.update().values(amount=5))
        assert reader.scalar(select(STOCK.c.amount)) == 5


def test_who_has_read_and_then_writes_waits_instead_of_failing_at_once(engine: Engine) -> None:
    with engine.connect() as late:
        assert late.scalar(select(STOCK.c.amount)) == 0
        with engine.begin() as early:
            early.execute(STOCK.update().values(amount=STOCK.c.amount + 1))
        late.execute(STOCK.update().values(amount=STOCK.c.amount + 1))
        late.commit()

    assert stock(engine) == {"tea": 2}


def test_reading_for_update_takes_the_write_lock(sqlite_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(sqlite_url, lock_timeout=0.01)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stock (product, amount)"))

    with engine.connect() as first, engine.connect() as second:
        first.execute(select(STOCK).with_for_update())
        with pytest.raises(OperationalError, match="database is locked"):
            second.execute(STOCK.delete())


def test_vacuum_attach_and_pragma_run_outside_a_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("VACUUM"))
        connection.execute(text("ATTACH ':memory:' AS other"))
        connection.execute(text("PRAGMA foreign_keys = OFF"))
        assert connection.scalar(text("PRAGMA foreign_keys")) == 0
        connection.execute(text("DETACH other"))


# -- units that mean to write ----------------------------------------------------------------------------------------


def test_what_a_unit_that_means_to_write_has_read_does_not_change_before_it_writes(engines: Engines) -> None:
    workers, rounds = 8, 12
    start = Barrier(workers)

    def take_one_more(_worker: int) -> None:
        start.wait()
        for _ in range(rounds):
            with engines["default"].begin() as connection:
                begin_as(connection, Intent(writes=True))
                amount = connection.scalar(select(STOCK.c.amount))
                assert amount is not None
                connection.execute(STOCK.update().values(amount=amount + 1))

    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(take_one_more, range(workers)))

    assert stock(engines["default"]) == {"tea": workers * rounds}


def test_a_unit_that_means_to_write_may_write_nothing(engines: Engines) -> None:
    with engines["default"].connect() as connection:
        begin_as(connection, Intent(writes=True))
        connection.scalar(select(STOCK.c.amount))

    with engines["default"].begin() as connection:
        connection.execute(STOCK.update().values(amount=1))


# -- transactions that SQLite ends by itself -------------------------------------------------------------------------


def test_a_transaction_that_an_interrupt_ended_is_not_gone_on_with(
    sqlite_url: str, make_engines: MakeEngines, outside: Outside
) -> None:
    engine = make_engines(sqlite_url, statement_timeout=0.1)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name)"))

    with engine.connect() as connection:
        connection.execute(text("INSERT INTO note VALUES ('first half')"))
        with pytest.raises(OperationalError, match="interrupted") as raised:
            connection.execute(text(f"INSERT INTO note {A_LONG_TIME}"))
        assert raised.value.connection_invalidated
        with pytest.raises(PendingRollbackError):
            connection.execute(text("INSERT INTO note VALUES ('second half')"))
        connection.rollback()
        connection.execute(text("INSERT INTO note VALUES ('afterwards')"))
        connection.commit()

    with outside(engine) as other:
        assert other.scalars(text("SELECT name FROM note")).all() == ["afterwards"]


def test_a_conflict_that_rolls_back_ends_the_transaction_for_everybody(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO stock VALUES ('rum', 1)"))
        with pytest.raises(IntegrityError) as raised:
            connection.execute(text("INSERT OR ROLLBACK INTO stock VALUES ('tea', 1)"))
        assert raised.value.connection_invalidated
        assert connection.invalidated

    assert stock(engine) == {"tea": 0}


def test_other_connections_survive_a_transaction_that_sqlite_ended(engine: Engine) -> None:
    with engine.connect() as other:
        kept = other.connection.driver_connection
        with engine.connect() as connection, pytest.raises(IntegrityError):
            connection.execute(text("INSERT OR ROLLBACK INTO stock VALUES ('tea', 1)"))
    with engine.connect() as one, engine.connect() as two:
        assert kept in {one.connection.driver_connection, two.connection.driver_connection}


def test_an_error_outside_a_transaction_invalidates_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(OperationalError, match="no such table"):
            connection.execute(text("SELECT * FROM nowhere"))
        assert not connection.invalidated
        assert connection.scalar(select(STOCK.c.amount)) == 0


def test_an_error_while_connecting_is_told_as_it_is(make_engines: MakeEngines) -> None:
    engine = make_engines("sqlite:////nowhere/shop.db")["default"]

    with pytest.raises(OperationalError, match="unable to open database file"), engine.connect():
        pass


# -- the user wins ---------------------------------------------------------------------------------------------------


def test_autocommit_as_isolation_level_begins_no_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(STOCK.update().values(amount=1))
        connection.rollback()

    assert stock(engine) == {"tea": 1}


def test_an_isolation_level_of_none_leaves_transactions_to_the_user(sqlite_url: str, make_engines: MakeEngines) -> None:
    own = {"url": sqlite_url, "connect_args": {"isolation_level": None}}
    engine = make_engines({"default": own})["default"]

    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE note (name)"))
        connection.execute(text("BEGIN"))
        connection.execute(text("INSERT INTO note VALUES ('no')"))
        connection.rollback()
        assert connection.scalars(text("SELECT name FROM note")).all() == []


def test_the_users_kind_of_transaction_is_begun(sqlite_url: str, make_engines: MakeEngines) -> None:
    own = {"url": sqlite_url, "connect_args": {"isolation_level": "EXCLUSIVE"}}
    engine = make_engines({"default": own})["default"]
    begun: list[str] = []

    @event.listens_for(engine, "connect")
    def trace(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(begun.append)

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name)"))

    assert begun[0] == "BEGIN EXCLUSIVE"


def test_a_transaction_that_the_user_begins_by_hand_is_the_users(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("BEGIN DEFERRED"))
        connection.execute(STOCK.update().values(amount=1))
        connection.execute(text("ROLLBACK"))

    assert stock(engine) == {"tea": 0}


@pytest.mark.parametrize("autocommit", [True, False])
def test_the_drivers_own_autocommit_mode_is_the_users(
    autocommit: bool, sqlite_url: str, make_engines: MakeEngines
) -> None:
    own = {"url": sqlite_url, "connect_args": autocommit_mode(autocommit)}
    engine = make_engines({"default": own})["default"]

    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        connection.execute(text("CREATE TABLE note (name)"))
        connection.rollback()

    assert tables(engine) == ({"note"} if autocommit else set())


def autocommit_mode(autocommit: bool) -> dict[str, Any]:
    """``connect_args`` for the driver's ``autocommit``, which came with Python 3.12; before, for what imitates it."""
    if sys.version_info >= (3, 12):
        return {"autocommit": autocommit}
    return {"factory": Autocommitting if autocommit else AlwaysInTransaction}


class Autocommitting(sqlite3.Connection):
    """What ``autocommit=True`` does since Python 3.12."""

    autocommit = True

    def commit(self) -> None:
        """Nothing: every statement was."""

    def rollback(self) -> None:
        """Nothing: every statement is committed."""


class AlwaysInTransaction(sqlite3.Connection):
    """What ``autocommit=False`` does since Python 3.12: the driver keeps a transaction open all the time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.autocommit = False

    @property
    def autocommit(self) -> bool:
        return not self.in_transaction

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        super().commit()
        if not value:
            self.execute("BEGIN")

    def commit(self) -> None:
        super().commit()
        self.execute("BEGIN")

    def rollback(self) -> None:
        super().rollback()
        self.execute("BEGIN")
