"""What a commit that failed has left behind in the databases that it went to."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection

from ..database.commits import has_committed, outcome_is_unknown
from ..database.two_phase import has_two_phases
from .lifecycle import State

__all__ = ["state_without_commit"]

_PREPARED: Final = "What is still prepared in the others is finished by `flask uow recover`."
_NOT_PREPARED: Final = "To prepare all before any is committed, set UNITOFWORK_TWO_PHASE = True."

logger = logging.getLogger("flask_unitofwork")


def state_without_commit(connections: Collection[Connection]) -> State:
    """Where a unit stands whose commit failed, or was never tried, on *connections*."""
    done = [connection for connection in connections if has_committed(connection)]
    if done:
        logger.error(
            "A unit of work is committed in a part of its databases only, because the commit in another failed after it."
            " Committed: %s. %s",
            ", ".join(connection.engine.url.render_as_string(hide_password=True) for connection in done),
            _PREPARED if any(map(has_two_phases, done)) else _NOT_PREPARED,
        )
    if done or any(map(outcome_is_unknown, connections)):
        return State.UNKNOWN
    return State.ROLLED_BACK
