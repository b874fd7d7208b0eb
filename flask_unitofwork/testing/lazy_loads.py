"""Lazy loads: statements that nobody wrote, sent because code read an attribute that was not loaded."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from flask import Flask

from .apps import app_in_question
from .expectation import Expectation
from .statements import listed, recorder_for

__all__ = ["AssertNoLazyLoads", "assert_no_lazy_loads"]


class AssertNoLazyLoads(Protocol):
    """What the fixture ``assert_no_lazy_loads`` is."""

    def __call__(self, *, parameters: bool = False) -> AbstractContextManager[None, bool | None]:
        """Fail if the block reads an attribute that SQLAlchemy then has to load."""
        ...


def assert_no_lazy_loads(*, app: Flask | None = None, parameters: bool = False) -> Expectation[None]:
    """Fail if the block reads an attribute that SQLAlchemy then has to load.

    That is a relationship, or a column that was deferred or has expired. The arguments are those of :func:`assert_statements`.

    Raises:
        AssertionError: it does. The message names each attribute, and the line that read it.

    Example:
        ::

            with assert_no_lazy_loads():
                client.get("/orders")
    """
    recorder = recorder_for(app_in_question(app, "assert_no_lazy_loads"))

    def check() -> None:
        __tracebackhide__ = True
        loads = [statement for statement in recorder.statements if statement.attribute is not None]
        one = len(loads) == 1
        if loads:
            raise AssertionError(
                f"{'1 attribute was' if one else f'{len(loads)} attributes were'} loaded only when code read"
                f" {'it' if one else 'them'}. Load with the query: options(selectinload(…)) for a relationship,"
                f" options(undefer(…)) for a column.{listed(loads, parameters=parameters)}"
            )

    return Expectation(recorder, None, check)
