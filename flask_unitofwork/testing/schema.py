"""Tables are made once in a test run, for each database that apps of tests use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

import pytest
from flask import Flask
from sqlalchemy import URL, Engine, event

from ..config import DatabaseSettings
from ..database.commit_records import create_commit_records
from ..database.memory import is_in_memory, is_shared_cache
from ..database.schema import create_all
from ..exceptions import ConfigurationError
from ..models import mapped_classes
from .apps import state_of_app, unit_of_work

__all__ = ["SCHEMAS", "Schemas", "make_tables"]


class Schemas:
    """The databases that have their tables. A plugin of its own, registered with pytest."""

    NAME: Final = "flask_unitofwork.schemas"

    def __init__(self) -> None:
        self._module: str | None = None
        self._made: set[object] = set()
        self._made_in_memory: WeakSet[Engine] = WeakSet()
        self._settled: WeakKeyDictionary[object, WeakSet[Flask]] = WeakKeyDictionary()

    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """A fixture is about to be set up."""
        if fixturedef.argname == "uow_schema":
            self._module = getattr(fixturedef.func, "__module__", None)

    def module_of_fixture(self, ask: Callable[[], object]) -> str | None:
        """The module of the fixture ``uow_schema`` that is set up by *ask*; None if it was there before.

        One that takes the place of another, and asks for it, is set up after it, so the last one counts.
        """
        self._module = None
        ask()
        return self._module

    def set_up(self, app: Flask, make: Callable[[Flask], None]) -> None:
        """Call *make*, unless it was called for the databases of *app* before.

        An in-memory database is one app's alone, so every such app has its own call.
        """
        if self._has(app):
            return
        make(app)
        self._remember(app)

    def are_made(self, app: Flask, collector: object) -> bool:
        """Whether tests of *collector* find the tables of *app* made, by nobody but this package."""
        return app in self._settled.get(collector, ())

    def note_made(self, app: Flask, collector: object) -> None:
        """Tests of *collector*, a module or a class, do; they all see the same fixtures.

        Those on SQLite are looked at each time: the file, or what is in memory, may be gone.
        """
        if all(url.get_backend_name() != "sqlite" for url in _urls(app)):
            self._settled.setdefault(collector, WeakSet()).add(app)

    def _has(self, app: Flask) -> bool:
        state = state_of_app(app)
        return all(
            engine in self._made_in_memory
            if _is_engine_s_own(state.settings.databases[name].url)
            else _address(app, state.settings.databases, name) in self._made
            for name, engine in state.engines.items()
        )

    def _remember(self, app: Flask) -> None:
        state = state_of_app(app)
        for name, engine in state.engines.items():
            if _is_engine_s_own(state.settings.databases[name].url):
                self._made_in_memory.add(engine)
                # Whoever disposes of the engine empties the database.
                event.listen(engine, "engine_disposed", self._made_in_memory.discard)
            else:
                self._made.add(_address(app, state.settings.databases, name))


SCHEMAS: Final = pytest.StashKey[Schemas]()
"""Where pytest's configuration has those of the run."""


def make_tables(app: Flask) -> None:
    """Make the tables that do not exist yet: those of the UnitOfWork's metadata, and that of commits in two phases.

    Without metadata, the project makes its tables itself.
    """
    uow, state = unit_of_work(app), state_of_app(app)
    if state.settings.two_phase:
        create_commit_records(state.engines.values())
    try:
        metadata = uow.metadata
    except ConfigurationError:
        return
    create_all(metadata, state.engines, models=mapped_classes(metadata))


def _urls(app: Flask) -> list[URL]:
    return [database.url for database in state_of_app(app).settings.databases.values()]


def _is_engine_s_own(url: URL) -> bool:
    """Whether the database lives and dies with its engine's connections."""
    return url.get_backend_name() == "sqlite" and (is_in_memory(url) or is_shared_cache(url))


def _address(app: Flask, databases: Mapping[str, DatabaseSettings], name: str) -> object:
    """What tells this database, with this app's tables in it, from others."""
    url = databases[name].url
    return name, unit_of_work(app), url, _file_number(url)


def _file_number(url: URL) -> int | None:
    """What tells an SQLite file from another that had its name before."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    path = Path(url.database)
    return path.stat().st_ino if path.exists() else None
