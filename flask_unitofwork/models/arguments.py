"""Which page is asked for: by code, or else by the current request's arguments.

What a request asks for is a client's word, so what cannot be served is a 404, or is clamped where that is wanted.
What code asks for is a programmer's word, so it is a :class:`~flask_unitofwork.exceptions.PaginationError`.
"""

from __future__ import annotations

from typing import Final, NoReturn

from flask import abort, has_request_context, request

from ..exceptions import PaginationError
from .numerals import whole_number

__all__ = ["DEFAULT_PER_PAGE", "MAX_PER_PAGE", "page_number", "page_size", "request_argument"]

DEFAULT_PER_PAGE: Final = 20
MAX_PER_PAGE: Final = 100

# What every database takes as a LIMIT, with room for the row that is fetched to see whether there are more.
_MAX_ROWS: Final = 2**31 - 2


def request_argument(name: str) -> str | None:
    """The current request's argument; None where there is no request, or it has none of that name."""
    return request.args.get(name) if has_request_context() else None


def page_number(given: int | None, *, clamp: bool) -> int:
    """The number of the page, 1 or more.

    Raises:
        PaginationError: code gave something else than a whole number, or one below 1 without *clamp*.
        NotFound: the request did.
    """
    return _count("page", given, default=1, below=1, clamp=clamp)


def page_size(given: int | None, max_per_page: int | None, *, clamp: bool) -> int:
    """How many rows a page has, from 1 to *max_per_page* (None: as many as are asked for).

    Raises:
        PaginationError: code gave something else than a whole number, or one below 1 without *clamp*.
        NotFound: the request did.
    """
    if max_per_page is not None and (not _is_int(max_per_page) or max_per_page < 1):
        raise PaginationError(f"max_per_page must be a whole number, 1 or more, or None; it is {max_per_page!r}.")
    most = _MAX_ROWS if max_per_page is None else min(max_per_page, _MAX_ROWS)
    # Nobody who sends per_page=0 wants a single row.
    default = min(DEFAULT_PER_PAGE, most)
    return min(_count("per_page", given, default=default, below=default, clamp=clamp), most)


def _count(name: str, given: int | None, *, default: int, below: int, clamp: bool) -> int:
    """A whole number, 1 or more: *given*, else the request's, else *default*. One below 1 is clamped to *below*."""
    if given is not None:
        if not _is_int(given):
            raise PaginationError(f"{name} must be a whole number; it is of type {type(given).__name__}.")
        if given >= 1:
            return given
        if clamp:
            return below
        raise PaginationError(
            f"{name} must be 1 or more; it is {given}. If it comes from the URL, let the route refuse it"
            f' ("/<int(min=1):{name}>"), or leave it out to have it read from the request\'s arguments.'
        )
    sent = request_argument(name)
    if sent is None:
        return default
    number = whole_number(sent)
    if number is None:
        return default if clamp else _not_found()
    if number >= 1:
        return number
    return below if clamp else _not_found()


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _not_found() -> NoReturn:
    abort(404)
