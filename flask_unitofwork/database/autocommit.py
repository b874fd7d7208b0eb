"""Connections in autocommit, on which transactions begin by a BEGIN of our own: with the first statement that needs one.

Note: why not the driver's own BEGIN
    A driver begins a transaction before any statement, reads included. So a page that reads one row makes three round
    trips: BEGIN, SELECT, ROLLBACK. On a connection in autocommit a SELECT is one, and leaves nothing behind: the
    connection is anyone's as soon as the rows are there. And a BEGIN that is ours says in one message what the
    transaction is for: its isolation level, its time limit, and whether it may write.

Note: who decides
    A connection of a unit that reads in autocommit (`Intent`) begins with the first statement that is not a mere read.
    Any other connection, also one that code takes from an engine itself, begins with its first statement, as it would
    with the driver's own BEGIN. Where the code has chosen an isolation level for a connection
    (``execution_options(isolation_level=…)``), the driver is left to do it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine, TextClause, event
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from .executions import Info, before_each_execution
from .intent import INTENT, NO_INTENT, Intent
from .plan import EnginePlan
from .statements import Effect, effect_of

__all__ = [
    "begin_explicitly",
    "begins_explicitly",
    "can_begin_explicitly",
    "has_all_rows",
    "has_ended_by_itself",
    "is_by_hand",
    "is_in_transaction",
    "must_begin",
    "streams",
]

# Where a connection has whether a transaction began on it for the unit in progress, and whether one has ended by itself.
_BEGUN: Final = "unitofwork_begun"
_ENDED: Final = "unitofwork_ended"

_IDLE: Final = 0
_SERVER_STATUS_IN_TRANS: Final = 1


# Asked of the driver's connection each time, without a round trip: so there is no state of ours that could be wrong.
_IN_TRANSACTION: Final[Mapping[str, Callable[[Any], bool]]] = {
    "psycopg": lambda connection: connection.pgconn.transaction_status != _IDLE,
    "pymysql": lambda connection: bool(connection.server_status & _SERVER_STATUS_IN_TRANS),
    "pysqlite": lambda connection: connection.in_transaction,
}

_IN_AUTOCOMMIT: Final[Mapping[str, Callable[[Any], bool]]] = {
    "psycopg": lambda connection: connection.autocommit,
    "pymysql": lambda connection: connection.get_autocommit(),
}

_SET_AUTOCOMMIT: Final[Mapping[str, Callable[[Any, bool], object]]] = {
    "psycopg": lambda connection, on: setattr(connection, "autocommit", on),
    "pymysql": lambda connection, on: connection.autocommit(on),
}


def is_in_transaction(connection: Connection) -> bool:
    """Whether a transaction is in progress on *connection*, as far as its driver tells; True where it does not."""
    tell = _IN_TRANSACTION.get(connection.dialect.driver)
    if connection.closed or connection.invalidated or tell is None:
        return True
    return tell(connection.connection.driver_connection)


def has_ended_by_itself(connection: Connection) -> bool:
    """Whether a transaction on *connection* is over that nobody has ended.

    MySQL and MariaDB commit by themselves before what changes a schema (``ALTER``, ``TRUNCATE`` and many others).
    """
    if connection.closed or connection.invalidated:
        return False
    info = connection.info
    return bool(info.get(_ENDED)) or (bool(info.get(_BEGUN)) and not is_in_transaction(connection))


def has_all_rows(connection: Connection) -> bool:
    """Whether what a statement on *connection* has read is in this process by now, and needs the connection no more."""
    return connection.dialect.driver in _IN_TRANSACTION


def can_begin_explicitly(plan: EnginePlan) -> bool:
    """Whether transactions on *plan*'s engine can begin as this module has it.

    Not where the user has chosen an isolation level, nor where transactions have two phases: both are the driver's.
    """
    return (
        plan.url.get_driver_name() in _SET_AUTOCOMMIT and "isolation_level" not in plan.options and not plan.two_phase
    )


def begins_explicitly(connection: Connection) -> bool:
    """Whether transactions on *connection* begin as this module has it."""
    tell = _IN_AUTOCOMMIT.get(connection.dialect.driver)
    return tell is not None and tell(connection.connection.driver_connection)


def begin_explicitly(engine: Engine, begin: Callable[[Intent], Sequence[str]]) -> None:
    """From now on keep connections of *engine* in autocommit, and begin transactions with what *begin* says."""
    driver = engine.dialect.driver
    in_transaction, in_autocommit = _IN_TRANSACTION[driver], _IN_AUTOCOMMIT[driver]
    set_autocommit = _SET_AUTOCOMMIT[driver]

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        set_autocommit(connection, True)

    @event.listens_for(engine, "checkin")
    def checked_in(connection: Any, record: ConnectionPoolEntry) -> None:
        record.info.pop(_BEGUN, None)
        record.info.pop(_ENDED, None)
        # Whoever chose an isolation level has left the driver's own transactions on.
        if connection is not None and not in_autocommit(connection):
            set_autocommit(connection, True)

    def before(info: Info, cursor: Any, statement: str, context: ExecutionContext) -> None:
        connection = cursor.connection
        if in_transaction(connection) or not in_autocommit(connection):
            return
        intent = info.get(INTENT, NO_INTENT)
        if must_begin(statement, context, intent):
            info[_ENDED] = bool(info.get(_BEGUN))
            info[_BEGUN] = True
            # A cursor of its own: the statement's may be one on the server, which takes nothing but a query.
            own = connection.cursor()
            for one in begin(intent):
                own.execute(one)
            own.close()

    before_each_execution(engine, before)
    _replace_methods(engine, in_transaction, set_autocommit)


def must_begin(statement: str, context: ExecutionContext, intent: Intent) -> bool:
    """Whether *statement* begins a transaction, where none is in progress."""
    if context.root_connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return False
    if not intent.reads_in_autocommit:
        return True
    return is_by_hand(context) or streams(context) or effect_of(statement, context) is not Effect.READ


def is_by_hand(context: ExecutionContext) -> bool:
    """Whether the statement was written by hand (``text()``), so that it may do anything, functions that write included."""
    return context.compiled is None or isinstance(context.invoked_statement, TextClause)


def streams(context: ExecutionContext) -> bool:
    """Whether the statement's rows are fetched while others run: a cursor on a server lives in a transaction."""
    options = context.execution_options
    return bool(options.get("stream_results") or options.get("yield_per"))


def _replace_methods(
    engine: Engine, in_transaction: Callable[[Any], bool], set_autocommit: Callable[[Any, bool], object]
) -> None:
    """Send COMMIT and ROLLBACK only where a transaction is in progress: otherwise each is a round trip for nothing.

    Why the dialect's methods are replaced: SQLAlchemy calls them at the end of what it takes for a transaction, and has
    no event that could prevent it.
    """
    dialect: Any = engine.dialect
    commit, rollback, begin_twophase = dialect.do_commit, dialect.do_rollback, dialect.do_begin_twophase

    def do_commit(proxied: PoolProxiedConnection) -> None:
        if in_transaction(proxied.driver_connection):
            commit(proxied)
        _forget_begun(proxied)

    def do_rollback(proxied: PoolProxiedConnection) -> None:
        if in_transaction(proxied.driver_connection):
            rollback(proxied)
        _forget_begun(proxied)

    def do_begin_twophase(connection: Connection, xid: Any) -> None:
        set_autocommit(connection.connection.driver_connection, False)  # a transaction of two phases is the driver's
        begin_twophase(connection, xid)

    dialect.do_commit, dialect.do_rollback, dialect.do_begin_twophase = do_commit, do_rollback, do_begin_twophase


def _forget_begun(proxied: PoolProxiedConnection) -> None:
    with suppress(NotImplementedError):  # no connection of a pool: SQLAlchemy's first look at the database
        proxied.info.pop(_BEGUN, None)
