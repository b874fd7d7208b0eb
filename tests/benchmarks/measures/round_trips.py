"""Round trips on the wire: how often a request waits for an answer of the database."""

from __future__ import annotations

import statistics
from contextlib import closing
from functools import partial
from typing import Final

from tests.benchmarks.competition import Competition
from tests.benchmarks.contestant import Contestant
from tests.benchmarks.contestants.terms import postgresql_url
from tests.benchmarks.figures import Figure, Figures
from tests.servers.counting import CountingWire

__all__ = ["measure"]

# Connections are made and statements prepared.
WARM_UP: Final = 30
# Pools of some contestants also speak to the server by themselves: the median is of requests where they did not.
REQUESTS: Final = 11


def measure(competition: Competition) -> list[Figures]:
    return [Figures("round trips a request", competition.each(partial(_of_one, competition)))]


def _of_one(competition: Competition, name: str) -> dict[str, Figure]:
    work = competition.selection.work
    trips: dict[str, Figure] = {}
    with (
        closing(CountingWire(competition.url)) as wire,
        competition.lane(name, work, url=postgresql_url(wire.url)) as lane,
    ):
        for one in work:
            lane.do(Contestant.requests, one.name, WARM_UP)
            counts: list[int] = []
            for _ in range(REQUESTS):
                wire.forget()
                lane.do(Contestant.requests, one.name, 1)
                counts.append(wire.round_trips)
            trips[one.title] = Figure(statistics.median(counts))
    return trips
