"""Whether the transaction in progress on a connection has written: only then does a rollback lose anything."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from .statements import Effect, effect_of

__all__ = ["has_written", "watch_writes"]

_WRITTEN: Final = "unitofwork_written"
_WRITES: Final = frozenset({Effect.WRITE, Effect.MAINTENANCE})


def watch_writes(engine: Engine) -> None:
    """From now on remember which transactions of *engine* have written."""
    event.listen(engine, "begin", _begun)
    event.listen(engine, "after_cursor_execute", _executed)


def has_written(connection: Connection) -> bool:
    """Whether a statement that writes was sent in the transaction in progress on *connection*."""
    if connection.closed or connection.invalidated or not connection.in_transaction():
        return False
    return bool(connection.info.get(_WRITTEN))


def _begun(connection: Connection) -> None:
    connection.info[_WRITTEN] = False


def _executed(
    connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _executemany: bool
) -> None:
    if effect_of(statement, context) in _WRITES:
        connection.info[_WRITTEN] = True
