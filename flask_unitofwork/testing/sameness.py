"""Whether two runs of the same work came to the same values, but for what no two runs have in common.

Note: what may differ
    Keys that the database gave to new rows: each run has its own, and what counts is that the same row is meant. Points in
    time, by less than a minute. UUIDs. In texts, such as HTML, the same holds for the numbers, times and UUIDs in them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping
from datetime import date, datetime, time, timedelta
from itertools import zip_longest
from typing import Any, Final
from uuid import UUID

__all__ = ["Keys", "Sameness"]

Keys = Mapping[Hashable, Collection[str]]
"""What the keys of a run's new rows are the keys of, such as ``{7: {"Order 1", "Line 3"}}``."""

_MINUTE: Final = timedelta(minutes=1)
_TOKENS: Final = re.compile(
    r"(?P<uuid>[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12})"
    r"|(?P<moment>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|(?P<number>\d+)|(?P<other>[^\W\d]+|\W|_)",
    re.IGNORECASE,
)


class Sameness:
    """Compares what two runs came to.

    Args:
        first: the keys of the first run's new rows.
        second: those of the second's.
        ignored: names of columns, and of what is in JSON, that may differ.
    """

    def __init__(self, first: Keys, second: Keys, ignored: Collection[str] = ()) -> None:
        self._first = first
        self._second = second
        self._ignored = frozenset(ignored)

    def difference(self, one: Any, other: Any, name: str = "") -> str | None:
        """The name of the first part that differs; None where all is the same.

        Args:
            one: what the first run came to.
            other: what the second did.
            name: what it is called.
        """
        if name.rpartition(".")[2] in self._ignored:
            return None
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            keys = list(dict.fromkeys([*one, *other]))
            found = (self.difference(one.get(key), other.get(key), f"{name}.{key}".lstrip(".")) for key in keys)
            return next((part for part in found if part is not None), None)
        if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
            pairs = enumerate(zip_longest(one, other))
            found = (self.difference(a, b, f"{name}[{place}]") for place, (a, b) in pairs)
            return next((part for part in found if part is not None), None)
        return None if self._are_same(one, other) else name

    def _are_same(self, one: Any, other: Any) -> bool:
        if type(one) is type(other) and one == other:
            return True
        if isinstance(one, str) and isinstance(other, str):
            return self._are_same_texts(one, other)
        return self._are_same_row(one, other) or _are_near(one, other) or _are_uuids(one, other)

    def _are_same_row(self, one: Any, other: Any) -> bool:
        if not isinstance(one, Hashable) or not isinstance(other, Hashable):
            return False
        return bool(set(self._first.get(one, ())) & set(self._second.get(other, ())))

    def _are_same_texts(self, one: str, other: str) -> bool:
        if self._are_same_row(one, other):
            return True
        pairs = zip_longest(_TOKENS.finditer(one), _TOKENS.finditer(other))
        return all(a is not None and b is not None and self._are_same_tokens(a, b) for a, b in pairs)

    def _are_same_tokens(self, one: re.Match[str], other: re.Match[str]) -> bool:
        if one[0] == other[0]:
            return True
        if one.lastgroup != other.lastgroup:
            return False
        if one.lastgroup == "number":
            return self._are_same_row(int(one[0]), int(other[0])) or self._are_same_row(one[0], other[0])
        if one.lastgroup == "moment":
            return _are_near(_moment(one[0]), _moment(other[0]))
        return one.lastgroup == "uuid"


def _are_near(one: object, other: object) -> bool:
    """Whether both are points in time, with less than a minute between them."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        return (one.tzinfo is None) == (other.tzinfo is None) and abs(one - other) < _MINUTE
    if isinstance(one, time) and isinstance(other, time):
        return abs(_since_midnight(one) - _since_midnight(other)) < _MINUTE
    if isinstance(one, datetime) or isinstance(other, datetime):
        return False
    return isinstance(one, date) and isinstance(other, date) and abs(one - other) <= timedelta(days=1)


def _since_midnight(moment: time) -> timedelta:
    return timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)


def _are_uuids(one: object, other: object) -> bool:
    return isinstance(one, UUID) and isinstance(other, UUID)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
