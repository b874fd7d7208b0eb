"""What is found is told as text, to programs, and as a picture."""

from __future__ import annotations

import json
from pathlib import Path

from .chart import draw
from .figures import Figure, Figures
from .report import as_json, as_text

TIME = Figures("µs a request", {"ours": {"one row": Figure(310.4, 0.5)}, "theirs": {"one row": Figure(620.8, 1.0)}})
TRIPS = Figures("round trips", {"ours": {"one row": Figure(1)}, "theirs": {"create": Figure(3)}}, notes=("counted",))


def test_the_table_has_a_line_for_each_contestant_under_each_measure() -> None:
    assert as_text([TIME, TRIPS], {"Python": "3.14"}).splitlines() == [
        "Python: 3.14",
        "",
        "µs a request",
        "                one row",
        "ours       310   0.50 ×",
        "theirs     621   1.00 ×",
        "",
        "round trips",
        "                one row           create",
        "ours                  1",
        "theirs                                 3",
        "(counted)",
    ]


def test_programs_get_the_figures_unrounded() -> None:
    told = json.loads(as_json([TIME], {"Python": "3.14"}))
    assert told["conditions"] == {"Python": "3.14"}
    assert told["figures"][0]["cells"]["ours"]["one row"] == {"value": 310.4, "ratio": 0.5}


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    assert draw([TIME, TRIPS], tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_there_is_no_picture_of_nothing(tmp_path: Path) -> None:
    assert not draw([TRIPS], tmp_path / "chart.png")
    assert not (tmp_path / "chart.png").exists()
