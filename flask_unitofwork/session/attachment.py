"""What ties a session to an app, and to the unit of work it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Protocol

from sqlalchemy import Connection, orm

from ..database.branches import GlobalTransaction
from .routing import Router

__all__ = ["Attachment", "ConnectionHolder", "SessionOwner", "attachment_of", "owner_of"]


class SessionOwner(Protocol):
    """What a session's unit is asked and told. Only outermost transactions are reported, and savepoints rolled back."""

    def check_thread(self) -> None:
        """Raise an OutsideScopeError where the thread in progress, which did not make the session, has no part in it."""
        ...

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

    def check_release(self) -> None:
        """Raise a DemarcationError where giving connections back would lose work or break a block."""
        ...

    def closing(self) -> None:
        """The session is about to be closed, with whatever is in it."""
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


class ConnectionHolder(Protocol):
    """What a session asks and tells in read mode: who knows which connections its unit has."""

    @property
    def is_outside_transaction(self) -> bool:
        """Whether no transaction has begun in any database."""
        ...

    @property
    def needs_no_connection(self) -> bool:
        """Whether no transaction has begun in any database, and all that was read is in this process."""
        ...

    def read_mode_ends(self) -> None:
        """From the next statement on, and until the transaction that it begins is over, nothing runs in autocommit."""
        ...

    def transaction_has_begun(self) -> None:
        """A statement has begun a transaction."""
        ...

    def stay(self) -> None:
        """What was read has been read, and the connections go on being used: maybe by who uses the driver itself."""
        ...

    def rest(self) -> bool:
        """What was read has been read: whoever needs the connections may take them. False where they cannot be taken."""
        ...

    def resume(self) -> bool:
        """The connections are used again; False if one of them has been taken."""
        ...

    def connections_given_back(self) -> None:
        """What was read has been read, and no connection is needed any more."""
        ...


@dataclass(slots=True)
class Attachment:
    """What ties a session to an app.

    Attributes:
        router: chooses engines.
        holder: knows the unit's connections.
        owner: the unit that the session belongs to, once it has one.
        thread: the thread that the session was made in, where it is looked after who uses it (debug and testing).
        bind: the name of the database for what names none; None for the app's default.
        reads: after a SELECT its connection is anyone's, as long as no transaction has begun (read mode).
        unsafe: since a SELECT began to run, something else has run or begun to be flushed, so that it is not sent again.
        running: a statement is being executed in read mode.
        resting: the session's connections may be taken by whoever needs one, until it goes on.
        releasing: its connections are being given back, so the end of SQLAlchemy's transaction is none of the unit's.
        released: the savepoint that was last released, so that its end is no rollback.
        committing: the outermost transaction is about to be committed.
        flushing: objects are being written.
        committed: the outermost transaction that is about to end was committed.
        whole: the transaction over several databases that connections join, where commits have two phases.
        cache: what a cache of results notes of the session; None where the app has no cache.
    """

    router: Router
    owner: SessionOwner | None = None
    holder: ConnectionHolder | None = None
    thread: int | None = None
    bind: str | None = None
    released: orm.SessionTransaction | None = None
    committing: bool = False
    flushing: bool = False
    committed: bool = False
    reads: bool = False
    unsafe: bool = False
    running: bool = False
    resting: bool = False
    releasing: bool = False
    whole: GlobalTransaction | None = None
    cache: object = None


attachment_of: Final[Callable[[orm.Session], Attachment | None]] = attrgetter("_attachment")
"""What ties a session to an app; None where nothing does."""


def owner_of(session: orm.Session) -> SessionOwner | None:
    """The unit that *session* belongs to; None where there is none."""
    attachment = attachment_of(session)
    return None if attachment is None else attachment.owner
