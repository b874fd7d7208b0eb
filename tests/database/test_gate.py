"""A gate that threads pass, until one of them closes it."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import pytest

from flask_unitofwork.database.gate import Gate

PATIENCE_SECONDS = 60.0


def test_who_closes_it_waits_for_those_inside_and_they_for_its_opening() -> None:
    gate, order = Gate(), list[str]()
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with gate.passing():
            inside.set()
            leave.wait()
            order.append("left")

    def second() -> None:
        with gate.passing():
            order.append("came")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait()
    threading.Timer(0.1, leave.set).start()
    gate.close(PATIENCE_SECONDS)
    threads[1].start()
    order.append("closed")
    gate.open()
    for thread in threads:
        thread.join()
    assert order == ["left", "closed", "came"]


def test_who_has_closed_it_may_pass() -> None:
    gate = Gate()
    gate.close(PATIENCE_SECONDS)
    with gate.passing():
        gate.open()
    gate.close(0)
    gate.open()


def test_who_closes_it_from_inside_does_not_wait_for_itself() -> None:
    gate = Gate()
    with gate.passing():
        gate.close(PATIENCE_SECONDS)
        gate.open_in_child()
    gate.close(PATIENCE_SECONDS)
    gate.open()


def test_who_is_interrupted_while_it_closes_leaves_it_open() -> None:
    gate = Gate()
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with gate.passing():
            inside.set()
            leave.wait()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise InterruptedError

    staying = threading.Thread(target=stay)
    staying.start()
    inside.wait()
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(InterruptedError):
            gate.close(PATIENCE_SECONDS)
    finally:
        signal.signal(signal.SIGALRM, before)
    gate.open()  # as Python does after the fork
    passing = threading.Thread(target=lambda: gate.passing().__enter__())
    passing.start()
    passing.join(PATIENCE_SECONDS)
    assert not passing.is_alive()
    leave.set()
    staying.join()
