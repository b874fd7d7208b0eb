"""Reads without a transaction on MySQL and MariaDB, with connections of `BeginningConnection`."""

from __future__ import annotations

from typing import Any

from pymysql.cursors import SSCursor
from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.pool import ConnectionPoolEntry

from .autocommit import reads_from_memory
from .executions import Info, before_mere_reads
from .intent import INTENT, NO_INTENT
from .pymysql_connection import BeginningConnection

__all__ = ["read_in_autocommit"]


def read_in_autocommit(engine: Engine) -> None:
    """From now on connect *engine* so that a read needs no transaction, and begin one with everything else.

    Why the dialect's method is replaced: a "do_connect" listener that connects ends the event, so what the user's own
    listeners do to the arguments (a password that changes) would be lost.

    Args:
        engine: not yet in use, with PyMySQL.
    """
    dialect: Any = engine.dialect
    connect = dialect.connect

    def connect_beginning(*args: Any, **arguments: Any) -> Any:
        if "autocommit" in arguments:  # by a listener of the user's
            return connect(*args, **arguments)
        return BeginningConnection(*args, **arguments)

    dialect.connect = connect_beginning
    reads_from_memory(engine)
    before_mere_reads(engine, _before)
    event.listen(engine, "handle_error", _spare_nothing)
    # SQLAlchemy and the user send settings when they connect: those are part of no transaction.
    event.listen(engine, "connect", _settle)
    event.listen(engine, "checkin", _settle)


def _before(info: Info, cursor: Any, _statement: str, _context: object) -> None:
    connection = cursor.connection
    if not isinstance(connection, BeginningConnection):
        return
    if (
        info.get(INTENT, NO_INTENT).reads_in_autocommit
        and not connection.in_transaction
        and not isinstance(cursor, SSCursor)  # its rows are fetched while others run
    ):
        connection.spare()


def _spare_nothing(failure: ExceptionContext) -> None:
    """A statement that failed before it was sent has left its place to whatever comes next."""
    context: Any = failure.execution_context
    connection = None if context is None else getattr(context.cursor, "connection", None)
    if isinstance(connection, BeginningConnection):
        connection.spare_not()


def _settle(connection: object, record: ConnectionPoolEntry) -> None:
    if not isinstance(connection, BeginningConnection):
        return
    try:
        connection.settle()
    except Exception as error:  # noqa: BLE001  whatever it is, nobody else must get this connection
        record.invalidate(error)
