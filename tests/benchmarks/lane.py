"""A contestant, seen from the process that measures it.

Each contestant has a process for itself, as in production: Django is configured once a process, nobody's imports or
garbage burden another, and nobody waits for another's interpreter lock. They are still measured in turns, for a
process that was told nothing does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Concatenate, ParamSpec, TypeVar

from .contestant import Contestant

__all__ = ["Lane"]

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """The process of the contestant *name* on the database at *url*. Close it."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        # spawn: a fork would share what this process has imported, connected to and seeded.
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_open, initargs=(name, url))
        # Nobody waits for it to start, so that several may start at the same time.
        self._process.submit(_started)

    def do(self, what: Callable[Concatenate[Contestant, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have the contestant do *what*, one of `Contestant`'s methods; raises what that raises."""
        done: T = self._process.submit(_do, what, *args, **kwargs).result()
        return done

    def close(self) -> None:
        """End the process, and wait until it has."""
        self._process.shutdown()


def _started() -> None:
    """Nothing to do: the contestant is there."""


_here: list[Contestant] = []


def _open(name: str, url: str) -> None:
    _here.append(Contestant(name, url))


def _do(what: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return what(_here[0], *args, **kwargs)
