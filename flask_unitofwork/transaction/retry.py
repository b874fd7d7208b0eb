"""Running work again when the database asks for that.

Note: when work is run again
    Only the outermost transaction, and only where running it again can do no harm: what failed has been rolled back, and
    nothing was committed on the way. Which failures ask for it is the databases' to say
    (:mod:`flask_unitofwork.database.transient`).
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from tenacity import RetryCallState, retry_if_exception, wait_random_exponential

from ..database.transient import is_transient
from .signals import announce, unit_retried
from .unit import Unit

__all__ = ["DEADLINE_SECONDS", "Repetition"]

logger = logging.getLogger("flask_unitofwork")

DEADLINE_SECONDS: Final = 10.0
"""No attempt begins later than this after the first: whoever waits for the answer has gone by then."""

FIRST_WAIT_SECONDS: Final = 0.02
LONGEST_WAIT_SECONDS: Final = 1.0


class Repetition:
    """The attempts at one piece of work.

    Args:
        attempts: how many there may be.

    The time counts from when this is made, which is before the first attempt.

    Attributes:
        unit: the unit that the latest attempt ran in.
    """

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._begun = time.monotonic()
        self._failed = 0
        self.unit: Unit | None = None

    @property
    def working(self) -> Unit:
        """The unit that the attempt in progress works in."""
        assert self.unit is not None, "an attempt has begun"
        return self.unit

    @property
    def policy(self) -> dict[str, Any]:
        """The arguments for tenacity: exponential backoff with jitter, under a deadline."""
        return {
            "retry": retry_if_exception(self.may_repeat),
            "stop": self._stops,
            "wait": wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS),
            "before_sleep": self._tell,
            "reraise": True,
        }

    def may_repeat(self, error: BaseException) -> bool:
        """Whether work that failed with *error* may be run again."""
        if not is_transient(error):
            return False
        if self.unit is not None and self.unit.has_committed:
            logger.warning(
                "An attempt failed with %s, which asks for another; but it had committed something already, so it is not"
                " run again.",
                type(error).__name__,
            )
            return False
        return self.unit is not None

    def succeeded(self) -> None:
        """The latest attempt went well."""
        if self._failed:
            logger.info("Attempt %d of %d succeeded.", self._failed + 1, self._attempts)

    def _stops(self, state: RetryCallState) -> bool:
        too_late = time.monotonic() - self._begun + state.upcoming_sleep >= DEADLINE_SECONDS
        stops = too_late or state.attempt_number >= self._attempts
        if stops:
            logger.warning("Attempt %d of %d failed, and no other follows.", state.attempt_number, self._attempts)
        return stops

    def _tell(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        self._failed = state.attempt_number
        error = state.outcome.exception()
        wait = state.upcoming_sleep
        logger.warning(
            "Attempt %d of %d failed with %s and was rolled back. The next begins in %.0f ms.",
            state.attempt_number,
            self._attempts,
            type(error).__name__,
            wait * 1000,
        )
        if self.unit is not None:
            announce(unit_retried, self.unit.sender, unit=self.unit, error=error, wait=wait)
