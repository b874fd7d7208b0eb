"""Leases: a connection stays with whoever has read on it, at no cost, until somebody else needs one.

Note: why leases
    A connection in autocommit has nothing to lose between two statements. To give it back to its pool after each would
    cost as much as a small query, and, where many wait, a place in the queue. So it *rests* with its session. A session
    that takes it up again finds it as it was; a thread that finds the pool empty takes one that rests, and its session
    gets another when it reads on. What rests counts as idle: ``pool.checkedout()`` is what is in use.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any, Final
from weakref import ref

from sqlalchemy import Connection
from sqlalchemy.pool import PoolProxiedConnection

from .pool import BoundedQueuePool

__all__ = ["Lease", "LeasingPool", "lease_of"]


class Lease:
    """What one who reads holds of a connection, beginning while it is in use. It does not keep the connection alive.

    Args:
        connection: refers to the connection.
        pool: where it is from.
    """

    __slots__ = ("_connection", "_in_use", "_pool", "_taken")

    def __init__(self, connection: ref[Connection], pool: LeasingPool) -> None:
        self._connection = connection
        self._pool = pool
        # Held while the connection is in use, by its session or by whoever takes it away.
        self._in_use = Lock()
        self._in_use.acquire()
        self._taken = False

    @property
    def rests(self) -> bool:
        """Whether somebody else may take the connection."""
        return not (self._taken or self._in_use.locked())

    def rest(self) -> None:
        """The connection is not used any more for now. Where somebody waits for one, it goes there."""
        self._in_use.release()
        if self._pool.is_short:
            self.take()

    def resume(self) -> bool:
        """The connection is used again; False if somebody has taken it, so that it is closed."""
        self._in_use.acquire()
        return not self._taken

    def take(self) -> bool:
        """Give the connection back to its pool, from any thread; False if it is in use or gone."""
        if not self._in_use.acquire(blocking=False):
            return False
        try:
            connection = self._connection()
            if self._taken or connection is None:
                return False
            self._taken = True
            connection.close()
            return True
        finally:
            self._in_use.release()


class LeasingPool(BoundedQueuePool):
    """A pool whose connections may rest with sessions. Its options are `BoundedQueuePool`'s."""

    def __init__(self, creator: Callable[..., Any], **options: Any) -> None:
        super().__init__(creator, **options)
        # A dict and a deque, because each of their methods is done before another thread goes on.
        self._leases: Final[dict[ref[Connection], Lease]] = {}
        self._asking: Final[deque[None]] = deque()

    def connect(self) -> PoolProxiedConnection:
        """A connection, as SQLAlchemy documents; one that rests with a session before a new one, or a wait."""
        self._asking.append(None)
        try:
            # Who asks says so first and looks then; who lets a connection rest does it the other way round. So one of
            # them sees the other, and nobody waits for a connection that rests.
            if self.is_short:
                any(lease.take() for lease in list(self._leases.values()))
            return super().connect()
        finally:
            self._asking.pop()

    def lease(self, connection: Connection) -> Lease:
        """A lease of *connection*, which is in use."""
        # It ends with the Connection, of which each session has its own. Where another lease has taken the place of this
        # one, because its session uses a second connection, there are two references, and one entry.
        reference = ref(connection, self._forget)
        lease = self._leases[reference] = Lease(reference, self)
        return lease

    def _forget(self, reference: ref[Connection]) -> None:
        self._leases.pop(reference, None)

    @property
    def is_short(self) -> bool:
        """Whether more threads ask for a connection than are idle or may be opened without overflow."""
        asking = len(self._asking)
        if not asking:
            return False
        idle = self.checkedin()
        return idle < asking and idle + max(0, -self.overflow()) < asking

    def checkedout(self) -> int:
        """How many connections are in use. One that rests with a session is not."""
        return super().checkedout() - sum(lease.rests for lease in list(self._leases.values()))


def lease_of(connection: Connection) -> Lease | None:
    """A lease of *connection*, which is in use; None where its pool has none to give."""
    pool = connection.engine.pool
    return pool.lease(connection) if isinstance(pool, LeasingPool) else None
