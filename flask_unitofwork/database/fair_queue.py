"""A queue of idle connections that serves threads in the order in which they came.

SQLAlchemy's own wakes the thread that has waited longest, but does not keep the connection for it: a thread that has just
given one back and wants it again is faster. Under load some requests are overtaken by all others, which nobody sees in
a mean. Here a connection that is given back is the waiting thread's from that moment on.
"""

from __future__ import annotations

from collections import deque
from threading import Lock, RLock
from typing import Generic, TypeVar

from sqlalchemy.util.queue import Empty, Full, QueueCommon

__all__ = ["FairQueue"]

T = TypeVar("T")


class _Waiting(Generic[T]):
    """A thread that waits, and what it is given."""

    __slots__ = ("given", "served")

    def __init__(self) -> None:
        self.given: list[T] = []
        self.served = Lock()
        self.served.acquire()


class FairQueue(QueueCommon[T]):
    """A queue as SQLAlchemy's ``QueuePool`` uses it.

    Args:
        maxsize: how many items it holds; 0 for any number.
        use_lifo: whether what came last is given first. That concerns items; threads are served as they came.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        self.maxsize = maxsize
        self.use_lifo = use_lifo
        self._items: deque[T] = deque()
        # Empty wherever there are items.
        self._waiting: deque[_Waiting[T]] = deque()
        # A garbage collection in the middle of a method may give a connection back.
        self._changing = RLock()

    def qsize(self) -> int:
        return len(self._items)

    def empty(self) -> bool:
        return not self._items

    def full(self) -> bool:
        return 0 < self.maxsize <= len(self._items)

    def put_nowait(self, item: T) -> None:
        self.put(item, block=False)

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Give *item* to the thread that has waited longest, or keep it. Nobody has to wait for that, so it never does.

        Raises:
            sqlalchemy.util.queue.Full: there is no place.
        """
        del block, timeout
        with self._changing:
            if self._waiting:
                self._serve(self._waiting.popleft(), item)
            elif self.full():
                raise Full
            else:
                self._items.append(item)

    def get_nowait(self) -> T:
        return self.get(block=False)

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """An item, after those who asked before.

        Args:
            block: whether to wait for one.
            timeout: seconds; None for any time.

        Raises:
            sqlalchemy.util.queue.Empty: there was none in time.
        """
        with self._changing:
            if self._items:
                return self._take()
        if not block:
            raise Empty
        return self._wait(timeout)

    def _wait(self, timeout: float | None) -> T:
        waiting = _Waiting[T]()
        try:
            with self._changing:
                self._waiting.append(waiting)
                if self._items:  # put there meanwhile, maybe by a garbage collection
                    self._waiting.remove(waiting)
                    return self._take()
            waiting.served.acquire(timeout=-1 if timeout is None else timeout)
            if not self._stop_waiting(waiting):
                return waiting.given.pop()
        except BaseException:  # somebody wants out: what it was given meanwhile is for the next
            if not self._stop_waiting(waiting) and waiting.given:
                self.put(waiting.given.pop())
            raise
        raise Empty

    def _take(self) -> T:
        return self._items.pop() if self.use_lifo else self._items.popleft()

    def _serve(self, waiting: _Waiting[T], item: T) -> None:
        waiting.given.append(item)
        waiting.served.release()

    def _stop_waiting(self, waiting: _Waiting[T]) -> bool:
        """Leave the queue, if it is in it, unserved; False for a thread that was served."""
        with self._changing:
            if waiting.given:
                return False
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            return True
