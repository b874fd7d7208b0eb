"""What becomes of units, told to whoever listens. The sender is the app; a receiver's failure changes nothing."""

from __future__ import annotations

import logging
from typing import Any, Final

from blinker import NamedSignal, Namespace

__all__ = ["announce", "unit_committed", "unit_retried", "unit_rolled_back"]

logger = logging.getLogger("flask_unitofwork")

_signals: Final = Namespace()

unit_committed: Final[NamedSignal] = _signals.signal("unit-committed")
"""A unit was committed. Sent with ``unit``, before its after-commit hooks."""

unit_rolled_back: Final[NamedSignal] = _signals.signal("unit-rolled-back")
"""A unit was rolled back. Sent with ``unit``, which tells its ``reason``, before its after-rollback hooks."""

unit_retried: Final[NamedSignal] = _signals.signal("unit-retried")
"""A unit was rolled back and will run again. Sent with ``unit``, ``error`` (why), and ``wait`` (seconds until then)."""


def announce(signal: NamedSignal, sender: object, **values: Any) -> None:
    """Send *signal*. What a receiver raises is logged: the outcome it was told of stands."""
    for receiver in signal.receivers_for(sender) if signal.receivers else ():
        try:
            receiver(sender, **values)
        except Exception:
            logger.exception("A receiver of the signal %s failed.", signal.name)
