"""What a fork does to pools: the child never uses its parent's connections, and the parent never notices.

A connection is one conversation over one socket; if parent and child both speak, both read garbage. So in the child

* every engine gets an empty pool, before any other code runs;
* a connection that was in use at the fork looks invalidated to whoever held it: SQLAlchemy says so, and connects
  anew after a rollback;
* the inherited socket is replaced by one that leads nowhere, so that not even a driver's destructor or an open
  cursor can send a byte to the parent's server, and the connection itself is never finalised.

In the parent the fork waits for threads that are connecting. To connect means to look up names and to prepare for
TLS, under locks of libc and OpenSSL; one that is held at the fork is held in the child for ever.

SQLite's connections are files and not sockets, which is worse: see :mod:`flask_unitofwork.database.sqlite_fork`.

Engines are known here as long as somebody else keeps them, and no longer.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry

from .executions import Info, before_each_execution
from .gate import Gate

__all__ = ["SOCKETS", "Inheritance", "Inherited", "protect"]


class Inheritance(Protocol):
    """How the connections of a kind of database are dealt with around a fork."""

    def before_fork(self, engine: Engine, records: Collection[ConnectionPoolEntry]) -> None:
        """In the parent, before it forks: make what is left to the child as little as possible.

        Args:
            engine: whose connections they are.
            records: the places of its pool, in use or not, connected or not.
        """
        ...

    def in_child(self, inherited: Sequence[Inherited]) -> None:
        """In the child: make all connections of this kind harmless."""
        ...


class Inherited(NamedTuple):
    """A driver's connection that a child has inherited, and what was noted on it (``Connection.info``)."""

    connection: Any
    info: Mapping[str, Any]


class _Protected(NamedTuple):
    inheritance: Inheritance
    records: WeakSet[ConnectionPoolEntry]


# Held over the fork, so that no thread is changing the engines or their records meanwhile.
_lock: Final = threading.RLock()
_engines: Final[WeakKeyDictionary[Engine, _Protected]] = WeakKeyDictionary()
_connecting: Final = Gate()
# Longer than it takes to connect to a server that is there. One that is not must not keep a process from forking.
_CONNECTING_SECONDS: Final = 1.0
_at_fork: Final[list[tuple[Inheritance, ConnectionPoolEntry, Any]]] = []
_kept: Final[list[object]] = []
_HOLDER: Final = "unitofwork_holder"


class _Sockets:
    """The way with drivers that speak to a server."""

    def before_fork(self, engine: Engine, records: Collection[ConnectionPoolEntry]) -> None:
        """Nothing: to close idle connections would cost the parent new ones, and gain the child nothing."""

    def in_child(self, inherited: Sequence[Inherited]) -> None:
        """Let each connection's descriptor, in this process, be a socket whose other end is closed."""
        nowhere, other_end = socket.socketpair()
        other_end.close()
        with nowhere:
            for connection, _ in inherited:
                with suppress(Exception):  # the driver has closed it by itself, or tells nobody its descriptor
                    os.dup2(nowhere.fileno(), _descriptor(connection), inheritable=False)


def _descriptor(connection: Any) -> int:
    """The descriptor of a driver's connection: psycopg, psycopg2 and mysqlclient tell it, PyMySQL does not."""
    owner = connection if hasattr(connection, "fileno") else connection._sock
    number: int = owner.fileno()
    return number


SOCKETS: Final = _Sockets()


def protect(engine: Engine, inheritance: Inheritance = SOCKETS) -> None:
    """See to it that forks do no harm to the connections that *engine* will make.

    Args:
        engine: not yet in use, with the dialect's methods as they will be. It is not kept alive by this.
        inheritance: how connections of its kind are dealt with.
    """
    _let_forks_wait(engine.dialect)
    records: WeakSet[ConnectionPoolEntry] = WeakSet()

    def remember(_connection: object, record: ConnectionPoolEntry) -> None:
        with _lock:
            records.add(record)

    # First of all listeners: from here on the connection may be used.
    event.listen(engine, "connect", remember, insert=True)
    before_each_execution(engine, _remember_holder)
    with _lock:
        _engines[engine] = _Protected(inheritance, records)


def _let_forks_wait(dialect: Any) -> None:
    """See to it that no thread is in the middle of ``dialect.connect()`` when the process forks.

    Why the method is replaced: no event tells of a connection that could not be made, and a "do_connect" listener that
    connects ends the event, so what the user's own listeners do to the arguments would be lost.
    """
    connect = dialect.connect

    def connect_while_nobody_forks(*arguments: Any, **options: Any) -> Any:
        with _connecting.passing():
            return connect(*arguments, **options)

    dialect.connect = connect_while_nobody_forks


def _remember_holder(info: Info, _cursor: object, _statement: str, context: ExecutionContext) -> None:
    info[_HOLDER] = weakref.ref(context.root_connection)


def _keep_for_ever(one: object) -> None:
    """See to it that *one* is never finalised, not even when the interpreter ends."""
    _kept.append(one)
    _count_reference(one)


# The interpreter empties lists when it ends. A reference that is counted but that nobody holds, it cannot drop.
# (Other interpreters than CPython finalise nothing at their end.)
_count_reference: Final[Callable[[object], object]] = (
    (lambda one: ctypes.pythonapi.Py_IncRef(ctypes.py_object(one)))
    if sys.implementation.name == "cpython"
    else (lambda _one: None)
)


# -- around the fork -------------------------------------------------------------------------------------------------


def _known() -> list[tuple[Engine, _Protected]]:
    with _lock:
        return list(_engines.items())


def _before() -> None:
    # Not under the lock: to find what is idle may mean to wait for the pool, where others wait for the lock.
    for engine, protected in _known():
        with suppress(Exception):  # what cannot be tidied up is left to the child
            protected.inheritance.before_fork(engine, list(protected.records))
    _connecting.close(_CONNECTING_SECONDS)
    _lock.acquire()
    for _, protected in _known():
        for record in list(protected.records):
            # A reference of our own: what other threads of the parent do cannot take it from the child.
            if record.dbapi_connection is not None:
                _at_fork.append((protected.inheritance, record, record.dbapi_connection))


def _after_in_parent() -> None:
    _let_go(_connecting.open)


def _after_in_child() -> None:
    try:
        for engine in list(_engines):
            # A new pool in place of the old, whose locks may be held by threads that do not exist here.
            engine.dispose(close=False)
        kinds: dict[Inheritance, list[Inherited]] = {}
        for inheritance, record, connection in _at_fork:
            _keep_for_ever(connection)
            _disown(record)
            _invalidate_holder(record)
            kinds.setdefault(inheritance, []).append(Inherited(connection, record.info))
        for inheritance, inherited in kinds.items():
            inheritance.in_child(inherited)
    finally:
        _let_go(_connecting.open_in_child)


def _let_go(open_gate: Callable[[], None]) -> None:
    _at_fork.clear()
    # Python forks also where a signal's handler has raised in `_before`, and then not all of this is held.
    with suppress(RuntimeError):
        _lock.release()
    open_gate()


def _disown(record: ConnectionPoolEntry) -> None:
    """Part *record*, and who has checked it out, from its connection, without its pool.

    ``PoolProxiedConnection.invalidate()`` and ``detach()`` do the same, but the one closes the connection and both
    give the record back to its pool, whose locks may never be released here. Hence SQLAlchemy's private names
    ``fairy_ref``, ``_finalizer`` and ``_connection_record``. They can change in any release:
    ``tests/database/test_fork.py`` fails then.
    """
    entry: Any = record
    proxy: Any = None if entry.fairy_ref is None else entry.fairy_ref()
    entry.dbapi_connection = None
    entry.fairy_ref = None
    if proxy is not None:
        proxy._finalizer.detach()
        proxy._connection_record = None
        proxy.dbapi_connection = None


def _invalidate_holder(record: ConnectionPoolEntry) -> None:
    """Tell the Connection that uses *record*, if one does, that it has lost what it was connected to."""
    reference = record.info.get(_HOLDER)
    holder: Connection | None = None if reference is None else reference()
    if holder is not None and not holder.closed:
        holder.invalidate()


# Windows does not fork, and has no such function.
_register_at_fork: Final[Callable[..., object]] = getattr(os, "register_at_fork", lambda **_: None)
_register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
