"""What a rollback would lose: objects that are not flushed yet, and what was sent to the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection

from ..database.written import has_written
from ..session import Session

__all__ = ["describe_uncommitted"]


def describe_uncommitted(session: Session, connections: Iterable[Connection]) -> list[str]:
    """What a rollback now would lose, by kind, type and number; never the values.

    Args:
        session: its pending, changed and deleted objects count.
        connections: those of its transaction in progress; statements that wrote on them count.

    Returns:
        Such as ``["2 new Order", "1 changed Product"]``; empty if nothing would be lost.
    """
    changed = [one for one in session.dirty if session.is_modified(one)]
    parts = [
        f"{count} {kind} {name}"
        for kind, objects in (("new", session.new), ("changed", changed), ("deleted", session.deleted))
        for name, count in Counter(type(one).__qualname__ for one in objects).items()
    ]
    if any(has_written(connection) for connection in connections):
        parts.append("statements that were sent to the database")
    return parts
