"""Asking an app as a WSGI server does, without a server's or a test client's own work."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from typing import TYPE_CHECKING, Any

from werkzeug.test import EnvironBuilder

from .work import Work

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["Asker", "ask"]


class Asker:
    """Asks *app* to do *work*, each time for the next of *variants*. Belongs to one thread."""

    def __init__(self, app: WSGIApplication, work: Work, variants: Iterable[int]) -> None:
        self._app = app
        # Made before anything is measured.
        self._environs = cycle([environ_of(work, variant) for variant in variants])

    def __call__(self) -> None:
        """Ask once.

        Raises:
            AssertionError: the answer is no success; its time would say nothing.
        """
        status, body = ask(self._app, next(self._environs))
        assert status.startswith("2"), f"{status}: {body[:500]!r}"


def environ_of(work: Work, variant: int) -> dict[str, Any]:
    return EnvironBuilder(work.path, method=work.method, query_string=work.query_of(variant)).get_environ()


def ask(app: WSGIApplication, environ: dict[str, Any]) -> tuple[str, bytes]:
    """The status line and the body of one answer."""
    statuses: list[str] = []

    def start_response(status: str, *_: object) -> Any:
        statuses.append(status)

    body = app(dict(environ), start_response)
    try:
        content = b"".join(body)
    finally:
        # Where Flask tears its contexts down, and Django ends its request.
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return statuses[-1], content
