"""What a server is asked for when each worker of a test run gets databases of its own.

Note: locks
    Whoever uses a database holds a lock of its name, on one connection for the whole run. The server releases it when
    that connection ends, however the worker does. So a database whose lock is free is nobody's, and may be dropped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ..exceptions import ConfigurationError

__all__ = ["DatabaseServer", "MySQLServer", "PostgreSQLServer", "server_of"]

_RIGHTS: Final = (
    "uow_worker_url() makes a database for each worker, which this user may not. On PostgreSQL write"
    " ALTER ROLE … CREATEDB; on MySQL and MariaDB, GRANT ALL ON `<database>\\_%`.* TO …"
)


class DatabaseServer(ABC):
    """A connection to a server, which can make and drop databases.

    Args:
        url: of any database on the server; the one that it names need not exist.

    Attributes:
        copies: whether a database can be made as a copy of another.
        name_length: of the longest name that a database can have, in bytes.
    """

    copies: ClassVar[bool] = False
    name_length: ClassVar[int]
    _options: ClassVar[str] = ""

    def __init__(self, url: URL) -> None:
        self._engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._connection = self._engine.connect()

    def close(self) -> None:
        """Leave the server, and all locks with it."""
        self._connection.close()
        self._engine.dispose()

    def create(self, name: str, *, copy_of: str | None = None) -> None:
        """Make the database *name*.

        Raises:
            sqlalchemy.exc.DBAPIError: the user may not, or somebody is connected to the one that is copied.
        """
        source = self._options if copy_of is None else f" TEMPLATE {self._quoted(copy_of)}"
        try:
            self._run(f"CREATE DATABASE {self._quoted(name)}{source}")
        except DBAPIError as error:
            error.add_note(_RIGHTS)
            raise

    @abstractmethod
    def drop(self, name: str) -> None:
        """Drop the database *name* if there is one, whoever is connected to it."""

    @abstractmethod
    def names(self) -> set[str]:
        """The names of all databases."""

    @abstractmethod
    def try_lock(self, name: str) -> bool:
        """Whether the lock *name* was free. It is ours then."""

    @abstractmethod
    def lock(self, name: str) -> None:
        """Wait for the lock *name*."""

    @abstractmethod
    def unlock(self, name: str) -> None:
        """Give the lock *name* back."""

    @contextmanager
    def locked(self, name: str) -> Generator[None]:
        """Hold the lock *name* for the time of the block."""
        self.lock(name)
        try:
            yield
        finally:
            self.unlock(name)

    def _quoted(self, name: str) -> str:
        return self._engine.dialect.identifier_preparer.quote_identifier(name)

    def _run(self, statement: str) -> None:
        self._connection.exec_driver_sql(statement)

    def _ask(self, question: str, **values: Any) -> Any:
        return self._connection.scalar(text(question), values)


class PostgreSQLServer(DatabaseServer):
    """PostgreSQL 13 or newer. Its advisory locks belong to the database ``postgres``, where all workers meet."""

    copies: ClassVar[bool] = True
    name_length: ClassVar[int] = 63

    def __init__(self, url: URL) -> None:
        super().__init__(url.set(database="postgres"))

    def drop(self, name: str) -> None:
        self._run(f"DROP DATABASE IF EXISTS {self._quoted(name)} WITH (FORCE)")

    def names(self) -> set[str]:
        return set(self._connection.scalars(text("SELECT datname FROM pg_database")))

    def try_lock(self, name: str) -> bool:
        return bool(self._ask("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))", name=name))

    def lock(self, name: str) -> None:
        self._ask("SELECT pg_advisory_lock(hashtextextended(:name, 0))", name=name)

    def unlock(self, name: str) -> None:
        self._ask("SELECT pg_advisory_unlock(hashtextextended(:name, 0))", name=name)

    def share(self, name: str) -> None:
        """Wait until nobody holds the lock *name* alone, and share it with all others that do this."""
        self._ask("SELECT pg_advisory_lock_shared(hashtextextended(:name, 0))", name=name)

    def unshare(self, name: str) -> None:
        """Share the lock *name* no longer."""
        self._ask("SELECT pg_advisory_unlock_shared(hashtextextended(:name, 0))", name=name)


class MySQLServer(DatabaseServer):
    """MySQL or MariaDB."""

    name_length: ClassVar[int] = 64
    # The server's default may be one that has not all letters.
    _options: ClassVar[str] = " CHARACTER SET utf8mb4"

    def __init__(self, url: URL) -> None:
        super().__init__(url.set(database=""))

    def drop(self, name: str) -> None:
        self._run(f"DROP DATABASE IF EXISTS {self._quoted(name)}")

    def names(self) -> set[str]:
        return set(self._connection.scalars(text("SELECT schema_name FROM information_schema.schemata")))

    def try_lock(self, name: str) -> bool:
        return bool(self._ask("SELECT GET_LOCK(:name, 0)", name=name))

    def lock(self, name: str) -> None:
        self._ask("SELECT GET_LOCK(:name, 600)", name=name)

    def unlock(self, name: str) -> None:
        self._ask("SELECT RELEASE_LOCK(:name)", name=name)


def server_of(url: URL) -> DatabaseServer:
    """A connection to the server of *url*.

    Raises:
        ConfigurationError: this package cannot make databases on a server of that kind.
    """
    kinds: dict[str, type[PostgreSQLServer | MySQLServer]] = {
        "postgresql": PostgreSQLServer,
        "mysql": MySQLServer,
        "mariadb": MySQLServer,
    }
    kind = kinds.get(url.get_backend_name())
    if kind is None:
        raise ConfigurationError(
            f"uow_worker_url() makes databases on PostgreSQL, MySQL, MariaDB and SQLite, and not on"
            f" {url.get_backend_name()}. Give each worker a URL by its name: the fixture worker_id of pytest-xdist."
        )
    return kind(url)
