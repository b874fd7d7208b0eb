"""A gate that many threads may pass at a time, until one closes it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from threading import get_ident

__all__ = ["Gate"]


class Gate:
    """Open, it lets threads pass; closed, it lets only the thread pass that has closed it.

    A thread that has closed it may fork: its child can open it, whatever the other threads were doing.
    """

    def __init__(self) -> None:
        # A thread that has closed it holds this until it is opened, except while it waits.
        self._changed = threading.Condition()
        self._closer: int | None = None
        self._inside: Counter[int] = Counter()

    @contextmanager
    def passing(self) -> Generator[None]:
        """Be inside; wait first while another thread closes the gate."""
        me = get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._closer in (None, me))
            self._inside[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside[me] -= 1
                if not self._inside[me]:
                    del self._inside[me]
                self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Let no other thread in any more, and wait until none is inside.

        Args:
            timeout: seconds to wait. Who is inside after that stays there.

        Raises:
            BaseException: what a signal's handler raised meanwhile. The gate is open then.
        """
        me = get_ident()
        self._changed.acquire()
        try:
            self._changed.wait_for(lambda: self._closer is None)
            self._closer = me
            self._changed.wait_for(lambda: self._inside.keys() <= {me}, timeout)
        except BaseException:
            self._reopen()
            raise

    def open(self) -> None:
        """Let threads pass again, where this thread has closed it."""
        if self._closer == get_ident():
            self._reopen()

    def open_in_child(self) -> None:
        """`open`, in a process that this thread has forked: nobody else is here."""
        me = get_ident()
        self._inside = Counter({me: self._inside[me]} if self._inside[me] else {})
        self.open()

    def _reopen(self) -> None:
        if self._closer == get_ident():
            self._closer = None
            self._changed.notify_all()
        self._changed.release()
