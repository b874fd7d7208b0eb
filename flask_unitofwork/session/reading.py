"""Read mode: a SELECT leaves no transaction behind, and its connection is anyone's as soon as its rows are there.

Note: what SQLAlchemy's session sees
    It begins what it takes for a transaction with each statement, on a connection in autocommit; and once the statement
    has run, that is closed, which gives the connection back and leaves all objects as they are. It is closed only where
    nothing would be lost with it: no transaction has begun in the database, and no object waits to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import orm
from sqlalchemy.exc import DBAPIError

from .attachment import Attachment

__all__ = ["give_back", "run"]

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
    if not getattr(args[0] if args else None, "is_select", False):
        attachment.unsafe = True  # whatever it is part of must not be sent again
    if not _is_outside(session, attachment):
        return execute(*args, **kwargs)
    attachment.unsafe = not _is_clean(session) or not getattr(args[0] if args else None, "is_select", False)
    try:
        try:
            return execute(*args, **kwargs)
        except DBAPIError as error:
            if attachment.unsafe or not error.connection_invalidated:
                raise
            give_back(session, attachment)
            return execute(*args, **kwargs)
    finally:
        holder = attachment.holder
        if (
            holder is not None
            and holder.needs_no_connection
            and not session.in_nested_transaction()
            and _is_clean(session)
        ):
            give_back(session, attachment)


def give_back(session: orm.Session, attachment: Attachment) -> None:
    """Close what SQLAlchemy takes for a transaction, in which nothing has been written: its connections are given back."""
    transaction = session.get_transaction()
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


def _is_clean(session: orm.Session) -> bool:
    """Whether no object waits to be written."""
    return not (session.identity_map.check_modified() or session.new or session.deleted)
