"""After-commit hooks, kept for the test instead of being run."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import overload

from flask import Flask

from ..exceptions import DemarcationError
from ..transaction import Hook
from .apps import app_in_question, state_of_app, unit_of_work

__all__ = ["CapturedHooks", "captured_hooks"]


class CapturedHooks(Sequence[Hook]):
    """The hooks that commits would have run, first registered first.

    Args:
        app: the app that they belong to.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._hooks: list[Hook] = []

    def __repr__(self) -> str:
        return f"<CapturedHooks {', '.join(self.names) or 'none'}>"

    @overload
    def __getitem__(self, index: int) -> Hook: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Hook]: ...

    def __getitem__(self, index: int | slice) -> Hook | Sequence[Hook]:
        return self._hooks[index]

    def __len__(self) -> int:
        return len(self._hooks)

    def __iter__(self) -> Iterator[Hook]:
        return iter(self._hooks)

    @property
    def names(self) -> list[str]:
        """Their functions' names, such as ``["shop.orders.send_confirmation"]``."""
        return [hook.name for hook in self._hooks]

    def run(self) -> list[str]:
        """Run those that were captured, and those that they register in turn; each in a unit of its own, as a commit does.

        Returns:
            The names of those that ran. They are captured no more.

        Raises:
            Exception: what a hook raised, at once: in production it would be logged, and the others would run. Those
                that have not run stay captured.
        """
        ran: list[str] = []
        while self._hooks:
            hook = self._hooks.pop(0)
            with unit_of_work(self._app).scope(self._app):
                try:
                    hook.function()
                except Exception as error:
                    error.add_note(f"It was raised by the after-commit hook {hook.name}.")
                    raise
            ran.append(hook.name)
        return ran

    def capture(self, hooks: Iterable[Hook]) -> None:
        """A commit hands its *hooks* over."""
        self._hooks.extend(hooks)


@contextmanager
def captured_hooks(*, app: Flask | None = None) -> Generator[CapturedHooks]:
    """Keep the hooks that were registered with ``uow.on_commit()``, instead of running them after the commit.

    What is dropped in production, because its savepoint or its unit was rolled back, is not captured either.

    Args:
        app: the app; by default the current one. The fixture of this name takes the fixture ``app``.

    Raises:
        DemarcationError: the app's hooks are being captured already.

    Example:
        ::

            with captured_hooks() as hooks:
                client.post("/orders", json=order)
            assert hooks.names == ["shop.orders.send_confirmation"]
            hooks.run()
    """
    runner = state_of_app(app := app_in_question(app, "captured_hooks")).hooks
    if runner.capture is not None:
        raise DemarcationError(
            "The hooks of this app are captured already. Use the one captured_hooks that is there, as a fixture or as a"
            " with statement."
        )
    hooks = CapturedHooks(app)
    runner.capture = hooks.capture
    try:
        yield hooks
    finally:
        runner.capture = None
