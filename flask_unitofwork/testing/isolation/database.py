"""What a kind of database, with its driver, does for a test's connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

__all__ = ["Database"]

R = TypeVar("R")


class Database(Protocol):
    """What is particular to a kind of database and its driver, for one connection of a test."""

    loses_work_at_errors: bool
    """Whether a statement that fails takes everything since the last savepoint with it."""

    def begin(self, connection: Any, savepoint: str | None) -> None:
        """Begin the transaction that is never committed, and set *savepoint* in it. What the server says may be to come.

        Raises:
            IsolationError: there is something in the database that could not be rolled back.
        """
        ...

    def wait_for_beginning(self, connection: Any) -> None:
        """Wait until the transaction has begun.

        Raises:
            Exception: the driver's error.
        """
        ...

    def end(self, connection: Any) -> None:
        """Roll it back, whether or not anybody has waited for its beginning."""
        ...

    def send(self, connection: Any, statements: str) -> None:
        """Send one or more statements that have no parameters and return nothing."""
        ...

    def check_alive(self, connection: Any) -> None:
        """Look, without a round trip, whether the server has hung up.

        Raises:
            Exception: the driver's error: it has.
        """
        ...

    def is_in_transaction(self, connection: Any) -> bool:
        """Whether that transaction is still in progress, as far as the driver knows without asking."""
        ...

    def check(self, statement: str) -> None:
        """A statement that is no mere read is about to be sent.

        Raises:
            IsolationError: it would end the test's transaction.
        """
        ...

    def check_constraints(self, connection: Any) -> None:
        """Check what is to be checked at COMMIT.

        Raises:
            Exception: the driver's error, with which COMMIT would fail.
        """
        ...

    def run_repeatably(self, connection: Any, statement: str, run: Callable[[], R], /) -> tuple[R, Callable[[], None]]:
        """Run a statement so that it can be repeated.

        Returns:
            Its result, and what has to be called before it runs again: it gives rows the numbers that they had.
        """
        ...
