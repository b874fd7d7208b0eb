"""A gate that many threads may pass at a time, until one closes it."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["Gate"]


class Gate:
    """Open, it lets threads pass; closed, they wait until it is opened.

    A thread that has closed it may fork: its child can open it, whatever the other threads were doing.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closing = 0
        self._inside = 0

    @contextmanager
    def passing(self) -> Generator[None]:
        """Be inside; wait first while somebody closes the gate."""
        with self._changed:
            self._changed.wait_for(lambda: not self._closing)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Let nobody in any more, and wait until nobody is inside.

        Args:
            timeout: seconds to wait. Who is inside after that stays there.
        """
        self._changed.acquire()
        self._closing += 1
        self._changed.wait_for(lambda: not self._inside, timeout)

    def open(self) -> None:
        """Let threads pass again."""
        self._closing -= 1
        self._changed.notify_all()
        self._changed.release()

    def open_in_child(self) -> None:
        """`open`, in a process that this thread has forked: nobody else is here."""
        self._inside = 0
        self._closing = 1
        self.open()
