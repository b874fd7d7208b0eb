"""What may be given up on the way: a session's connections (``session.release()``), and the session (``session.close()``)."""

from __future__ import annotations

import logging
from collections.abc import Collection

from sqlalchemy import Connection

from ..database.written import keeps_locks_or_settings, may_have_written
from ..exceptions import DemarcationError
from .reasons import closed_by_hand

__all__ = ["check_release", "report_closing"]

logger = logging.getLogger("flask_unitofwork")


def check_release(
    *, savepoint: bool, by_hand: bool, lost: Collection[str], connections: Collection[Connection]
) -> None:
    """See to it that nothing is lost when connections are given back.

    Args:
        savepoint: whether one is open.
        by_hand: whether the transaction in progress was begun by hand.
        lost: the work that nobody has committed.
        connections: those of the transaction in progress.

    Raises:
        DemarcationError: something would be.
    """
    if by_hand or savepoint:
        raise DemarcationError(
            f"session.release() would end {'a savepoint' if savepoint else 'the transaction'} that was begun by hand, and"
            " whoever wrote session.begin() or begin_nested() decides when it ends. Write session.commit() or"
            " session.rollback(), or do the slow work before or after."
        )
    if lost:
        raise DemarcationError(
            f"session.release() would lose work that is not committed: {', '.join(lost)}. Write session.commit()"
            " first, or do the slow work before or after."
        )
    if any(map(may_have_written, connections)):
        raise DemarcationError(
            "session.release() might lose work: a query has called a function of which nobody knows whether it writes"
            " (SELECT book_seat(7)). Write session.commit() first, or do the slow work before or after; or, if the"
            " function only reads, session.rollback()."
        )
    if any(map(keeps_locks_or_settings, connections)):
        raise DemarcationError(
            "session.release() would give up what the transaction has locked or set (SELECT … FOR UPDATE, SET …), and"
            " somebody else may change what was locked. Do the slow work before that or after the commit; or, if that"
            " is what you want, write session.rollback()."
        )


def report_closing(lost: Collection[str]) -> None:
    """Say that code closes a session, and that work is *lost* with it, if there is any."""
    if lost:
        logger.warning(
            "%s. It had work that nobody had committed, and that is lost now: %s. Write session.commit()"
            " before; or let the end of the scope close it, where a request that succeeds has committed.",
            closed_by_hand(),
            ", ".join(lost),
        )
