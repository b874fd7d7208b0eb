"""Flask's app context, and what this package hangs on it.

Note: why the context object itself
    A unit belongs to one app context, and hangs on that object as an attribute. A table keyed by ``id()`` of a context,
    or by thread or greenlet, would hand one request's session to another as soon as such an id is used again.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from flask.ctx import AppContext
from flask.globals import app_ctx
from werkzeug.wrappers import Response

from ..transaction import Unit

__all__ = ["ContextState", "InnerScope", "current_context", "has_joined", "inner_scope", "join_state", "state_of"]

_STATE: Final = "_unitofwork"
_JOINED: Final = "_unitofwork_joined"


class ContextState:
    """What one app context carries for this package.

    Attributes:
        unit: the context's unit of work, once there is one.
        dispatching: a request is being dispatched in it, and will be settled by its response.
        streaming: the body of a streamed response is being made in it, so whatever runs in it only reads.
        stream: that response, where finding the context on a thread would mean that it was abandoned.
    """

    # Class attributes as defaults: every request makes one of these, most of them change nothing in it.
    unit: Unit | None = None
    dispatching: bool = False
    streaming: bool = False
    stream: weakref.ref[Response] | None = None


@dataclass(frozen=True, slots=True)
class InnerScope:
    """A ``scope()`` block that is open inside an app context."""

    context: AppContext
    unit: Unit


inner_scope: ContextVar[InnerScope | None] = ContextVar("flask_unitofwork.inner_scope", default=None)
"""The innermost ``scope()`` block. A context variable, so that threads and tasks each have their own."""


def current_context() -> AppContext | None:
    """The app context in progress, or None."""
    try:
        return app_ctx._get_current_object()  # type: ignore[attr-defined, no-any-return]
    except RuntimeError:
        return None


def state_of(context: AppContext) -> ContextState:
    """What *context* carries; made at the first call."""
    carried = context.__dict__
    try:
        state: ContextState = carried[_STATE]
    except KeyError:
        state = carried[_STATE] = ContextState()
    return state


def join_state(context: AppContext, around: AppContext) -> None:
    """Let *context* use the unit that is current in *around*, without owning it."""
    inner = inner_scope.get()
    if inner is not None and inner.context is around:
        state = ContextState()
        state.unit = inner.unit
    else:
        state = state_of(around)
    context.__dict__[_STATE] = state
    context.__dict__[_JOINED] = True


def has_joined(context: AppContext) -> bool:
    """Whether the unit of *context* belongs to a context around it."""
    return _JOINED in context.__dict__
