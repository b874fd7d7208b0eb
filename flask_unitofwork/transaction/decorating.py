"""Which functions a block can decorate: those whose body runs while they are called, or awaited."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

from ..exceptions import DemarcationError
from .places import name_of

__all__ = ["body_of", "call", "check_decorable"]

P = ParamSpec("P")
R = TypeVar("R")


def body_of(function: Any) -> Any:
    """The function whose body runs when *function* is called: below partials, and of an object that can be called."""
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, (classmethod, staticmethod, type)):
        return getattr(type(function), "__call__", function)  # noqa: B004  not whether, but what
    return function


def check_decorable(function: Any) -> None:
    """Refuse what a block around the call would not be around.

    Raises:
        DemarcationError: *function* makes a generator, or is no function.
    """
    body = body_of(function)
    if inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
        raise DemarcationError(
            f"{name_of(function)} is a generator function: calling it only makes the generator, so the block"
            " would be over before its body runs. Write the with statement inside of it instead."
        )
    if isinstance(function, (classmethod, staticmethod, type)):
        raise DemarcationError(
            f"{name_of(function)} cannot be decorated: what is called is not what stands here. Decorate the function"
            " itself: the decorator comes below @classmethod or @staticmethod, and on a class's methods."
        )


def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call *function*, which is not a coroutine function.

    Raises:
        DemarcationError: it returned an awaitable nevertheless, whose body would run after the block.
    """
    value = function(*args, **kwargs)
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise DemarcationError(
            f"{name_of(function)} returned an awaitable, so the block would be over before its body runs. Decorate the"
            " coroutine function itself."
        )
    return value
