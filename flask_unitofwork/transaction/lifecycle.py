"""The states of a unit and the moves between them. No I/O: the unit does that, and says here what became of it."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import Final

__all__ = ["MOVES", "Lifecycle", "State"]


class State(Enum):
    """Where a unit of work stands.

    A unit is over when it is committed or rolled back; work that follows in the same scope makes it active again.
    """

    ACTIVE = "active"
    DOOMED = "doomed"
    COMMITTING = "committing"
    COMMITTED = "committed"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    UNKNOWN = "unknown"

    # An Enum's own is a function in Python, and each move asks for it several times.
    __hash__ = object.__hash__


MOVES: Final = MappingProxyType(
    {
        State.ACTIVE: frozenset({State.DOOMED, State.COMMITTING, State.ROLLING_BACK}),
        # A savepoint that is rolled back takes what doomed the unit with it.
        State.DOOMED: frozenset({State.ACTIVE, State.ROLLING_BACK}),
        # A commit may fail, in the flush or in the database, and may be lost with the connection.
        State.COMMITTING: frozenset({State.COMMITTED, State.ROLLING_BACK, State.UNKNOWN}),
        State.ROLLING_BACK: frozenset({State.ROLLED_BACK}),
        State.COMMITTED: frozenset({State.ACTIVE}),
        State.ROLLED_BACK: frozenset({State.ACTIVE}),
        State.UNKNOWN: frozenset({State.ACTIVE}),
    }
)

# The unit has ended: the next work in its scope is a new one.
_OVER: Final = frozenset({State.COMMITTED, State.ROLLED_BACK, State.UNKNOWN})


class Lifecycle:
    """The state of one unit. Moves that are not in `MOVES` are bugs of this package and raise at once.

    Example:
        >>> life = Lifecycle()
        >>> life.move(State.COMMITTING)
        >>> life.move(State.COMMITTED)
        >>> life.state
        <State.COMMITTED: 'committed'>
    """

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.ACTIVE

    def move(self, to: State) -> None:
        """Go from the current state to *to*.

        Raises:
            AssertionError: there is no such move.
        """
        if to not in MOVES[self.state]:
            raise AssertionError(f"a unit that is {self.state.value} cannot become {to.value}")
        self.state = to

    def begin(self) -> None:
        """There is work: a unit that was over is active again; in any other state nothing changes."""
        if self.state in _OVER:
            self.state = State.ACTIVE
