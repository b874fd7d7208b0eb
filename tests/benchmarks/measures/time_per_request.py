"""µs a request, one request after the other.

Several *lives*: hash seeds and memory layout differ from process to process and are worth some percent, so each
contestant is started several times, and the medians are those of all its lives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from tests.benchmarks.competition import Competition
from tests.benchmarks.contestant import Contestant
from tests.benchmarks.contestants.line_up import LINE_UP, REFERENCE
from tests.benchmarks.figures import Figure, Figures
from tests.benchmarks.lane import Lane
from tests.benchmarks.rounds import interleave, results
from tests.benchmarks.work import Work

__all__ = ["measure"]

LIVES: Final = 2
ROUNDS: Final = 10
WARM_UP: Final = 30
# Long enough for a process to be at work, as a server's is, and not to be waking up.
TURN_SECONDS: Final = 0.08
REFERENCE_TITLE: Final = LINE_UP[REFERENCE].title


def measure(competition: Competition) -> list[Figures]:
    # How long a view waits elsewhere is not the contestants' doing.
    work = [one for one in competition.selection.work if not one.waits]
    lives = competition.selection.portion(LIVES)
    rounds = competition.selection.portion(ROUNDS // lives)
    seconds: dict[str, dict[str, list[float]]] = {one.title: defaultdict(list) for one in work}
    for _ in range(lives):
        with competition.lanes(work) as lanes:
            for one in work:
                for title, own in _life(lanes, one, rounds).items():
                    seconds[one.title][title] += own
    cells: dict[str, dict[str, Figure]] = {}
    for one in work:
        for result in results(seconds[one.title], reference=REFERENCE_TITLE):
            cells.setdefault(result.name, {})[one.title] = Figure(result.microseconds, result.ratio)
    return [Figures("µs a request, one after the other (less is better)", cells)]


def _life(lanes: dict[str, Lane], work: Work, rounds: int) -> dict[str, list[float]]:
    for lane in lanes.values():
        lane.do(Contestant.requests, work.name, WARM_UP)
        lane.do(Contestant.settle)
    calls = max(3, round(TURN_SECONDS / lanes[REFERENCE_TITLE].do(Contestant.turn, work.name, WARM_UP)))

    def turn(lane: Lane) -> Callable[[], float]:
        return lambda: lane.do(Contestant.turn, work.name, calls)

    return interleave({title: turn(lane) for title, lane in lanes.items()}, rounds=rounds)
