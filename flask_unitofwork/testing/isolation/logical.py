"""A connection as its user sees it: one of several that share the test's.

It knows transactions and no driver. What looks like a driver's connection stands before it, a file for each driver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...database.statements import Effect
from .commands import Command, Verb
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
            Whether that was done. It was not where there is no such savepoint: the database says so best.
        """
        if command.verb is Verb.BEGIN:
            self.begin(read_only="READ ONLY" in command.options)
        elif command.verb in {Verb.COMMIT, Verb.ROLLBACK}:
            (self.commit if command.verb is Verb.COMMIT else self.rollback)()
            if command.chains:
                self.begin()
        elif command.verb is Verb.SAVEPOINT:
            self.shared.savepoint(self.begin(), command.name)
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

    def prepare(self) -> None:
        """Prepare the transaction in progress. It can be committed or rolled back from any connection now."""
        transaction = self.begin()
        self.shared.check_constraints(transaction)
        self.shared.prepared[transaction.name] = transaction

    def commit_prepared(self, name: str | None) -> None:
        """Commit the prepared transaction of that name; None for the one in progress, prepared or not."""
        self._take_up(name)
        self.commit()

    def rollback_prepared(self, name: str | None) -> None:
        """Roll the prepared transaction of that name back; None for the one in progress, prepared or not."""
        self._take_up(name)
        self.rollback()

    def _take_up(self, name: str | None) -> None:
        if name is None and self.transaction is not None:
            name = self.transaction.name
        transaction = self.shared.prepared.pop(name or "", None)
        if transaction is not None:
            self.transaction = transaction

    def rollback(self) -> None:
        """Roll the transaction in progress back."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            self.shared.rollback(transaction)

    def close(self) -> None:
        """Roll back what is in progress; whoever uses the connection from now on is told that it is closed."""
        self.is_closed = True
        self.rollback()
