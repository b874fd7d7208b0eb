"""Where a view waits for something that is neither Python nor the database: another service, say."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

__all__ = ["Elsewhere", "elsewhere"]

ANSWER_SECONDS: Final = 0.02


class Elsewhere:
    """Answers after 20 ms. While it is `held`, it answers nobody, and everybody who asks is counted."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._opened.set()
        self._arrived = threading.Semaphore(0)

    def wait(self) -> None:
        if self._opened.is_set():
            time.sleep(ANSWER_SECONDS)
        else:
            self._arrived.release()
            self._opened.wait()

    @contextmanager
    def held(self) -> Generator[threading.Semaphore]:
        """Inside the block nobody is answered; the semaphore is released once for each who arrives."""
        self._arrived = threading.Semaphore(0)
        self._opened.clear()
        try:
            yield self._arrived
        finally:
            self._opened.set()


elsewhere: Final = Elsewhere()
