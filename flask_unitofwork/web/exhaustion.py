"""A pool that stays exhausted: the request is told to come back, instead of that something is broken."""

from __future__ import annotations

from flask import Flask
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, ServiceUnavailable

__all__ = ["answer_exhaustion"]


def answer_exhaustion(app: Flask, *, retry_after: int) -> None:
    """Let *app* answer 503 with ``Retry-After`` where a request has waited in vain for a connection of the pool.

    The app's own handler of status 503 makes the page, if it has one: the pool's error is the ``__cause__`` of what it
    is given. Its own handler of :class:`sqlalchemy.exc.TimeoutError` does all of it.

    Args:
        app: the app.
        retry_after: seconds that clients are asked to wait before they come back.
    """

    def exhausted(error: PoolTimeoutError) -> ResponseReturnValue:
        app.logger.error("No connection was to be had: %s", error)
        unavailable = ServiceUnavailable(retry_after=retry_after)
        unavailable.__cause__ = error
        answer = app.handle_http_exception(unavailable)
        response = answer.get_response() if isinstance(answer, HTTPException) else app.make_response(answer)
        if response.status_code == 503:
            # An own page that does not say it itself.
            response.headers.setdefault("Retry-After", str(retry_after))
        return response

    app.register_error_handler(PoolTimeoutError, exhausted)
