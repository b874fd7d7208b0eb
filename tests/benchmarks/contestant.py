"""A contestant in the process that it has for itself, and what it can be told to do there."""

from __future__ import annotations

import gc
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg

from .asking import Asker, ask, environ_of
from .contestants.line_up import LINE_UP
from .elsewhere import elsewhere
from .rounds import seconds_a_call
from .shift import Load, Shift
from .work import VARIANTS, WORK, Work

__all__ = ["THREADS", "Contestant", "Meeting"]

T = TypeVar("T")

THREADS: Final = 16
WARM_UP_REQUESTS: Final = 2
# How long nobody may have arrived until we take it that nobody will.
PATIENCE_SECONDS: Final = 1.0

_CONNECTIONS: Final = """
    SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%')
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@dataclass(frozen=True)
class Meeting:
    """Views that have read and wait elsewhere, all at the same time.

    Attributes:
        views: how many of `THREADS` have got there.
        connections: how many connections the contestant has to the server.
        in_transaction: how many of these are idle in a transaction.
    """

    views: int
    connections: int
    in_transaction: int


class Contestant:
    """The contestant *name* on the database at *url*."""

    def __init__(self, name: str, url: str) -> None:
        self._url = url
        self._app = LINE_UP[name].open_app(url)
        self._askers: dict[tuple[str, int], Asker] = {}
        self._warm: set[str] = set()

    def answer(self, work: str, variant: int) -> tuple[str, Any]:
        """The status line, and what the body says."""
        status, body = ask(self._app, environ_of(WORK[work], variant))
        assert status.startswith("2"), f"{status}: {body[:2000]!r}"
        return status, json.loads(body)

    def requests(self, work: str, number: int) -> None:
        """Ask *number* times; nothing is measured."""
        asker = self._asker(WORK[work])
        for _ in range(number):
            asker()

    def settle(self) -> None:
        """Have what is here now left out of later garbage collections, of which there is one before each turn."""
        gc.collect()
        gc.freeze()

    def turn(self, work: str, calls: int) -> float:
        """The seconds that one of *calls* requests takes, for a process that is at work: others have just had the processor."""
        self.requests(work, WARM_UP_REQUESTS)
        return seconds_a_call(self._asker(WORK[work]), calls)

    def load(self, work: str, seconds: float) -> Load:
        """Ask from `THREADS` threads for *seconds* seconds."""
        if work not in self._warm:
            self._warm.add(work)
            # Connections are made and statements prepared.
            self._on_all_threads(Asker.__call__, WORK[work])
        shift = Shift(THREADS, seconds)
        spans = self._on_all_threads(shift.work, WORK[work])
        return shift.load(chain.from_iterable(spans))

    def meet(self) -> Meeting:
        """Let `THREADS` views read, and see how many of them can wait elsewhere at the same time."""
        self.requests("wait", 2)
        with elsewhere.held() as arrived:
            all_done = threading.Thread(target=self._on_all_threads, args=(Asker.__call__, WORK["wait"]))
            all_done.start()
            views = 0
            while views < THREADS and arrived.acquire(timeout=PATIENCE_SECONDS):
                views += 1
            with psycopg.connect(self._url) as connection:
                (connections, in_transaction) = connection.execute(_CONNECTIONS).fetchone() or (0, 0)
        all_done.join()
        return Meeting(views, connections, in_transaction)

    def memory(self) -> int:
        """The bytes of memory that the process has (Linux only)."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS)

    def _on_all_threads(self, what: Callable[[Asker], T], work: Work) -> list[T]:
        together = threading.Barrier(THREADS)

        def on_thread(number: int) -> T:
            together.wait()
            return what(self._asker(work, number))

        return list(self._threads.map(on_thread, range(THREADS)))

    def _asker(self, work: Work, thread: int = 0) -> Asker:
        """The one for this work on this thread; it goes on where it was."""
        key = work.name, thread
        if key not in self._askers:
            each = VARIANTS // THREADS
            self._askers[key] = Asker(self._app, work, range(thread * each, (thread + 1) * each))
        return self._askers[key]
