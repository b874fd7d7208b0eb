"""Sessions that one isolated test leaves to another: their objects are of rows that have been rolled back."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final
from weakref import WeakSet

from sqlalchemy import Connection, Engine, event, orm

from ...exceptions import IsolationError

__all__ = ["sessions_watched"]

_used: Final[dict[Engine, WeakSet[orm.Session]]] = {}
"""The engines of the tests in progress, each with the sessions that have used it."""

_kept: Final[WeakSet[orm.Session]] = WeakSet()
"""Those that had objects when their test ended."""


@contextmanager
def sessions_watched(engines: Iterable[Engine]) -> Generator[None]:
    """In the block, which is a test on *engines*, refuse sessions that have objects of another test."""
    own = {engine: WeakSet[orm.Session]() for engine in engines}
    _used.update(own)
    try:
        yield
    finally:
        for engine, sessions in own.items():
            del _used[engine]
            _kept.update(session for session in sessions if len(session.identity_map))


# Registered once: a listener that comes and goes with each test would cost each of them more.
@event.listens_for(orm.Session, "after_begin")
def _begun(session: orm.Session, _transaction: object, connection: Connection) -> None:
    sessions = _used.get(connection.engine)
    if sessions is None:
        return
    if session in _kept:
        if len(session.identity_map):
            raise IsolationError(
                "A session was used that still has objects of another test, whose rows have been rolled back. Make"
                " sessions in the test that uses them, such as by the fixture uow_session; or close a session that is kept"
                " (session.close(), or remove() of its registry) when the test ends."
            )
        _kept.discard(session)
    sessions.add(session)
