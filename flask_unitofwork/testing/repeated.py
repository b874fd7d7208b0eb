"""Repeated statements: a query that a loop sends again and again, where one could have fetched it all (N+1).

Note: what counts as a repetition
    The same query, sent from the same line, in the same unit of work and the same run of it. Lists of values in an IN
    count as one. What writes does not count: the ORM writes rows in batches by itself, where it can.
"""

from __future__ import annotations

import re
import warnings
from threading import Lock
from typing import Final, Literal

from ..database.statements import Effect
from ..transaction import SentStatement, Work
from ..transaction.places import Place
from .statements import described

__all__ = ["RepeatedStatementWarning", "Repetitions", "WhenRepeated"]

WhenRepeated = Literal["off", "warn", "error"]
"""What a test does about repeated statements."""

# The bound values of an IN, as drivers' placeholders.
_IN: Final = re.compile(r"\bIN\s*\((?:\s*(?:\?|%s|%\(\w+\)s|:\w+|\$\d+)(?:::\w+)?\s*,?)+\)", re.IGNORECASE)


class RepeatedStatementWarning(UserWarning):
    """A query was sent so often from one line, in one unit of work, that it should be one query."""


class _Repetition:
    """A query that was sent from one line in one unit of work."""

    __slots__ = ("count", "statement")

    def __init__(self, statement: SentStatement) -> None:
        self.statement = statement
        self.count = 0


class Repetitions:
    """Counts queries.

    Args:
        threshold: how often a query is sent from one line in one unit of work where it counts as repeated.
    """

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._seen: dict[tuple[str, str, Place | None, Work | None], _Repetition] = {}
        self._counting = Lock()

    def count(self, statement: SentStatement) -> None:
        """*statement* is sent."""
        # What belongs to no unit of the app is the test's own: its session, its factories.
        if statement.work is None or statement.effect > Effect.LOCK:
            return
        key = (statement.bind, _IN.sub("IN (…)", statement.text), statement.place, statement.work)
        with self._counting:
            self._seen.setdefault(key, _Repetition(statement)).count += 1

    @property
    def repeated(self) -> list[tuple[SentStatement, int]]:
        """The queries that were sent too often, most often sent first: the first of each, and how often."""
        worst: dict[tuple[str, str, Place | None], tuple[SentStatement, int]] = {}
        for (bind, text, place, _), repetition in self._seen.items():
            known = worst.get((bind, text, place))
            if repetition.count >= self._threshold and (known is None or known[1] < repetition.count):
                worst[bind, text, place] = repetition.statement, repetition.count
        return sorted(worst.values(), key=lambda found: -found[1])

    def fail(self) -> None:
        """Fail if a query was repeated.

        Raises:
            AssertionError: with the queries, how often each was sent, and from where.
        """
        __tracebackhide__ = True
        if self.repeated:
            raise AssertionError("\n\n".join(_told(statement, times) for statement, times in self.repeated))

    def warn(self) -> None:
        """Warn of each query that was repeated, at the line that sent it."""
        for statement, times in self.repeated:
            place = statement.place
            warnings.warn_explicit(
                _told(statement, times),
                RepeatedStatementWarning,
                filename="unknown" if place is None else place.code.co_filename,
                lineno=0 if place is None else place.line,
            )


def _told(statement: SentStatement, times: int) -> str:
    advice = (
        f"Load {statement.attribute} with the query before: options(selectinload(…))."
        if statement.attribute is not None
        else "Fetch the rows with one query before the loop: .where(Model.id.in_(ids))."
    )
    text = described(statement, parameters=False).replace("\n", "\n   ")
    return f"One query was sent {times} times in one unit of work. {advice}\n   {text}"
