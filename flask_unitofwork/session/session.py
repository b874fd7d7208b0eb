"""The Session of this package: SQLAlchemy's, extended at public points only.

Used on its own (``Session(engine)``) it is SQLAlchemy's Session to the letter: routing and ownership begin only
where an app's unit of work puts a `router` and an `owner` on it.
"""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import ClauseElement, Connection, Engine, event, orm
from sqlalchemy.exc import UnboundExecutionError

from .routing import Router

__all__ = ["Session", "SessionOwner"]


class SessionOwner(Protocol):
    """What a session's unit is asked and told. Only outermost transactions are reported, and savepoints rolled back."""

    def check_demarcation(self, operation: str) -> None:
        """Raise a DemarcationError where *operation* ("commit" or "rollback") is a block's to do, not the caller's."""
        ...

    def transaction_begun(self) -> None:
        """An outermost transaction has begun."""
        ...

    def connection_begun(self, connection: Connection) -> None:
        """*connection* has joined the transaction."""
        ...

    def before_commit(self) -> None:
        """The outermost transaction is about to flush and commit. May write; may raise, and so prevent it."""
        ...

    def savepoint_rolled_back(self, savepoint: orm.SessionTransaction) -> None:
        """*savepoint* was rolled back; the transaction goes on."""
        ...

    def transaction_ended(self, *, committed: bool) -> None:
        """The outermost transaction is over and its connections are given back."""
        ...


class Session(orm.Session):
    """A :class:`sqlalchemy.orm.Session` that knows its unit of work.

    Everything that SQLAlchemy's Session does, it does. In an app it also routes statements to the app's databases
    (by bind key, see :doc:`/how-to/several-databases`), and refuses ``commit()`` and ``rollback()`` inside a block
    that will do that itself.

    Attributes:
        router: chooses engines; None outside an app.
        owner: the unit; None outside an app.
        writes: the unit means to write, so that a database with one writer gives it its turn at the first statement.
        read_only: a statement that writes raises `ReadOnlyError` instead of being sent.

    Example:
        >>> from sqlalchemy import create_engine, text
        >>> with Session(create_engine("sqlite://")) as session:
        ...     session.scalar(text("SELECT 6 * 7"))
        42
    """

    router: Router | None = None
    owner: SessionOwner | None = None
    writes: bool = False
    read_only: bool = False
    _committed: bool = False

    def get_bind(
        self,
        mapper: Any = None,
        *,
        clause: ClauseElement | None = None,
        bind: Engine | Connection | None = None,
        **kw: Any,
    ) -> Engine | Connection:
        """The engine or connection for a statement: SQLAlchemy's own rules first, then the app's routing.

        Raises:
            UnknownBindError: a bind key names no database.
        """
        router = self.router
        if router is None or bind is not None or self.bind is not None:
            return super().get_bind(mapper, clause=clause, bind=bind, **kw)
        if self.binds:
            try:
                return super().get_bind(mapper, clause=clause, **kw)
            except UnboundExecutionError:
                pass  # none of the user's binds fits: the app's databases are the fallback
        return router.bind_for(mapper, clause, write=self.writes, read_only=self.read_only)

    def commit(self) -> None:
        """Flush and commit the transaction in progress, as SQLAlchemy documents.

        Raises:
            DemarcationError: inside a ``transaction()`` or ``savepoint()`` block, which commits by itself.
            DoomedError: the unit can only be rolled back.
        """
        if self.owner is not None:
            self.owner.check_demarcation("commit")
        super().commit()

    def rollback(self) -> None:
        """Roll the transaction in progress back, as SQLAlchemy documents.

        Raises:
            DemarcationError: inside a ``transaction()`` or ``savepoint()`` block, where an exception does that.
        """
        if self.owner is None:
            super().rollback()
            return
        self.owner.check_demarcation("rollback")
        begun = self.in_transaction()
        super().rollback()
        if not begun:
            # No transaction ended, but what waits for a rollback (hooks, a doom) has had it.
            self.owner.transaction_ended(committed=False)


# -- what SQLAlchemy's events say, told to the owner -----------------------------------------------------------------
#
# Events rather than overridden methods: a transaction may also end by `with session.begin():`, by a failed flush or
# by `close()`, none of which passes through commit() or rollback().


@event.listens_for(Session, "after_transaction_create")
def _transaction_created(session: Session, transaction: orm.SessionTransaction) -> None:
    if session.owner is not None and transaction.parent is None:
        session._committed = False
        session.owner.transaction_begun()


@event.listens_for(Session, "after_begin")
def _connection_begun(session: Session, _transaction: orm.SessionTransaction, connection: Connection) -> None:
    if session.owner is not None:
        session.owner.connection_begun(connection)


@event.listens_for(Session, "before_commit")
def _before_commit(session: Session) -> None:
    if session.owner is not None and not session.in_nested_transaction():
        session.owner.before_commit()


@event.listens_for(Session, "after_commit")
def _after_commit(session: Session) -> None:
    if session.owner is not None and not session.in_nested_transaction():
        session._committed = True


@event.listens_for(Session, "after_soft_rollback")
def _rolled_back(session: Session, transaction: orm.SessionTransaction) -> None:
    if session.owner is not None and transaction.nested:
        session.owner.savepoint_rolled_back(transaction)


@event.listens_for(Session, "after_transaction_end")
def _transaction_ended(session: Session, transaction: orm.SessionTransaction) -> None:
    if session.owner is not None and transaction.parent is None:
        session.owner.transaction_ended(committed=session._committed)
