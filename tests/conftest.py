"""Databases for tests, each empty and a test's own.

=================== ==============================================================================================
fixture             what it gives
=================== ==============================================================================================
``database_url``    a URL; the test runs once for each of `DATABASES`
``another_url``     a callable: the URL of one more empty database of the same kind, for tests of several binds
``sqlite_url``      the URL of an SQLite file
``postgresql_url``  the URL of a database on the test run's own PostgreSQL 18
``mariadb_url``     the URL of a database on a MariaDB; skipped where none answers
``outside``         a callable: a connection that the package knows nothing of, to look at what is really there
=================== ==============================================================================================

``outside`` takes a URL or an engine and is used in a ``with`` statement::

    def test_a_rollback_leaves_nothing(engine, outside):
        ...
        with outside(engine) as connection:
            assert connection.scalars(text("SELECT name FROM product")).all() == []

An in-memory database has no address but its engine's: pass the engine (or ``engine.url``), not ``"sqlite://"``.

With ``UNITOFWORK_TEST_REQUIRE_ALL=1`` a missing server is a failure, not a skip.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final, Protocol

import pytest
from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

from tests.servers.mariadb import MariaDB, NoServerError
from tests.servers.postgresql import PostgreSQL

DATABASES: Final = ("sqlite-file", "sqlite-memory", "postgresql", "mariadb")
REQUIRE_ALL: Final = "UNITOFWORK_TEST_REQUIRE_ALL"

Outside = Callable[[Engine | URL | str], AbstractContextManager[Connection]]


class Server(Protocol):
    """What lends databases to tests."""

    def borrow(self) -> URL:
        """The URL of an empty database that nobody else uses until it is given back."""
        ...

    def give_back(self, url: URL) -> None:
        """Empty or drop the database at *url*, whatever was left open in it."""
        ...


class SQLiteFiles:
    """Lends SQLite files in a folder of the test's own; pytest deletes the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._databases = 0

    def borrow(self) -> URL:
        self._databases += 1
        return URL.create("sqlite", database=str(self._folder / f"test_{self._databases}.db"))

    def give_back(self, url: URL) -> None:
        pass


class SQLiteMemory:
    """Lends in-memory databases: each is its engine's alone."""

    def borrow(self) -> URL:
        return URL.create("sqlite")

    def give_back(self, url: URL) -> None:
        pass


def pytest_collection_finish() -> None:
    """What is there from the beginning stays to the end: the garbage collector need not look at it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    try:
        server = MariaDB()
    except NoServerError as error:
        if os.environ.get(REQUIRE_ALL) == "1":
            raise
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture
def sqlite_files(tmp_path: Path) -> SQLiteFiles:
    return SQLiteFiles(tmp_path)


@pytest.fixture
def sqlite_memory() -> SQLiteMemory:
    return SQLiteMemory()


@pytest.fixture(params=DATABASES)
def database_server(request: pytest.FixtureRequest) -> Server:
    """What lends this test its databases; the one place that parametrises a test over databases."""
    fixtures = {
        "sqlite-file": "sqlite_files",
        "sqlite-memory": "sqlite_memory",
        "postgresql": "postgresql_server",
        "mariadb": "mariadb_server",
    }
    server: Server = request.getfixturevalue(fixtures[request.param])
    return server


@contextmanager
def _borrowed(server: Server) -> Generator[str]:
    url = server.borrow()
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        server.give_back(url)


@pytest.fixture
def database_url(database_server: Server) -> Iterator[str]:
    with _borrowed(database_server) as url:
        yield url


@pytest.fixture
def another_url(database_server: Server) -> Iterator[Callable[[], str]]:
    with ExitStack() as borrowed:
        yield lambda: borrowed.enter_context(_borrowed(database_server))


@pytest.fixture
def sqlite_url(sqlite_files: SQLiteFiles) -> Iterator[str]:
    with _borrowed(sqlite_files) as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: PostgreSQL) -> Iterator[str]:
    with _borrowed(postgresql_server) as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_server: MariaDB) -> Iterator[str]:
    with _borrowed(mariadb_server) as url:
        yield url


@pytest.fixture
def outside() -> Outside:
    @contextmanager
    def connect(database: Engine | URL | str) -> Generator[Connection]:
        url = database.url if isinstance(database, Engine) else make_url(database)
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            message = "an in-memory database is its engine's alone: pass the engine, not the URL"
            raise ValueError(message)
        engine = create_engine(url, poolclass=NullPool)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    return connect
