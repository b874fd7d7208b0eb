"""How long a statement may take on SQLite, which has no setting for that but asks now and then whether to go on."""

from __future__ import annotations

import time
from typing import Any, Final

__all__ = ["DEADLINE", "Deadline"]

DEADLINE: Final = "unitofwork_deadline"
"""Where a connection has its `Deadline`, if it has one."""

# How often SQLite asks whether the time is up: often enough for milliseconds, too seldom to be noticed.
INSTRUCTIONS_BETWEEN_LOOKS: Final = 1000


class Deadline:
    """When the statement that runs on a connection has to end.

    Args:
        connection: whose statements it is for.
        seconds: how long each may take, unless a unit asks for something else; None for no limit.
    """

    __slots__ = ("_at", "seconds", "usual_seconds")

    def __init__(self, connection: Any, seconds: float | None) -> None:
        self.seconds = self.usual_seconds = float("inf") if seconds is None else seconds
        self._at = float("inf")
        connection.set_progress_handler(self.is_over, INSTRUCTIONS_BETWEEN_LOOKS)

    def restart(self) -> None:
        self._at = time.monotonic() + self.seconds

    def is_over(self) -> bool:
        return time.monotonic() > self._at
