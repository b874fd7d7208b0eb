"""``python -m tests.benchmarks``: measure the contestants, print the table, write JSON and a chart.

`selection` tells the environment variables that choose what is measured.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tests.servers.postgresql import PostgreSQL

from .chart import draw
from .competition import Competition
from .conditions import conditions
from .contestants.terms import postgresql_url
from .figures import Figures
from .measures import memory, round_trips, throughput, time_per_request, withheld
from .report import as_json, as_text
from .selection import Selection, SelectionError
from .world import build_world

MEASURES: Final[Mapping[str, Callable[[Competition], list[Figures]]]] = MappingProxyType(
    {
        "time": time_per_request.measure,
        "round-trips": round_trips.measure,
        "throughput": throughput.measure,
        "withheld": withheld.measure,
        "memory": memory.measure,
    }
)


def main() -> None:
    try:
        selection = Selection.from_environment(os.environ)
    except SelectionError as error:
        sys.exit(str(error))
    about = conditions()
    begin = time.perf_counter()
    figures: list[Figures] = []
    server = PostgreSQL()
    try:
        url = postgresql_url(server.borrow())
        build_world(url)
        competition = Competition(selection, url)
        for name in selection.measures:
            print(f"{time.perf_counter() - begin:4.0f} s: measuring {name} …", file=sys.stderr, flush=True)
            figures += MEASURES[name](competition)
    finally:
        server.stop()
    about["measured in"] = f"{time.perf_counter() - begin:.0f} s, effort {selection.effort:g}"
    print(as_text(figures, about))
    selection.results.mkdir(parents=True, exist_ok=True)
    written = selection.results / "benchmarks.json"
    written.write_text(as_json(figures, about) + "\n", encoding="utf-8")
    print(f"\nwritten: {written}")
    chart = selection.results / "benchmarks.png"
    if draw(figures, chart):
        print(f"written: {chart}")


if __name__ == "__main__":
    main()
