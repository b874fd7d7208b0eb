"""``UNITOFWORK_NESTED_CONTEXT = "join"``: an app context inside another uses the outer one's unit.

For code that pushes an app context of its own where one is in progress already, such as a task queue that runs its
tasks eagerly. Flask tells nobody which context is around another, so in this mode it is written down when one is pushed.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from flask import Flask, appcontext_popped, appcontext_pushed
from flask.ctx import AppContext

from .context import current_context, join_state

__all__ = ["join_nested_contexts"]

_innermost: ContextVar[AppContext | None] = ContextVar("flask_unitofwork.innermost", default=None)


def join_nested_contexts(app: Flask) -> None:
    """Let nested app contexts of *app* join the unit of the outermost one."""
    appcontext_pushed.connect(_pushed, app)
    appcontext_popped.connect(_popped, app)


def _pushed(sender: Flask, **_: Any) -> None:
    context, around = current_context(), _innermost.get()
    if context is not None and around is not None and around is not context and around.app is sender:
        join_state(context, around)
    _innermost.set(context)


def _popped(_sender: Flask, **_: Any) -> None:
    _innermost.set(current_context())
