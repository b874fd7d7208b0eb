"""Whether a database has given up the transaction in progress, so that its COMMIT would be a rollback."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection

__all__ = ["has_failed"]

# What libpq calls PQTRANS_INERROR; psycopg and psycopg2 give its number.
_IN_ERROR: Final = 3


def has_failed(connection: Connection) -> bool:
    """Whether PostgreSQL has given up the transaction on *connection*: a statement failed, outside any savepoint.

    PostgreSQL answers COMMIT there with ROLLBACK, and without an error. Other databases undo the statement alone.
    """
    if connection.dialect.name != "postgresql" or connection.closed or connection.invalidated:
        return False
    driver_connection: Any = connection.connection.driver_connection
    if connection.dialect.driver == "psycopg":
        return bool(driver_connection.info.transaction_status == _IN_ERROR)
    if connection.dialect.driver == "psycopg2":
        return bool(driver_connection.info.transaction_status == _IN_ERROR)
    return False
