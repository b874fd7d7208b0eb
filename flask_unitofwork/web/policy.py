"""Whether a request succeeded: the rule that turns its response into commit or rollback."""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

__all__ = ["CommitPolicy", "below_400", "is_answer"]


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
