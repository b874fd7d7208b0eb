"""What a block asks of its transaction, checked where it is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from ..database.intent import ISOLATION_LEVELS, IsolationLevel
from ..exceptions import DemarcationError

__all__ = ["WRITER_IN_READER", "TransactionOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionOptions:
    """What a block asks of its transaction. Wrong values raise where the block is written, before any request.

    Attributes:
        isolation_level: one of SQL's four; None for whatever is in force.
        read_only: whether writes are refused; None for a block that has no opinion.
        timeout: seconds that each statement may take; None for whatever is in force.
        attempts: how often a decorated function may run.
        bind: the name of the database for what names none; None for whatever is in force.

    Raises:
        DemarcationError: a value is wrong.
    """

    isolation_level: IsolationLevel | None = None
    read_only: bool | None = False
    timeout: float | None = None
    attempts: int = 1
    bind: str | None = None

    def __post_init__(self) -> None:
        if self.isolation_level is not None and self.isolation_level not in ISOLATION_LEVELS:
            levels = ", ".join(f'"{level}"' for level in ISOLATION_LEVELS)
            raise DemarcationError(
                f"isolation_level={self.isolation_level!r} is none of SQL's isolation levels. Write one of {levels};"
                " or leave it out, for the database's default."
            )
        if not _is_flag(self.read_only):
            raise _wrong("read_only", "True or False", self.read_only)
        if self.timeout is not None and not (_is_number(self.timeout) and 0 < self.timeout < float("inf")):
            raise _wrong("timeout", "a number of seconds above 0", self.timeout)
        if not _is_count(self.attempts):
            raise _wrong("attempts", "a whole number, 1 or more", self.attempts)
        if self.bind is not None and not _is_name(self.bind):
            raise _wrong("bind", "the name of a database in UNITOFWORK_DATABASES", self.bind)

    def around(self, inner: TransactionOptions) -> TransactionOptions:
        """What both ask for: these options, and what *inner* decides where these leave it open."""
        return replace(
            self,
            isolation_level=self.isolation_level or inner.isolation_level,
            timeout=self.timeout or inner.timeout,
        )

    def check_inside(self, outer: TransactionOptions) -> None:
        """Refuse, where it is written, a block like this one inside a block like *outer*: it could never begin.

        Raises:
            DemarcationError: the two contradict each other.
        """
        for name in ("isolation_level", "timeout"):
            inner_value, outer_value = getattr(self, name), getattr(outer, name)
            if inner_value is not None and outer_value is not None and inner_value != outer_value:
                raise DemarcationError(
                    f"A block with {name}={inner_value!r} cannot join one with {name}={outer_value!r}: they would be one"
                    f" transaction, which has one. Write {name} in one place, at the outermost block."
                )
        if outer.read_only and self.read_only is False:
            raise DemarcationError(WRITER_IN_READER)
        if self.attempts > 1:
            raise DemarcationError(
                f"attempts={self.attempts} at an inner block would do nothing: only the outermost transaction can run"
                " again. Write attempts at the outermost block."
            )


WRITER_IN_READER: Final = (
    "A block that may write cannot join one that is read-only: it would be the same transaction."
    " Leave read_only() out around it, or write uow.read_only() here too; or, for a transaction of its own,"
    " uow.independent_transaction()."
)


def _is_flag(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _wrong(name: str, expected: str, value: object) -> DemarcationError:
    return DemarcationError(f"{name} must be {expected}; it is {value!r}.")
