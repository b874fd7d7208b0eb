"""Who listens to SQLAlchemy's events besides this package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["has_listeners"]

_OWN: Final = __name__.partition(".")[0]


def has_listeners(target: Any, names: Iterable[str]) -> bool:
    """Whether anybody but this package listens to one of the events *names* of *target*.

    ``dispatch`` is where SQLAlchemy keeps its listeners, and asks itself. `sqlalchemy.event` can tell of a given function
    only. A test fails if it changes.
    """
    dispatch = target.dispatch
    for name in names:
        for listener in getattr(dispatch, name):
            if getattr(listener, "__module__", "").partition(".")[0] != _OWN:
                return True
    return False
