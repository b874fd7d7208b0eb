"""What SQLAlchemy's events say of a transaction, told to what notes the tables that it writes.

A commit is told before SQLAlchemy says that the transaction is over: hooks that run after it read what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, event, orm
from sqlalchemy.orm import sessionmaker

from ..session import Session, attachment_of
from .written import WrittenTables

__all__ = ["listen", "written_in"]


def written_in(session: orm.Session) -> WrittenTables | None:
    """What the transaction of *session* has written; None where nobody notes it."""
    attachment = attachment_of(session)
    cache = None if attachment is None else attachment.cache
    return cache if isinstance(cache, WrittenTables) else None


def listen(sessions: sessionmaker[Session]) -> None:
    """From now on note what becomes of what sessions made by *sessions* write."""
    for name, listener in _LISTENERS:
        event.listen(sessions, name, listener)


def _created(session: orm.Session, transaction: orm.SessionTransaction) -> None:
    written = written_in(session)
    if written is not None and transaction.nested:
        written.begin_savepoint(transaction)


def _begun(session: orm.Session, _transaction: object, connection: Connection) -> None:
    written = written_in(session)
    if written is not None:
        written.join(connection)


def _committed(session: orm.Session) -> None:
    written = written_in(session)
    if written is None:
        return
    if session.in_nested_transaction():
        written.release(session.get_nested_transaction())
    else:
        written.commit()


def _ended(session: orm.Session, transaction: orm.SessionTransaction) -> None:
    written = written_in(session)
    if written is None:
        return
    if transaction.nested:
        written.roll_back(transaction)
    elif transaction.parent is None:
        written.end()


_LISTENERS: Final[tuple[tuple[str, Callable[..., Any]], ...]] = (
    ("after_transaction_create", _created),
    ("after_begin", _begun),
    ("after_commit", _committed),
    ("after_transaction_end", _ended),
)
