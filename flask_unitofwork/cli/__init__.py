"""``flask uow …``, and what ``flask shell`` knows."""

from __future__ import annotations

from .commands import uow_commands
from .shell import shell_context

__all__ = ["shell_context", "uow_commands"]
