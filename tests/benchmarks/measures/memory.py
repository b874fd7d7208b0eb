"""Memory that a process has gained over 20 000 requests for one row: a leak of a hundred bytes a request is 2 MB."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.benchmarks.competition import Competition
from tests.benchmarks.contestant import Contestant
from tests.benchmarks.figures import Figure, Figures
from tests.benchmarks.work import WORK

__all__ = ["measure"]

REQUESTS: Final = 20_000
# Caches fill.
WARM_UP: Final = 1_000
# They only read, and time is not measured.
AT_ONCE: Final = 2
MIB: Final = 2**20


def measure(competition: Competition) -> list[Figures]:
    if not Path("/proc/self/statm").exists():
        return []
    requests = competition.selection.portion(REQUESTS)

    def of_one(name: str) -> dict[str, Figure]:
        with competition.lane(name, [WORK["row"]]) as lane:
            lane.do(Contestant.requests, "row", min(WARM_UP, requests))
            before = lane.do(Contestant.memory)
            lane.do(Contestant.requests, "row", requests)
            after = lane.do(Contestant.memory)
        return {"at first": Figure(before / MIB), "gained": Figure((after - before) / MIB)}

    title = f"MiB of memory over {requests} requests for one row"
    return [Figures(title, competition.each(of_one, at_once=AT_ONCE), decimals=2)]
