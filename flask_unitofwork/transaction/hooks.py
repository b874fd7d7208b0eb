"""Functions that run before a commit, after a commit or after a rollback."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy.orm import SessionTransaction

from ..exceptions import DemarcationError
from .lifecycle import State
from .savepoints import is_within

__all__ = ["Hook", "HookRunner", "HookScope", "Hooks", "run_hooks"]

logger = logging.getLogger("flask_unitofwork")

HookScope = Callable[[], AbstractContextManager[object]]
"""Gives a hook its unit."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A registered function.

    Attributes:
        function: called without arguments.
        robust: whether its failure is only logged; otherwise it is raised again after all hooks ran.
        savepoint: the savepoint it was registered in; it is dropped when that is rolled back.
    """

    function: Callable[[], object]
    robust: bool = True
    savepoint: SessionTransaction | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(
                f"A hook is a function, and {self.function!r} is none. Write the function without calling it, such as"
                " uow.on_commit(send); or uow.on_commit(lambda: send(order_id)) where it takes arguments."
            )
        if inspect.iscoroutinefunction(self.function):
            raise DemarcationError(
                f"{self.name} is a coroutine function: nobody would await it. Register a plain function, which may"
                " start what is to run later."
            )

    @property
    def name(self) -> str:
        """What a log line calls it, such as ``shop.orders.send_confirmation``."""
        function = self.function
        return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"


class Hooks:
    """The hooks of one unit, in the order of their registration."""

    __slots__ = ("after_commit", "after_rollback", "before_commit")

    def __init__(self) -> None:
        self.before_commit: list[Hook] = []
        self.after_commit: list[Hook] = []
        self.after_rollback: list[Hook] = []

    def __bool__(self) -> bool:
        return bool(self.before_commit or self.after_commit or self.after_rollback)

    def drop_within(self, savepoint: SessionTransaction) -> None:
        """Forget what was registered inside *savepoint*: it has been rolled back."""
        for hooks in (self.before_commit, self.after_commit, self.after_rollback):
            hooks[:] = [hook for hook in hooks if not is_within(hook.savepoint, savepoint)]

    def take(self, outcome: State) -> list[Hook]:
        """The hooks that *outcome* calls for. All others are dropped: of an unknown outcome nobody can say anything."""
        due = {State.COMMITTED: self.after_commit, State.ROLLED_BACK: self.after_rollback}.get(outcome, [])
        self.before_commit, self.after_commit, self.after_rollback = [], [], []
        return due


class HookRunner:
    """Runs the hooks of an app's units.

    Attributes:
        capture: takes the after-commit hooks instead, in a test that wants them; None where they run.
    """

    __slots__ = ("capture",)

    def __init__(self) -> None:
        self.capture: Callable[[Iterable[Hook]], None] | None = None

    def run(self, hooks: Iterable[Hook], scope: HookScope, *, after: str) -> None:
        """Run *hooks*, or hand them over. The arguments are those of `run_hooks`."""
        if self.capture is not None and after == "commit":
            self.capture(hooks)
        else:
            run_hooks(hooks, scope, after=after)


def run_hooks(hooks: Iterable[Hook], scope: HookScope, *, after: str) -> None:
    """Run *hooks* one after the other, each in a unit of its own that is committed after it.

    A hook that fails never undoes what it follows and never keeps the others from running: its error is logged.

    Args:
        hooks: what to run, first registered first.
        scope: gives a hook its unit.
        after: "commit" or "rollback", for the log.

    Raises:
        Exception: what the first failing hook with ``robust=False`` raised, after all hooks ran.
    """
    to_raise: Exception | None = None
    for hook in hooks:
        try:
            with scope():
                hook.function()
        except Exception as error:
            logger.exception("A hook failed after the %s: %s. The %s stands.", after, hook.name, after)
            if not hook.robust and to_raise is None:
                to_raise = error
    if to_raise is not None:
        raise to_raise
