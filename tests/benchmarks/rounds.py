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
from functools import partial
from typing import TypeVar

__all__ = ["Result", "compare", "interleave", "results", "seconds_a_call", "table"]

T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """What one contestant needed.

    Attributes:
        name: the contestant.
        microseconds: median time of one call.
        ratio: median of its time to the reference's in the same round.
    """

    name: str
    microseconds: float
    ratio: float


def compare(contestants: Mapping[str, Callable[[], object]], *, rounds: int, calls: int) -> list[Result]:
    """Measure *contestants* that live in this process; the first is what the others are compared with.

    Args:
        contestants: name → the call to measure.
        rounds: how many rounds.
        calls: how many calls a turn has.
    """
    turns = {name: partial(seconds_a_call, call, calls) for name, call in contestants.items()}
    for turn in turns.values():
        turn()
    return results(interleave(turns, rounds=rounds), reference=next(iter(contestants)))


def interleave(turns: Mapping[str, Callable[[], T]], *, rounds: int) -> dict[str, list[T]]:
    """What each contestant's turn gave in each round, whoever came first in it."""
    given: dict[str, list[T]] = {name: [] for name in turns}
    order = list(turns)
    for number in range(rounds):
        random.Random(number).shuffle(order)
        for name in order:
            given[name].append(turns[name]())
    return given


def results(seconds: Mapping[str, list[float]], *, reference: str) -> list[Result]:
    """What *seconds* of each contestant's rounds say."""
    return [
        Result(
            name,
            statistics.median(own) * 1e6,
            statistics.median(mine / other for mine, other in zip(own, seconds[reference], strict=True)),
        )
        for name, own in seconds.items()
    ]


def seconds_a_call(call: Callable[[], object], calls: int) -> float:
    """The time of one of *calls* calls, without the garbage collector's."""
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
