"""Who waits for a connection is served in the order of asking, and no connection is lost on the way."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from sqlalchemy.util.queue import Empty, Full

from flask_unitofwork.database.fair_queue import FairQueue

from .conftest import MakeEngines


class WantsOutError(Exception):
    """Raised by a signal, as Ctrl-C is."""


@contextmanager
def interrupted(meanwhile: Callable[[], object]) -> Generator[None]:
    """In the block, do *meanwhile* in a moment, and raise `WantsOutError` in the middle of whatever the thread waits for."""

    def interrupt(*_: object) -> None:
        meanwhile()
        raise WantsOutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def is_waited_on(queue: Any, number: int) -> None:
    """Return when *number* threads wait."""
    while len(queue._waiting) < number:
        Event().wait(0.001)


def test_items_are_kept_in_order_or_as_a_stack() -> None:
    for use_lifo, order in ((False, [1, 2, 3]), (True, [3, 2, 1])):
        queue = FairQueue[int](3, use_lifo=use_lifo)
        for item in (1, 2, 3):
            queue.put(item)
        assert queue.full()
        assert [queue.get_nowait() for _ in range(3)] == order
        assert queue.empty()


def test_there_is_no_place_for_more_than_it_holds() -> None:
    queue = FairQueue[int](1)
    queue.put_nowait(1)
    with pytest.raises(Full):
        queue.put_nowait(2)
    assert queue.qsize() == 1


def test_who_does_not_want_to_wait_is_told_that_there_is_none() -> None:
    with pytest.raises(Empty):
        FairQueue[int]().get_nowait()


def test_threads_are_served_in_the_order_in_which_they_came() -> None:
    queue = FairQueue[int]()
    with ThreadPoolExecutor(4) as threads:
        futures: list[Future[int]] = []
        for number in range(4):
            futures.append(threads.submit(queue.get))
            is_waited_on(queue, number + 1)
        for item in range(4):
            queue.put(item)
        assert [future.result() for future in futures] == [0, 1, 2, 3]


def test_who_gives_back_and_asks_again_is_behind_those_who_wait() -> None:
    queue = FairQueue[str]()
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(queue.get)
        is_waited_on(queue, 1)
        queue.put("the only one")
        with pytest.raises(Empty):
            queue.get_nowait()
        assert other.result() == "the only one"


def test_who_has_waited_long_enough_leaves_the_queue() -> None:
    queue = FairQueue[int]()
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    queue.put(1)
    assert queue.get_nowait() == 1


def test_who_is_interrupted_leaves_the_queue() -> None:
    queue = FairQueue[int]()
    with pytest.raises(WantsOutError), interrupted(lambda: None):
        queue.get(timeout=10)
    queue.put(1)
    assert queue.get_nowait() == 1


def test_what_was_given_to_somebody_who_is_interrupted_is_not_lost() -> None:
    queue = FairQueue[int]()
    with pytest.raises(WantsOutError), interrupted(lambda: queue.put(1)):
        queue.get(timeout=10)
    assert queue.get_nowait() == 1


def test_nothing_is_lost_among_many_threads() -> None:
    queue = FairQueue[int]()
    for item in (1, 2):
        queue.put(item)

    def take_turns(_: int) -> int:
        for _ in range(300):
            item = queue.get(timeout=10)
            assert item in {1, 2}
            queue.put(item)
        return 300

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take_turns, range(8))) == 2400
    assert {queue.get_nowait(), queue.get_nowait()} == {1, 2}


def test_a_connection_goes_to_the_thread_that_waits_and_not_to_the_one_that_has_just_had_it(
    database_url: str, make_engines: MakeEngines
) -> None:
    engine = make_engines({"default": {"url": database_url, "pool_size": 1, "max_overflow": 0}})["default"]
    pool: Any = engine.pool
    order: list[str] = []

    def use() -> None:
        with engine.connect():
            order.append("who waited")

    with ThreadPoolExecutor(1) as thread:
        with engine.connect():
            waits = thread.submit(use)
            is_waited_on(pool._pool, 1)
        with engine.connect():
            order.append("who asked again")
        waits.result()
    assert order == ["who waited", "who asked again"]
