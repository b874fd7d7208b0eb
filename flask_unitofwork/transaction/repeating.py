"""Who may be run again, all the way out: whatever is committed meanwhile, in whichever context, must not be done twice."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

__all__ = ["Repeating", "repeat", "repeating_units"]


class Repeating(Protocol):
    """A unit that may be run again."""

    has_committed: bool


_repeating: Final[ContextVar[tuple[Repeating, ...]]] = ContextVar("flask_unitofwork.repeating", default=())


def repeating_units() -> tuple[Repeating, ...]:
    """The units in progress that may be run again, outermost first."""
    return _repeating.get()


@contextmanager
def repeat(unit: Repeating) -> Generator[None]:
    """For the time of the block, *unit* may be run again."""
    before = _repeating.get()
    _repeating.set((*before, unit))
    try:
        yield
    finally:
        _repeating.set(before)
