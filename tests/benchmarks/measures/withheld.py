"""Connections that are withheld while a view that has read waits for something else.

Where a view keeps its connection, no more views can wait at the same time than there are connections.
"""

from __future__ import annotations

from tests.benchmarks.competition import Competition
from tests.benchmarks.contestant import THREADS, Contestant
from tests.benchmarks.contestants.terms import POOL_SIZE
from tests.benchmarks.figures import Figure, Figures
from tests.benchmarks.work import WORK

__all__ = ["measure"]


def measure(competition: Competition) -> list[Figures]:
    def of_one(name: str) -> dict[str, Figure]:
        with competition.lane(name, [WORK["wait"]]) as lane:
            meeting = lane.do(Contestant.meet)
        return {
            "views waiting": Figure(meeting.views),
            "connections": Figure(meeting.connections),
            "idle in transaction": Figure(meeting.in_transaction),
        }

    title = f"{THREADS} views have read and wait elsewhere, with a pool of {POOL_SIZE}: how many at the same time"
    return [Figures(title, competition.each(of_one))]
