"""The Session of this package: SQLAlchemy's, extended at public points only.

Used on its own (``Session(engine)``) it is SQLAlchemy's Session to the letter: routing and ownership begin where an
app's unit of work attaches them. It has no public name that SQLAlchemy's has not, so that ``scoped_session`` and
everything else that mirrors a Session mirrors all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ClauseElement, Connection, Engine, event, orm
from sqlalchemy.exc import UnboundExecutionError

from .routing import Router

__all__ = ["Attachment", "Session", "SessionOwner", "attach", "attachment_of"]


class SessionOwner(Protocol):
    """What a session's unit is asked and told. Only outermost transactions are reported, and savepoints rolled back."""

    def check_demarcation(self, operation: str) -> None:
        """Raise a DemarcationError where *operation* ("commit" or "rollback") is a block's to do, not the caller's."""
        ...

    def transaction_begun(self) -> None:
        """An outermost transaction has begun."""
        ...

    def begun_by_hand(self) -> None:
        """The code wrote ``session.begin()``, and so decides itself about commit and rollback."""
        ...

    def connection_begun(self, connection: Connection) -> None:
        """*connection* has joined the transaction; nothing has run on it."""
        ...

    def savepoint_begun(self, connection: Connection) -> None:
        """*connection* has joined a savepoint in the transaction; nothing has run on it there."""
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


@dataclass(slots=True)
class Attachment:
    """What ties a session to an app.

    Attributes:
        router: chooses engines.
        owner: the unit that the session belongs to, once it has one.
        bind: the name of the database for what names none; None for the app's default.
        committed: the outermost transaction that is about to end was committed.
    """

    router: Router
    owner: SessionOwner | None = None
    bind: str | None = None
    committed: bool = False


class Session(orm.Session):
    """A :class:`sqlalchemy.orm.Session` that knows its unit of work.

    Everything that SQLAlchemy's Session does, it does. In an app it also routes statements to the app's databases by
    bind key, and refuses ``commit()`` and ``rollback()`` inside a block that will do that itself.

    Example:
        >>> from sqlalchemy import create_engine, text
        >>> with Session(create_engine("sqlite://")) as session:
        ...     session.scalar(text("SELECT 6 * 7"))
        42
    """

    _attachment: Attachment | None = None

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
        attachment = self._attachment
        if attachment is None or bind is not None or self.bind is not None:
            return super().get_bind(mapper, clause=clause, bind=bind, **kw)
        if self.binds:
            try:
                return super().get_bind(mapper, clause=clause, **kw)
            except UnboundExecutionError:
                pass  # none of the user's binds fits: the app's databases are the fallback
        return attachment.router.bind_for(mapper, clause, attachment.bind)

    def begin(self, nested: bool = False) -> orm.SessionTransaction:
        """Begin a transaction by hand, as SQLAlchemy documents."""
        transaction = super().begin(nested)
        owner = _owner_of(self)
        if owner is not None and not nested:
            owner.begun_by_hand()
        return transaction

    def commit(self) -> None:
        """Flush and commit the transaction in progress, as SQLAlchemy documents.

        Raises:
            DemarcationError: inside a ``transaction()`` or ``savepoint()`` block, which commits by itself.
            DoomedError: the unit can only be rolled back.
        """
        owner = _owner_of(self)
        if owner is not None:
            owner.check_demarcation("commit")
        super().commit()

    def rollback(self) -> None:
        """Roll the transaction in progress back, as SQLAlchemy documents.

        Raises:
            DemarcationError: inside a ``transaction()`` or ``savepoint()`` block, where an exception does that.
        """
        owner = _owner_of(self)
        if owner is None:
            super().rollback()
            return
        owner.check_demarcation("rollback")
        begun = self.in_transaction()
        super().rollback()
        if not begun:
            # No transaction ended, but what waits for a rollback (hooks, a doom) has had it.
            owner.transaction_ended(committed=False)


def attach(session: Session, attachment: Attachment) -> None:
    """Tie *session* to an app."""
    session._attachment = attachment


def attachment_of(session: Session) -> Attachment | None:
    """What ties *session* to an app; None where nothing does."""
    return session._attachment


def _owner_of(session: Session) -> SessionOwner | None:
    attachment = session._attachment
    return None if attachment is None else attachment.owner


# -- what SQLAlchemy's events say, told to the owner -----------------------------------------------------------------
#
# Events rather than overridden methods: a transaction may also end by `with session.begin():`, by a failed flush or
# by `close()`, none of which passes through commit() or rollback().


@event.listens_for(Session, "after_transaction_create")
def _transaction_created(session: Session, transaction: orm.SessionTransaction) -> None:
    attachment = session._attachment
    if attachment is not None and transaction.parent is None:
        attachment.committed = False
        if attachment.owner is not None:
            attachment.owner.transaction_begun()


@event.listens_for(Session, "after_begin")
def _connection_begun(session: Session, transaction: orm.SessionTransaction, connection: Connection) -> None:
    owner = _owner_of(session)
    if owner is None:
        return
    if transaction.nested:
        owner.savepoint_begun(connection)
    else:
        owner.connection_begun(connection)


@event.listens_for(Session, "before_commit")
def _before_commit(session: Session) -> None:
    owner = _owner_of(session)
    if owner is not None and not session.in_nested_transaction():
        owner.before_commit()


@event.listens_for(Session, "after_commit")
def _after_commit(session: Session) -> None:
    attachment = session._attachment
    if attachment is not None and not session.in_nested_transaction():
        attachment.committed = True


@event.listens_for(Session, "after_soft_rollback")
def _rolled_back(session: Session, transaction: orm.SessionTransaction) -> None:
    owner = _owner_of(session)
    if owner is not None and transaction.nested:
        owner.savepoint_rolled_back(transaction)


@event.listens_for(Session, "after_transaction_end")
def _transaction_ended(session: Session, transaction: orm.SessionTransaction) -> None:
    attachment = session._attachment
    if attachment is not None and attachment.owner is not None and transaction.parent is None:
        attachment.owner.transaction_ended(committed=attachment.committed)
