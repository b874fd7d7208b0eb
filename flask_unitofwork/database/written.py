"""Whether a unit of work has written on a connection: only then does a rollback lose anything. Or whether it may not."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Connection, Engine, ExceptionContext, event

from ..exceptions import ReadOnlyError
from .executions import OWN_STATEMENT, Info, before_others
from .intent import REFUSES_WRITES
from .statements import Effect, effect_of, is_change_of_rows

__all__ = [
    "forget_writes",
    "has_committed_by_itself",
    "has_done_more_than_read",
    "has_written",
    "keeps_locks_or_settings",
    "may_have_written",
    "watch_writes",
]


_WRITES: Final = "unitofwork_writes"
_MORE_THAN_READS: Final = "unitofwork_more_than_reads"
_KEEPS: Final = "unitofwork_keeps"
_CALLS: Final = "unitofwork_calls"
_CHANGES_SCHEMA: Final = "unitofwork_changes_schema"
_COUNTED: Final = "_unitofwork_counted"
_NOTHING_YET: Final = {_WRITES: 0, _MORE_THAN_READS: False, _KEEPS: False, _CALLS: False, _CHANGES_SCHEMA: False}

# What is over when the transaction is, though nothing was written.
_KEEPERS: Final = frozenset({Effect.CONTROL, Effect.LOCK})
# Functions that lock or set something, where a name tells it.
_KEEPING_CALLS: Final = re.compile(r"\b(?:pg_(?:try_)?advisory\w*lock\w*|get_lock|set_config)\s*\(", re.IGNORECASE)


def watch_writes(engine: Engine) -> None:
    """From now on remember which connections of *engine* have written, and refuse it on those that may not.

    What is refused raises `ReadOnlyError` and does not reach the database. A function that writes cannot be seen here:
    the database itself refuses that (`begin_as`).
    """
    before_others(engine, _count)
    event.listen(engine, "handle_error", _discount)


def forget_writes(connection: Connection) -> None:
    """A unit begins on *connection*: what was written before is not its own.

    A new transaction on the same connection does not tell: in an isolated test, all units share one transaction.
    """
    connection.info.update(_NOTHING_YET)


def has_written(connection: Connection) -> bool:
    """Whether a statement that writes has run on *connection* since `forget_writes`."""
    if connection.closed or connection.invalidated:
        return False
    return bool(connection.info.get(_WRITES))


def has_done_more_than_read(connection: Connection) -> bool:
    """Whether anything but a read has run on *connection* since `forget_writes`: a lock, a setting, a savepoint, a write."""
    if connection.closed or connection.invalidated:
        return False
    return bool(connection.info.get(_MORE_THAN_READS))


def keeps_locks_or_settings(connection: Connection) -> bool:
    """Whether a statement since `forget_writes` has locked or set something on *connection*, as far as its text tells."""
    if connection.closed or connection.invalidated:
        return False
    return bool(connection.info.get(_KEEPS))


def may_have_written(connection: Connection) -> bool:
    """Whether a query since `forget_writes` has called a function on *connection* of which nobody knows what it does.

    Not on SQLite, where functions cannot write.
    """
    if connection.closed or connection.invalidated or connection.dialect.name == "sqlite":
        return False
    return bool(connection.info.get(_CALLS))


def has_committed_by_itself(connection: Connection) -> bool:
    """Whether MySQL or MariaDB has committed before a statement that changes a schema (``ALTER``, ``TRUNCATE`` …)."""
    if connection.closed or connection.invalidated:
        return False
    return bool(connection.info.get(_CHANGES_SCHEMA))


def _count(info: Info, _cursor: object, statement: str, context: Any) -> None:
    effect = effect_of(statement, context)
    if effect is Effect.READ or OWN_STATEMENT in context.execution_options:
        return
    info[_MORE_THAN_READS] = True
    if effect in _KEEPERS or (effect is Effect.CALL and _KEEPING_CALLS.search(statement)):
        info[_KEEPS] = True
    elif effect is Effect.CALL:
        info[_CALLS] = True
    if effect >= Effect.LOCK and info.get(REFUSES_WRITES):
        raise ReadOnlyError(
            f"This unit of work is read-only, and this statement writes or locks: {_shortened(statement)}."
            " Write where the unit may, such as in a scope() of its own."
        )
    if (
        effect is Effect.WRITE
        and context.dialect.name in {"mysql", "mariadb"}
        and not is_change_of_rows(statement, context)
    ):
        info[_CHANGES_SCHEMA] = True
    if effect >= Effect.MAINTENANCE:
        info[_WRITES] = info.get(_WRITES, 0) + 1
        setattr(context, _COUNTED, True)


def _discount(failure: ExceptionContext) -> None:
    """A statement that failed has written nothing."""
    if getattr(failure.execution_context, _COUNTED, False) and failure.connection is not None:
        info = failure.connection.info
        info[_WRITES] = info.get(_WRITES, 1) - 1


def _shortened(statement: str, length: int = 120) -> str:
    line = " ".join(statement.split())
    return line if len(line) <= length else f"{line[:length]}…"
