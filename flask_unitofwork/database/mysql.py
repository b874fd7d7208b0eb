"""MySQL and MariaDB for the web.

Why ``pool_pre_ping`` is not set: see :mod:`flask_unitofwork.database.postgresql`. What it would catch here, a
connection that the server closed because it was idle, ``pool_recycle`` prevents.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from math import ceil
from typing import Any, Final

from sqlalchemy import Connection, Engine, ExceptionContext, TwoPhaseTransaction, event, text
from sqlalchemy.pool import ConnectionPoolEntry

from .fork import protect
from .intent import Intent
from .plan import EnginePlan
from .streamed import watch_streams

__all__ = ["begin_as", "build", "session_variables"]

# Whoever stands between closes idle connections silently: Azure's gateway after 240 s, many hosts after 300 s, the
# server itself after 8 h (wait_timeout). A new connection each four minutes costs less than one failed request.
RECYCLE_SECONDS: Final = 230

_CHARSET: Final = {"charset": "utf8mb4"}
_CONNECT_ARGS: Final = {"connect_timeout": 10, **_CHARSET}
# What the server says to whom it chose to end: ER_LOCK_DEADLOCK.
DEADLOCK: Final = 1213

# Drivers that take these arguments. (MariaDB's own connector always speaks utf8mb4 and calls its timeout the same.)
_DRIVERS: Final = frozenset({"pymysql", "mysqldb"})

# Where a connection has the statement that gives it back the time limit it had.
_RESTORE: Final = "unitofwork_restore"


def build(plan: EnginePlan) -> Engine:
    """An engine for *plan*, with the defaults of this module where the user decided nothing else."""
    connect_args = _CONNECT_ARGS if plan.url.get_driver_name() in _DRIVERS else {}
    engine = plan.create_engine(connect_args=connect_args, pool_recycle=RECYCLE_SECONDS)
    if _can_read_in_autocommit(plan):
        from .mysql_reading import read_in_autocommit

        watch_streams(engine)
        read_in_autocommit(engine)
    protect(engine)

    @event.listens_for(engine, "connect")
    def set_session_variables(connection: Any, _record: object) -> None:
        # SQLAlchemy knows by now which of the two it talks to.
        variables = session_variables(plan, is_mariadb=bool(getattr(engine.dialect, "is_mariadb", False)))
        if variables:
            _send(connection, "SET " + ", ".join(f"SESSION {name} = {value}" for name, value in variables.items()))

    event.listen(engine, "handle_error", _notice_lost_transaction)
    event.listen(engine, "checkin", _restore_timeout)
    return engine


def _can_read_in_autocommit(plan: EnginePlan) -> bool:
    """Whether reads on *plan*'s engine can do without a transaction.

    Not with other drivers, and not where the user makes the connections, or has chosen how transactions begin on them.
    """
    return (
        plan.url.get_driver_name() == "pymysql"
        and not plan.connects_itself
        and not {"isolation_level", "module"} & plan.options.keys()
        and plan.decided("autocommit") is None
        and not plan.two_phase
    )


def _notice_lost_transaction(failure: ExceptionContext) -> None:
    """A deadlock ends the whole transaction on the server. Going on would begin another and commit half of the work.

    So the connection counts as lost: SQLAlchemy refuses to go on until the transaction is rolled back.
    """
    arguments = getattr(failure.original_exception, "args", ())
    if arguments and arguments[0] == DEADLOCK:
        failure.is_disconnect = True
        # The others in the pool are as good as before.
        failure.invalidate_pool_on_disconnect = False


def session_variables(plan: EnginePlan, *, is_mariadb: bool) -> dict[str, str]:
    """The session's variables, without those that the user sets by ``init_command`` or ``sql_mode``."""
    variables: dict[str, str] = {}
    if plan.decided("sql_mode") is None:
        # Strict: a value that does not fit is an error, not cut off and stored. What else the server's administrator
        # chose stays.
        variables["sql_mode"] = "CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_TRANS_TABLES')"
    if plan.statement_timeout is not None:
        name, value = _time_limit(plan.statement_timeout, is_mariadb=is_mariadb)
        variables[name] = value
    if plan.lock_timeout is not None:
        whole = max(1, ceil(plan.lock_timeout))
        variables["innodb_lock_wait_timeout"] = str(whole)
        variables["lock_wait_timeout"] = str(whole)
    own = set(re.findall(r"\w+", str(plan.decided("init_command")).lower()))
    return {name: value for name, value in variables.items() if name not in own}


def _time_limit(seconds: float, *, is_mariadb: bool) -> tuple[str, str]:
    """The variable that limits a statement's time, and its value."""
    if is_mariadb:
        return "max_statement_time", f"{seconds:f}"
    # MySQL limits SELECTs only. 0 would mean no limit.
    return "max_execution_time", str(max(1, round(seconds * 1000)))


# -- transactions ----------------------------------------------------------------------------------------------------


def begin_as(connection: Connection, intent: Intent) -> None:
    """Let the transaction that begins with the next statement on *connection* be as *intent* says."""
    if not connection.in_nested_transaction():
        characteristics = [f"ISOLATION LEVEL {intent.isolation_level}"] if intent.isolation_level else []
        if intent.read_only:
            characteristics.append("READ ONLY")
        if characteristics == ["READ ONLY"] and _is_outside_transaction(connection):
            connection.exec_driver_sql("START TRANSACTION READ ONLY")
        elif characteristics:
            # Without SESSION it counts for the next transaction only, so nothing has to be restored.
            with _before_its_branch(connection):
                connection.exec_driver_sql(f"SET TRANSACTION {', '.join(characteristics)}")
    if intent.timeout is not None:
        is_mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
        name, value = _time_limit(intent.timeout, is_mariadb=is_mariadb)
        remember = "" if _RESTORE in connection.info else f"@unitofwork_{name} = @@SESSION.{name}, "
        connection.exec_driver_sql(f"SET {remember}SESSION {name} = {value}")
        connection.info[_RESTORE] = f"SET SESSION {name} = @unitofwork_{name}"


def _is_outside_transaction(connection: Connection) -> bool:
    """Whether a transaction has still to begin on *connection*, by a statement and not by the server."""
    return not getattr(connection.connection.driver_connection, "in_transaction", True)


@contextmanager
def _before_its_branch(connection: Connection) -> Generator[None]:
    """What is set for a transaction is set before it: a branch of two phases, which has begun already, begins anew."""
    transaction = connection.get_transaction()
    if not isinstance(transaction, TwoPhaseTransaction):
        yield
        return
    branch = {"xid": str(transaction.xid)}
    connection.execute(text("XA END :xid"), branch)
    connection.execute(text("XA ROLLBACK :xid"), branch)
    yield
    connection.execute(text("XA BEGIN :xid"), branch)


def _restore_timeout(connection: Any, record: ConnectionPoolEntry) -> None:
    """The time limit is the session's: there is none that a transaction takes with it."""
    statement: str | None = record.info.pop(_RESTORE, None)
    if statement is None or connection is None:
        return
    try:
        _send(connection, statement)
    except Exception as error:  # noqa: BLE001  whatever it is, nobody else must get this connection
        record.invalidate(error)


def _send(connection: Any, statement: str) -> None:
    """Send what is for the session and in no transaction."""
    spare = getattr(connection, "spare", None)
    if spare is not None:
        spare()
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()
