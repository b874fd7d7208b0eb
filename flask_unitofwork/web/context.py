"""Flask's app context, and what this package hangs on it.

Note: what is on the hot path
    Every request of the app runs some of this, also those that never touch a database. So what a context carries is
    made only when there is a unit, and what asks for it in each request does so in place: ``request_context()`` is
    the context variable's own method, and ``context._unitofwork`` (`STATE`) is read as it stands.

Note: why the context object itself
    A unit belongs to one app context, and hangs on that object as an attribute. A table keyed by ``id()`` of a context,
    or by thread or greenlet, would hand one request's session to another as soon as such an id is used again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from flask import globals as flask_globals
from flask.ctx import AppContext
from werkzeug.wrappers import Response

from ..transaction import Unit
from .repeatable import RepeatableRequest

__all__ = [
    "DISPATCHING",
    "STATE",
    "ContextState",
    "InnerScope",
    "app_context_variable",
    "current_context",
    "current_scope",
    "has_joined",
    "inner_scope",
    "join_state",
    "outermost",
    "peek_state",
    "request_context",
    "state_of",
]

STATE: Final = "_unitofwork"
"""The context's attribute for its `ContextState`; most contexts have none."""

# A default for all contexts: to ask for an attribute that is missing takes four times as long.
setattr(AppContext, STATE, None)

DISPATCHING: Final = "_unitofwork_dispatching"
"""The context's attribute that is true while a request is dispatched in it, whose response will settle the unit."""

_JOINED: Final = "_unitofwork_joined"
"""The context's attribute for the context around it whose unit it uses; most contexts have none."""

setattr(AppContext, _JOINED, None)


def app_context_variable() -> ContextVar[AppContext]:
    """The context variable that holds Flask's current app context.

    Private: the public way, ``app_ctx._get_current_object()``, takes four times as long, and is asked for four times in
    each request. A test fails if Flask keeps its context elsewhere.
    """
    return flask_globals._cv_app


request_context: Final = app_context_variable().get
"""The app context in progress, for code that only runs inside one."""


def current_context() -> AppContext | None:
    """The app context in progress, or None."""
    return request_context(None)


class ContextState:
    """What one app context carries for this package, once there is something.

    Attributes:
        unit: the context's unit of work, once there is one.
        streaming: the body of a streamed response is being made in it, so whatever runs in it only reads.
        kept: the context has ended, and its unit, if it has one, is kept for that body.
        repeatable: the request, where its view may be run again.
        stream: that response, where finding the context on a thread would mean that it was abandoned.
    """

    __slots__ = ("kept", "repeatable", "stream", "streaming", "unit")

    def __init__(self) -> None:
        self.unit: Unit | None = None
        self.streaming = False
        self.kept = False
        self.repeatable: RepeatableRequest | None = None
        self.stream: weakref.ref[Response] | None = None


@dataclass(slots=True)
class InnerScope:
    """A ``scope()`` block inside an app context.

    Attributes:
        context: the app context.
        unit: the block's unit.
        around: the block that was the innermost when this one began.
        ended: whether the block is over. Blocks in generators may end in another order than they began.
    """

    context: AppContext
    unit: Unit
    around: InnerScope | None
    ended: bool = False


inner_scope: ContextVar[InnerScope | None] = ContextVar("flask_unitofwork.inner_scope", default=None)
"""The innermost ``scope()`` block. A context variable, so that threads and tasks each have their own."""


def state_of(context: AppContext) -> ContextState:
    """What *context* carries; made if it carries nothing yet."""
    state = peek_state(context)
    if state is None:
        state = ContextState()
        setattr(context, STATE, state)
    return state


peek_state: Final[Callable[[AppContext], ContextState | None]] = attrgetter(STATE)
"""What a context carries, or None."""


def current_scope(context: AppContext) -> InnerScope | None:
    """The innermost ``scope()`` block that is open in *context*, or None."""
    inner = inner_scope.get()
    while inner is not None and inner.ended:
        inner = inner.around
    return inner if inner is not None and inner.context is context else None


def join_state(context: AppContext, around: AppContext) -> None:
    """Let *context* use the unit that is current in *around*, without owning it."""
    inner = current_scope(around)
    if inner is not None:
        state = ContextState()
        state.unit = inner.unit
    else:
        state = state_of(around)
    setattr(context, STATE, state)
    setattr(context, _JOINED, around)


def has_joined(context: AppContext) -> bool:
    """Whether the unit of *context* belongs to a context around it."""
    return getattr(context, _JOINED) is not None


def outermost(context: AppContext) -> AppContext:
    """The context that owns the unit of *context*: itself, or the one it joined."""
    while has_joined(context):
        context = getattr(context, _JOINED)
    return context
