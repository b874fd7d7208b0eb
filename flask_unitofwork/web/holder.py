"""Who holds a connection, in words for a report."""

from __future__ import annotations

import threading

import click
from flask import has_request_context, request

from .context import DISPATCHING, current_context, current_scope, outermost, peek_state

__all__ = ["holder_here"]


def holder_here() -> str | None:
    """Who runs here: a view, a command, a ``scope()`` block; never with the values of a request.

    None where nobody waits for the code to end: in a shell, or in an app context that somebody has pushed, where a
    connection may be held for as long as the one at the keyboard thinks.
    """
    context = current_context()
    if context is None:
        return None
    owner = outermost(context)
    state = peek_state(owner)
    if getattr(owner, DISPATCHING, False) or (state is not None and state.streaming):
        return _view()
    command = click.get_current_context(silent=True)
    if command is not None and command.info_name not in (None, "shell"):
        return f"The command {command.info_name!r}"
    if current_scope(context) is not None:
        return f"A scope in the thread {threading.current_thread().name!r}"
    return None


def _view() -> str:
    if not has_request_context():
        return "A request"
    rule = "" if request.url_rule is None else f" {request.url_rule.rule}"
    return f"The view {request.endpoint!r} ({request.method}{rule})"
