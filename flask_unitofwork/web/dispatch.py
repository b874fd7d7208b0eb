"""Commit on success: each request's unit is settled inside Flask's dispatch.

Note: where a request is settled
    After the view returned and its value became a response, before any byte leaves, and where an exception still
    reaches the app's own error handlers. Flask's documented methods are wrapped on the app object, the way
    ``app.wsgi_app`` is wrapped by middleware, so that subclasses and other extensions keep working:

    ==========================  ======================================================================================
    ``wsgi_app``                a request that starts inside an app context gets one of its own
    ``preprocess_request``      settles a ``before_request`` function that answers by itself
    ``dispatch_request``        settles the view
    ``process_response``        last step: what ``after_request`` functions and session interfaces wrote
    ``handle_exception``        rolls back what a failed error handler left, before the handlers of status 500
    ``do_teardown_appcontext``  closes the unit, whatever else goes wrong in teardown
    ==========================  ======================================================================================

Note: the unit that a request does not use
    Most of the code here runs for requests that never touch a database. It looks for a unit and goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, has_app_context, request
from flask.globals import app_ctx
from werkzeug.wrappers import Response

from ..exceptions import DoomedError, LostWriteError
from ..transaction import Unit
from .context import current_context, state_of
from .policy import is_answer
from .streaming import close_abandoned, mark_streaming
from .units import AppState, Units

__all__ = ["Dispatch"]

logger = logging.getLogger("flask_unitofwork")

Wrapped = Callable[..., Any]


class Dispatch:
    """Settles the requests of one app.

    Args:
        app: the app.
        state: its policy and settings.
        units: finds the unit of a request.
    """

    def __init__(self, app: Flask, state: AppState, units: Units) -> None:
        self._app = app
        self._state = state
        self._units = units

    def install(self) -> None:
        """Wrap the app's methods."""
        for name in (
            "wsgi_app",
            "preprocess_request",
            "dispatch_request",
            "process_response",
            "handle_exception",
            "do_teardown_appcontext",
        ):
            setattr(self._app, name, getattr(self, f"_{name}")(getattr(self._app, name)))

    # -- the wrappers, in the order in which a request meets them. Flask may pass its context as first argument. ---

    def _wsgi_app(self, original: Wrapped) -> Wrapped:
        def wsgi_app(environ: dict[str, Any], start_response: Any) -> Any:
            if not has_app_context():
                return original(environ, start_response)
            return self._nested_request(original, environ, start_response)

        return wsgi_app

    def _nested_request(self, original: Wrapped, environ: dict[str, Any], start_response: Any) -> Any:
        context = current_context()
        if context is not None and context.app is self._app:
            close_abandoned(context, self._units)
            context = current_context()
        if context is None or context.app is not self._app or self._state.settings.nested_context == "join":
            return original(environ, start_response)
        # Flask would let the request share the app context it finds, and with it the session.
        with self._app.app_context():
            return original(environ, start_response)

    def _preprocess_request(self, original: Wrapped) -> Wrapped:
        def preprocess_request(*args: Any) -> Any:
            state = state_of(app_ctx._get_current_object())
            state.dispatching = True
            if state.unit is not None:
                # It began while Flask opened the session, before the request was known to be dispatched.
                self._units.expect_settlement(self._app, state.unit)
            try:
                value = original(*args)
            except BaseException as error:
                self._raised(error)
                raise
            return value if value is None else self._returned(value)

        return preprocess_request

    def _dispatch_request(self, original: Wrapped) -> Wrapped:
        def dispatch_request(*args: Any) -> Any:
            try:
                value = original(*args)
            except BaseException as error:
                self._raised(error)
                raise
            return self._returned(value)

        return dispatch_request

    def _process_response(self, original: Wrapped) -> Wrapped:
        def process_response(*args: Any) -> Any:
            try:
                response = original(*args)
            except BaseException:
                self._fail()
                raise
            context = app_ctx._get_current_object()
            unit = state_of(context).unit
            if unit is not None:
                response = self._last_step(unit, response, args[:-1])
            if response.is_streamed:
                preserved = "werkzeug.debug.preserve_context" in request.environ
                mark_streaming(context, response, preserved=preserved)
                if unit is not None:
                    unit.forbid_writes()
            return response

        return process_response

    def _handle_exception(self, original: Wrapped) -> Wrapped:
        def handle_exception(*args: Any) -> Any:
            self._fail()
            return original(*args)

        return handle_exception

    def _do_teardown_appcontext(self, original: Wrapped) -> Wrapped:
        def do_teardown_appcontext(*args: Any) -> Any:
            try:
                return original(*args)
            finally:
                failed = bool(args) and isinstance(args[-1], BaseException)
                try:
                    self._units.leave(app_ctx._get_current_object(), failed=failed)
                except Exception:
                    # Nobody is left to tell, and whatever else happens in this teardown must go on.
                    logger.exception("Closing the session at the end of an app context failed.")

        return do_teardown_appcontext

    # -- what becomes of the unit -----------------------------------------------------------------------------------

    def _returned(self, value: Any) -> Any:
        """A view, or a ``before_request`` function, answered with *value*."""
        unit = self._units.peek()
        if unit is None:
            return value
        try:
            response = self._app.make_response(value)
            self._settle(unit, response)
        except BaseException:
            self._fail()
            raise
        return response

    def _raised(self, error: BaseException) -> None:
        """The view raised *error*: it may be an answer all the same."""
        unit = self._units.peek()
        if unit is None:
            return
        if is_answer(error):
            try:
                self._settle(unit, error.get_response())
            except BaseException:
                self._fail()
                raise
        else:
            self._fail()

    def _settle(self, unit: Unit, response: Response) -> None:
        """Commit or roll back, as the policy says of *response*. Explicit units are left to the code."""
        if not self._units.commits_on_success(self._app):
            return
        if not self._state.policy(response):
            unit.rollback()
            return
        try:
            # Nobody will read the objects any more, or a streaming template will: no need to load them again.
            unit.commit(expire=False)
        except DoomedError:
            doom = unit.doom_reason
            if doom is None or not doom.asked:
                raise
            unit.rollback()

    def _last_step(self, unit: Unit, response: Response, leading: tuple[Any, ...]) -> Response:
        """Settle what came after the closing commit: error handlers, ``after_request`` functions, session interfaces."""
        if unit.is_idle:
            return response
        try:
            if self._units.commits_on_success(self._app):
                self._settle(unit, response)
            elif self._state.policy(response) and unit.has_uncommitted_work:
                self._report_lost_work(unit)
        except Exception as error:
            self._fail()
            # Error handlers see this failure as they see any other. Where there is none, the answer is a 500.
            answer = self._app.make_response(self._app.handle_user_exception(*leading, error))
            if not unit.is_idle:
                self._settle(unit, answer)
            return answer
        return response

    def _report_lost_work(self, unit: Unit) -> None:
        message = (
            f"The view {request.endpoint!r} answered with success, but its work was not committed and is lost:"
            f" {unit.describe_uncommitted_work()}. Commits are explicit here: write uow.session.commit(), or"
            " with uow.transaction(): … around the work; or uow.session.rollback() if it is to be dropped."
        )
        if self._app.debug or self._app.testing:
            raise LostWriteError(message)
        logger.error(message)

    def _fail(self) -> None:
        """Roll back, so that error handlers start with a clean session. What goes wrong here hides no other error."""
        unit = self._units.peek()
        if unit is None or unit.is_idle:
            return
        try:
            unit.rollback()
        except Exception:
            logger.exception("Rolling back a failed request failed; its connection is discarded.")
            unit.discard()
