"""PostgreSQL for the web.

What is deliberately left as it is:

* ``pool_pre_ping``: it costs every checkout a round trip, to smooth one rare moment. When the server was restarted, the
  first statement fails, and SQLAlchemy drops the whole pool at that. A SELECT outside of a transaction is then sent once
  more on a new connection, so whoever reads notices nothing; a transaction fails, and can be run again (``attempts``).
  Who prefers the ping writes ``UNITOFWORK_ENGINE_OPTIONS = {"pool_pre_ping": True}``.
* ``idle_in_transaction_session_timeout``: it ends the connection of a request that waits for something other than
  the database, and what the request then sees looks like a network failure. Its server bounds a request better.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, ExceptionContext, event

from .autocommit import can_read_in_autocommit, read_in_autocommit
from .executions import OWN_STATEMENT
from .fork import protect
from .intent import Intent
from .plan import EnginePlan
from .streamed import watch_streams

__all__ = ["begin_as", "build", "refuse_writes"]

# Drivers on libpq, which take its connection parameters.
_LIBPQ: Final = frozenset({"psycopg", "psycopg2", "psycopg2cffi"})

# For a host that is gone without a word: connecting gives up after 10 s, and a connection that waits for an answer
# is found dead after 30 + 3 × 10 s. Otherwise the one waits for ever, and the other for the kernel's two hours.
_NETWORK: Final[Mapping[str, int]] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def build(plan: EnginePlan) -> Engine:
    """An engine for *plan*, with the defaults of this module where the user decided nothing else."""
    timeouts = _timeouts(plan)
    if plan.connects_itself or plan.url.get_driver_name() not in _LIBPQ:
        engine = plan.create_engine()
        if timeouts:
            _set_on_connect(engine, timeouts)
    else:
        # The fallback_ gives way to application_name in the URL, in connect_args and in the environment's PGAPPNAME.
        connect_args: dict[str, Any] = {"fallback_application_name": plan.application_name, **_NETWORK}
        engine = plan.create_engine(connect_args=connect_args, imposed=_startup_options(plan, timeouts))
    protect(engine)
    if can_read_in_autocommit(plan):
        watch_streams(engine)
        read_in_autocommit(engine)
        event.listen(engine, "handle_error", _notice_stale_plan)
    return engine


def _timeouts(plan: EnginePlan) -> dict[str, int]:
    seconds = {"statement_timeout": plan.statement_timeout, "lock_timeout": plan.lock_timeout}
    return {name: _milliseconds(value) for name, value in seconds.items() if value is not None}


def _milliseconds(seconds: float) -> int:
    """The unit of PostgreSQL's settings. What rounds to 0 is 1, for 0 means no limit."""
    return max(1, round(seconds * 1000))


def _startup_options(plan: EnginePlan, timeouts: Mapping[str, int]) -> dict[str, str]:
    """The timeouts as part of the connection's first message, so they cost no round trip.

    Without timeouts nothing is sent: PgBouncer refuses connections that bring ``options`` unless it is told not to.
    The user's own options stay, and come last, so that they win.
    """
    if not timeouts:
        return {}
    own = plan.decided("options") or os.environ.get("PGOPTIONS", "")
    settings = [f"-c {name}={value}" for name, value in timeouts.items()]
    return {"options": " ".join([*settings, own]).strip()}


def _set_on_connect(engine: Engine, timeouts: Mapping[str, int]) -> None:
    """For drivers without startup options, and connections that the user makes."""

    @event.listens_for(engine, "connect")
    def set_timeouts(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for name, value in timeouts.items():
            cursor.execute(f"SET SESSION {name} = {value}")
        cursor.close()
        # SET is undone when its transaction is rolled back.
        connection.commit()


def _notice_stale_plan(failure: ExceptionContext) -> None:
    """A migration has changed what a prepared statement returns: the connection is as good as lost.

    In a transaction that ends with it. Outside of one nothing would ever throw the statement away.
    """
    if getattr(failure.original_exception, "sqlstate", None) == "0A000" and "cached plan" in str(
        failure.original_exception
    ):
        failure.is_disconnect = True
        failure.invalidate_pool_on_disconnect = False


# -- transactions ----------------------------------------------------------------------------------------------------


def begin_as(connection: Connection, intent: Intent) -> None:
    """Let the transaction that has begun on *connection* be as *intent* says."""
    settings: list[str] = []
    if not connection.in_nested_transaction() and intent.isolation_level is not None:
        settings.append(f"SET TRANSACTION ISOLATION LEVEL {intent.isolation_level}")
    if intent.read_only:
        settings.append("SET TRANSACTION READ ONLY")
    if intent.timeout is not None:
        settings.append(f"SET LOCAL statement_timeout = {_milliseconds(intent.timeout)}")
    if settings:
        _send(connection, "; ".join(settings))


def refuse_writes(connection: Connection) -> None:
    """Let the server refuse writes until the savepoint in progress ends."""
    _send(connection, "SET TRANSACTION READ ONLY")


def _send(connection: Connection, statements: str) -> None:
    # Without parameters a driver may send several statements at once.
    connection.exec_driver_sql(statements, execution_options={"no_parameters": True, OWN_STATEMENT: True})
