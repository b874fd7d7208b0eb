"""A pool that serves threads in the order in which they came, and says how many may wait for a connection."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from sqlalchemy.util.queue import QueueCommon

from .fair_queue import FairQueue

__all__ = ["BoundedQueuePool"]


class BoundedQueuePool(QueuePool):
    """SQLAlchemy's ``QueuePool``, with a queue in which nobody is overtaken, and an end to it.

    Who would wait behind too many others is refused at once: to wait for the whole of ``pool_timeout``, and then be
    refused all the same, would only keep a thread from answering somebody else.

    Args:
        creator: as SQLAlchemy documents, as are all arguments but the last.
        pool_size: connections that are kept.
        max_overflow: connections beyond these, at busy times.
        pool_max_waiting: how many threads may wait for a connection at a time; None for no limit.
        options: the others of ``QueuePool``.
    """

    # Private: SQLAlchemy has no public way to choose the queue. A test fails if it takes it from elsewhere.
    _queue_class: type[QueueCommon[ConnectionPoolEntry]] = FairQueue

    # SQLAlchemy finds the names of a pool's options in this signature, so none is keyword-only.
    def __init__(
        self,
        creator: Callable[..., Any],
        pool_size: int = 5,
        max_overflow: int = 10,
        pool_max_waiting: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(creator, pool_size=pool_size, max_overflow=max_overflow, **options)
        self._most_overflow = max_overflow if pool_size else -1
        self._most_waiting = pool_max_waiting
        self._waiting = 0
        self._counting = Lock()

    def connect(self) -> PoolProxiedConnection:
        """A connection, as SQLAlchemy documents.

        Raises:
            sqlalchemy.exc.TimeoutError: none was free in time, or as many as may are waiting already.
        """
        if self._most_waiting is None or not self.is_exhausted:
            return super().connect()
        self._queue_up(self._most_waiting)
        try:
            return super().connect()
        finally:
            with self._counting:
                self._waiting -= 1

    @property
    def is_exhausted(self) -> bool:
        """Whether all connections are in use and no more may be opened."""
        return self._most_overflow >= 0 and not self.checkedin() and self.overflow() >= self._most_overflow

    def recreate(self) -> BoundedQueuePool:
        """A new pool with the same options, as SQLAlchemy documents: it is asked for one when an engine is disposed of."""
        pool: Any = super().recreate()
        pool._most_waiting = self._most_waiting
        bounded: BoundedQueuePool = pool
        return bounded

    def _queue_up(self, most: int) -> None:
        with self._counting:
            if self._waiting >= most:
                raise PoolTimeoutError(
                    f"All {self.size() + self.overflow()} connections of the pool are in use, and {self._waiting} threads"
                    " wait for one already, which is as many as may (UNITOFWORK_POOL_MAX_WAITING)."
                )
            self._waiting += 1
