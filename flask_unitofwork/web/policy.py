"""Whether a request succeeded: the rule that turns its response into commit or rollback."""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeGuard, TypeVar

from flask import Flask, Request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

__all__ = ["CommitPolicy", "below_400", "commits_explicitly", "explicit_commit", "is_answer"]

_EXPLICIT: Final = "_unitofwork_explicit_commit"

V = TypeVar("V")


class CommitPolicy(Protocol):
    """A rule for ``UNITOFWORK_COMMIT_POLICY``.

    Example:
        >>> def also_conflicts(response):
        ...     return response.status_code < 400 or response.status_code == 409
    """

    def __call__(self, response: Any, /) -> bool:
        """Whether a request that *response* answers is to be committed."""
        ...


def below_400(response: Response) -> bool:
    """The default: a request succeeded when its status is below 400. Redirects are successes."""
    return response.status_code < 400


def is_answer(error: BaseException) -> TypeGuard[HTTPException]:
    """Whether *error* is an answer below 400 that was raised, such as a redirect, rather than a failure."""
    if not isinstance(error, HTTPException):
        return False
    code = error.code if error.response is None else error.response.status_code
    return code is not None and code < 400


def explicit_commit(view: V) -> V:
    """Turn commit on success off for one view: only what its code commits is kept.

    Goes on a view function, a method of a ``MethodView``, or a ``View`` class.

    Example:
        >>> @explicit_commit
        ... def import_prices():
        ...     ...
    """
    setattr(view, _EXPLICIT, True)
    return view


def commits_explicitly(app: Flask, request: Request) -> bool:
    """Whether the view of *request* is marked with `explicit_commit`."""
    view = app.view_functions.get(request.endpoint or "")
    if view is None:
        return False
    view_class = getattr(view, "view_class", None)
    method = getattr(view_class, request.method.lower(), None)
    if method is None and request.method == "HEAD":
        method = getattr(view_class, "get", None)  # as Flask's MethodView does
    return any(getattr(part, _EXPLICIT, False) for part in (view, view_class, method))
