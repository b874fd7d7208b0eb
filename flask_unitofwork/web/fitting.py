"""Wrapping Flask's methods, whichever arguments its version passes to them.

Flask 3.1 passes no context to the methods that are wrapped. Later versions pass theirs as the first argument, ``ctx``; it is
the one in progress.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .context import request_context

__all__ = ["fitted", "without_context"]

Wrapped = Callable[..., Any]


def fitted(method: Wrapped, wrap: Callable[[Wrapped], Wrapped]) -> Wrapped:
    """*method* of the app in its wrapper, called as Flask calls *method*."""
    wrapped = wrap(without_context(method))
    return (lambda ctx, *args: wrapped(*args)) if _takes_context(method) else wrapped  # noqa: ARG005


def without_context(method: Wrapped) -> Wrapped:
    """*method* of the app, to be called without Flask's context."""
    return (lambda *args: method(request_context(), *args)) if _takes_context(method) else method


def _takes_context(method: Wrapped) -> bool:
    return next(iter(inspect.signature(method).parameters), None) == "ctx"
