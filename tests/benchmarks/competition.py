"""The contestants of one run, and the database that they meet on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from .answers import check_answers
from .contestants.line_up import LINE_UP
from .figures import Figure
from .lane import Lane
from .selection import Selection
from .work import Work

__all__ = ["Competition"]


@dataclass(frozen=True)
class Competition:
    """What a measure is given.

    Attributes:
        selection: what is measured, and how thoroughly.
        url: the database, with nothing between it and us.
    """

    selection: Selection
    url: str

    @contextmanager
    def lane(self, name: str, work: Iterable[Work], *, url: str | None = None) -> Generator[Lane]:
        """One contestant, whose answers to *work* are right. It connects to *url*, or without detour."""
        with closing(Lane(name, url or self.url)) as lane:
            self._check(lane, work)
            yield lane

    @contextmanager
    def lanes(self, work: Iterable[Work], *, url: str | None = None) -> Generator[dict[str, Lane]]:
        """All contestants at the same time, by their titles in the table."""
        with ExitStack() as open_lanes:
            lanes = {
                LINE_UP[name].title: open_lanes.enter_context(closing(Lane(name, url or self.url)))
                for name in self.selection.contestants
            }
            for lane in lanes.values():
                self._check(lane, work)
            yield lanes

    def each(self, measure: Callable[[str], dict[str, Figure]], *, at_once: int = 1) -> dict[str, dict[str, Figure]]:
        """What *measure* finds of each contestant, by their titles.

        Args:
            measure: measures the contestant of that name.
            at_once: how many contestants at the same time. One, where anybody writes: their answers would be wrong.
        """
        names = self.selection.contestants
        with ThreadPoolExecutor(at_once) as threads:
            return dict(zip([LINE_UP[name].title for name in names], threads.map(measure, names), strict=True))

    def _check(self, lane: Lane, work: Iterable[Work]) -> None:
        for one in work:
            check_answers(lane, one.name, self.url)
