"""Commit on success: each request's unit is settled inside Flask's dispatch.

Note: where a request is settled
    After the view returned and its value became a response, before any byte leaves, and where an exception still
    reaches the app's own error handlers. Flask's documented methods are wrapped on the app object, the way
    ``app.wsgi_app`` is wrapped by middleware, so that subclasses and other extensions keep working:

    ==========================  ======================================================================================
    ``wsgi_app``                a request that starts inside an app context gets one of its own
    ``preprocess_request``      settles a ``before_request`` function that answers by itself
    ``dispatch_request``        settles the view
    ``handle_user_exception``   settles what was raised: a rollback, or a commit where it is an answer (a redirect)
    ``process_response``        last step: what ``after_request`` functions and session interfaces wrote
    ``handle_exception``        rolls back what a failed error handler left, before the handlers of status 500
    ``do_teardown_appcontext``  closes the unit, whatever else goes wrong in teardown
    ==========================  ======================================================================================

Note: the unit that a request does not use
    Most of this runs for requests that never touch a database, so each wrapper first asks whether its context carries
    anything of ours, and goes on if not. They name the arguments that Flask passes: ``*args`` would double what a
    wrapper costs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from types import CodeType
from typing import Any, ClassVar, Final

from flask import Flask, request
from flask.ctx import AppContext
from tenacity import Retrying
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from ..exceptions import DoomedError, LostWriteError, UnknownCommitError
from ..transaction import Unit
from .answered import request_answered
from .app_state import AppState
from .context import DISPATCHING, current_context, peek_state, request_context, state_of
from .fitting import fitted, without_context
from .policy import is_answer
from .repeatable import RepeatableRequest
from .streaming import close_abandoned, mark_streaming
from .units import Units
from .views import RequestDemarcation, intent_of_stream

__all__ = ["Dispatch"]

logger = logging.getLogger("flask_unitofwork")

_PRESERVE: Final = "werkzeug.debug.preserve_context"
"""Where a request has what keeps its contexts when it is over, if somebody wants them."""

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
        self._reported: set[str | None] = set()

    def install(self) -> None:
        """Wrap the app's methods."""
        for name in (
            "wsgi_app",
            "preprocess_request",
            "dispatch_request",
            "handle_user_exception",
            "process_response",
            "handle_exception",
            "do_teardown_appcontext",
        ):
            setattr(self._app, name, fitted(getattr(self._app, name), getattr(self, f"_{name}")))

    # -- the wrappers, in the order in which a request meets them ---------------------------------------------------

    def _wsgi_app(self, original: Wrapped) -> Wrapped:
        def wsgi_app(environ: dict[str, Any], start_response: Any) -> Any:
            if request_context(None) is None:
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
        with self._app.app_context() as own:
            _let_preserve(environ, context, instead_of=own)
            return original(environ, start_response)

    def _preprocess_request(self, original: Wrapped) -> Wrapped:
        units = self._units

        def preprocess_request() -> Any:
            context: Any = request_context()
            context._unitofwork_dispatching = True  # DISPATCHING: setattr() would take three times as long
            try:
                value = self._preprocess_repeatable(original, context) if units.anything_repeats else original()
                return value if value is None else self._returned(value)
            except BaseException as error:
                self._passed(error)
                raise

        return preprocess_request

    def _dispatch_request(self, original: Wrapped) -> Wrapped:
        def dispatch_request() -> Any:
            try:
                value = original()
                context: Any = request_context()
                return value if context._unitofwork is None else self._returned(value)
            except BaseException as error:
                self._passed(error)
                repeatable = self._repeatable(error)
                if repeatable is None:
                    raise
                return self._run_again(dispatch_request, error, repeatable)

        return dispatch_request

    def _handle_user_exception(self, original: Wrapped) -> Wrapped:
        def handle_user_exception(error: Exception) -> Any:
            value = settle_and_handle(error)
            # Flask would make a response with an iterator for its body of it, which could not be told from a stream.
            return value.get_response(request.environ) if isinstance(value, HTTPException) else value

        def settle_and_handle(error: Exception) -> Any:
            unit = _unit_of_request()
            if unit is None or unit.is_idle:
                return original(error)
            if not is_answer(error):
                self._fail(error)
                return original(error)
            try:
                if self._demarcation.commits_on_success:
                    self._settle(unit, error.get_response())
            except Exception as failure:  # noqa: BLE001  whatever it is, it is for the error handlers
                self._fail(failure)
                # Inside the except block: Flask raises again what is being handled if there is no handler for it.
                return original(failure)
            return original(error)

        return handle_user_exception

    def _process_response(self, original: Wrapped) -> Wrapped:
        def process_response(response: Response) -> Response:
            try:
                response = original(response)
            except BaseException as error:
                self._fail(error)
                setattr(request_context(), DISPATCHING, False)
                raise
            context: Any = request_context()
            context._unitofwork_dispatching = False
            if context._unitofwork is not None:
                response = self._last_step(response)
            # Nearly all bodies are lists. Asking that first is quicker than asking Werkzeug.
            if response.response.__class__ is not list and response.is_streamed:
                self._begin_stream(context, response)
            return response

        return process_response

    def _handle_exception(self, original: Wrapped) -> Wrapped:
        def handle_exception(error: Exception) -> Any:
            self._fail(error)
            try:
                return original(error)
            except BaseException:  # nobody answers: what teardown functions do is not the request's any more
                setattr(request_context(), DISPATCHING, False)
                raise

        return handle_exception

    def _do_teardown_appcontext(self, original: Wrapped) -> Wrapped:
        def do_teardown_appcontext(exc: BaseException | None = None) -> None:
            try:
                original(exc)
            finally:
                context: Any = request_context()
                if context._unitofwork is not None:
                    setattr(context, DISPATCHING, False)
                    self._leave(context, failed=exc is not None)

        return do_teardown_appcontext

    # -- running a view again ---------------------------------------------------------------------------------------

    def _preprocess_repeatable(self, original: Wrapped, context: AppContext) -> Any:
        """What ``before_request`` functions answer; their request is kept so that its view can be run again."""
        attempts = self._demarcation.attempts
        if attempts == 1:
            return original()
        state = state_of(context)
        state.repeatable = RepeatableRequest(attempts)
        value = original()
        if value is None:
            unit = self._units.current()
            unit.repeats = True  # also where it was made before, by a session interface
            state.repeatable.remember(unit)
        return value

    def _repeatable(self, error: BaseException) -> RepeatableRequest | None:
        """The request, if its view, which failed with *error* and has been rolled back, may be run again."""
        state = peek_state(request_context())
        if state is None or state.repeatable is None or not isinstance(error, Exception):
            return None
        return state.repeatable if state.repeatable.may_run_again(state.unit, error) else None

    def _run_again(self, dispatch_request: Wrapped, first: BaseException, repeatable: RepeatableRequest) -> Any:
        """Run the view until it succeeds, its attempts are used up, or it fails with what does not ask for another."""
        unit, repetition = repeatable.repetition.unit, repeatable.repetition
        assert unit is not None
        repeatable.running = True
        for attempt in Retrying(**repetition.policy):
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise first
                repeatable.rewind()
                unit.begin_attempt(attempt.retry_state.attempt_number, of=repeatable.attempts)
                unit.held.intend_as(self._demarcation.view_intent)
                value = dispatch_request()
                repetition.succeeded()
                return value
        raise AssertionError("tenacity ends with a value or an exception")

    @property
    def _demarcation(self) -> RequestDemarcation:
        """What becomes of the request in progress."""
        return self._units.demarcation(self._app)

    # -- what becomes of the unit -----------------------------------------------------------------------------------

    def _returned(self, value: Any) -> Any:
        """A view, or a ``before_request`` function, answered with *value*. What is raised goes to error handlers."""
        unit = _unit_of_request()
        if unit is None:
            return value
        response = self._app.make_response(value)
        demarcation = self._demarcation
        if demarcation.commits_on_success:
            self._settle(unit, response)
        self._end_view(unit, demarcation)
        return response

    def _passed(self, error: BaseException) -> None:
        """*error* passes on its way to error handlers, ours or those that an extension has put around them."""
        if not is_answer(error):
            self._fail(error)
            unit = _unit_of_request()
            if unit is not None:
                self._end_view(unit, self._demarcation)

    def _end_view(self, unit: Unit, demarcation: RequestDemarcation) -> None:
        """What the view's decorators ask for is for the view; what comes after it may write, and is not run again."""
        if unit.held.intent is not demarcation.method_intent:
            unit.held.intend_as(demarcation.method_intent)
        unit.attempts = 1

    def _settle(self, unit: Unit, response: Response) -> None:
        """Commit or roll back, as the policy says of *response*, where success commits."""
        if request_answered.receivers:
            request_answered.send(self._app, unit=unit, response=response)
        if not self._state.policy(response):
            unit.rollback(f"the commit policy refused the response, whose status is {response.status}")
            return
        try:
            # Nobody will read the objects any more, or a streaming template will: no need to load them again.
            unit.commit(expire=False)
        except DoomedError as error:
            if not unit.was_refused_as_asked(error):
                raise
            unit.rollback(error)
        except UnknownCommitError as error:
            error.add_note(f"It is the commit of the request {request.method} {request.path} ({request.endpoint}).")
            raise

    def _last_step(self, response: Response) -> Response:
        """Settle what came after the closing commit: error handlers, ``after_request`` functions, session interfaces."""
        unit = _unit_of_request()
        if unit is None or unit.is_idle:
            return response
        try:
            if self._demarcation.commits_on_success:
                self._settle(unit, response)
            elif not unit.doomed and unit.uncommitted_work and self._state.policy(response):
                self._report_lost_work(unit)
        except Exception as error:  # noqa: BLE001  whatever it is, it is for the error handlers
            self._fail(error)
            # Error handlers see this failure as they see any other. Where there is none, the answer is a 500.
            handle = without_context(self._app.handle_user_exception)
            answer = self._app.make_response(handle(error))
            if self._demarcation.commits_on_success and not unit.is_idle:
                self._settle(unit, answer)
            return answer
        return response

    ends: ClassVar[Collection[CodeType]] = frozenset({_settle.__code__})
    """The code that ends requests."""

    def _begin_stream(self, context: AppContext, response: Response) -> None:
        """The response leaves now, and its body is made while it does: from here on the request only reads."""
        state = mark_streaming(context, response, self._units, preserved=_PRESERVE in request.environ)
        if state.unit is not None:
            state.unit.held.intend_as(intent_of_stream(self._state.settings))

    def _report_lost_work(self, unit: Unit) -> None:
        message = (
            f"The view {request.endpoint!r} answered with success, but its work was not committed and is lost:"
            f" {', '.join(unit.uncommitted_work)}. Commits are explicit here: write uow.session.commit(), or"
            " with uow.transaction(): … around the work; or uow.session.rollback() if it is to be dropped."
        )
        if self._app.debug or self._app.testing:
            raise LostWriteError(message)
        # Once a view: who does this does it at every request.
        if request.endpoint not in self._reported:
            self._reported.add(request.endpoint)
            logger.error(message)

    def _fail(self, because: BaseException) -> None:
        """Roll back, so that error handlers start with a clean session. What goes wrong here hides no other error."""
        unit = _unit_of_request()
        if unit is None or unit.is_idle:
            return
        try:
            unit.rollback(because)
        except Exception:
            logger.exception("Rolling back a failed request failed; its connection is discarded.")
            unit.discard()

    def _leave(self, context: AppContext, *, failed: bool) -> None:
        """The context ends, and with it its unit."""
        state = state_of(context)
        if state.repeatable is not None:
            state.repeatable.close()
        if state.streaming and not failed and self._units.keep(context):
            return
        try:
            self._units.leave(context, failed=failed)
        except Exception:
            # Nobody is left to tell, and whatever else happens in this teardown must go on.
            logger.exception("Closing the session at the end of an app context failed.")


def _let_preserve(environ: dict[str, Any], context: AppContext, *, instead_of: AppContext) -> None:
    """Let a test client that keeps contexts after a request, as ``with client:`` does, keep *context*.

    It is the one that it would find without us. *instead_of* would be in its way when it ends.
    """
    preserve: Callable[[object], object] | None = environ.get(_PRESERVE)
    if preserve is not None:
        environ[_PRESERVE] = lambda kept: preserve(context if kept is instead_of else kept)


def _unit_of_request() -> Unit | None:
    """The unit of the request that is being handled; not that of a ``scope()`` which a generator holds open in it."""
    state = peek_state(request_context())
    return None if state is None else state.unit
