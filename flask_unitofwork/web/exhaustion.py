"""A pool that stays exhausted: the request is told to come back, instead of that something is broken."""

from __future__ import annotations

from typing import Final

from flask import Flask
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import ServiceUnavailable

__all__ = ["answer_exhaustion"]

RETRY_AFTER_SECONDS: Final = 1


def answer_exhaustion(app: Flask) -> None:
    """Let *app* answer 503 with ``Retry-After`` where a request has waited in vain for a connection of the pool.

    The app's own handler of status 503 makes the page, if it has one; its own handler of
    :class:`sqlalchemy.exc.TimeoutError` does all of it.
    """

    def exhausted(error: PoolTimeoutError) -> ResponseReturnValue:
        app.logger.error("No connection was to be had: %s", error)
        unavailable = ServiceUnavailable(retry_after=RETRY_AFTER_SECONDS)
        return app.handle_http_exception(unavailable)

    app.register_error_handler(PoolTimeoutError, exhausted)
