"""What becomes of a unit: its state, what dooms it, and who waits for it. No I/O but what hooks do."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import SessionTransaction

from ..exceptions import DoomedError
from .doom import Doom
from .hooks import Hook, Hooks
from .lifecycle import Lifecycle, State
from .savepoints import is_within

__all__ = ["Outcome"]

_NO_HOOKS: Final[list[Hook]] = []


class Outcome(Lifecycle):
    """The state of a unit, and what goes with it.

    Attributes:
        doom: why the unit can only be rolled back, or None.
        refusal: the error with which a commit was last refused for that.
    """

    __slots__ = ("_hooks", "doom", "refusal")

    def __init__(self) -> None:
        super().__init__()
        self._hooks: Hooks | None = None
        self.doom: Doom | None = None
        self.refusal: DoomedError | None = None

    @property
    def hooks(self) -> Hooks:
        """The hooks that wait."""
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    @property
    def waiting(self) -> list[Hook]:
        """The after-commit hooks that wait."""
        return _NO_HOOKS if self._hooks is None else self._hooks.after_commit

    @property
    def is_open(self) -> bool:
        """Whether somebody waits for the outcome, or has decided it."""
        return self.doom is not None or bool(self._hooks)

    @property
    def waits_for_commit(self) -> bool:
        """Whether hooks are to run before the commit."""
        return self._hooks is not None and bool(self._hooks.before_commit)

    def condemn(self, doom: Doom) -> None:
        """The unit can only be rolled back."""
        # The first failure explains best; but somebody who asks for the rollback has dealt with any failure.
        if self.doom is None or (doom.asked and not self.doom.asked):
            self.doom = doom
        self.begin()
        if self.state is State.ACTIVE:
            self.move(State.DOOMED)

    def run_before_commit_hooks(self) -> None:
        """Run the hooks that may still write. One may register another: go on until none is left.

        Raises:
            Exception: what a hook raised. The unit is doomed then.
        """
        try:
            while self.waits_for_commit and self.doom is None:
                self.hooks.before_commit.pop(0).function()
        except BaseException as error:
            self.condemn(Doom(f"a before_commit hook raised {type(error).__name__}", asked=False, cause=error))
            raise

    def check_doom(self) -> None:
        """Refuse to commit what is doomed.

        Raises:
            DoomedError: the unit can only be rolled back.
        """
        if self.doom is not None:
            try:
                self.doom.refuse()
            except DoomedError as refusal:
                self.refusal = refusal
                raise

    def commit(self) -> None:
        """The commit begins.

        Raises:
            DoomedError: the unit can only be rolled back.
        """
        self.check_doom()
        self.begin()
        if self.state is not State.COMMITTING:  # it is, where an earlier attempt to flush failed
            self.move(State.COMMITTING)

    def savepoint_rolled_back(self, savepoint: SessionTransaction) -> None:
        """What was registered inside *savepoint* is dropped, and what doomed the unit inside of it is undone."""
        if self._hooks is not None:
            self._hooks.drop_within(savepoint)
        if self.doom is not None and is_within(self.doom.savepoint, savepoint):
            self.doom = None
            self.move(State.ACTIVE)

    def end(self, state: State) -> list[Hook]:
        """The unit is over: committed, rolled back, or nobody knows.

        Returns:
            The hooks to run now. All others are dropped, so none can run twice.
        """
        self.doom = self.refusal = None  # the refusal knows its frames, and they the unit: a cycle
        self.begin()
        if state is State.ROLLED_BACK:
            self.move(State.ROLLING_BACK)
        elif self.state is State.ACTIVE:
            # `with session.begin():` ended over an open savepoint: SQLAlchemy announced no commit that we could tell.
            self.move(State.COMMITTING)
        self.move(state)
        return _NO_HOOKS if self._hooks is None else self._hooks.take(state)
