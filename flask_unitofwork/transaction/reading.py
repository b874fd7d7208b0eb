"""A part of a transaction that only reads, while the rest may write."""

from __future__ import annotations

from sqlalchemy import Connection

from ..database.transactions import permit_writes, refuse_writes

__all__ = ["Reading"]


class Reading:
    """Keeps track of the ``read_only()`` blocks inside a transaction that may write.

    Each is a savepoint: what is refused in it is refused until the savepoint ends, on the databases that have been told,
    and by this package on all of them.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._refusing: set[Connection] = set()

    def __bool__(self) -> bool:
        return self._depth > 0

    def begin(self) -> None:
        """A block begins."""
        self._depth += 1

    def joined(self, connection: Connection) -> None:
        """*connection* has joined a savepoint, and nothing has run on it there."""
        if self._depth:
            self._refusing.add(connection)
            refuse_writes(connection)

    def end(self) -> None:
        """The innermost block is over."""
        self._depth -= 1
        if self._depth:
            return
        refusing, self._refusing = self._refusing, set()
        for connection in refusing:
            if not connection.closed and not connection.invalidated:
                permit_writes(connection)
