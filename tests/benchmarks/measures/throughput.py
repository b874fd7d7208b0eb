"""Requests a second of 16 threads, and the slowest of them, where the database is some way off.

Passes of one contestant and another take turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Final

from tests.benchmarks.competition import Competition
from tests.benchmarks.contestant import THREADS, Contestant
from tests.benchmarks.contestants.line_up import LINE_UP, REFERENCE
from tests.benchmarks.delaying import DelayingWire
from tests.benchmarks.figures import Figure, Figures
from tests.benchmarks.lane import Lane
from tests.benchmarks.rounds import interleave
from tests.benchmarks.shift import Load

__all__ = ["measure"]

DELAYS_MS: Final = (0.5, 2.0)
# One long one instead of several: where requests take half a second, most of a pass is its edges.
PASSES: Final = 1
PASS_SECONDS: Final = 0.3
REFERENCE_TITLE: Final = LINE_UP[REFERENCE].title

Cells = dict[str, dict[str, Figure]]


def measure(competition: Competition) -> list[Figures]:
    return [figures for delay in DELAYS_MS for figures in _behind(competition, delay)]


def _behind(competition: Competition, delay_ms: float) -> list[Figures]:
    work = [one for one in competition.selection.work if one.reads]
    passes = competition.selection.portion(PASSES)
    rates: Cells = {}
    slowest: Cells = {}
    with (
        closing(DelayingWire(competition.url, delay_ms / 1000)) as wire,
        competition.lanes(work, url=wire.url) as lanes,
    ):
        for one in work:
            for title, loads in _passes(lanes, one.name, passes, PASS_SECONDS * competition.selection.effort).items():
                rates.setdefault(title, {})[one.title] = Figure(
                    statistics.mean(load.requests_a_second for load in loads)
                )
                slowest.setdefault(title, {})[one.title] = Figure(_percentile(loads) * 1000)
        note = str(wire.punctuality())
    where = f"database {delay_ms:g} ms off each way, {THREADS} threads"
    return [
        Figures(f"requests a second, {where} (more is better)", _compared(rates), (note,)),
        Figures(
            f"ms of the slowest request in a hundred (p99), {where} (less is better)", _compared(slowest), decimals=1
        ),
    ]


def _passes(lanes: dict[str, Lane], work: str, passes: int, seconds: float) -> dict[str, list[Load]]:
    def turn(lane: Lane) -> Callable[[], Load]:
        return lambda: lane.do(Contestant.load, work, seconds)

    return interleave({title: turn(lane) for title, lane in lanes.items()}, rounds=passes)


def _percentile(loads: Iterable[Load]) -> float:
    took = sorted(seconds for load in loads for seconds in load.seconds)
    return took[int(len(took) * 0.99)]


def _compared(cells: Cells) -> Cells:
    reference = cells[REFERENCE_TITLE]
    return {
        title: {column: Figure(figure.value, figure.value / reference[column].value) for column, figure in row.items()}
        for title, row in cells.items()
    }
