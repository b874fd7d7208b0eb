"""Moments in time: aware and in UTC wherever Python sees them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

__all__ = ["UtcDateTime", "moment", "now"]


def now() -> datetime:
    """The present moment in UTC, to the second: finer than any page shows, coarse enough for every database."""
    return datetime.now(UTC).replace(microsecond=0)


def moment(value: datetime) -> str:
    """A moment as people read it.

    Example:
        >>> moment(datetime(2026, 3, 1, 9, 5, tzinfo=UTC))
        '1 March 2026, 09:05'
    """
    return f"{value.day} {value:%B %Y, %H:%M}"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept as naive UTC.

    SQLite and MariaDB have no column type with a time zone, so the same plain column is used on every database.
    """

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone: write datetime.now(UTC), not datetime.now()")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else value.replace(tzinfo=UTC)
