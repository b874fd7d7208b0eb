"""What a fork does to SQLite, and how its damage is prevented.

SQLite's locks belong to a process, and SQLite counts in its own memory which of them the process has. After a fork
the child has the count but not the locks. While an inherited connection is open there, new connections to the same
file rely on locks that are not held: when another process closes its last connection, it deletes the write-ahead log
under the child, and what the child commits from then on is lost without a word. Or they wait in vain for a lock that,
says the count, this very process has. Closing the inherited connection would make the count right again; but to close
it inside a transaction destroys, in the memory that both processes share, the parent's transaction.

Besides, SQLite's own mutexes may be held by a thread that the child does not have; then any call hangs for ever.

So, from the common case to the rare one:

* Idle connections are closed in the parent before it forks. A connection to a file is cheap to make again.
* A connection that the forking thread uses, outside a transaction, is closed in the child at once.
* Where a connection is in a transaction, or another thread uses one, they are left as they are, and the child is
  refused new connections to those files, by an error that says what to do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from .fork import Inherited, protect

__all__ = ["note_use", "protect_file"]

_USED_BY: Final = "unitofwork_used_by"
_FILE: Final = "unitofwork_file"

# The files, by device and inode, to which this process has inherited an open connection.
_unsafe: Final[set[tuple[int, int]]] = set()


def note_use(info: MutableMapping[str, Any]) -> None:
    """Note on a connection's *info* that this thread uses it."""
    info[_USED_BY] = get_ident()


def protect_file(engine: Engine, file: Path) -> None:
    """See to it that forks do no harm to *file*, the database of *engine*."""
    protect(engine, _FILES)

    @event.listens_for(engine, "connect", insert=True)
    def connected(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_FILE] = file
        note_use(record.info)

    @event.listens_for(engine, "do_connect")
    def refuse_if_unsafe(*_: object) -> None:
        if _unsafe and _identity(file) & _unsafe:
            raise sqlite3.OperationalError(
                f"this process was forked while a connection to {file.name} was in a transaction or in use by another"
                " thread, and SQLite would lose what is written here. Commit or roll back before you fork, or start"
                ' the process afresh: multiprocessing.get_context("spawn")'
            )


class _Files:
    """The way with SQLite."""

    def before_fork(self, engine: Engine, records: Collection[ConnectionPoolEntry]) -> None:
        """Close idle connections."""
        pool = engine.pool
        has_idle = any(record.dbapi_connection is not None and not record.in_use for record in records)
        # Other pools may hand out what is in use.
        if not has_idle or not isinstance(pool, QueuePool):
            return
        idle: list[PoolProxiedConnection] = []
        try:
            idle.extend(pool.connect() for _ in range(pool.checkedin()))
        finally:
            for connection in idle:
                connection.invalidate()

    def in_child(self, inherited: Sequence[Inherited]) -> None:
        """Close what can be closed, and remember the files for which that is not so."""
        alone = all(info.get(_USED_BY) == get_ident() for _, info in inherited)
        for connection, info in inherited:
            if not (alone and _close(connection)):
                _unsafe.update(_identity(info[_FILE]))


def _close(connection: Any) -> bool:
    """Close *connection* unless it is in a transaction. Whether it is closed now."""
    with suppress(sqlite3.Error):
        if not connection.in_transaction:
            connection.close()
            return True
    return False


def _identity(file: Path) -> set[tuple[int, int]]:
    """The device and inode of *file*; nothing if there is no such file any more."""
    with suppress(OSError):
        status = file.stat()
        return {(status.st_dev, status.st_ino)}
    return set()


_FILES: Final = _Files()
