"""A connection as its user sees it: one of several that share the test's.

It knows transactions and no driver. What looks like a driver's connection stands before it, a file for each driver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...database.statements import Effect
from .commands import TWO_PHASES, Command, Verb
from .journal import Transaction
from .shared import SharedConnection

__all__ = ["LogicalConnection"]

R = TypeVar("R")


class LogicalConnection:
    """A connection with transactions of its own.

    Args:
        shared: the test's connection.

    Attributes:
        transaction: the one in progress; None outside of any.
        is_closed: whether its user has closed it.
    """

    __slots__ = ("is_closed", "shared", "transaction")

    def __init__(self, shared: SharedConnection) -> None:
        self.shared = shared
        self.transaction: Transaction | None = None
        self.is_closed = False

    def begin(self, *, read_only: bool = False) -> Transaction:
        """A transaction is in progress from now on, if none is."""
        if self.transaction is None:
            self.transaction = Transaction(read_only=read_only)
        return self.transaction

    def run(self, statement: str, effect: Effect, send: Callable[[], R], repeat: Callable[[], object]) -> R:
        """Run a statement that neither begins nor ends a transaction. The arguments are those of `SharedConnection.run`."""
        return self.shared.run(self.transaction, statement, effect, send, repeat)

    def obey(self, command: Command) -> bool:
        """Begin or end a transaction or a savepoint.

        Returns:
            Whether that was done. It was not where there is no such savepoint, or no such statement: the database says so
            best.
        """
        if command.verb is Verb.BEGIN:
            self.begin(read_only="READ ONLY" in command.options)
        elif command.verb in {Verb.COMMIT, Verb.ROLLBACK}:
            (self.commit if command.verb is Verb.COMMIT else self.rollback)()
            if command.chains:
                self.begin()
        elif command.verb is Verb.SAVEPOINT:
            self.shared.savepoint(self.begin(), command.name)
        elif command.verb in TWO_PHASES:
            return False
        else:
            mark = None if self.transaction is None else self.shared.find(self.transaction, command.name)
            if mark is None:
                return False
            (self.shared.release if command.verb is Verb.RELEASE else self.shared.rollback_to)(mark)
        return True

    def commit(self) -> None:
        """Commit the transaction in progress; roll it back where it has failed, as databases do."""
        transaction = self.transaction
        if transaction is None:
            return
        if transaction.failed:
            self.rollback()
            return
        try:
            for step in transaction.last_steps.values():
                step()
            self.shared.commit(transaction)
        finally:
            # Where the commit has failed, some databases have rolled back, and others leave that to their user.
            if transaction.is_over:
                self.transaction = None

    @property
    def has_savepoints(self) -> bool:
        """Whether the transaction in progress has savepoints of its user's."""
        return self.transaction is not None and self.shared.has_savepoints(self.transaction)

    # -- commits of two phases ---------------------------------------------------------------------------------------

    def prepare(self, name: str) -> None:
        """Prepare the transaction in progress, which is in progress no more. One that has failed is rolled back.

        Raises:
            Exception: the driver's error, with which it would have failed. The transaction is rolled back then.
        """
        transaction, self.transaction = self.begin(), None
        if transaction.failed:
            self.shared.rollback(transaction)
            return
        for step in transaction.last_steps.values():
            step()
        self.shared.check_constraints(transaction)
        self.shared.prepared.add(name, transaction, self)

    def commit_prepared(self, name: str) -> bool:
        """Commit the transaction of that name, whoever has prepared it; False if there is none."""
        transaction = self.shared.prepared.take(name)
        if transaction is not None:
            self.shared.commit(transaction, is_checked=True)
        return transaction is not None

    def rollback_prepared(self, name: str) -> bool:
        """Roll the transaction of that name back, whoever has prepared it; False if there is none."""
        transaction = self.shared.prepared.take(name)
        if transaction is not None:
            self.shared.rollback(transaction)
        return transaction is not None

    # -- the end -----------------------------------------------------------------------------------------------------

    def rollback(self) -> None:
        """Roll the transaction in progress back."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            self.shared.rollback(transaction)

    def close(self) -> None:
        """Roll back what is in progress; whoever uses the connection from now on is told that it is closed."""
        self.is_closed = True
        self.rollback()
