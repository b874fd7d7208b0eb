"""Read mode: a SELECT leaves no transaction behind, and its connection is anyone's as soon as its rows are there.

Note: what SQLAlchemy's session sees
    It begins what it takes for a transaction with its first statement, on a connection in autocommit. Once a statement
    has run, the connection *rests* (:mod:`flask_unitofwork.database.leases`): the next statement goes on with it, or,
    where somebody has taken it, closes what SQLAlchemy takes for a transaction, which leaves all objects as they are, and
    begins anew. Whatever is not a statement (``begin()``, a flush, ``close()`` …) gives the connection back first.
    So from outside there is no transaction between two statements. That is so only where nothing would be lost: no
    transaction has begun in the database, and no object waits to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import orm
from sqlalchemy.exc import DBAPIError

from .attachment import Attachment, attachment_of

__all__ = ["end_rest", "give_back", "is_clean", "run"]

R = TypeVar("R")


def run(
    session: orm.Session,
    attachment: Attachment,
    execute: Callable[..., R],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> R:
    """Execute a statement in read mode.

    A SELECT that finds its connection lost is sent once more, on a new one: nothing was lost, and nobody notices.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: as SQLAlchemy documents.
    """
    is_read: bool = getattr(args[0] if args else None, "is_select", False)
    if not is_read:
        attachment.unsafe = True  # whatever it is part of must not be sent again
    if attachment.running:
        return execute(*args, **kwargs)
    if attachment.resting:
        if not _resume(attachment):
            give_back(session, attachment)
    elif not _is_outside(session, attachment):
        return execute(*args, **kwargs)
    attachment.running, attachment.unsafe = True, not is_read
    try:
        result = execute(*args, **kwargs)
    except DBAPIError as error:
        if attachment.unsafe or not (error.connection_invalidated and is_clean(session)):
            raise
        give_back(session, attachment)
        result = execute(*args, **kwargs)
    finally:
        attachment.running = False
        _end_statement(session, attachment)
    return result


def _resume(attachment: Attachment) -> bool:
    assert attachment.holder is not None, "connections rest with whoever holds them"
    attachment.resting = False
    return attachment.holder.resume()


def _end_statement(session: orm.Session, attachment: Attachment) -> None:
    """A statement has run, or failed: its connection is anyone's, unless it is in a transaction now."""
    holder = attachment.holder
    if holder is None:
        return
    if not holder.needs_no_connection:
        holder.transaction_has_begun()
        return
    if session.in_nested_transaction() or not is_clean(session):
        holder.stay()
        return
    attachment.resting = holder.rest()
    if not attachment.resting:
        give_back(session, attachment)


def end_rest(session: orm.Session) -> None:
    """What comes now uses the session's connection in another way than a statement: one that rests is given back."""
    attachment = attachment_of(session)
    if attachment is not None and attachment.resting:
        give_back(session, attachment)


def give_back(session: orm.Session, attachment: Attachment) -> None:
    """Close what SQLAlchemy takes for a transaction, in which nothing has been written: its connections are given back."""
    if attachment.resting:
        _resume(attachment)
    transaction = orm.Session.get_transaction(session)
    if transaction is None:
        return
    attachment.releasing = True
    try:
        transaction.close()
    finally:
        attachment.releasing = False


def _is_outside(session: orm.Session, attachment: Attachment) -> bool:
    """Whether no transaction has begun in any database, and no savepoint is open."""
    if session.in_nested_transaction():
        return False
    return attachment.holder is None or attachment.holder.is_outside_transaction


is_clean: Final[Callable[[orm.Session], bool]] = orm.Session._is_clean
"""Whether no object of a session waits to be written.

Private: the public way, ``session.new`` and ``session.deleted``, makes two sets to see that they are empty, and is asked
for with each statement. A test fails if SQLAlchemy keeps its objects in another way.
"""
