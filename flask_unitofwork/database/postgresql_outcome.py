"""What became of a PostgreSQL transaction, asked on another connection.

Note: ids are given out again
    A transaction's id is certain only while the server does not crash: ids that had not reached the disk are given
    to others afterwards, whose fate would be taken for ours. The same goes for a standby that is promoted. Both are
    told by the time at which the server's statistics began: it outlives an orderly restart, and neither a crash nor a
    failover. So each answer counts in the *era* of its question only. (``pg_stat_reset_shared('bgwriter')`` begins
    an era too, which makes a lost commit unknown for no reason, but never wrong.)
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager
from enum import Enum
from time import monotonic
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.pool import Pool, PoolProxiedConnection
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_exponential

__all__ = ["Fate", "TransactionMark", "fate_of", "mark_of", "tells_fates"]

PATIENCE_SECONDS: Final = 5.0
"""How long a lost COMMIT is asked about. Somebody waits for the response meanwhile."""

GRACE_SECONDS: Final = 1.0
"""How long a COMMIT that has not ended may go on by itself before its backend is ended."""

_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 0.5

# Before 15, statistics came from a process of their own, and asking for them could take its time.
_OLDEST_VERSION: Final[tuple[int, ...]] = (15,)

_ERA: Final = "extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())::text"
_MARK: Final = f"SELECT pg_current_xact_id_if_assigned()::text, pg_backend_pid(), {_ERA}"
# A CASE, because in another era the id may not have been given out yet, which is an error.
_STATUS: Final = f"SELECT CASE WHEN {_ERA} IS NOT DISTINCT FROM %s THEN pg_xact_status(%s::xid8) ELSE 'other era' END"  # noqa: S608
# The id again: behind a pooler the backend may serve somebody else by now.
_END: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_xid = %s::xid8::xid"


class Fate(Enum):
    """What became of a transaction."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    IN_PROGRESS = "in progress"
    UNKNOWN = "unknown"


# What pg_xact_status says. It says nothing of what was long ago, and that is not what we ask.
_FATES: Final = {"committed": Fate.COMMITTED, "aborted": Fate.ROLLED_BACK, "in progress": Fate.IN_PROGRESS}


class TransactionMark(NamedTuple):
    """What a transaction can be asked about by.

    Attributes:
        xid: its id.
        backend: the server's process that has it.
        era: from when on the server has not crashed.
    """

    xid: str
    backend: int
    era: str | None


def tells_fates(dialect: Dialect) -> bool:
    """Whether the server that *dialect* has met can tell what became of a transaction."""
    version: tuple[int, ...] = getattr(dialect, "server_version_info", None) or ()
    return dialect.name == "postgresql" and version >= _OLDEST_VERSION


def mark_of(proxied: PoolProxiedConnection) -> TransactionMark | None:
    """What the transaction in progress on *proxied* can be asked about by, in one round trip.

    Returns:
        None if it has changed no data, so that there is nothing to commit. (A NOTIFY alone changes none.)

    Raises:
        Exception: the driver's error, and COMMIT must not be sent.
    """
    with closing(proxied.cursor()) as cursor:
        cursor.execute(_MARK)
        xid, backend, era = _row(cursor)
    return None if xid is None else TransactionMark(xid, backend, era)


def fate_of(mark: TransactionMark, engine: Engine) -> Fate:
    """What became of the transaction of *mark*, whose connection is lost. Never `Fate.IN_PROGRESS`.

    A transaction that stays in progress is ended: the server has not noticed that its client is gone, and may not for
    hours. (It may be waiting for a standby to confirm a commit: that wait is over then, and it is committed.)

    Takes `PATIENCE_SECONDS` at most, and what one attempt to connect and to ask may take.

    Args:
        mark: the transaction's.
        engine: where it was.
    """
    started = monotonic()
    # Whatever prevents the answer counts as none; a server that is being restarted answers soon.
    retrying = Retrying(
        retry=retry_if_result(lambda fate: fate is Fate.IN_PROGRESS) | retry_if_exception_type(Exception),
        stop=stop_after_delay(PATIENCE_SECONDS),
        wait=wait_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
        retry_error_callback=lambda _: Fate.UNKNOWN,
    )
    with _other_connections(engine) as pool:
        return retrying(lambda: _ask(mark, pool, ends_it=monotonic() - started > GRACE_SECONDS))


def _ask(mark: TransactionMark, pool: Pool, *, ends_it: bool) -> Fate:
    with closing(pool.connect()) as proxied:
        try:
            with closing(proxied.cursor()) as cursor:
                cursor.execute(_STATUS, (mark.era, mark.xid))
                (status,) = _row(cursor)
                fate = _FATES.get(status, Fate.UNKNOWN)
                if fate is Fate.IN_PROGRESS and ends_it:
                    cursor.execute(_END, (mark.backend, mark.xid))
        except Exception as error:
            proxied.invalidate(error)
            raise
        return fate


@contextmanager
def _other_connections(engine: Engine) -> Generator[Pool]:
    """A pool that connects as *engine*'s does, but has its own limit.

    All of the engine's may be in use, by threads that wait for the same server, and those idle in it are as lost as
    the one that brought us here.
    """
    pool = engine.pool.recreate()
    try:
        yield pool
    finally:
        pool.dispose()


def _row(cursor: Any) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None, "a SELECT without FROM has one row"
    return tuple(row)
