"""Errors of the whole app: in the API's form under ``/api/``, as a page everywhere else.

Error handlers run after the rollback, with a clean session. What a blueprint knows better, its own handlers answer.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from flask import Flask, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from .api.problems import problem

__all__ = ["init_app"]

_ADVICE: Final = {
    404: "This page does not exist, or no longer.",
    405: "This address does not take that kind of request.",
    413: "That was more than the shop can read at once.",
    500: "Something went wrong on our side, and nothing was changed. Please try again in a moment.",
}


def init_app(app: Flask) -> None:
    """Register the handlers of the app."""
    app.register_error_handler(HTTPException, _http_error)


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error  # a redirect, which is an answer
    detail = _ADVICE.get(error.code, error.description or error.name)
    # By path and not by blueprint: an address that leads nowhere belongs to no blueprint.
    if request.path.startswith("/api/"):
        answer: ResponseReturnValue = problem(error.code, error.name, detail)
    else:
        answer = render_template("error.html", code=error.code, name=error.name, detail=detail), error.code
    return answer
