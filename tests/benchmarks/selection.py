"""What a run measures, and how thoroughly: asked of the environment.

============================== ========================================== =================================
variable                       what it says                               default
============================== ========================================== =================================
UNITOFWORK_BENCH_CONTESTANTS   names, separated by commas                 all; the reference always runs
UNITOFWORK_BENCH_WORK          names, separated by commas                 all
UNITOFWORK_BENCH_MEASURES      names, separated by commas                 all
UNITOFWORK_BENCH_EFFORT        1 measures fully, 0.1 a tenth of it        1
UNITOFWORK_BENCH_RESULTS       the folder that results are written to     tests/benchmarks/results
============================== ========================================== =================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .contestants.line_up import LINE_UP, REFERENCE
from .work import WORK, Work

__all__ = ["MEASURES", "Selection", "SelectionError"]

MEASURES: Final = ("time", "round-trips", "throughput", "withheld", "memory")

_PREFIX: Final = "UNITOFWORK_BENCH_"
_DEFAULT_RESULTS: Final = Path(__file__).parent / "results"


class SelectionError(Exception):
    """A variable says something that does not exist."""


@dataclass(frozen=True)
class Selection:
    """What is measured.

    Attributes:
        contestants: names, in the order of the table.
        work: in the order of the table.
        measures: names.
        effort: 1 is the full measure.
        results: where results are written to.
    """

    contestants: tuple[str, ...] = tuple(LINE_UP)
    work: tuple[Work, ...] = tuple(WORK.values())
    measures: tuple[str, ...] = MEASURES
    effort: float = 1.0
    results: Path = _DEFAULT_RESULTS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Selection:
        """What *environment* asks for.

        Raises:
            SelectionError: a name or a number that cannot be.
        """
        contestants = _chosen(environment, "CONTESTANTS", LINE_UP)
        return cls(
            tuple(name for name in LINE_UP if name in contestants or name == REFERENCE),
            tuple(WORK[name] for name in _chosen(environment, "WORK", WORK)),
            _chosen(environment, "MEASURES", MEASURES),
            _effort(environment),
            Path(environment.get(f"{_PREFIX}RESULTS") or _DEFAULT_RESULTS),
        )

    def portion(self, full: int, *, least: int = 1) -> int:
        """As much of *full* as the effort says, but *least* at least."""
        return max(least, round(full * self.effort))


def _chosen(environment: Mapping[str, str], variable: str, known: Iterable[str]) -> tuple[str, ...]:
    asked = {name.strip() for name in environment.get(_PREFIX + variable, "").split(",")} - {""}
    unknown = asked.difference(known)
    if unknown:
        message = (
            f"{_PREFIX}{variable} names {', '.join(sorted(unknown))}, which is not known."
            f" Name some of these, separated by commas: {', '.join(known)}"
        )
        raise SelectionError(message)
    return tuple(name for name in known if not asked or name in asked)


def _effort(environment: Mapping[str, str]) -> float:
    given = environment.get(f"{_PREFIX}EFFORT") or "1"
    try:
        effort = float(given)
    except ValueError:
        effort = 0.0
    if not 0 < effort <= 1:
        message = f"{_PREFIX}EFFORT is {given!r}. Make it a number above 0 and up to 1, such as 0.1 for a quick look"
        raise SelectionError(message)
    return effort
