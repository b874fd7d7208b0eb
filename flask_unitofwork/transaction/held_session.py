"""The session of a unit: made when it is first needed, told what the unit intends, given back whatever happens."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from ..exceptions import DemarcationError
from ..session import Attachment, Session, SessionOwner, attachment_of

__all__ = ["HeldSession"]


class HeldSession:
    """Holds a unit's session.

    Args:
        make: makes the session, once it is needed.
        writes: whether the unit is expected to write.
        read_only: whether writes are refused.

    Attributes:
        session: the session, or None as long as nobody asked for it.
        connections: those of the transaction in progress.
        read_only: whether writes are refused.
    """

    def __init__(self, make: Callable[[], Session], *, writes: bool, read_only: bool) -> None:
        self._make = make
        self._writes = writes
        self._attachment: Attachment | None = None
        self.read_only = read_only
        self.session: Session | None = None
        self.connections: list[Connection] = []

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
        attachment.owner = owner
        self.tell_intent()
        return session

    def intend(self, *, writes: bool | None = None, read_only: bool | None = None) -> None:
        """Change, from the next transaction on, whether the unit means to write, or may not."""
        self._writes = self._writes if writes is None else writes
        self.read_only = self.read_only if read_only is None else read_only
        self.tell_intent()

    def tell_intent(self) -> None:
        """Let the session's next transaction be as the unit intends."""
        # A transaction that has its connection keeps it: another intent would mean another connection beside it.
        if self._attachment is not None and not self.connections:
            self._attachment.writes = self._writes and not self.read_only
            self._attachment.read_only = self.read_only

    @property
    def in_transaction(self) -> bool:
        """Whether the session has begun a transaction."""
        return self.session is not None and self.session.in_transaction()

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
                    self._attachment.owner = None

    def discard(self) -> None:
        """Close without a rollback: the connections are in an unknown state and must not be used again."""
        connections, self.connections = self.connections, []
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
