"""Reads without a transaction: a SELECT is one round trip, and leaves nothing behind.

Note: why switching
    A driver begins a transaction before any statement, reads included. So a page that reads one row makes three round
    trips: BEGIN, SELECT, ROLLBACK. On a connection in autocommit a SELECT is one, and the connection is anyone's as soon as
    the rows are there. psycopg changes between the two without asking the server. So its connections are as everybody
    expects them, with the driver's own transactions, and are switched to autocommit for the statements of a unit that
    reads in autocommit (`Intent`): until the first that is not a mere read (:mod:`flask_unitofwork.database.mere_reads`),
    which begins a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.pool import ConnectionPoolEntry

from .executions import Info, before_mere_reads, before_others
from .intent import INTENT, NO_INTENT
from .plan import EnginePlan

__all__ = [
    "can_read_in_autocommit",
    "can_send_alone",
    "has_all_rows",
    "is_in_transaction",
    "leave_autocommit",
    "read_in_autocommit",
    "reads_from_memory",
    "reads_in_autocommit",
    "send_alone",
    "transaction_check",
]

_SWITCHED: Final = "unitofwork_switched"
"""Where a connection has whether it was switched to autocommit."""

_IDLE: Final = 0


# Asked of the driver's connection each time, without a round trip: so there is no state of ours that could be wrong.
_IN_TRANSACTION: Final[Mapping[str, Callable[[Any], bool]]] = {
    "psycopg": lambda connection: connection.pgconn.transaction_status != _IDLE,
    # Its own connections do not tell, for the server's status is not renewed by a SELECT: those of this package do.
    "pymysql": lambda connection: bool(getattr(connection, "in_transaction", True)),
    "pysqlite": lambda connection: connection.in_transaction,
}

# Drivers that change between the two modes without a round trip.
_SWITCHES: Final = frozenset({"psycopg"})

# Drivers on whose connections one statement can be committed by itself.
_SENDS_ALONE: Final = frozenset({"psycopg", "pymysql"})

_READING: Final = "_unitofwork_reading"
"""The attribute of a dialect whose engine's connections are in autocommit for reads."""


def _is_reading(dialect: Dialect) -> bool:
    return getattr(dialect, _READING, False)


def is_in_transaction(connection: Connection) -> bool:
    """Whether a transaction is in progress on *connection*, as far as its driver tells; True where it does not."""
    tell = _IN_TRANSACTION.get(connection.dialect.driver)
    if connection.closed or connection.invalidated or tell is None:
        return True
    return tell(connection.connection.driver_connection)


def transaction_check(connection: Connection) -> Callable[[], bool]:
    """What tells whether a transaction is in progress on *connection*, as long as that is neither closed nor invalidated."""
    tell = _IN_TRANSACTION[connection.dialect.driver]
    return partial(tell, connection.connection.driver_connection)


def has_all_rows(connection: Connection) -> bool:
    """Whether what a statement on *connection* has read is in this process by now, and needs the connection no more."""
    return (
        _is_reading(connection.dialect)
        and "isolation_level" not in connection.get_execution_options()
        and not (connection.closed or connection.invalidated)
    )


def can_read_in_autocommit(plan: EnginePlan) -> bool:
    """Whether reads on *plan*'s engine can do without a transaction, as this module has it.

    Not where the user has chosen an isolation level, nor where transactions have two phases: both are the driver's.
    """
    return plan.url.get_driver_name() in _SWITCHES and "isolation_level" not in plan.options and not plan.two_phase


def read_in_autocommit(engine: Engine) -> None:
    """From now on switch connections of *engine* to autocommit for statements that need no transaction, and back."""
    in_transaction = _IN_TRANSACTION[engine.dialect.driver]
    setattr(engine.dialect, _READING, True)

    @event.listens_for(engine, "checkin")
    def checked_in(connection: Any, record: ConnectionPoolEntry) -> None:
        record.info.pop(_SWITCHED, None)
        # Whoever uses the driver's connection itself finds the driver's own transactions.
        if (
            connection is not None
            and not connection.closed
            and connection.autocommit
            and not in_transaction(connection)
        ):
            connection.autocommit = False

    def switch(info: Info, connection: Any, *, to: bool) -> None:
        if (to or info.get(_SWITCHED)) and not in_transaction(connection):
            info[_SWITCHED] = to
            if connection.autocommit is not to:
                connection.autocommit = to

    def before_read(info: Info, cursor: Any, _statement: str, _context: object) -> None:
        switch(info, cursor.connection, to=info.get(INTENT, NO_INTENT).reads_in_autocommit)

    def before_other(info: Info, cursor: Any, _statement: str, _context: object) -> None:
        switch(info, cursor.connection, to=False)

    before_mere_reads(engine, before_read)
    before_others(engine, before_other)
    _end_nothing(engine.dialect)


def _end_nothing(dialect: Dialect) -> None:
    """Let COMMIT and ROLLBACK cost nothing where no transaction is in progress: psycopg sends nothing, but takes its time."""
    in_transaction, replaced = _IN_TRANSACTION[dialect.driver], cast(Any, dialect)

    def unless_idle(end: Callable[[Any], None]) -> Callable[[Any], None]:
        def end_unless_idle(proxied: Any) -> None:
            if in_transaction(getattr(proxied, "dbapi_connection", proxied)):
                end(proxied)

        return end_unless_idle

    replaced.do_commit = unless_idle(dialect.do_commit)
    replaced.do_rollback = unless_idle(dialect.do_rollback)


def leave_autocommit(connection: Connection) -> None:
    """*connection* is given to somebody who may use its driver: let that begin transactions, as it does by itself."""
    if _is_reading(connection.dialect) and not connection.closed and not connection.invalidated:
        driver_connection: Any = connection.connection.driver_connection
        if connection.info.pop(_SWITCHED, False) and not is_in_transaction(connection):
            driver_connection.autocommit = False


def can_send_alone(engine: Engine) -> bool:
    """Whether single statements on *engine* can be sent in autocommit without a round trip to switch to it."""
    return _is_reading(engine.dialect) and engine.dialect.driver in _SENDS_ALONE


def send_alone(connection: Connection) -> None:
    """Let the next statement on *connection*, on which no transaction is in progress, be committed by itself."""
    driver_connection: Any = connection.connection.driver_connection
    if connection.dialect.driver == "pymysql":
        driver_connection.spare()
        return
    connection.info[_SWITCHED] = True
    driver_connection.autocommit = True


def reads_from_memory(engine: Engine) -> None:
    """Note that rows of *engine* are fetched at once where its connections are in autocommit."""
    setattr(engine.dialect, _READING, True)


def reads_in_autocommit(engine: Engine) -> bool:
    """Whether a unit that reads in autocommit does so on *engine*; otherwise it reads in a transaction there."""
    return _is_reading(engine.dialect) and "isolation_level" not in engine.get_execution_options()
