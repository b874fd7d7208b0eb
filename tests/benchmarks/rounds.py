"""Measuring contestants against each other: interleaved rounds, medians, ratios.

Machines drift: they heat up, share their cores, run other things. So nobody is measured alone: in each round every
contestant has its turn, in an order of the round's own, and is compared with the others of the same round only.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Result", "compare", "table"]


@dataclass(frozen=True)
class Result:
    """What one contestant needed.

    Attributes:
        name: the contestant.
        microseconds: median time of one call.
        ratio: median of its time to the first contestant's in the same round.
    """

    name: str
    microseconds: float
    ratio: float


def compare(contestants: Mapping[str, Callable[[], object]], *, rounds: int, calls: int) -> list[Result]:
    """Measure *contestants*; the first is what the others are compared with.

    Args:
        contestants: name → the call to measure.
        rounds: how many rounds.
        calls: how many calls a turn has.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for call in contestants.values():
        _turn(call, calls)
    for number in range(rounds):
        random.Random(number).shuffle(order)
        for name in order:
            times[name].append(_turn(contestants[name], calls))
    first = times[next(iter(contestants))]
    return [
        Result(
            name,
            statistics.median(own) * 1e6,
            statistics.median(mine / other for mine, other in zip(own, first, strict=True)),
        )
        for name, own in times.items()
    ]


def _turn(call: Callable[[], object], calls: int) -> float:
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - begin) / calls
    finally:
        gc.enable()


def table(title: str, results: list[Result]) -> str:
    """The results as text, one contestant a line."""
    width = max(len(result.name) for result in results)
    lines = [f"{result.name:{width}}  {result.microseconds:8.1f} µs  {result.ratio:6.3f}" for result in results]
    return "\n".join([title, *lines])
