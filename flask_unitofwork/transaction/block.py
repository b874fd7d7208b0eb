"""Blocks: context managers that are also decorators, for functions and for coroutine functions."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import wraps
from types import TracebackType
from typing import Any, ClassVar, ParamSpec, Self, TypeVar, cast

from tenacity import AsyncRetrying, Retrying

from ..exceptions import DemarcationError
from ..session import Session
from .declaration import Declaration, declare
from .decorating import body_of, call, check_decorable
from .options import TransactionOptions
from .places import Place, place_here, place_of
from .repeating import repeat
from .retry import Repetition
from .unit import Unit

__all__ = ["Block"]

P = ParamSpec("P")
R = TypeVar("R")


class Block(ABC):
    """A context manager that is also a decorator.

    As a decorator it starts afresh at each call, so one decorated function may run in many threads at once; and where
    it is the outermost transaction, it may run the function again (``attempts``).

    Args:
        options: what it asks of its transaction.
    """

    kind: ClassVar[str]
    """The name that users know it by, such as ``"transaction"``."""

    def __init__(self, options: TransactionOptions) -> None:
        self.options = options
        self._is_decorator = False
        self._decorates: Place | None = None
        self._repetition: Repetition | None = None
        self._attempt = 1

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

    @property
    def place(self) -> Place | None:
        """Where the block is: the function it decorates, or the line in progress."""
        return self._decorates or place_here()

    def begin_attempt(self, unit: Unit) -> None:
        """The block is the outermost of *unit*, which is about to do the work, for the first time or once more."""
        unit.begin_attempt(self._attempt, of=1 if self._repetition is None else self.options.attempts)
        if self._repetition is not None:
            self._repetition.unit = unit

    def may_repeat(self) -> bool:
        """Whether a function that is called now, inside a block like this one, may be run again by it."""
        return self.options.attempts > 1

    def check_use(self) -> None:
        """Refuse a ``with`` statement where only a decorator can do what is asked.

        Raises:
            DemarcationError: with the line to write instead.
        """
        if self.options.attempts > 1 and not self._is_decorator:
            raise DemarcationError(
                f"attempts={self.options.attempts} needs a function: the body of a with statement cannot be run again."
                f" Put it into a function and decorate that: @uow.{self.kind}(attempts={self.options.attempts})"
            )

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Run *function* inside a block like this one, each time it is called.

        Raises:
            DemarcationError: *function* is a generator function, which would leave the block before its body runs; or
                it is decorated already, with what cannot be inside of this block.
        """
        check_decorable(function)
        place = place_of(function)
        if inspect.iscoroutinefunction(body_of(function)):
            coroutine_function: Callable[P, Awaitable[Any]] = cast(Any, function)

            @wraps(function)
            async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                if not self.may_repeat():
                    with self._around(place):
                        return await coroutine_function(*args, **kwargs)
                repetition = Repetition(self.options.attempts)
                async for attempt in AsyncRetrying(**repetition.policy):
                    with attempt:
                        number = attempt.retry_state.attempt_number
                        with self._around(place, repetition, number), repeat(repetition.working):
                            value = await coroutine_function(*args, **kwargs)
                        repetition.succeeded()
                        return value
                raise AssertionError("tenacity ends with a value or an exception")

            return declare(cast(Callable[P, R], run_async), Declaration(self.kind, self.options), around=function)

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            if not self.may_repeat():
                with self._around(place):
                    return call(function, *args, **kwargs)
            repetition = Repetition(self.options.attempts)
            for attempt in Retrying(**repetition.policy):
                with attempt:
                    number = attempt.retry_state.attempt_number
                    with self._around(place, repetition, number), repeat(repetition.working):
                        value = call(function, *args, **kwargs)
                    repetition.succeeded()
                    return value
            raise AssertionError("tenacity ends with a value or an exception")

        return declare(run, Declaration(self.kind, self.options), around=function)

    def _around(self, place: Place | None, repetition: Repetition | None = None, attempt: int = 1) -> Self:
        """An unused block like this one, for one call of the function that is defined at *place*."""
        block = self.again()
        block._decorates, block._repetition, block._attempt = place, repetition, attempt
        block._is_decorator = True
        return block
