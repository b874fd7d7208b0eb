"""A block of code of which a test expects something, so that a failure is shown at the test's own line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, TypeVar

__all__ = ["Expectation"]

T = TypeVar("T")


class Expectation(Generic[T]):
    """A context manager that checks, when its block has ended well, what was expected of it.

    Not a generator with `contextlib.contextmanager`: pytest would show the failure in that module.

    Args:
        around: is entered before the block and left after it.
        value: what the block is given.
        check: raises an AssertionError where the expectation is not met.
    """

    def __init__(self, around: AbstractContextManager[object], value: T, check: Callable[[], None]) -> None:
        self._around = around
        self._value = value
        self._check = check

    def __enter__(self) -> T:
        self._around.__enter__()
        return self._value

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._around.__exit__(exc_type, exc, tb)
        if exc is None:
            self._check()
