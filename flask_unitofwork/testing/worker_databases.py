"""A database for each worker of a test run: made when it is asked for, dropped after the run.

Note: names
    A worker's database is called ``<name>_<worker>``, such as ``shop_test_gw0``; ``main`` is the worker of a run without
    workers. What a crashed worker left behind is dropped by the next run that uses the same name. A run beside this one
    holds the locks of its databases (`database_servers`), so it keeps them, and ours are called ``shop_test_gw0_2``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from sqlalchemy import URL, make_url

from ..config import is_sqlite_uri
from ..database.memory import is_in_memory, is_shared_cache
from ..exceptions import ConfigurationError
from .database_servers import DatabaseServer, server_of

__all__ = ["WORKER_DATABASES", "OwnDatabase", "WorkerDatabases"]

_CLAIMS: Final = "flask_unitofwork: databases of test workers"


class OwnDatabase:
    """A database that is this worker's alone.

    Args:
        server: where it is.
        base: the name that was asked for.
        name: its own name.
    """

    def __init__(self, server: DatabaseServer, base: str, name: str) -> None:
        self.server = server
        self.base = base
        self.name = name

    def drop(self) -> None:
        """Drop it, and let others have its name."""
        self.server.drop(self.name)
        self.server.unlock(self.name)


class WorkerDatabases:
    """The databases of this worker.

    Args:
        worker: its name among the workers of the run.
        run: what tells the run from all others.

    Attributes:
        folder: where SQLite files are made; pytest's own, which it deletes after some runs.
    """

    def __init__(self, worker: str, run: str) -> None:
        self.worker = worker
        self.run = run
        self.folder: Path | None = None
        self._urls: dict[URL, URL] = {}
        self._servers: dict[URL, DatabaseServer] = {}
        self.own: dict[URL, OwnDatabase] = {}

    @classmethod
    def of(cls, config: pytest.Config) -> WorkerDatabases:
        """Those of the worker that *config* belongs to; without pytest-xdist there is one, called ``main``."""
        # Not the environment, which a run inside of another would inherit.
        worker: Mapping[str, str] = getattr(config, "workerinput", {})
        return cls(worker.get("workerid", "main"), worker.get("testrunuid") or uuid4().hex)

    def url(self, given: str | URL) -> str:
        """The URL of an empty database of this worker's own, on the server of *given*.

        Asked again, it is the same one. An in-memory database is its engine's alone already.

        Args:
            given: a URL whose database need not exist.

        Raises:
            ConfigurationError: no name can be made from it.
            sqlalchemy.exc.DBAPIError: the server cannot be reached, or the user may not make databases.
        """
        asked = make_url(given)
        if asked not in self._urls:
            self._urls[asked] = self._file(asked) if asked.get_backend_name() == "sqlite" else self._claim(asked)
        return self._urls[asked].render_as_string(hide_password=False)

    def drop(self) -> None:
        """Drop them all, and leave the servers."""
        for own in self.own.values():
            own.drop()
        for server in self._servers.values():
            server.close()
        for url in self._urls.values():
            if url.get_backend_name() == "sqlite" and not (is_in_memory(url) or is_shared_cache(url)):
                _delete(Path(url.database or ""))
        self._urls, self._servers, self.own = {}, {}, {}

    def _file(self, asked: URL) -> URL:
        if is_in_memory(asked) or is_shared_cache(asked):
            return asked
        if is_sqlite_uri(asked):
            raise ConfigurationError(
                'uow_worker_url() takes an SQLite path, not a URI ("file:…"): write "sqlite:///tests.db".'
            )
        assert self.folder is not None
        path = Path(asked.database or "")
        file = self.folder / f"{path.stem}_{self.worker}_{len(self._urls)}{path.suffix}"
        return asked.set(database=str(file))

    def _claim(self, asked: URL) -> URL:
        base = asked.database
        if not base:
            raise ConfigurationError(
                "uow_worker_url() names each worker's database after the one in the URL, and this URL has none."
                ' Write one, such as "postgresql+psycopg://localhost/shop_test"; it need not exist.'
            )
        address = asked.set(database="")
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = server_of(asked)
        with server.locked(_CLAIMS):
            _drop_nobody_s(server, base)
            name = self._free_name(server, base)
            server.drop(name)
            server.create(name)
        url = asked.set(database=name)
        self.own[url] = OwnDatabase(server, base, name)
        return url

    def _free_name(self, server: DatabaseServer, base: str) -> str:
        name = f"{base}_{self.worker}"
        numbered = (f"{name}_{number}" for number in count(2))
        while len(name.encode()) <= server.name_length:
            if server.try_lock(name):
                return name
            name = next(numbered)
        raise ConfigurationError(
            f"The database of this worker would be called {name!r}, which is longer than the server's"
            f" {server.name_length} bytes. Write a shorter name than {base!r} in the URL."
        )


WORKER_DATABASES: Final = pytest.StashKey[WorkerDatabases]()
"""Where pytest's configuration has this worker's."""


def _drop_nobody_s(server: DatabaseServer, base: str) -> None:
    """Drop what workers of earlier runs have left behind."""
    left = re.compile(rf"{re.escape(base)}_(?:(?:gw\d+|main)(?:_\d+)?|template_[0-9a-f]{{10}})")
    for name in sorted(server.names()):
        if left.fullmatch(name) and server.try_lock(name):
            server.drop(name)
            server.unlock(name)


def _delete(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
