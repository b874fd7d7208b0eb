"""A request whose view can be run again as if it had not been run.

Note: what a second attempt finds
    The body, forms, files and JSON, as the client sent them. The Flask session, with what ``flash()`` keeps there, and
    the functions registered by ``after_this_request``, as they were when the view was first called. ``g`` is left alone:
    what ``before_request`` functions put there is needed, and objects on it are still in the session, to be loaded anew.
    Only the view is run again. So where ``before_request`` functions have left work uncommitted, which the rollback has
    undone, it is not.
"""

from __future__ import annotations

import copy
import logging
import shutil
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from flask import Request
from flask import request as request_proxy
from flask.globals import request_ctx

from ..transaction import Repetition, Unit, repeat

__all__ = ["RepeatableRequest", "after_request_functions", "flask_session"]

logger = logging.getLogger("flask_unitofwork")

MEMORY_BYTES: Final = 512 * 1024
"""A longer body is kept in a temporary file."""


# What a request keeps of its body, used up or changed by whoever has read it.
_OF_THE_BODY: Final = frozenset({"_cached_json", "files", "form", "stream", "values"})


class RepeatableRequest:
    """The request in progress, from before its ``before_request`` functions on.

    Args:
        attempts: how often its view may run.

    Attributes:
        attempts: how often its view may run.
        repetition: the attempts; None until the view is about to run, and while nobody asks for another.
        running: the view is being run again.

    Raises:
        werkzeug.exceptions.HTTPException: the body is too long, or the client went away.
    """

    def __init__(self, attempts: int) -> None:
        self._request: Request = request_proxy._get_current_object()  # type: ignore[attr-defined]
        self._body = _buffered(self._request)
        self._known: dict[str, Any] = {}
        self._session: dict[str, Any] = {}
        self._session_marks: tuple[bool, bool] = (False, False)
        self._callbacks = 0
        self._flashes: Any = None
        self._position = 0
        self._at_stake: list[str] = []
        self._repeating = ExitStack()
        self.attempts = attempts
        self.repetition = Repetition(attempts)
        self.running = False

    def remember(self, unit: Unit) -> None:
        """The view is about to run in *unit*, which ``before_request`` functions may have used."""
        self._known = {name: value for name, value in vars(self._request).items() if name not in _OF_THE_BODY}
        self._position = 0 if self._body is None or "form" in vars(self._request) else self._body.tell()
        self._flashes = request_ctx.flashes
        self._callbacks = len(after_request_functions())
        current = flask_session()
        self._session = copy.deepcopy(dict(current))
        self._session_marks = current.modified, current.accessed
        self._at_stake = unit.at_stake
        unit.begin_attempt(1, of=self.attempts)
        self._repeating.enter_context(repeat(unit))

    @property
    def only_the_view_has_worked(self) -> bool:
        """Whether ``before_request`` functions have left nothing uncommitted, which would be lost with the first run."""
        return not self._at_stake

    def may_run_again(self, unit: Unit | None, error: Exception) -> bool:
        """Whether the view, which failed with *error*, may be run again."""
        self.repetition.unit = unit
        if self.running or not self.repetition.may_repeat(error):
            return False
        if self._at_stake:
            logger.warning(
                "A view failed with %s, which asks for another attempt; but before_request functions had left work"
                " uncommitted (%s), and only the view can be run again.",
                type(error).__name__,
                ", ".join(self._at_stake),
            )
            return False
        return True

    def rewind(self) -> None:
        """Put everything back to where it was when the view was first called."""
        attributes = vars(self._request)
        for files in attributes["files"].listvalues() if "files" in attributes else ():
            for file in files:
                file.close()  # the next attempt parses the form again
        attributes.clear()
        attributes.update(self._known)
        if self._body is not None:
            self._body.seek(self._position)
        request_ctx.flashes = self._flashes
        del after_request_functions()[self._callbacks :]
        current = flask_session()
        if dict(current) != self._session:
            current.clear()
            current.update(copy.deepcopy(self._session))
            current.modified, current.accessed = self._session_marks

    def close(self) -> None:
        """The request is over."""
        self._repeating.close()
        if self._body is not None:
            self._body.close()


def after_request_functions() -> list[Any]:
    """What ``after_this_request`` has registered for the request in progress.

    Private: Flask offers no way to take a registration back. A test fails if Flask keeps them elsewhere.
    """
    functions: list[Any] = request_ctx._after_request_functions
    return functions


def flask_session() -> Any:
    """The Flask session of the request in progress, looked at without leaving a trace.

    Private: the public way marks the session as accessed, which makes the answer vary by cookie. A test fails if Flask
    keeps it elsewhere.
    """
    private = getattr(request_ctx, "_session", None)
    return request_ctx.session if private is None else private


def _buffered(request: Request) -> SpooledTemporaryFile[bytes] | None:
    """The body of *request*, which from now on reads it from there; None if it has none."""
    environ = request.environ
    if not request.content_length and not environ.get("wsgi.input_terminated"):
        return None
    body: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115  close() does
    try:
        shutil.copyfileobj(request.stream, body)
    except BaseException:
        body.close()
        raise
    body.seek(0)
    environ["wsgi.input"], environ["wsgi.input_terminated"] = body, True
    vars(request).pop("stream", None)
    return body
