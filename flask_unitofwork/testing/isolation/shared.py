"""The one connection of an isolated test to a database, and the transactions that take place on it.

Note: how transactions share a connection
    A transaction that is never committed has begun on it. What its users take for transactions are savepoints in that
    one: a commit releases the savepoint, a rollback goes back to it. A transaction gets its savepoint with the first
    statement that is not a mere read, so those that read stand in nobody's way. The savepoints are a stack, and
    transactions are not: what a rollback takes from others is repeated (`Journal`).

Note: what a statement that fails leaves behind
    PostgreSQL gives up everything since the last savepoint. So there is always one to go back to that costs nobody his
    work, and it is gone back to at once. Whose transaction it was finds it failed, as in production; the others go on.

Note: threads
    The connection is one thread's for a statement, never longer. A transaction that is about to write or to lock waits for
    those of other threads that have done so, as it would in production where they want the same rows. But they may in turn
    wait for something that is to come from it (a view for its worker). So it waits only as long as they are busy, and goes
    on beside them when they have sent nothing for `PATIENCE_SECONDS`: nobody waits for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Condition, RLock, get_ident
from time import monotonic
from typing import Any, Final, TypeVar

from sqlalchemy import Engine

from ...database.statements import Effect
from ...exceptions import IsolationError
from .database import Database
from .held import HeldConnection
from .journal import Change, Journal, Mark, Transaction
from .prepared import PreparedTransactions

__all__ = ["SharedConnection"]

PATIENCE_SECONDS: Final = 1.0

R = TypeVar("R")


class SharedConnection:
    """A test's connection.

    Args:
        engine: whose own pool it comes from.
        database: what kind it is.

    Attributes:
        prepared: the transactions that wait for the second phase of their commit.
    """

    def __init__(self, engine: Engine, database: Database) -> None:
        self._database = database
        self._held = HeldConnection(engine, database)
        self._journal = Journal()
        self._lock = RLock()
        self._ended = Condition(self._lock)
        self._writer: Transaction | None = None
        self._numbers = 0
        self.prepared = PreparedTransactions()
        self._prepared_before: dict[Transaction, frozenset[str]] = {}

    def connect(self) -> Any:
        """The driver's connection, connected now if it was not yet. `open` comes before it is used.

        Raises:
            IsolationError: the test is over, or its transaction is.
        """
        with self._lock:
            self._held.check()
            if not self._held.is_connected:
                first = Mark(self._new_name()) if self._database.loses_work_at_errors else None
                self._held.connect(None if first is None else first.name)
                if first is not None:
                    self._journal.set(first)
            return self._held.driver

    def open(self) -> Any:
        """The driver's connection, to be used at once.

        Raises:
            IsolationError: the test is over, or its transaction is.
            Exception: the driver's error: the transaction could not begin.
        """
        with self._lock:
            if not self._held.is_connected:
                self.connect()
            self._held.check()
            self._held.catch_up()
            return self._held.driver

    def catch_up(self) -> None:
        """Let nothing be under way on the connection, so that its driver can be used.

        Who finds nothing waits for nobody: while a statement runs, there is nothing, and it may be meant to be cancelled.
        """
        if self._held.is_behind:
            with self._lock:
                self._held.catch_up()

    def end(self) -> None:
        """Roll everything back, and give the connection back to its pool."""
        with self._lock:
            self._held.end()

    # -- statements --------------------------------------------------------------------------------------------------

    def run(
        self,
        owner: Transaction | None,
        statement: str,
        effect: Effect,
        send: Callable[[], R],
        repeat: Callable[[], object],
    ) -> R:
        """Run a statement.

        Args:
            owner: the transaction that it is in; None where it is committed by itself.
            statement: its text.
            effect: what it does.
            send: runs it.
            repeat: runs it once more, where its answer is of no interest.

        Raises:
            IsolationError: the test's transaction is over: before this statement, or by it.
        """
        with self._lock:
            driver = self.open()
            changes = effect is not Effect.READ
            if owner is not None:
                owner.last_used = monotonic()
            if changes:
                self._database.check(statement)
            if changes and owner is not None:
                self._enter(owner)
            elif self._database.loses_work_at_errors and not self._journal.marks(owner):
                self._make_place_to_return()
            before = None
            try:
                if changes and self._journal.others(owner):
                    result, before = self._database.run_repeatably(driver, statement, send)
                else:
                    result = send()
            except BaseException:
                self._failed(owner, statement)
                raise
            self._held.check_transaction(statement)
            if changes:
                self._journal.changed(None if before is None else Change(owner, statement, before, repeat))
            return result

    def run_without_trace(self, owner: Transaction, statement: str, settings: str, send: Callable[[], R]) -> R:
        """Run a statement with *settings* in force, and undo whatever it does: it is to read and nothing else."""
        with self._lock:
            self.open()
            place = self._make_place_to_return()
            self._held.send(settings)
            try:
                result = send()
            except BaseException:
                self._failed(owner, statement)
                raise
            self._held.check_transaction(statement)
            self._held.send(f"ROLLBACK TO SAVEPOINT {place.name}")
            return result

    def ask(self, ask: Callable[[Any], R]) -> R:
        """Ask the database something that concerns no transaction, and cannot fail."""
        with self._lock:
            return ask(self.open())

    @contextmanager
    def alone(self) -> Generator[None]:
        """Let no other thread use the connection, in the block."""
        with self._lock:
            self.open()
            yield

    def take_turn(self, owner: Transaction | None, patience: float) -> bool:
        """Let *owner* be the one that writes; None for a statement that is committed by itself.

        Args:
            owner: who asks.
            patience: seconds to wait for another thread's transaction.

        Returns:
            Whether it is its turn.
        """
        with self._lock:
            until = monotonic() + patience
            while self._writer is not None and self._writer is not owner:
                left = until - monotonic()
                if self._writer.thread == get_ident() or left <= 0:
                    return False
                self._ended.wait(left)
            self._writer = owner
            return True

    def _enter(self, owner: Transaction) -> None:
        """*owner* has a savepoint from now on."""
        if self._journal.marks(owner):
            return
        self._wait_for_others(owner)
        if not self._journal.take(owner):
            self._set(Mark(self._new_name(), owner))

    def _wait_for_others(self, owner: Transaction) -> None:
        """Wait as the note "threads" says."""
        while others := [one for one in self._journal.others(owner) if one.thread != owner.thread]:
            left = max(one.last_used for one in others) + PATIENCE_SECONDS - monotonic()
            if left <= 0:
                return
            self._ended.wait(left)
            self._held.check()
            self._held.catch_up()  # others have had the connection meanwhile, and may have put something off

    def _make_place_to_return(self) -> Mark:
        place = self._journal.place_to_return
        if place is None:
            place = Mark(self._new_name())
            self._set(place)
        return place

    def _set(self, mark: Mark) -> None:
        self._held.send(f"SAVEPOINT {mark.name}")
        self._journal.set(mark)

    def _new_name(self) -> str:
        self._numbers += 1
        return f"unitofwork_{self._numbers}"

    def _failed(self, owner: Transaction | None, statement: str) -> None:
        """A statement has failed: go back to where nobody has lost anything."""
        self._held.check_transaction(statement)
        if not self._database.loses_work_at_errors:
            return
        marks = self._journal.marks(owner)
        place = self._journal.place_to_return or (marks[-1] if marks else None)
        assert place is not None, "there is always a savepoint to go back to"
        if owner is not None:
            owner.failed = True
        self._go_back(place, keep=True)

    # -- transactions ------------------------------------------------------------------------------------------------

    def commit(self, owner: Transaction, *, is_checked: bool = False) -> None:
        """Commit *owner*.

        Args:
            owner: the transaction.
            is_checked: it is prepared, so that nothing is left to be checked.

        Raises:
            IsolationError: the test's transaction is over.
            Exception: the driver's error, with which COMMIT would have failed. *owner* is rolled back then, where the
                database does that.
        """
        with self._lock:
            self._held.check()
            marks = self._journal.marks(owner)
            if marks:
                if not is_checked:
                    self.check_constraints(owner)
                self._release(marks[0])
            self._over(owner)

    def check_constraints(self, owner: Transaction) -> None:
        """Check what is checked at COMMIT.

        Raises:
            Exception: as `commit` does.
        """
        with self._lock:
            try:
                self._database.check_constraints(self.open())
            except BaseException:
                self._failed(owner, "COMMIT")
                if self._database.loses_work_at_errors:
                    self.rollback(owner)
                raise

    def rollback(self, owner: Transaction) -> None:
        """Roll *owner* back."""
        with self._lock:
            marks = self._journal.marks(owner)
            if marks and not self._held.is_over and self._held.problem is None:
                self._go_back(marks[0], keep=False)
            self._over(owner)

    def _over(self, owner: Transaction) -> None:
        owner.is_over = True
        if self._writer is owner:
            self._writer = None
        self._ended.notify_all()

    # -- parts of a test ---------------------------------------------------------------------------------------------

    def begin_part(self) -> Transaction:
        """A part of the test begins that is rolled back by itself."""
        with self._lock:
            self.open()
            part = Transaction(is_part=True)
            self._set(Mark(self._new_name(), part))
            self._prepared_before[part] = self.prepared.names
            return part

    def end_part(self, part: Transaction) -> None:
        """Roll back whatever was done since the part began, and be as it was then."""
        with self._lock:
            self.prepared.only(self._prepared_before.pop(part))
            if not self._held.is_over and self._held.problem is None:
                self._held.send(f"ROLLBACK TO SAVEPOINT {self._journal.end(part).name}")

    # -- savepoints --------------------------------------------------------------------------------------------------

    def savepoint(self, owner: Transaction, label: str) -> None:
        """Set a savepoint in *owner* that its user calls *label*."""
        with self._lock:
            self.open()
            self._enter(owner)
            self._set(Mark(self._new_name(), owner, label))

    def has_savepoints(self, owner: Transaction) -> bool:
        """Whether *owner* has savepoints that its user has set."""
        with self._lock:
            return any(mark.label is not None for mark in self._journal.marks(owner))

    def find(self, owner: Transaction, label: str) -> Mark | None:
        """The latest savepoint in *owner* of that name."""
        with self._lock:
            return next((mark for mark in reversed(self._journal.marks(owner)) if mark.label == label), None)

    def release(self, mark: Mark) -> None:
        """Release a savepoint."""
        with self._lock:
            self._held.check()
            self._release(mark)

    def rollback_to(self, mark: Mark) -> None:
        """Go back to a savepoint."""
        with self._lock:
            self._held.check()
            self._go_back(mark, keep=True)
            if mark.owner is not None:
                mark.owner.failed = False

    def _release(self, mark: Mark) -> None:
        if not self._journal.is_innermost(mark):
            self._journal.forget(mark)  # savepoints of others stand on it
            return
        self._journal.drop(mark)
        statement = f"RELEASE SAVEPOINT {mark.name}"
        if self._database.loses_work_at_errors:
            # Whatever comes next begins here.
            free = Mark(self._new_name())
            self._held.put_off(f"{statement}; SAVEPOINT {free.name}")
            self._journal.set(free)
        else:
            self._held.send(statement)

    def _go_back(self, mark: Mark, *, keep: bool) -> None:
        """Go back to *mark*, and do once more what others have done since."""
        self._held.send(f"ROLLBACK TO SAVEPOINT {mark.name}")
        for lost in self._journal.cut(mark, keep=keep):
            if isinstance(lost, Mark):
                self._set(lost)
                continue
            self._make_place_to_return()
            try:
                lost.before()
                lost.repeat()
            except Exception as error:
                self._held.problem = (
                    "A transaction of this test was rolled back, and another one stood on it: this statement could not"
                    f" be repeated without what was rolled back: {lost.statement}. In production it would not have seen"
                    " that. Mark the test with uow_real_commits."
                )
                raise IsolationError(self._held.problem) from error
            self._journal.changed(lost)
