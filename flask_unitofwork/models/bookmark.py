"""Bookmarks: a place in an order of rows, as text that may stand in a URL.

A bookmark holds the sort key's values as the database driver gave them (see `sort_key`), and is signed with the
app's ``SECRET_KEY``: an altered one, or one of another order, is refused before the database sees it. Without an app
or a key the signature only tells accidents. It is not encrypted: whoever has it can read the values.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from flask import current_app, has_app_context
from itsdangerous import BadData, URLSafeSerializer

from ..exceptions import PaginationError

__all__ = ["EDGE", "read_bookmark", "write_bookmark"]

# The place before the first row and after the last: what a page without rows has for a neighbour.
EDGE: Final[Sequence[Any]] = ()

_Codec = tuple[str, Callable[[Any], str], Callable[[str], Any]]

_PLAIN: Final = (type(None), bool, int, float, str)
_CODECS: Final[Mapping[type[Any], _Codec]] = {
    Decimal: ("n", str, Decimal),
    datetime: ("dt", datetime.isoformat, datetime.fromisoformat),
    date: ("d", date.isoformat, date.fromisoformat),
    time: ("t", time.isoformat, time.fromisoformat),
    timedelta: (
        "td",
        lambda value: str(value // timedelta(microseconds=1)),
        lambda text: timedelta(microseconds=int(text)),
    ),
    UUID: ("u", str, UUID),
    bytes: ("b", lambda value: base64.b64encode(value).decode(), base64.b64decode),
}
_READERS: Final = {code: read for code, _, read in _CODECS.values()}


def write_bookmark(values: Sequence[Any], order: str) -> str:
    """Give the bookmark of the row with the sort key *values* in *order*.

    Raises:
        PaginationError: a value is of a type that bookmarks do not know.
    """
    return _text(_serializer(order).dumps([_written(value) for value in values]))


def read_bookmark(bookmark: str, order: str) -> list[Any]:
    """Give the values that *bookmark* holds.

    Raises:
        ValueError: it was altered, or is of another order.
    """
    try:
        return [_read(value) for value in _listed(_serializer(order).loads(bookmark))]
    # Whoever can sign can write what no bookmark says: without a SECRET_KEY that is everybody.
    except (BadData, ArithmeticError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{bookmark!r} is no bookmark of this order") from error


def _serializer(order: str) -> URLSafeSerializer:
    return URLSafeSerializer(_secret_keys(), salt=f"flask_unitofwork.bookmark {order}")


def _secret_keys() -> list[bytes]:
    if not has_app_context():
        return [b""]
    # As for Flask's own cookies: the last one signs, all are believed.
    keys = [*(current_app.config.get("SECRET_KEY_FALLBACKS") or ()), current_app.secret_key or b""]
    return [key.encode() if isinstance(key, str) else key for key in keys]


def _written(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    codec = _CODECS.get(type(value))
    if codec is None:
        raise PaginationError(
            f"The sort key has a value of type {type(value).__name__}, which cannot be put in a bookmark."
            " Order by something that is a number, a text, a date, a UUID or bytes."
        )
    code, write, _ = codec
    return [code, write(value)]


def _listed(loaded: object) -> list[Any]:
    if not isinstance(loaded, list):
        raise TypeError(f"no list, but {type(loaded).__name__}")
    return loaded


def _read(value: Any) -> Any:
    if isinstance(value, list):
        code, text = value
        return _READERS[code](text)
    return value


def _text(signed: str | bytes) -> str:
    return signed if isinstance(signed, str) else signed.decode()
