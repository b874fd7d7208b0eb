"""What SQLAlchemy's events say of a session's transactions, told to its unit.

Events rather than overridden methods: a transaction may also end by ``with session.begin():``, by a failed flush or by
``close()``, none of which passes through ``commit()`` or ``rollback()``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, event, orm

from .attachment import attachment_of, owner_of
from .reading import end_rest

__all__ = ["listen"]


def listen(session_class: type[orm.Session]) -> None:
    """Tell the units of *session_class*'s sessions what becomes of their transactions."""
    for name, listener in _LISTENERS:
        event.listen(session_class, name, listener)


def _transaction_created(session: orm.Session, transaction: orm.SessionTransaction) -> None:
    attachment = attachment_of(session)
    if attachment is not None and transaction.parent is None:
        attachment.committed = False
        if attachment.owner is not None:
            attachment.owner.transaction_begun()


def _connection_begun(session: orm.Session, transaction: orm.SessionTransaction, connection: Connection) -> None:
    owner = owner_of(session)
    if owner is None:
        return
    if transaction.nested:
        owner.savepoint_begun(connection)
    else:
        owner.connection_begun(connection)


def _before_flush(session: orm.Session, _context: object, _objects: object) -> None:
    attachment = attachment_of(session)
    if attachment is not None:
        end_rest(session)
        attachment.unsafe = attachment.flushing = True


def _flushed(session: orm.Session, _context: object) -> None:
    attachment = attachment_of(session)
    if attachment is not None:
        attachment.flushing = False


def _before_commit(session: orm.Session) -> None:
    attachment = attachment_of(session)
    if attachment is not None and attachment.owner is not None and not session.in_nested_transaction():
        attachment.owner.before_commit()
        attachment.committing = True


def _after_commit(session: orm.Session) -> None:
    attachment = attachment_of(session)
    if attachment is None:
        return
    if session.in_nested_transaction():
        attachment.released = session.get_nested_transaction()
    else:
        attachment.committed = True


def _rolled_back(session: orm.Session, transaction: orm.SessionTransaction) -> None:
    owner = owner_of(session)
    if owner is not None and transaction.nested:
        owner.savepoint_rolled_back(transaction)


def _transaction_ended(session: orm.Session, transaction: orm.SessionTransaction) -> None:
    attachment = attachment_of(session)
    if attachment is None or attachment.owner is None:
        return
    if transaction.nested:
        # A flush that fails in a savepoint rolls it back, and announces no more than that it is over.
        if attachment.released is not transaction:
            attachment.owner.savepoint_rolled_back(transaction)
        attachment.released = None
        return
    if transaction.parent is not None:
        return
    attachment.whole = None
    attachment.committing = attachment.flushing = False
    if attachment.releasing and attachment.holder is not None:
        attachment.holder.connections_given_back()
    else:
        attachment.owner.transaction_ended(committed=attachment.committed)


_LISTENERS: Final[tuple[tuple[str, Callable[..., Any]], ...]] = (
    ("after_transaction_create", _transaction_created),
    ("after_begin", _connection_begun),
    ("before_flush", _before_flush),
    ("after_flush", _flushed),
    ("before_commit", _before_commit),
    ("after_commit", _after_commit),
    ("after_soft_rollback", _rolled_back),
    ("after_transaction_end", _transaction_ended),
)
