"""Which unit of work is current: found on the app context or in a ``scope()`` block, made on first use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from flask import Flask, Request, request
from flask.ctx import AppContext

from ..database.intent import NO_INTENT, Intent
from ..exceptions import DemarcationError, NotInitializedError, OutsideScopeError
from ..transaction import Unit
from .app_state import APP_STATE, EXTENSION, AppState
from .context import (
    DISPATCHING,
    current_context,
    current_scope,
    has_joined,
    outermost,
    peek_state,
    state_of,
)
from .custom_scopes import CustomScopes, ScopeFunction
from .views import RequestDemarcation, intent_of_stream

__all__ = ["Units", "own_unit_here", "unit_here"]

logger = logging.getLogger("flask_unitofwork")


class Units:
    """Finds and makes the units of all apps of one UnitOfWork.

    Args:
        owner: the UnitOfWork that the apps were given to.
        hook_scope: makes the scope that a hook of an app runs in.
        apps: the apps that were given to it; a single one is meant where there is no app context.
        scopefunc: names scopes of the user's own.

    Attributes:
        anything_repeats: somebody asked for more than one attempt, for all requests of an app or for one view.
    """

    def __init__(
        self,
        owner: object,
        hook_scope: Callable[[Flask], AbstractContextManager[object]],
        *,
        apps: Callable[[], Iterable[Flask]] = tuple,
        scopefunc: ScopeFunction | None = None,
    ) -> None:
        self._owner = owner
        self._all_apps = apps
        self._custom = None if scopefunc is None else CustomScopes(scopefunc, self._make_custom)
        self._hook_scope = hook_scope
        self.anything_repeats = False

    def app_state(self, app: Flask) -> AppState:
        """What *app* was initialised with.

        Raises:
            NotInitializedError: it was not, or by another UnitOfWork.
        """
        extension = app.extensions.get(EXTENSION)
        if extension is not self._owner:
            problem = (
                "was never given to a UnitOfWork"
                if extension is None
                else "belongs to another UnitOfWork than this one"
            )
            raise NotInitializedError(
                f"The app {app.import_name!r} {problem}."
                " Write uow.init_app(app) where the app is made, with the same uow that you use here."
            )
        state: AppState = app.extensions[APP_STATE]
        return state

    def current(self) -> Unit:
        """The unit in progress; made if there is none yet.

        Raises:
            OutsideScopeError: there is no app context here.
            NotInitializedError: its app was never given to the UnitOfWork.
        """
        if self._custom is not None and not _is_in_block():
            unit = self._custom.current(self.current_app())
            if unit is not None:
                return unit
        context = _required_context()
        inner = current_scope(context)
        if inner is not None:
            return inner.unit
        state = peek_state(context)
        return self._begin(context) if state is None or state.unit is None else state.unit

    def current_app(self) -> Flask:
        """The app in whose context this runs.

        Raises:
            OutsideScopeError: there is no app context here.
        """
        return self._only_app() or _required_context().app

    def _only_app(self) -> Flask | None:
        """The one app that a scope of the user's own can be for, where there is no app context."""
        if self._custom is None or current_context() is not None:
            return None
        apps = list(self._all_apps())
        return apps[0] if len(apps) == 1 else None

    def peek(self) -> Unit | None:
        """The unit in progress, or None where there is none yet."""
        context = current_context()
        app = self._only_app() if context is None else context.app
        if self._custom is not None and app is not None and not _is_in_block():
            unit = self._custom.peek(app)
            if unit is not None:
                return unit
        return unit_here()

    def end(self) -> None:
        """Close the session in progress: the next use makes a new one. A scope of the user's own is over."""
        if self._custom is not None and not _is_in_block() and self._custom.end(self.current_app()):
            return
        unit = self.peek()
        if unit is not None:
            unit.forget_session()

    def around(self) -> Unit | None:
        """The unit that one is about to be opened inside of, or None.

        A request that may be run again has one in any case, to know what has been committed inside of it.
        """
        unit, context = self.peek(), current_context()
        if unit is None and context is not None:
            state = peek_state(context)
            if state is not None and state.repeatable is not None:
                return self._begin(context)
        return unit

    def _make_custom(self, app: Flask, in_scope: Callable[[], bool]) -> Unit:
        state = self.app_state(app)
        return Unit(
            state.make_session,
            lambda: self._hook_scope(app),
            run_hooks=state.hooks.run,
            in_scope=in_scope if app.debug or app.testing else None,
            sender=app,
        )

    def make(
        self,
        context: AppContext,
        *,
        managed: Callable[[], bool],
        intent: Intent = NO_INTENT,
        repeats: bool = False,
        outer: Unit | None = None,
    ) -> Unit:
        """A new unit on the databases of *context*'s app. The arguments are those of `Unit`."""
        app, state = context.app, self.app_state(context.app)
        watched = app.debug or app.testing
        if watched and state.idle_watch is not None:
            # Here, because apps are often told that they are tested after init_app.
            state.idle_watch.start(state.engines)
        return Unit(
            state.make_session,
            lambda: self._hook_scope(app),
            run_hooks=state.hooks.run,
            managed=managed,
            in_scope=(lambda: _is_in(context)) if watched else None,
            intent=intent,
            repeats=repeats,
            outer=outer,
            sender=app,
        )

    def _begin(self, context: AppContext) -> Unit:
        app, state, owner = context.app, state_of(context), outermost(context)
        intent = NO_INTENT
        if getattr(owner, DISPATCHING, False):
            intent = self.demarcation(app).view_intent
        elif state.streaming:
            intent = intent_of_stream(self.app_state(app).settings)
        state.unit = self.make(
            owner,
            managed=lambda: getattr(owner, DISPATCHING, False) and self.demarcation(app).commits_on_success,
            intent=intent,
            repeats=state.repeatable is not None,
        )
        return state.unit

    def demarcation(self, app: Flask) -> RequestDemarcation:
        """What becomes of the request in progress, which is looked up once a view and method."""
        # The request itself: each access to the proxy would cost as much as the rest of this.
        current: Request = request._get_current_object()  # type: ignore[attr-defined]
        endpoint, method = current.endpoint, current.method
        state: AppState = app.extensions[APP_STATE]
        view = app.view_functions.get(endpoint or "")
        found = state.demarcations.get((endpoint, method))
        if found is None or found[0] is not view:
            found = view, RequestDemarcation.of_endpoint(app, endpoint, method, state.settings)
            if view is not None:  # clients ask for what is not there by as many methods as they can think of
                state.demarcations[endpoint, method] = found
        return found[1]

    def keep(self, context: AppContext) -> bool:
        """Keep the unit of *context*, which ends, for the response that is about to be streamed; False if that cannot be.

        Flask takes the context up again for the body, whose objects are those of the unit's session. When it ends once
        more, the body is finished.
        """
        state = state_of(context)
        if state.kept or has_joined(context):
            return False
        state.kept = True
        unit = state.unit
        if unit is None or not unit.has_session:
            return True
        if unit.doomed or unit.at_stake:
            return False
        try:
            unit.session.release()  # it has only read
        except DemarcationError:
            return False
        return True

    def leave(self, context: AppContext, *, failed: bool = False) -> None:
        """The end of *context*: close its unit, whatever state it is in.

        Args:
            context: the app context that ends.
            failed: an exception ends it, so that nobody expects its work to be kept.
        """
        state = peek_state(context)
        if state is None or state.unit is None or has_joined(context):
            return
        unit, state.unit = state.unit, None
        try:
            if not (failed or unit.is_idle or unit.doomed):
                _report_unfinished(context.app, unit)
        finally:
            unit.close()


def unit_here(app: Flask | None = None) -> Unit | None:
    """The unit in progress, or None where there is none yet.

    Args:
        app: whose unit it must be; None for any app's.
    """
    context = current_context()
    if context is None or app not in (None, context.app):
        return None
    inner = current_scope(context)
    if inner is not None:
        return inner.unit
    state = peek_state(context)
    return None if state is None else state.unit


def own_unit_here() -> Unit | None:
    """The unit of the app context in progress, or None; not that of a ``scope()`` block in it."""
    context = current_context()
    state = None if context is None else peek_state(context)
    return None if state is None else state.unit


def _report_unfinished(app: Flask, unit: Unit) -> None:
    """Say what the end of a context drops, where nothing failed."""
    lost = unit.uncommitted_work
    if lost:
        logger.warning(
            "An app context ended with work that nobody committed, so it is rolled back: %s."
            " Write uow.session.commit(), or with uow.scope(): … around the work.",
            ", ".join(lost),
        )
    if unit.hooks_without_transaction and (app.debug or app.testing):
        logger.warning(
            "An app context ended, and these on_commit hooks never ran: %s. No commit followed their registration.",
            ", ".join(unit.hooks_without_transaction),
        )


def _is_in_block() -> bool:
    """Whether a ``scope()`` block is open, which has a unit of its own whatever scope it is in."""
    context = current_context()
    return context is not None and current_scope(context) is not None


def _is_in(context: AppContext) -> bool:
    """Whether *context* is in progress here, or one that has joined it."""
    current = current_context()
    return current is not None and outermost(current) is context


def _required_context() -> AppContext:
    context = current_context()
    if context is None:
        raise OutsideScopeError(
            "There is no unit of work here: it belongs to a request or to an app context."
            " In a thread, a job or a script, write: with uow.scope(app): … In the generator of a streamed response,"
            " keep the request's context with flask.stream_with_context."
        )
    return context
