"""One unit of work for each request of an app."""

from __future__ import annotations

import weakref

from flask import Flask
from sqlalchemy import MetaData

from ..cli import shell_context, uow_commands
from ..exceptions import AlreadyInitializedError
from ..models import ModelMethods, mapped_classes
from ..session import Session
from ..states import Inspection, PendingChanges, inspect_object, pending_changes
from ..transaction import TransactionOptions, Unit, place_here
from ..web import (
    APP_STATE,
    EXTENSION,
    Dispatch,
    Registry,
    Scope,
    ScopeFunction,
    Units,
    answer_exhaustion,
    app_initialized,
    join_nested_contexts,
)
from .app_parts import state_for
from .databases import DatabaseMethods
from .demarcation import DemarcationMethods

__all__ = ["UnitOfWork"]


class UnitOfWork(DemarcationMethods, DatabaseMethods, ModelMethods):
    """Gives every request of an app one unit of work.

    Args:
        app: an app to initialise at once. With an app factory leave it out and call :meth:`init_app` there.
        metadata: the tables that :meth:`create_all`, the ``flask uow`` commands and the test plugin work on.
        scopefunc: names scopes of your own, such as threads; see :class:`ScopeFunction`.

    Example:
        >>> from flask import Flask
        >>> from sqlalchemy import select, text
        >>> uow = UnitOfWork()
        >>> app = Flask(__name__)
        >>> app.config["UNITOFWORK_DATABASES"] = "sqlite://"
        >>> uow.init_app(app)
        >>> @app.get("/answer")
        ... def answer():
        ...     return str(uow.session.scalar(text("SELECT 6 * 7")))
        >>> app.test_client().get("/answer").text
        '42'
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        metadata: MetaData | None = None,
        scopefunc: ScopeFunction | None = None,
    ) -> None:
        self._metadata = metadata
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        self._units = Units(self, self._hook_scope, apps=lambda: self._apps, scopefunc=scopefunc)
        self.registry = Registry(self._units)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the app's ``UNITOFWORK_`` settings, make its engines, and settle its requests from now on.

        No connection is made yet. Where this raises, nothing of the app has been changed.

        Args:
            app: the app; its configuration must be complete.

        Raises:
            AlreadyInitializedError: the app has a UnitOfWork already.
            ConfigurationError: a setting is missing, unknown or wrong, or a database driver is not installed.
        """
        if EXTENSION in app.extensions:
            raise AlreadyInitializedError(
                f"The app {app.import_name!r} already has a UnitOfWork, and one app has one."
                " Import that one and use it; it may be initialised on many apps."
            )
        state = state_for(app)

        app.extensions[EXTENSION] = self
        app.extensions[APP_STATE] = state
        self._apps.add(app)
        if state.settings.attempts > 1:
            self._units.anything_repeats = True
        weakref.finalize(app, state.engines.dispose)
        Dispatch(app, state, self._units).install()
        answer_exhaustion(app, state.idle_watch, retry_after=state.settings.pool_retry_after)
        app.cli.add_command(uow_commands)
        app.shell_context_processor(self._shell_context)
        if state.settings.nested_context == "join":
            join_nested_contexts(app)
        app_initialized.send(app)

    # -- the unit in progress ------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session of the current scope, made when it is first used.

        Raises:
            OutsideScopeError: there is no request, app context or ``scope()`` block here.
        """
        return self._units.current().session

    @property
    def current(self) -> Unit:
        """The unit of work in progress.

        Raises:
            OutsideScopeError: there is no request, app context or ``scope()`` block here.
        """
        return self._units.current()

    def doom(self, reason: str) -> None:
        """See to it that the unit is rolled back, whatever the response. The response stays as it is.

        Args:
            reason: in words, for whoever asks later why nothing was committed.
        """
        self._units.current().doom(f"uow.doom({reason!r}) asked for it at {place_here()}")

    # -- object states -------------------------------------------------------------------------------------------

    def inspect(self, obj: object) -> Inspection:
        """Look at *obj*: its state, what has changed in it, what is not loaded. Of any session, or of none.

        Nothing is loaded or flushed. The record's ``repr`` tells names and the primary key, and no other values.

        Raises:
            sqlalchemy.orm.exc.UnmappedInstanceError: it is no object of a mapped class.

        Example:
            ::

                app.logger.info("saving %r", uow.inspect(order))  # saving <Order (7,): persistent, changed status>
        """
        return inspect_object(obj)

    def pending_changes(self) -> PendingChanges:
        """Tell what the next flush of the current session would do, in its order.

        Nothing is flushed, loaded or changed. What listeners of the flush add is not foretold, and neither are the values
        of defaults, ``onupdate`` and version counters. Where the flush would have to load something first, the result
        says what (`PendingChanges.unloaded`).

        Raises:
            OutsideScopeError: there is no request, app context or ``scope()`` block here.

        Example:
            ::

                app.logger.info("%r", uow.pending_changes())  # <PendingChanges: <update order (7,): status>>
        """
        unit = self._units.current()
        return pending_changes(unit.session) if unit.has_session else PendingChanges()

    def _hook_scope(self, app: Flask) -> Scope:
        return Scope(self._units, lambda: self._apps, app, TransactionOptions())

    def _shell_context(self) -> dict[str, object]:
        return shell_context(self, () if self._metadata is None else mapped_classes(self._metadata))
