"""What many threads get done in a time in which all of them are at work.

Edges: where a request is nearly as long as the time it is measured in, whatever is counted at the edges decides. So the
time begins only when each thread has had one answer, nobody stops before everybody's time is over, and a request that
lies across an edge counts as the part of it that is inside.

Pauses: after each answer a thread pauses, as a server's thread does that has to read its next request. Without it, a
thread that has given its connection back has it again before any that waits for one has woken up: SQLAlchemy's pool is
not fair, and the others would wait until they time out.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Load", "Shift", "load_between"]

PAUSE_SECONDS: Final = 0.0002
# How long threads wait for one another at the edges.
PATIENCE_SECONDS: Final = 2.0

Span = tuple[float, float]


@dataclass(frozen=True)
class Load:
    """What all threads together got done.

    Attributes:
        requests_a_second: of all of them.
        seconds: how long each request took.
    """

    requests_a_second: float
    seconds: list[float]


class Shift:
    """*seconds* in which *threads* threads work at the same time. Each of them calls `work`."""

    def __init__(self, threads: int, seconds: float) -> None:
        self._threads = threads
        self._seconds = seconds
        self._lock = threading.Lock()
        self._arrived = 0
        self._left = 0
        self._latest_begin = time.perf_counter() + PATIENCE_SECONDS
        self._begin = math.inf

    @property
    def _end(self) -> float:
        return self._begin + self._seconds

    def work(self, ask: Callable[[], object]) -> list[Span]:
        """Ask until everybody's time is over; gives the begin and the end of each request."""
        spans: list[Span] = []
        has_left = False
        while True:
            begin = time.perf_counter()
            ask()
            end = time.perf_counter()
            spans.append((begin, end))
            self._note_begin(end, first=len(spans) == 1)
            if not has_left and end >= self._end:
                has_left = True
                self._leave()
            if self._left == self._threads or end >= self._end + PATIENCE_SECONDS:
                return spans
            time.sleep(PAUSE_SECONDS)

    def load(self, spans: Iterable[Span]) -> Load:
        """What the requests of all threads amount to."""
        return load_between(self._begin, self._end, spans)

    def _note_begin(self, now: float, *, first: bool) -> None:
        with self._lock:
            self._arrived += first
            if self._begin == math.inf and (self._arrived == self._threads or now >= self._latest_begin):
                self._begin = now

    def _leave(self) -> None:
        with self._lock:
            self._left += 1


def load_between(since: float, until: float, spans: Iterable[Span]) -> Load:
    """What these requests amount to from *since* to *until*."""
    requests = 0.0
    seconds: list[float] = []
    for begin, end in spans:
        inside = min(end, until) - max(begin, since)
        if inside > 0:
            requests += inside / (end - begin)
            seconds.append(end - begin)
    return Load(requests / (until - since), seconds)
