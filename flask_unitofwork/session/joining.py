"""Two phases: which transaction over several databases a session's next connection joins.

SQLAlchemy asks an engine's dialect for a branch's name, and tells it neither the session nor the unit. So the session
says it beforehand: whenever it has chosen an engine, it is about to connect to it, unless it has a connection there.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine

from ..database.branches import GlobalTransaction, about_to_join
from .attachment import Attachment

__all__ = ["announce", "bind_in", "whole_of"]


def announce(attachment: Attachment, bind: Engine | Connection) -> None:
    """The session may be about to connect to *bind*."""
    whole = whole_of(attachment)
    about_to_join.set(None if whole.has_branch_on(bind) else whole)


def whole_of(attachment: Attachment) -> GlobalTransaction:
    """The transaction that the session's connections are branches of."""
    if attachment.whole is None:
        attachment.whole = GlobalTransaction()
    return attachment.whole


def bind_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Engine | Connection | None:
    """The bind that ``session.connection()`` is given, which asks nobody for one then."""
    arguments = args[0] if args else kwargs.get("bind_arguments")
    return None if not arguments else arguments.get("bind")
