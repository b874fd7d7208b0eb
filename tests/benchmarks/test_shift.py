"""What threads get done is counted fairly at the edges."""

from __future__ import annotations

import threading

import pytest

from .shift import Shift, load_between


def test_requests_inside_count_as_one_each() -> None:
    load = load_between(1.0, 3.0, [(1.0, 2.0), (2.0, 3.0)])
    assert load.requests_a_second == pytest.approx(1.0)


def test_a_request_across_an_edge_counts_as_the_part_inside() -> None:
    load = load_between(1.0, 3.0, [(0.0, 2.0), (2.0, 6.0)])
    assert load.requests_a_second == pytest.approx((0.5 + 0.25) / 2)
    assert load.seconds == [2.0, 4.0]


def test_requests_outside_do_not_count() -> None:
    load = load_between(1.0, 2.0, [(0.0, 1.0), (2.0, 3.0)])
    assert load.requests_a_second == 0
    assert load.seconds == []


def test_nobody_stops_before_everybody_had_their_time() -> None:
    shift = Shift(threads=2, seconds=0.01)
    spans = {}
    other_began = threading.Event()

    def early() -> None:
        spans["early"] = shift.work(other_began.wait)

    def late() -> None:
        spans["late"] = shift.work(other_began.set)

    threads = [threading.Thread(target=target) for target in (early, late)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    begin = max(first[0][1] for first in spans.values())
    assert all(requests[-1][1] >= begin + 0.01 for requests in spans.values())
