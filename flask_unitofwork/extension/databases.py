"""The databases of the current app, their tables, and what is cached of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, MetaData

from ..config import DEFAULT_BIND
from ..database.commit_records import create_commit_records, drop_commit_records
from ..database.schema import create_all, drop_all
from ..exceptions import CacheError, ConfigurationError
from ..models import mapped_classes
from ..web import AppState, Units

__all__ = ["DatabaseMethods"]


class DatabaseMethods:
    """Engines and tables, for whoever has units."""

    _units: Units
    _metadata: MetaData | None

    @property
    def engines(self) -> Mapping[str, Engine]:
        """The engines of the current app, by name."""
        return self._app_state.engines

    @property
    def engine(self) -> Engine:
        """The default engine of the current app."""
        return self._app_state.engines[DEFAULT_BIND]

    def get_engine(self, name: str = DEFAULT_BIND) -> Engine:
        """An engine of the current app.

        Raises:
            UnknownBindError: there is no database of that name.
        """
        return self._app_state.engines[name]

    @property
    def metadata(self) -> MetaData:
        """The tables that :meth:`create_all`, the ``flask uow`` commands and the test plugin work on.

        Raises:
            ConfigurationError: the UnitOfWork was made without any.
        """
        if self._metadata is None:
            raise ConfigurationError(
                "This UnitOfWork has no metadata, so it does not know your tables."
                " Write UnitOfWork(metadata=Base.metadata), with Base your models' declarative base."
            )
        return self._metadata

    def create_all(self) -> None:
        """Create the tables that do not exist yet, each on the database of its bind key.

        With ``UNITOFWORK_TWO_PHASE`` also ``unitofwork_commits``, on each database.

        Raises:
            UnknownBindError: a bind key names no database; nothing has been created then.
        """
        create_all(self.metadata, self._app_state.engines, models=mapped_classes(self.metadata))
        if self._app_state.settings.two_phase:
            create_commit_records(self._app_state.engines.values())
        self._invalidate_everything()

    def drop_all(self) -> None:
        """Drop all tables, each on the database of its bind key.

        Raises:
            UnknownBindError: a bind key names no database; nothing has been dropped then.
        """
        drop_all(self.metadata, self._app_state.engines, models=mapped_classes(self.metadata))
        if self._app_state.settings.two_phase:
            drop_commit_records(self._app_state.engines.values())
        self._invalidate_everything()

    def dispose(self) -> None:
        """Close the pooled connections of the current app. In-memory databases are empty after that."""
        self._app_state.engines.dispose()
        self._invalidate_everything()

    # -- cached results ------------------------------------------------------------------------------------------

    def invalidate_tables(self, *tables: Any) -> None:
        """Say that *tables* were written where the extension cannot see it: what is cached of them is stale.

        In a transaction, the current unit counts as having written them: they are invalidated after its commit, and not if
        it is rolled back. Anywhere else they are invalidated at once.

        Args:
            *tables: mapped classes, tables or names of tables; none of them for everything.

        Raises:
            CacheError: one of them is no table, or the app has no ``UNITOFWORK_CACHE_REGIONS``.
            OutsideScopeError: there is no app context here.
        """
        cache = self._app_state.cache
        if cache is None:
            raise CacheError(
                "This app caches nothing, so there is nothing to invalidate. Write"
                ' app.config["UNITOFWORK_CACHE_REGIONS"] = {"default": region} before init_app, with a region of'
                " dogpile.cache."
            )
        unit = self._units.peek()
        cache.invalidate(tables, unit.session if unit is not None and unit.has_session else None)

    def _invalidate_everything(self) -> None:
        cache = self._app_state.cache
        if cache is not None:
            cache.invalidate()

    @property
    def _app_state(self) -> AppState:
        return self._units.app_state(self._units.current_app())
