"""Telling a database what the transaction that has begun on a connection is for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from . import mysql, postgresql, sqlite_transactions
from .intent import AROUND, IDLE, INTENT, LONE_WRITE, NO_INTENT, REFUSES_WRITES, STREAMS, Intent, LoneWrite

__all__ = [
    "amend_intent",
    "announce_lone_write",
    "begin_as",
    "end_as",
    "forget_intents",
    "permit_writes",
    "refuse_writes",
    "withdraw_lone_write",
]

_Tell = Callable[[Connection, Intent], None]

_BEGIN: Final[Mapping[str, _Tell]] = {
    "sqlite": sqlite_transactions.begin_as,
    "postgresql": postgresql.begin_as,
    "mysql": mysql.begin_as,
    "mariadb": mysql.begin_as,
}


# What is noted on a connection and is over with the transaction, whatever is around that.
_OF_ONE_TRANSACTION: Final = (IDLE, LONE_WRITE, STREAMS)


def begin_as(connection: Connection, intent: Intent, around: Collection[Connection] = ()) -> Intent:
    """A transaction has begun on *connection*, and no statement has run in it: let it be as *intent* says.

    *around* are the connections of the transactions that this one was begun inside of.

    Where the connection is in a transaction already, of which a savepoint stands for this one (as in an isolated test),
    the isolation level stays what it is.

    Returns:
        The intent that the connection had before, for `end_as`.

    Raises:
        sqlalchemy.exc.DBAPIError: the database does not know the isolation level, or does not answer.
    """
    info = connection.info
    before: Intent = info.get(INTENT, NO_INTENT)
    info[INTENT] = intent
    info[REFUSES_WRITES] = intent.read_only
    info[AROUND] = around
    asks = (intent.read_only and not intent.reads_in_autocommit) or intent.isolation_level or intent.timeout
    if asks and connection.dialect.name in _BEGIN:
        _BEGIN[connection.dialect.name](connection, intent)
    return before


def announce_lone_write(connection: Connection, statement: LoneWrite) -> None:
    """*statement* will be the only one in the transaction that has begun on *connection*, so that it needs none."""
    connection.info[LONE_WRITE] = statement


def withdraw_lone_write(connection: Connection) -> None:
    """Undo `announce_lone_write`: the statement needs a transaction, and a COMMIT, after all."""
    connection.info.pop(LONE_WRITE, None)


def amend_intent(connection: Connection, intent: Intent) -> None:
    """The transaction on *connection* goes on, but for *intent*: what is sent from now on counts as that."""
    connection.info[INTENT] = intent
    withdraw_lone_write(connection)


def end_as(connection: Connection, before: Intent) -> None:
    """The transaction on *connection* is over; the one around it, if any, was for *before*.

    A connection that went back to its pool has forgotten already.
    """
    if connection.closed or connection.invalidated:
        return
    info = connection.info
    if info.get(REFUSES_WRITES) and not before.read_only:
        permit_writes(connection)
    for key in _OF_ONE_TRANSACTION:
        info.pop(key, None)
    if before is NO_INTENT:
        info.pop(INTENT, None)  # no unit uses it any more, though it may stay checked out (in an isolated test)
    else:
        info[INTENT] = before


def forget_intents(engine: Engine) -> None:
    """From now on let connections of *engine* forget, when they go back to their pool, what they were last for."""
    event.listen(engine, "checkin", _forget)


def _forget(_connection: object, record: ConnectionPoolEntry) -> None:
    for key in (*_OF_ONE_TRANSACTION, INTENT, REFUSES_WRITES, AROUND):
        record.info.pop(key, None)


def refuse_writes(connection: Connection) -> None:
    """From now on, until its savepoint ends, let the database refuse writes on *connection*, where it can.

    PostgreSQL forgets that by itself at the end of the savepoint.
    """
    connection.info[REFUSES_WRITES] = True
    if connection.dialect.name == "sqlite":
        sqlite_transactions.refuse_writes(connection)
    elif connection.dialect.name == "postgresql":
        postgresql.refuse_writes(connection)


def permit_writes(connection: Connection) -> None:
    """Undo `refuse_writes`, where the database does not do that by itself."""
    connection.info[REFUSES_WRITES] = False
    if connection.dialect.name == "sqlite":
        sqlite_transactions.permit_writes(connection)
