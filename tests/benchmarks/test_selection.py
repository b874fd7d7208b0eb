"""What is measured is what the environment asks for."""

from __future__ import annotations

import pytest

from .contestants.line_up import LINE_UP, REFERENCE
from .selection import MEASURES, Selection, SelectionError
from .work import WORK


def test_all_is_measured_where_nothing_is_asked() -> None:
    assert Selection.from_environment({}) == Selection()
    assert Selection().contestants == tuple(LINE_UP)
    assert Selection().work == tuple(WORK.values())
    assert Selection().measures == MEASURES


def test_the_contestant_that_others_are_compared_with_always_takes_part() -> None:
    selection = Selection.from_environment({"UNITOFWORK_BENCH_CONTESTANTS": "unitofwork, pony"})
    assert selection.contestants == (REFERENCE, "pony", "unitofwork")


def test_work_and_measures_keep_the_order_of_the_table() -> None:
    selection = Selection.from_environment(
        {"UNITOFWORK_BENCH_WORK": "create,row", "UNITOFWORK_BENCH_MEASURES": "memory,time"}
    )
    assert [work.name for work in selection.work] == ["row", "create"]
    assert selection.measures == ("time", "memory")


def test_a_name_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(
        SelectionError, match=r"_WORK names rwo, which is not known\. Name some of these.*: hello, row,"
    ):
        Selection.from_environment({"UNITOFWORK_BENCH_WORK": "rwo"})


@pytest.mark.parametrize("effort", ["0", "-1", "2", "much", "nan"])
def test_an_effort_that_cannot_be_is_refused(effort: str) -> None:
    with pytest.raises(SelectionError, match="number above 0 and up to 1"):
        Selection.from_environment({"UNITOFWORK_BENCH_EFFORT": effort})


def test_less_effort_takes_less_but_something() -> None:
    selection = Selection.from_environment({"UNITOFWORK_BENCH_EFFORT": "0.1"})
    assert selection.portion(60) == 6
    assert selection.portion(3) == 1
