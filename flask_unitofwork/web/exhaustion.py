"""A pool that stays exhausted: the request is told to come back, instead of that something is broken."""

from __future__ import annotations

from flask import Flask
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from ..transaction import IdleWatch

__all__ = ["answer_exhaustion"]


def answer_exhaustion(app: Flask, idle_watch: IdleWatch | None, *, retry_after: int) -> None:
    """Let *app* answer 503 with ``Retry-After`` where a request has waited in vain for a connection of the pool.

    The app's own handler of status 503 makes the page, if it has one: the pool's error is the ``__cause__`` of what it
    is given. Its own handler of :class:`sqlalchemy.exc.TimeoutError` does all of it.

    Args:
        app: the app.
        idle_watch: knows who holds connections meanwhile, where that is watched.
        retry_after: seconds that clients are asked to wait before they come back.
    """

    def exhausted(error: PoolTimeoutError) -> ResponseReturnValue:
        app.logger.error("No connection was to be had: %s", error)
        for held in () if idle_watch is None else idle_watch.held:
            app.logger.error("Meanwhile a connection is held, and no SQL runs on it: %s.", held)
        unavailable = ServiceUnavailable(retry_after=retry_after)
        unavailable.__cause__ = error
        answer = app.handle_http_exception(unavailable)
        response = answer.get_response() if isinstance(answer, HTTPException) else app.make_response(answer)
        if response.status_code == 503:
            # An own page that does not say it itself.
            response.headers.setdefault("Retry-After", str(retry_after))
        return response

    app.register_error_handler(PoolTimeoutError, exhausted)
