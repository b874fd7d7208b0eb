"""The MariaDB (or MySQL) that the machine offers: databases that tests borrow from it.

`UNITOFWORK_TEST_MARIADB_URL` names it; without that, root without a password on the loopback's standard port.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

__all__ = ["VARIABLE", "WITHOUT_TLS", "MariaDB", "NoServerError"]

VARIABLE: Final = "UNITOFWORK_TEST_MARIADB_URL"
STANDARD: Final = "mysql+pymysql://root@127.0.0.1:3306/"
PATIENCE_SECONDS: Final = 5
# To prepare for TLS, PyMySQL reads all certificates of the machine: 40 ms for each connection, and a test makes many.
WITHOUT_TLS: Final = {"ssl_disabled": "true"}


class NoServerError(Exception):
    """No MariaDB answers."""


class MariaDB:
    """A server that answers, and the databases that tests borrow from it.

    Raises:
        NoServerError: no server answers at the URL.
    """

    def __init__(self) -> None:
        self._server = make_url(os.environ.get(VARIABLE) or STANDARD).set(database="").update_query_dict(WITHOUT_TLS)
        self._engine = create_engine(
            self._server,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"connect_timeout": PATIENCE_SECONDS},
        )
        self._databases = 0
        try:
            with self._engine.connect():
                pass
        except DBAPIError as error:
            shown = self._server.render_as_string(hide_password=True)
            message = f"no MariaDB answers at {shown}: start one there, or name one in {VARIABLE} ({error.orig})"
            raise NoServerError(message) from error

    def borrow(self) -> URL:
        """The URL of an empty database that nobody else uses until it is given back; without TLS."""
        self._databases += 1
        # Two workers of one test run, and two test runs, may share the server.
        name = f"unitofwork_test_{os.getpid()}_{self._databases}"
        with self._engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4"))
        return self._server.set(database=name)

    def give_back(self, url: URL) -> None:
        """Drop the database at *url*, after ending the connections that were left in it."""
        with self._engine.connect() as connection:
            left = connection.execute(
                text("SELECT id FROM information_schema.processlist WHERE db = :name"), {"name": url.database}
            )
            for (number,) in left.all():
                with suppress(OperationalError):  # it has ended by itself meanwhile
                    connection.execute(text(f"KILL {number}"))
            connection.execute(text(f"DROP DATABASE `{url.database}`"))

    def stop(self) -> None:
        """Leave the server as it was found: it is not ours to stop."""
        self._engine.dispose()
