"""MySQL and MariaDB for the web.

Why ``pool_pre_ping`` is not set: see :mod:`flask_unitofwork.database.postgresql`. What it would catch here, a
connection that the server closed because it was idle, ``pool_recycle`` prevents.
"""

from __future__ import annotations

import re
from math import ceil
from typing import Any, Final

from sqlalchemy import Engine, ExceptionContext, event

from .fork import protect
from .plan import EnginePlan

__all__ = ["build", "session_variables"]

# Whoever stands between closes idle connections silently: Azure's gateway after 240 s, many hosts after 300 s, the
# server itself after 8 h (wait_timeout). A new connection each four minutes costs less than one failed request.
RECYCLE_SECONDS: Final = 230

_CHARSET: Final = {"charset": "utf8mb4"}
_CONNECT_ARGS: Final = {"connect_timeout": 10, **_CHARSET}
# Drivers that take these arguments. (MariaDB's own connector always speaks utf8mb4 and calls its timeout the same.)
# What the server says to whom it chose to end: ER_LOCK_DEADLOCK.
DEADLOCK: Final = 1213

_DRIVERS: Final = frozenset({"pymysql", "mysqldb"})


def build(plan: EnginePlan) -> Engine:
    """An engine for *plan*, with the defaults of this module where the user decided nothing else."""
    connect_args = _CONNECT_ARGS if plan.url.get_driver_name() in _DRIVERS else {}
    engine = plan.create_engine(connect_args=connect_args, pool_recycle=RECYCLE_SECONDS)
    protect(engine)

    @event.listens_for(engine, "connect")
    def set_session_variables(connection: Any, _record: object) -> None:
        # SQLAlchemy knows by now which of the two it talks to.
        variables = session_variables(plan, is_mariadb=bool(getattr(engine.dialect, "is_mariadb", False)))
        if variables:
            cursor = connection.cursor()
            cursor.execute("SET " + ", ".join(f"SESSION {name} = {value}" for name, value in variables.items()))
            cursor.close()

    event.listen(engine, "handle_error", _notice_lost_transaction)
    return engine


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
        if is_mariadb:
            variables["max_statement_time"] = f"{plan.statement_timeout:f}"
        else:
            # MySQL limits SELECTs only. 0 would mean no limit.
            variables["max_execution_time"] = str(max(1, round(plan.statement_timeout * 1000)))
    if plan.lock_timeout is not None:
        whole = max(1, ceil(plan.lock_timeout))
        variables["innodb_lock_wait_timeout"] = str(whole)
        variables["lock_wait_timeout"] = str(whole)
    own = set(re.findall(r"\w+", str(plan.decided("init_command")).lower()))
    return {name: value for name, value in variables.items() if name not in own}
