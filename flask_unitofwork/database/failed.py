"""Whether a database has given up the transaction in progress, so that its COMMIT would be a rollback."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection

__all__ = ["has_failed"]

# The drivers that tell, without asking the server, what libpq knows of the transaction; and its PQTRANS_INERROR.
_DRIVERS: Final = frozenset({"psycopg", "psycopg2"})
_IN_ERROR: Final = 3


def has_failed(connection: Connection) -> bool:
    """Whether PostgreSQL has given up the transaction on *connection*: a statement failed, outside any savepoint.

    PostgreSQL answers COMMIT there with ROLLBACK, and without an error. Other databases undo the statement alone.
    """
    if connection.dialect.driver not in _DRIVERS or connection.closed or connection.invalidated:
        return False
    driver_connection: Any = connection.connection.driver_connection
    return bool(driver_connection.info.transaction_status == _IN_ERROR)
