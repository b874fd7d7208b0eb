"""On PostgreSQL the tables are made by one worker of a run; the others copy its database.

Note: who makes them
    Whoever is first. The others wait for it meanwhile, and then drop their own empty database and copy the first one's,
    which takes some hundredths of a second however many migrations there are. A template is kept as long as any worker of
    the run is there, and whoever leaves last drops it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
from typing import Final

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ..exceptions import ConfigurationError
from .apps import state_of_app, unit_of_work
from .database_servers import PostgreSQLServer
from .worker_databases import OwnDatabase, WorkerDatabases

__all__ = ["TEMPLATES", "Templates"]

TEMPLATES: Final = pytest.StashKey["Templates"]()
"""Where pytest's configuration has those of the run."""

_HOW_MUCH_IS_THERE: Final = text("""
    SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname NOT LIKE 'pg!_%' ESCAPE '!' AND nspname <> 'information_schema'
""")


class Templates:
    """The databases that workers of this run copy.

    Args:
        databases: this worker's.
    """

    def __init__(self, databases: WorkerDatabases) -> None:
        self._databases = databases
        self._shared: dict[str, PostgreSQLServer] = {}

    def set_up(self, app: Flask, make: Callable[[Flask], None]) -> None:
        """Call *make*, unless the app's databases can be copied from those of a worker that did."""
        own = self._own(app)
        if own is None:
            make(app)
            return
        templates = {self._name(app, one): one for one in own}
        with ExitStack() as building:
            for template, one in sorted(templates.items()):
                server = _postgresql(one)
                building.enter_context(server.locked(f"{template} is being made"))
                if template not in self._shared:
                    server.share(template)
                    self._shared[template] = server
            if all(template in one.server.names() for template, one in templates.items()) and _are_empty(app):
                self._copy(app, templates)
                return
            make(app)
            state_of_app(app).engines.dispose()  # PostgreSQL copies no database that somebody is connected to
            for template, one in templates.items():
                _keep(template, one)

    def drop(self) -> None:
        """Drop the templates that no other worker needs."""
        for template, server in self._shared.items():
            server.unshare(template)
            if server.try_lock(template):
                server.drop(template)
                server.unlock(template)
        self._shared = {}

    def _own(self, app: Flask) -> list[OwnDatabase] | None:
        """The app's databases, if all of them are this worker's own and can be copied."""
        engines = state_of_app(app).engines
        own = [self._databases.own.get(engine.url) for engine in engines.values()]
        found = [one for one in own if one is not None and one.server.copies]
        return found if found and len(found) == len(own) else None

    def _name(self, app: Flask, own: OwnDatabase) -> str:
        """A name that this run's other workers find for the same app and tables, and nobody else does."""
        try:
            tables = sorted(unit_of_work(app).metadata.tables)
        except ConfigurationError:
            tables = []
        told = "\n".join([self._databases.run, app.import_name, own.base, *tables])
        return f"{own.base}_template_{sha256(told.encode()).hexdigest()[:10]}"

    def _copy(self, app: Flask, templates: dict[str, OwnDatabase]) -> None:
        state_of_app(app).engines.dispose()
        for template, one in templates.items():
            one.server.drop(one.name)
            one.server.create(one.name, copy_of=template)


def _postgresql(own: OwnDatabase) -> PostgreSQLServer:
    assert isinstance(own.server, PostgreSQLServer), "it is the only kind that copies"
    return own.server


def _keep(template: str, own: OwnDatabase) -> None:
    if template in own.server.names() or len(template.encode()) > own.server.name_length:
        return
    try:
        own.server.create(template, copy_of=own.name)
    except DBAPIError:
        pass  # something of the project is connected to it; the other workers make their own tables


def _are_empty(app: Flask) -> bool:
    for engine in state_of_app(app).engines.values():
        with engine.connect() as connection:
            if connection.scalar(_HOW_MUCH_IS_THERE):
                return False
    return True
