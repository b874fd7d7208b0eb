"""The Session of this package: SQLAlchemy's, extended at public points only.

Used on its own (``Session(engine)``) it is SQLAlchemy's Session to the letter: routing and ownership begin where an
app's unit of work attaches them. Its class has no public name that SQLAlchemy's has not, so that ``scoped_session`` and
everything else that mirrors a Session mirrors all of it; SQLAlchemy's own test suite looks for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sqlalchemy import ClauseElement, Connection, Engine, orm
from sqlalchemy.exc import NoResultFound, UnboundExecutionError
from sqlalchemy.orm.attributes import instance_state

from .attachment import Attachment, SessionOwner, attachment_of, owner_of
from .joining import announce, bind_in, whole_of
from .listeners import listen
from .lookup import PLAIN_KEYS, lookup_for
from .reading import end_rest, give_back, is_clean, run
from .strong_identity_map import StrongIdentityMap

__all__ = ["Attachment", "Session", "SessionOwner", "attach", "attachment_of"]


F = TypeVar("F", bound=Callable[..., Any])


def _as_in(method: Callable[..., Any]) -> Callable[[F], F]:
    """Give a method that hands its arguments on the signature of *method*, for ``help()`` and whoever else asks."""
    return wraps(method, assigned=())  # type: ignore[return-value]


class Session(orm.Session):
    """A :class:`sqlalchemy.orm.Session` that knows its unit of work.

    Everything that SQLAlchemy's Session does, it does. In an app it also routes statements to the app's databases by
    bind key, and refuses ``commit()`` and ``rollback()`` inside a block that will do that itself.

    Args:
        *args: those of SQLAlchemy's Session.
        strong_identity_map: how many objects the session holds on to, though nobody else refers to them; None for none.
        **options: those of SQLAlchemy's Session.

    Raises:
        ConfigurationError: *strong_identity_map* is no whole number, or below 1.

    Example:
        >>> from sqlalchemy import create_engine, text
        >>> with Session(create_engine("sqlite://")) as session:
        ...     session.scalar(text("SELECT 6 * 7"))
        42
    """

    _attachment: Attachment | None = None
    # Whether a row is looked up in the one database that its class's statements go to.
    _one_place: ClassVar[bool] = True

    def __init__(self, *args: Any, strong_identity_map: int | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        if strong_identity_map is not None:
            self.strong_identity_map = StrongIdentityMap(self, strong_identity_map)

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
            OutsideScopeError: the session belongs to another thread (in debug and testing).
        """
        attachment = self._attachment
        if attachment is not None and attachment.thread not in (None, get_ident()) and attachment.owner is not None:
            attachment.owner.check_thread()
        if attachment is None or self.bind is not None:
            return super().get_bind(mapper, clause=clause, bind=bind, **kw)
        if bind is None:
            bind = self._routed(attachment, mapper, clause, kw)
        if self.twophase:
            announce(attachment, bind)
        return bind

    def _routed(
        self, attachment: Attachment, mapper: Any, clause: ClauseElement | None, arguments: Mapping[str, Any]
    ) -> Engine | Connection:
        """The bind for a statement that names none. *arguments* are what SQLAlchemy's own rules are told besides."""
        if self.binds:
            try:
                bind: Engine | Connection | str = super().get_bind(mapper, clause=clause, **arguments)
            except UnboundExecutionError:
                pass  # none of the user's binds fits: the app's databases are the fallback
            else:
                return attachment.router.named(bind)
        return attachment.router.bind_for(mapper, clause, attachment.bind)

    if not TYPE_CHECKING:  # SQLAlchemy's own signatures, with all their overloads, are what users see

        @_as_in(orm.Session.execute)
        def execute(self, *args: Any, **kwargs: Any) -> Any:
            """Execute a statement, as SQLAlchemy documents. In read mode a SELECT leaves no transaction behind."""
            attachment = self._attachment
            if attachment is None or not attachment.reads:
                return super().execute(*args, **kwargs)
            return run(self, attachment, super().execute, args, kwargs)

        @_as_in(orm.Session.scalar)
        def scalar(self, *args: Any, **kwargs: Any) -> Any:
            """Execute a statement and return a scalar, as SQLAlchemy documents; in read mode as ``execute`` does."""
            attachment = self._attachment
            if attachment is None or not attachment.reads:
                return super().scalar(*args, **kwargs)
            return run(self, attachment, super().scalar, args, kwargs)

        @_as_in(orm.Session.scalars)
        def scalars(self, *args: Any, **kwargs: Any) -> Any:
            """Execute a statement and return its scalars, as SQLAlchemy documents; in read mode as ``execute`` does."""
            attachment = self._attachment
            if attachment is None or not attachment.reads:
                return super().scalars(*args, **kwargs)
            return run(self, attachment, super().scalars, args, kwargs)

        @_as_in(orm.Session.get)
        def get(self, entity: Any, ident: Any, **options: Any) -> Any:
            """Look an object up by its key, as SQLAlchemy documents."""
            if self._attachment is None or options or type(ident) not in PLAIN_KEYS or not self._one_place:
                return super().get(entity, ident, **options)
            lookup = lookup_for(entity)
            if lookup is None:
                return super().get(entity, ident)
            known = self.identity_map.get(lookup.mapper.identity_key_from_primary_key((ident,)))
            if known is not None:
                # What is expired may be gone.
                loaded = isinstance(known, entity) and not instance_state(known).expired
                return known if loaded else super().get(entity, ident)
            return self.scalars(lookup.statement, {lookup.parameter: ident}).unique().one_or_none()

        @_as_in(orm.Session.get_one)
        def get_one(self, entity: Any, ident: Any, **options: Any) -> Any:
            """Look an object up by its key that must be there, as SQLAlchemy documents."""
            if options:
                return super().get_one(entity, ident, **options)
            found = self.get(entity, ident)
            if found is None:
                raise NoResultFound("No row was found when one was required")
            return found

        # What uses the session's connection in another way than those three gives it back first if it rests.

        @_as_in(orm.Session.bulk_save_objects)
        def bulk_save_objects(self, *args: Any, **kwargs: Any) -> None:
            """Write *objects* without the unit of work, as SQLAlchemy documents."""
            end_rest(self)
            super().bulk_save_objects(*args, **kwargs)

        @_as_in(orm.Session.bulk_insert_mappings)
        def bulk_insert_mappings(self, *args: Any, **kwargs: Any) -> None:
            """Insert rows without the unit of work, as SQLAlchemy documents."""
            end_rest(self)
            super().bulk_insert_mappings(*args, **kwargs)

        @_as_in(orm.Session.bulk_update_mappings)
        def bulk_update_mappings(self, *args: Any, **kwargs: Any) -> None:
            """Update rows without the unit of work, as SQLAlchemy documents."""
            end_rest(self)
            super().bulk_update_mappings(*args, **kwargs)

    def in_transaction(self) -> bool:
        """Whether a transaction is in progress, as SQLAlchemy documents; in read mode there is none between two SELECTs."""
        attachment = self._attachment
        return super().in_transaction() if attachment is None or not attachment.resting else not is_clean(self)

    def get_transaction(self) -> orm.SessionTransaction | None:
        """The root transaction in progress, as SQLAlchemy documents; in read mode there is none between two SELECTs."""
        return super().get_transaction() if self.in_transaction() else None

    @_as_in(orm.Session.connection)
    def connection(self, *args: Any, **kwargs: Any) -> Connection:
        """The connection of the transaction in progress, as SQLAlchemy documents. It ends read mode for that one."""
        _end_read_mode(self)
        if self.twophase and self._attachment is not None:
            bind = bind_in(args, kwargs)
            if bind is not None:
                announce(self._attachment, bind)
        return super().connection(*args, **kwargs)

    if TYPE_CHECKING:
        strong_identity_map: StrongIdentityMap | None
        """The objects that the session holds on to; None where it was not told to."""

        def release(self) -> None:
            """Give connections back before slow work that needs none. The next statement takes one again.

            Raises:
                DemarcationError: there is uncommitted work, or a lock or a setting of the transaction; or a block or a
                    transaction that was begun by hand is open.
            """

    else:

        def __getattr__(self, name: str) -> Any:
            # A session has it, its class has not: what mirrors the class's names, as scoped_session does, has them all.
            if name == "release":
                return partial(_release, self)
            if name == "strong_identity_map":
                return None
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def begin(self, nested: bool = False) -> orm.SessionTransaction:
        """Begin a transaction by hand, as SQLAlchemy documents. It ends read mode for that one."""
        _end_read_mode(self)
        transaction = super().begin(nested)
        owner = owner_of(self)
        if owner is not None and not nested:
            owner.begun_by_hand()
        return transaction

    def commit(self) -> None:
        """Flush and commit the transaction in progress, as SQLAlchemy documents.

        Raises:
            DemarcationError: inside a ``transaction()`` or ``savepoint()`` block, which commits by itself.
            DoomedError: the unit can only be rolled back.
        """
        owner = owner_of(self)
        if owner is not None:
            owner.check_demarcation("commit")
        end_rest(self)
        super().commit()

    def rollback(self) -> None:
        """Roll the transaction in progress back, as SQLAlchemy documents.

        Raises:
            DemarcationError: inside a ``transaction()`` or ``savepoint()`` block, where an exception does that.
        """
        owner = owner_of(self)
        if owner is None:
            super().rollback()
            return
        owner.check_demarcation("rollback")
        end_rest(self)
        if not (self.in_transaction() or is_clean(self)):
            super().begin()  # SQLAlchemy forgets what waits to be written with a transaction only
        begun = self.in_transaction()
        super().rollback()
        if not begun:
            self.expire_all()  # as the rollback of what has been read in a transaction does
            # No transaction ended, but what waits for a rollback (hooks, a doom) has had it.
            owner.transaction_ended(committed=False)

    def prepare(self) -> None:
        """Prepare the transaction in progress for a commit in two phases, as SQLAlchemy documents.

        Raises:
            DemarcationError: inside a ``transaction()`` or ``savepoint()`` block, which commits by itself.
            sqlalchemy.exc.InvalidRequestError: ``UNITOFWORK_TWO_PHASE`` is off.
        """
        attachment, owner = self._attachment, owner_of(self)
        if owner is not None:
            owner.check_demarcation("prepare")
        end_rest(self)
        if attachment is not None:
            whole_of(attachment).is_asked_to_prepare = True
        super().prepare()

    def close(self) -> None:
        """Give everything back, as SQLAlchemy documents. What is not committed is rolled back."""
        _announce_end(self)
        super().close()

    def reset(self) -> None:
        """Give everything back and begin anew, as SQLAlchemy documents. What is not committed is rolled back."""
        _announce_end(self)
        super().reset()

    def invalidate(self) -> None:
        """Close the session and its connections, as SQLAlchemy documents."""
        end_rest(self)
        super().invalidate()


def attach(session: Session, attachment: Attachment) -> None:
    """Tie *session* to an app."""
    session._attachment = attachment


def _release(session: Session) -> None:
    attachment = session._attachment
    if attachment is None or attachment.owner is None:
        session.close()
        return
    attachment.owner.check_release()
    give_back(session, attachment)


def _announce_end(session: Session) -> None:
    attachment = session._attachment
    if attachment is None:
        return
    if attachment.owner is not None:
        attachment.owner.closing()
    if attachment.resting:
        give_back(session, attachment)


def _end_read_mode(session: Session) -> None:
    attachment = session._attachment
    if attachment is not None and attachment.holder is not None:
        attachment.holder.read_mode_ends()


listen(Session)
