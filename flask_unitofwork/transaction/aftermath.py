"""What a commit that failed has left behind in the databases that it went to."""

from __future__ import annotations

import logging
from collections.abc import Collection

from sqlalchemy import Connection

from ..database.commits import has_committed, outcome_is_unknown
from .lifecycle import State

__all__ = ["state_without_commit"]

logger = logging.getLogger("flask_unitofwork")


def state_without_commit(connections: Collection[Connection]) -> State:
    """Where a unit stands whose commit failed, or was never tried, on *connections*."""
    done = [connection for connection in connections if has_committed(connection)]
    if done:
        logger.error(
            "A unit of work is committed in a part of its databases only, because the commit in another failed after it."
            " Committed: %s. To prepare all before any is committed, set UNITOFWORK_TWO_PHASE = True.",
            ", ".join(connection.engine.url.render_as_string(hide_password=True) for connection in done),
        )
    if done or any(map(outcome_is_unknown, connections)):
        return State.UNKNOWN
    return State.ROLLED_BACK
