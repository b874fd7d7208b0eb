"""Streams that their clients abandoned.

Note: what an abandoned stream leaves behind
    A generator that runs in its request's context (``stream_with_context``) keeps that context pushed on the thread
    between two of its items. Where the client goes away and the server drops the response without closing it, the
    context stays. Flask then finds "its" app context already there when the next request starts on that thread, and
    neither makes nor tears down one for it: sessions pile up, connections are never given back. So every request
    looks for such a leftover first, closes the response it belongs to (which ends the generator and pops the context),
    and says so.

Note: what the body shares with the view
    Flask ends a request's context before the body is made, and takes it up again for ``stream_with_context``. The unit is
    kept meanwhile (`Units.keep`), so that the view's objects load what they lack when the body asks them. It holds no
    connection, and is closed when the generator has ended or the response is closed.
"""

from __future__ import annotations

import warnings
import weakref

from flask.ctx import AppContext
from werkzeug.wrappers import Response

from .context import ContextState, current_context, peek_state, state_of
from .units import Units

__all__ = ["AbandonedStreamWarning", "close_abandoned", "mark_streaming"]


class AbandonedStreamWarning(ResourceWarning):
    """A streamed response was dropped without being closed, and has been closed when the next request began."""


def mark_streaming(context: AppContext, response: Response, units: Units, *, preserved: bool) -> ContextState:
    """From now on *context* serves the body of *response*: until it is closed, whatever runs there only reads.

    Args:
        context: the app context of the request.
        response: a streamed response.
        units: closes the context's unit, where that was kept for the body.
        preserved: a test client keeps the context pushed after the request, so finding it there means nothing.

    Returns:
        What the context carries.
    """
    state = state_of(context)
    state.streaming = True
    if not preserved:
        # Weak: the context is reachable from the response's generator, and must not keep it alive in turn.
        state.stream = weakref.ref(response)

    def closed() -> None:
        state.streaming = False
        state.stream = None
        if state.kept:
            units.leave(context)

    response.call_on_close(closed)
    return state


def close_abandoned(context: AppContext, units: Units) -> None:
    """Close the stream that left *context* on this thread, if one did, and the unit it was reading with."""
    state = peek_state(context)
    if state is None or state.stream is None:
        return
    response = state.stream()
    if response is not None:
        try:
            response.close()
        except ValueError:
            return  # its generator is running right now, further up this thread's stack: it is not abandoned
    if current_context() is context:
        units.leave(context, failed=True)
    warnings.warn(
        "A streamed response was abandoned: its client went away and the server never closed it, so its app context"
        " was still pushed on this thread. It has been closed now. A WSGI server must call close() on its responses.",
        AbandonedStreamWarning,
        stacklevel=2,
    )
