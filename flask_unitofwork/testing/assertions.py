"""How many statements a block of code sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from flask import Flask

from ..exceptions import ConfigurationError
from ..transaction import SentStatement
from .apps import app_in_question
from .expectation import Expectation
from .statements import listed, recorder_for

__all__ = ["AssertStatements", "assert_max_statements", "assert_statements"]


class AssertStatements(Protocol):
    """What the fixtures ``assert_statements`` and ``assert_max_statements`` are."""

    def __call__(
        self, count: int, *, parameters: bool = False
    ) -> AbstractContextManager[Sequence[SentStatement], bool | None]:
        """Fail unless, or if, the block sends so many statements."""
        ...


def assert_statements(
    count: int, *, app: Flask | None = None, parameters: bool = False
) -> Expectation[Sequence[SentStatement]]:
    """Fail unless the block sends exactly *count* statements to the app's databases.

    What reads or writes counts, whichever thread sends it; what begins or ends transactions and savepoints does not.

    Args:
        count: how many.
        app: the app; by default the current one. The fixture of this name takes the fixture ``app``.
        parameters: show the values that were bound, in the failure's message. They may be secret, so they are left out
            by default.

    Returns:
        The statements that were sent, as they are sent.

    Raises:
        AssertionError: it sends another number. The message lists them, each with the line of code that sent it.
        ConfigurationError: *count* is no number of statements.

    Example:
        ::

            with assert_statements(2):
                client.get("/orders/7")
    """
    return _expect(count, app, "assert_statements", lambda sent: sent == count, parameters=parameters)


def assert_max_statements(
    count: int, *, app: Flask | None = None, parameters: bool = False
) -> Expectation[Sequence[SentStatement]]:
    """Fail if the block sends more than *count* statements. Everything else is as in :func:`assert_statements`.

    Example:
        ::

            with assert_max_statements(5):
                client.get("/orders")
    """
    return _expect(count, app, "assert_max_statements", lambda sent: sent <= count, parameters=parameters)


def _expect(
    count: int, app: Flask | None, asking: str, holds: Callable[[int], bool], *, parameters: bool
) -> Expectation[Sequence[SentStatement]]:
    _check_count(count, asking)
    recorder = recorder_for(app_in_question(app, asking))

    def check() -> None:
        __tracebackhide__ = True
        sent = recorder.statements
        if not holds(len(sent)):
            most = "" if asking == "assert_statements" else "At most "
            raise AssertionError(
                f"{most}{_number(count)} expected, and {_sent(sent)}{listed(sent, parameters=parameters)}"
            )

    return Expectation(recorder, recorder.statements, check)


def _check_count(count: object, asking: str) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ConfigurationError(f"{asking}() takes the number of statements, such as {asking}(2); it got {count!r}.")


def _number(count: int) -> str:
    return "1 statement was" if count == 1 else f"{count} statements were"


def _sent(statements: Sequence[SentStatement]) -> str:
    if not statements:
        return "none was sent."
    return f"{_number(len(statements))} sent:"
