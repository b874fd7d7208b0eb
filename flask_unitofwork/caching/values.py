"""Values of a statement as bytes, such that different values are different bytes, in all processes the same."""

from __future__ import annotations

import datetime as dt
import decimal
import pickle
import uuid
from collections.abc import Iterable
from typing import Any, Final, cast

__all__ = ["as_bytes"]

# Types whose repr tells all of a value, and nothing else.
_PLAIN: Final = frozenset(
    {
        type(None),
        bool,
        bytes,
        dt.date,
        dt.time,
        dt.timedelta,
        decimal.Decimal,
        float,
        int,
        str,
        uuid.UUID,
    }
)


def as_bytes(value: Any) -> bytes:
    """*value* as bytes.

    Raises:
        Exception: it is of a type that can be neither named nor pickled.
    """
    kind: type[Any] = type(value)
    if kind in _PLAIN:
        said = repr(value).encode("utf-8", "surrogatepass")
    elif kind in (list, tuple):
        said = b"".join(_framed(as_bytes(one)) for one in cast(Iterable[Any], value))
    else:
        said = pickle.dumps(value, protocol=4)
    return f"{kind.__module__}.{kind.__qualname__}:".encode() + said


def _framed(said: bytes) -> bytes:
    """*said*, after which something else may stand without being taken for a part of it."""
    return f"{len(said)}:".encode() + said
