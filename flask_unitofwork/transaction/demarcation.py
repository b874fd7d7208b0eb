"""Blocks that say where a transaction begins and ends: context managers and decorators, named by intent.

Note: what a success is
    A block fails when an exception leaves it. One kind does not count: an exception that *is* the answer, such as a
    redirect that was raised. The web layer says which those are (`Succeeds`), as it does for whole requests.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from sqlalchemy.orm import SessionTransaction

from ..exceptions import DemarcationError, DoomedError
from ..session import Session
from .unit import Unit

__all__ = ["Block", "Savepoint", "Succeeds", "Transaction"]

Succeeds = Callable[[BaseException], bool]
"""Whether an exception that leaves a block is an answer rather than a failure."""

_PACKAGE = __name__.partition(".")[0]

P = ParamSpec("P")
R = TypeVar("R")


class Block(ABC):
    """A context manager that is also a decorator, for functions and for coroutine functions.

    As a decorator it starts afresh at each call, so one decorated function may run in many threads at once.
    """

    @abstractmethod
    def again(self) -> Self:
        """An unused block like this one."""

    @abstractmethod
    def __enter__(self) -> Session:
        """Begin, and return the session that is current inside the block."""

    @abstractmethod
    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """End: well where there is no exception."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Run *function* inside a block like this one, each time it is called.

        Raises:
            DemarcationError: *function* is a generator function. It would leave the block before its body runs.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise DemarcationError(
                f"{function.__qualname__} is a generator function: calling it only makes the generator, so the block"
                " would be over before its body runs. Write the with statement inside of it instead."
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self.again():
                    return await function(*args, **kwargs)

            return cast(Callable[P, R], run_async)

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.again():
                return function(*args, **kwargs)

        return run


class Transaction(Block):
    """Joins the transaction in progress, else begins one. The outermost block commits or rolls back.

    Args:
        current: gives the unit in progress.
        succeeds: which exceptions count as success.
    """

    def __init__(self, current: Callable[[], Unit], succeeds: Succeeds) -> None:
        self._current = current
        self._succeeds = succeeds
        self._unit: Unit | None = None
        self._outermost = False
        self._savepoint: SessionTransaction | None = None

    def again(self) -> Self:
        return type(self)(self._current, self._succeeds)

    def __enter__(self) -> Session:
        if self._unit is not None:
            raise DemarcationError("This transaction() block is already in use. Write uow.transaction() at each with.")
        unit = self._current()
        session = unit.session
        self._unit = unit
        self._outermost = not unit.commits_at_its_end
        self._savepoint = unit.savepoint
        unit.enter_block()
        unit.expect_writes()
        return session

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        unit, self._unit = self._unit, None
        assert unit is not None
        unit.leave_block()
        if self._outermost:
            settle(unit, exc, self._succeeds)
        elif exc is not None and not self._succeeds(exc):
            reason = f"{type(exc).__name__} left a transaction() block at {_place(tb)}"
            unit.doom(reason, asked=False, cause=exc, savepoint=self._savepoint)


class Savepoint:
    """Part of the work that may fail while the rest goes on. A context manager only.

    Args:
        current: gives the unit in progress.
        succeeds: which exceptions count as success.
    """

    def __init__(self, current: Callable[[], Unit], succeeds: Succeeds) -> None:
        self._current = current
        self._succeeds = succeeds
        self._unit: Unit | None = None
        self._nested: SessionTransaction | None = None

    def __enter__(self) -> Session:
        if self._unit is not None:
            raise DemarcationError("This savepoint() block is already in use. Write uow.savepoint() at each with.")
        unit = self._current()
        self._nested = unit.session.begin_nested().__enter__()
        self._unit = unit
        unit.enter_block()
        return unit.session

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        unit, nested = self._unit, self._nested
        self._unit = self._nested = None
        assert unit is not None
        assert nested is not None
        unit.leave_block()
        if exc is not None and self._succeeds(exc):
            exc_type = exc = tb = None
        nested.__exit__(exc_type, exc, tb)


def settle(unit: Unit, exc: BaseException | None, succeeds: Succeeds) -> None:
    """End *unit* at the end of its outermost block: commit it, or roll it back where *exc* is a failure.

    A unit that ``uow.doom()`` doomed is rolled back without an error: that is what was asked.

    Raises:
        DoomedError: the block ended well, but the failure of an inner block was swallowed.
        sqlalchemy.exc.SQLAlchemyError: the commit failed; the unit has been rolled back.
    """
    if exc is not None and not succeeds(exc):
        unit.rollback()
        return
    try:
        unit.commit()
    except DoomedError:
        doom = unit.doom_reason
        unit.rollback()
        if doom is None or not doom.asked:
            raise
    except BaseException:
        unit.rollback()
        raise


def _place(tb: TracebackType | None) -> str:
    """Where the user's code was when an exception left a block: the innermost line outside this package's own."""
    while tb is not None and tb.tb_next is not None and _is_ours(tb):
        tb = tb.tb_next
    if tb is None:
        return "an unknown place"
    code = tb.tb_frame.f_code
    return f"{code.co_filename}:{tb.tb_lineno}, in {code.co_qualname}"


def _is_ours(tb: TracebackType) -> bool:
    name: str = tb.tb_frame.f_globals.get("__name__", "")
    return name.partition(".")[0] == _PACKAGE
