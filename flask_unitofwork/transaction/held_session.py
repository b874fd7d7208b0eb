"""The session of a unit: made when it is first needed, told what the unit intends, given back whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from threading import get_ident
from typing import Any

from sqlalchemy import Connection

from ..database.autocommit import has_all_rows, is_in_transaction, leave_autocommit, transaction_check
from ..database.intent import Intent
from ..database.leases import Lease, lease_of
from ..database.streamed import has_only_streamed, when_streamed
from ..database.transactions import amend_intent, announce_lone_write, begin_as, end_as
from ..exceptions import DemarcationError
from ..session import Attachment, Session, SessionOwner, attachment_of, give_back, is_clean, lone_write

__all__ = ["HeldSession"]


class HeldSession:
    """Holds a unit's session.

    Args:
        make: makes the session, once it is needed.
        intent: what the unit's transactions are for.
        one_thread: whether it is looked after which thread uses the session.

    Attributes:
        session: the session, or None as long as nobody asked for it.
        intent: what the unit's transactions are for, from the next one on.
        connections: those of the transaction in progress, each with what it was for before; not those that rest.
    """

    def __init__(self, make: Callable[[], Session], intent: Intent, *, one_thread: bool) -> None:
        self._make = make
        self._one_thread = one_thread
        self._attachment: Attachment | None = None
        self.intent = intent
        self.session: Session | None = None
        self.connections: dict[Connection, Intent] = {}
        self._resting: dict[Connection, Intent] = {}
        self._leases: list[Lease] = []
        self._in_transaction: list[Callable[[], bool]] = []

    def get(self, owner: SessionOwner) -> Session:
        """The session of *owner*; made now if there is none yet."""
        return self.adopt(self._make(), owner) if self.session is None else self.session

    def adopt(self, session: Session, owner: SessionOwner) -> Session:
        """Hold *session* for *owner*.

        Raises:
            DemarcationError: there is one already.
        """
        if self.session is not None:
            raise DemarcationError(
                "This scope already has a session, so another one cannot take its place."
                " Set options before the first use, or open a scope of its own: with uow.scope(): …"
            )
        attachment = attachment_of(session)
        assert attachment is not None, "sessions of an app are attached to it when they are made"
        self.session, self._attachment = session, attachment
        attachment.owner, attachment.holder = owner, self
        attachment.reads = self.intent.reads_in_autocommit
        attachment.thread = get_ident() if self._one_thread else None
        return session

    def intend(self, **changes: Any) -> None:
        """Change, from the next transaction on, what the unit's transactions are for."""
        self.intend_as(replace(self.intent, **changes))

    def intend_as(self, intent: Intent) -> None:
        """From the next transaction on, they are for *intent*."""
        if intent is self.intent or intent == self.intent:
            return
        self._end_rest()
        self.intent = intent
        if self._attachment is not None and not self.connections:
            self._attachment.reads = intent.reads_in_autocommit

    def expect_writes(self) -> None:
        """From the next statement on, the unit means to write."""
        self.intent = replace(self.intent, writes=True, reads_in_autocommit=False)
        self._amend(self.intent)

    # -- what the session asks and tells in read mode (ConnectionHolder) -------------------------------------------

    @property
    def is_outside_transaction(self) -> bool:
        return not any(map(is_in_transaction, self.connections))

    @property
    def needs_no_connection(self) -> bool:
        if len(self._in_transaction) != len(self.connections):
            if not all(map(has_all_rows, self.connections)):
                return False
            self._in_transaction = [transaction_check(one) for one in self.connections]
        return not any(tell() for tell in self._in_transaction)

    def transaction_has_begun(self) -> None:
        for connection in self.connections:
            when_streamed(connection, self._streamed)

    def _streamed(self) -> None:
        """What was streamed in read mode has been read. If that was all, the transaction is over."""
        session, attachment = self.session, self._attachment
        if session is None or attachment is None or not attachment.reads:
            return
        if is_clean(session) and not session.in_nested_transaction() and all(map(has_only_streamed, self.connections)):
            self.give_back()

    def stay(self) -> None:
        for connection in self.connections:
            leave_autocommit(connection)

    def rest(self) -> bool:
        if len(self._leases) != len(self.connections):
            leases: list[Lease] = []
            for connection in self.connections:
                lease = lease_of(connection)
                if lease is None:
                    return False
                leases.append(lease)
            self._leases = leases
        self._resting, self.connections = self.connections, {}
        for lease in self._leases:
            lease.rest()
        return True

    def resume(self) -> bool:
        self.connections, self._resting = self._resting, {}
        unchanged = [lease.resume() for lease in self._leases]  # each of them, also where one is gone
        return all(unchanged)

    def connections_given_back(self) -> None:
        self.ended()

    def give_back(self) -> None:
        """Give back what the session has only read with."""
        if self.session is not None and self._attachment is not None:
            give_back(self.session, self._attachment)

    def _end_rest(self) -> None:
        if self._attachment is not None and self._attachment.resting:
            self.give_back()

    def read_mode_ends(self) -> None:
        """From the next statement on there is a transaction; when it is over, it is as `intent` says again."""
        if self._attachment is not None and self._attachment.reads:
            self._amend(replace(self.intent, reads_in_autocommit=False))

    def _amend(self, intent: Intent) -> None:
        self._end_rest()
        if self._attachment is not None:
            self._attachment.reads = intent.reads_in_autocommit
        for connection in self.connections:
            amend_intent(connection, intent)
            leave_autocommit(connection)

    def route(self, bind: str | None) -> str | None:
        """Let what names no database go to *bind*; None for the app's default.

        Returns:
            Where it went before.

        Raises:
            UnknownBindError: there is no such database.
        """
        attachment = self._attachment
        if attachment is None:
            return None  # the session was taken away inside the block
        if bind is not None:
            attachment.router.source[bind]
        before, attachment.bind = attachment.bind, bind
        return before

    def begun(self, connection: Connection, around: Collection[Connection], *, alone: bool) -> None:
        """*connection* has joined the transaction in progress, which was begun inside of those of *around*.

        Args:
            connection: nothing has run on it.
            around: in use by others as long as the transaction is.
            alone: whether what needs no transaction may be sent without one, if it writes.
        """
        intent, attachment = self.intent, self._attachment
        if attachment is not None and intent.reads_in_autocommit and not attachment.reads:
            intent = replace(intent, reads_in_autocommit=False)
        is_first = not self.connections
        self.connections[connection] = begin_as(connection, intent, around)
        if attachment is None or not (attachment.committing and attachment.flushing):
            return
        if alone and is_first and intent.may_be_lone:
            self._announce_lone_write(connection)

    def _announce_lone_write(self, connection: Connection) -> None:
        """Say so on *connection* if the closing flush, which is in progress, consists of one statement."""
        session = self.session
        if session is None or session.twophase:
            return
        statement = lone_write(session)
        if statement is not None:
            announce_lone_write(connection, statement)

    def ended(self) -> None:
        """The transaction in progress is over. Connections that rest are in none, and go on resting."""
        connections, self.connections = self.connections, {}
        if not self._resting:
            self._leases, self._in_transaction = [], []
        for connection, before in connections.items():
            end_as(connection, before)
        if self._attachment is not None:
            self._attachment.reads = self.intent.reads_in_autocommit

    @property
    def in_transaction(self) -> bool:
        """Whether the session has begun a transaction."""
        session, attachment = self.session, self._attachment
        if session is None:
            return False
        if attachment is not None and attachment.resting:
            return not is_clean(session)  # what it would say itself; each request asks several times
        return session.in_transaction()

    def close(self) -> None:
        """Close the session. What is not committed is rolled back."""
        if self.session is not None:
            try:
                self.session.close()
            except Exception:
                self.discard()
                raise
            finally:
                # Who kept the session has a session without a unit; and the two are no cycle for the collector.
                if self._attachment is not None:
                    self._attachment.owner = self._attachment.holder = None

    def discard(self) -> None:
        """Close without a rollback: the connections are in an unknown state and must not be used again."""
        self._end_rest()
        connections, self.connections = self.connections, {}
        for connection in connections:
            connection.invalidate()
            connection.close()
        if self.session is not None:
            self.session.invalidate()

    def forget(self) -> None:
        """Close the session; the next use makes a new one."""
        try:
            self.close()
        finally:
            self.session = self._attachment = None
