"""What a fork does to SQLite, and how its damage is prevented.

SQLite's locks belong to a process, and SQLite counts in its own memory which of them the process has. After a fork
the child has the count but not the locks. While an inherited connection is open there, new connections to the same
file rely on locks that are not held: when another process closes its last connection, it deletes the write-ahead log
under the child, and what the child commits from then on is lost without a word. Or they wait in vain for a lock that,
says the count, this very process has. Closing the inherited connection would make the count right again; but to close
it inside a transaction destroys, in the memory that both processes share, the parent's transaction.

So, from the common case to the rare one:

* Idle connections are closed in the parent before it forks. A connection to a file is cheap to make again.
* A connection that the forking thread uses, outside a transaction, is closed in the child at once.
* Any other, in a transaction or in use by another thread, is left as it is, and the child is refused new
  connections to that file, by an error that says what to do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from .fork import protect

__all__ = ["note_use", "protect_file"]

_USED_BY: Final = "unitofwork_used_by"

# The files, by device and inode, to which this process has inherited an open connection.
_unsafe: Final[set[tuple[int, int]]] = set()


def note_use(info: MutableMapping[str, Any]) -> None:
    """Note on a connection's *info* that this thread uses it."""
    info[_USED_BY] = get_ident()


def protect_file(engine: Engine, file: Path) -> None:
    """See to it that forks do no harm to *file*, the database of *engine*."""
    protect(engine, _File(file))

    @event.listens_for(engine, "connect", insert=True)
    def connected(_connection: object, record: ConnectionPoolEntry) -> None:
        note_use(record.info)

    @event.listens_for(engine, "do_connect")
    def refuse_if_unsafe(*_: object) -> None:
        if _unsafe and _identity(file) in _unsafe:
            raise sqlite3.OperationalError(
                f"this process was forked while a connection to {file.name} was in a transaction or in use by another"
                " thread, and SQLite would lose what is written here. Commit or roll back before you fork, or start"
                ' the process afresh: multiprocessing.get_context("spawn")'
            )


class _File:
    """The way with SQLite."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def before_fork(self, engine: Engine, records: Collection[ConnectionPoolEntry]) -> None:
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

    def in_child(self, connection: Any, info: Mapping[str, Any]) -> None:
        if not connection.in_transaction and info.get(_USED_BY) == get_ident():
            connection.close()
            return
        identity = _identity(self._file)
        if identity is not None:
            _unsafe.add(identity)


def _identity(file: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        status = file.stat()
        return status.st_dev, status.st_ino
    return None
