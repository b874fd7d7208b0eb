"""Saying where a transaction begins and ends, and what runs around its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast, overload
from weakref import WeakSet

from flask import Flask

from ..database.intent import IsolationLevel
from ..exceptions import DemarcationError
from ..transaction import (
    Durable,
    Hook,
    ReadOnly,
    RequiredTransaction,
    Savepoint,
    Transaction,
    TransactionOptions,
)
from ..web import IndependentTransaction, Scope, Units, explicit_commit, is_answer

__all__ = ["DemarcationMethods"]

F = TypeVar("F", bound=Callable[[], object])
D = TypeVar("D", bound=Callable[..., Any])
V = TypeVar("V")


class DemarcationMethods:
    """Blocks, decorators and hooks, for whoever has units."""

    _units: Units
    _apps: WeakSet[Flask]

    def scope(self, app: Flask | None = None, *, reads: Literal["autocommit", "transaction"] = "transaction") -> Scope:
        """A unit of work of its own, anywhere: in a thread, a job, a script, or inside another unit.

        A context manager and a decorator. Committed when it ends well, rolled back when an exception leaves it.

        Args:
            app: the app to work for. By default the current one; where there is no app context, the only one.
            reads: ``"autocommit"`` for read mode: no transaction until something else than a read runs.

        Raises:
            DemarcationError: *reads* is neither of the two.
            OutsideScopeError: on entering it, where the app is not obvious.

        Example:
            ::

                with uow.scope(app) as session:
                    session.add(Product(name="Tea"))
        """
        if app is not None and not isinstance(cast(object, app), Flask):
            raise DemarcationError(
                f"scope() takes a Flask app, and was given an object of type {type(app).__name__}."
                " As a decorator it is written with parentheses: @uow.scope()"
            )
        if reads not in ("autocommit", "transaction"):
            raise DemarcationError(f'reads must be "autocommit" or "transaction"; it is {reads!r}.')
        return Scope(self._units, lambda: self._apps, app, TransactionOptions(), reads=reads == "autocommit")

    def transaction(
        self,
        *,
        isolation_level: IsolationLevel | None = None,
        read_only: bool = False,
        timeout: float | None = None,
        attempts: int = 1,
        bind: str | None = None,
    ) -> Transaction:
        """Join the transaction in progress, else begin one. The outermost commits, or rolls back.

        A context manager and a decorator. A request that is committed by its success counts as the outermost.

        Args:
            isolation_level: one of SQL's four; by default the database's own. A database may give more than is asked.
            read_only: the database refuses writes.
            timeout: seconds that each statement may take; the database enforces it.
            attempts: how often the work may run, where the database asks for it to run again. For decorated functions
                and views only, and without effect inside another transaction.
            bind: the name of the database for models, tables and statements that name none.

        Raises:
            DemarcationError: at once, where an argument is wrong; on entering it, where the transaction in progress is
                another one than is asked for.

        Example:
            ::

                @app.post("/transfers")
                @uow.transaction(isolation_level="SERIALIZABLE", attempts=5)
                def transfer():
                    ...
        """
        options = self._options(
            isolation_level=isolation_level, read_only=read_only, timeout=timeout, attempts=attempts, bind=bind
        )
        return Transaction(self._units.current, is_answer, options)

    def read_only(
        self,
        *,
        isolation_level: IsolationLevel | None = None,
        timeout: float | None = None,
        attempts: int = 1,
        bind: str | None = None,
    ) -> ReadOnly:
        """A transaction in which nothing can be written: the database itself refuses, and a flush raises.

        A context manager and a decorator. Inside a transaction that may write, it is a part of that one which may not.
        The arguments are those of :meth:`transaction`.

        Raises:
            ReadOnlyError: in the block, by a statement that writes.
        """
        options = self._options(
            isolation_level=isolation_level, read_only=True, timeout=timeout, attempts=attempts, bind=bind
        )
        return ReadOnly(self._units.current, is_answer, options)

    def transaction_required(self) -> RequiredTransaction:
        """Join the transaction in progress; an error where there is none. A context manager and a decorator.

        Raises:
            DemarcationError: on entering it outside of a transaction.
        """
        return RequiredTransaction(self._units.current, is_answer, TransactionOptions(read_only=None))

    def independent_transaction(
        self,
        *,
        isolation_level: IsolationLevel | None = None,
        read_only: bool = False,
        timeout: float | None = None,
        attempts: int = 1,
        bind: str | None = None,
    ) -> IndependentTransaction:
        """A transaction with its own session and connection, committed whatever becomes of the one in progress.

        A context manager and a decorator, for what must be kept in any case, such as an audit trail. It cannot see what
        the other has not committed, and waits for its locks: on SQLite, which has one writer, it cannot write once the
        other has taken its turn, which one that means to write does with its first statement. The arguments are those of
        :meth:`transaction`.

        Raises:
            OutsideScopeError: on entering it outside of a request or app context.
            DemarcationError: at a statement that writes on SQLite, where the other one has its turn.

        Example:
            ::

                with uow.independent_transaction() as session:
                    session.add(Attempt(user=user))
        """
        options = self._options(
            isolation_level=isolation_level, read_only=read_only, timeout=timeout, attempts=attempts, bind=bind
        )
        return IndependentTransaction(self._units, lambda: self._apps, None, options)

    @overload
    def durable(self, function: D) -> D: ...

    @overload
    def durable(
        self,
        *,
        isolation_level: IsolationLevel | None = None,
        timeout: float | None = None,
        attempts: int = 1,
        bind: str | None = None,
    ) -> Durable: ...

    def durable(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        """When the decorated function returns, its work is committed. An error inside a transaction. A decorator only.

        Write ``@uow.durable``, or ``@uow.durable(attempts=3)`` with arguments of :meth:`transaction`.

        Raises:
            DemarcationError: when it is called inside a transaction.

        Example:
            ::

                @uow.durable
                def close_the_books(day):
                    ...
        """
        durable = Durable(self._units.current, is_answer, self._options(**options))
        return durable if function is None else durable(function)

    def _options(self, **options: Any) -> TransactionOptions:
        checked = TransactionOptions(**options)
        if checked.attempts > 1:
            self._units.anything_repeats = True
        return checked

    def savepoint(self) -> Savepoint:
        """Part of the work that may fail while the rest goes on. A context manager only.

        Example:
            ::

                try:
                    with uow.savepoint():
                        uow.session.add(Subscriber(email=email))
                except IntegrityError:
                    pass  # subscribed already
        """
        return Savepoint(self._units.current, is_answer)

    def explicit_commit(self, view: V) -> V:
        """Turn commit on success off for a view: only what its code commits is kept. A decorator."""
        return explicit_commit(view)

    # -- hooks ---------------------------------------------------------------------------------------------------

    def before_commit(self, function: F) -> F:
        """Run *function* before the unit is committed. It may still write, or doom; an exception rolls back."""
        unit = self._units.current()
        unit.hooks.before_commit.append(Hook(function, savepoint=unit.savepoint))
        return function

    def on_commit(self, function: F, *, robust: bool = True) -> F:
        """Run *function* after the unit was committed, before the response leaves; never if it is not.

        It gets a session of its own, which is committed after it.

        Args:
            function: called without arguments.
            robust: log its failure and go on. Otherwise the failure is raised after all hooks ran; the commit stands.
        """
        unit = self._units.current()
        unit.hooks.after_commit.append(Hook(function, robust=robust, savepoint=unit.savepoint))
        return function

    def on_rollback(self, function: F) -> F:
        """Run *function* after the unit was rolled back. It gets a session of its own, which is committed after it."""
        unit = self._units.current()
        unit.hooks.after_rollback.append(Hook(function, savepoint=unit.savepoint))
        return function
