"""What the next flush of a session would do."""

from __future__ import annotations

from sqlalchemy.orm import Session

from .changes import PendingChanges
from .fates import Fates
from .flush_order import flush_steps
from .rows import Rows

__all__ = ["pending_changes"]


def pending_changes(session: Session) -> PendingChanges:
    """Tell what the next flush of *session* would do, without flushing, loading or changing anything.

    What listeners of the flush add (``before_flush``, ``before_insert`` …) is not foretold, and neither are the values of
    defaults, ``onupdate`` and version counters.
    """
    fates = Fates(session)
    rows = Rows(fates)
    for step, states in flush_steps(fates):
        rows.play(step, states)
    return PendingChanges(tuple(rows.written), tuple(fates.unloaded.values()))
