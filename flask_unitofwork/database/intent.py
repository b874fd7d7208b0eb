"""What a transaction is for: decided by a unit of work, carried out by the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from sqlalchemy.sql.selectable import FromClause

__all__ = [
    "AROUND",
    "IDLE",
    "INTENT",
    "ISOLATION_LEVELS",
    "LONE_WRITE",
    "NO_INTENT",
    "REFUSES_WRITES",
    "STREAMS",
    "Intent",
    "IsolationLevel",
    "LoneWrite",
    "WriteKind",
]

IsolationLevel = Literal["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]

ISOLATION_LEVELS: Final[tuple[IsolationLevel, ...]] = get_args(IsolationLevel)
"""SQL's isolation levels, weakest first. A database may give more than is asked, never less."""

INTENT: Final = "unitofwork_intent"
"""Where a connection (``Connection.info``) has the intent of the transaction in progress, while a unit uses it."""

STREAMS: Final = "unitofwork_streams"
"""Where a connection has the results that are streamed from it in read mode."""

IDLE: Final = "unitofwork_idle"
"""Where a connection has the stretch of time in which its unit has not used it, where somebody watches that."""

LONE_WRITE: Final = "unitofwork_lone_write"
"""Where a connection has the only statement that its unit will execute (`LoneWrite`), where there is such a one."""

AROUND: Final = "unitofwork_around"
"""Where a connection has those of the transactions that its own was begun inside of: they wait for it, so it must not
wait for them."""

REFUSES_WRITES: Final = "unitofwork_refuses_writes"
"""Where a connection has whether a statement that writes is refused before it is sent."""


WriteKind = Literal["insert", "update", "delete"]


class LoneWrite(NamedTuple):
    """The only statement that a unit will execute.

    Attributes:
        kind: what it does.
        table: what it does that to.
    """

    kind: WriteKind
    table: FromClause


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a transaction is for.

    Attributes:
        writes: it means to write, so that a database with one writer gives it its turn at the first statement.
        read_only: the database refuses writes, and a statement that writes raises `ReadOnlyError` before it is sent.
        isolation_level: how much it may see of others; None for the database's default.
        reads_in_autocommit: until something else than a read runs, there is no transaction, and each read sees what is
            committed when it runs.
        timeout: seconds that one statement may take; None for the limit that the app configured, if any.
    """

    writes: bool = False
    read_only: bool = False
    isolation_level: IsolationLevel | None = None
    reads_in_autocommit: bool = False
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.writes and self.read_only:
            raise ValueError(
                "a transaction cannot mean to write and be read-only: choose writes=True or read_only=True"
            )

    @property
    def may_be_lone(self) -> bool:
        """Whether nothing is asked of the transaction that takes one."""
        return not self.read_only and self.isolation_level is None and self.timeout is None


NO_INTENT: Final = Intent()
