"""Whether a transaction may be answered from a cache, and whether a cache may keep what it reads.

Note: snapshots
    A transaction above READ COMMITTED sees the database as it was when it read for the first time, so what it reads may be
    older than the stamps of the tables. It is kept only if the transaction has seen nothing before the stamps were read.
    In read mode, and in READ COMMITTED, each statement sees what is committed when it runs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection

from ..database.autocommit import is_in_transaction
from ..database.written import keeps_locks_or_settings
from ..session import Attachment, Session, is_clean
from ..transaction import Unit
from .written import WrittenTables

__all__ = ["is_outside_transaction", "may_be_answered", "sees_the_latest"]

_FRESH: Final = "READ COMMITTED"


def may_be_answered(session: Session, attachment: Attachment, written: WrittenTables) -> bool:
    """Whether *session* may be given what was read by others. Otherwise the database is asked, as without a cache.

    Not where objects wait to be written, which a query writes first; nor where the transaction has locked something, whose
    latest state it wants, or set something, on which its rows may depend; nor where it asks for an isolation level, which
    nobody but the database can give.
    """
    owner = attachment.owner
    if isinstance(owner, Unit) and owner.held.intent.isolation_level is not None:
        return False
    return is_clean(session) and not any(map(keeps_locks_or_settings, written.connections))


def is_outside_transaction(session: Session, attachment: Attachment) -> bool:
    """Whether each statement of *session* is by itself: it reads in autocommit, and no transaction has begun."""
    if not attachment.reads or session.in_nested_transaction():
        return False
    return attachment.holder is None or attachment.holder.is_outside_transaction


def sees_the_latest(connection: Connection, before: Collection[Connection]) -> bool:
    """Whether the next statement on *connection* sees what is committed by now. Those *before* have been in use."""
    if connection not in before or not is_in_transaction(connection):
        return True
    if "isolation_level" in connection.get_execution_options():
        return False
    return connection.default_isolation_level == _FRESH
