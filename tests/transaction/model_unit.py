"""One unit of work in plain Python: rows in a list, savepoints in it, and who waits for the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flask_unitofwork import DoomedError
from tests.transaction.programs import Moment, UnusableError

__all__ = ["Part", "Registered", "Unit"]


@dataclass(eq=False)
class Part:
    """A part of a transaction that can be rolled back alone: a savepoint; or the whole, which is in no other.

    Attributes:
        around: the part that this one is in.
        pending: rows that wait in the session for the next flush.
        rows: rows that were sent.
        aborted: a statement failed in it, and the database refuses everything else until it is rolled back.
        lost: a flush failed in it, so that SQLAlchemy rolled it back already.
    """

    around: Part | None = None
    pending: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    aborted: bool = False
    lost: bool = False

    def is_within(self, other: Part) -> bool:
        """Whether *other* takes this part along when it is rolled back."""
        return self is other or (self.around is not None and self.around.is_within(other))

    @property
    def unusable(self) -> bool:
        """Whether no statement is possible."""
        return self.lost or self.aborted or (self.around is not None and self.around.unusable)


@dataclass(frozen=True)
class Registered:
    """A hook, and the part that it was registered in."""

    function: Callable[[], None]
    robust: bool
    part: Part


@dataclass(frozen=True)
class Doomed:
    """Why the unit must be rolled back: somebody asked, or a failure in a part of it."""

    asked: bool
    part: Part


class Unit:
    """One unit of work."""

    def __init__(self, *, managed: bool) -> None:
        self.managed = managed
        self.blocks = 0
        self.over = "active"
        self._start()

    def _start(self) -> None:
        self.begun = False
        self.part = self.whole = Part()
        self.dooms: list[Doomed] = []
        self.hooks: dict[Moment, list[Registered]] = {"before_commit": [], "on_commit": [], "on_rollback": []}

    def begin(self) -> None:
        """There is something to commit or to roll back."""
        self.begun, self.over = True, "active"

    def end(self, state: str, moment: Moment) -> list[Registered]:
        """The unit is over; return the hooks that are due."""
        hooks = self.hooks[moment]
        self._start()
        self.over = state
        return hooks

    @property
    def state(self) -> str:
        return "doomed" if self.dooms else self.over

    @property
    def in_transaction(self) -> bool:
        """Whether somebody further out ends it, so that a block joins."""
        return self.managed or self.blocks > 0

    @property
    def idle(self) -> bool:
        return not (self.begun or self.dooms or any(self.hooks.values()))

    @property
    def asked_for_rollback(self) -> bool:
        return any(doom.asked for doom in self.dooms)

    def doom(self, *, asked: bool, part: Part | None = None) -> None:
        self.over = "active"
        self.dooms.append(Doomed(asked, part or self.whole))

    def execute(self) -> None:
        """A statement goes to the database; what waits in the session goes first."""
        self.begin()
        self.flush()
        if self.part.unusable:
            raise UnusableError

    def flush(self) -> None:
        if self.part.pending:
            self.begin()
            if self.part.unusable:
                self.lose()
                raise UnusableError
            self.part.rows += self.part.pending
            self.part.pending.clear()

    def lose(self) -> None:
        """A flush failed: SQLAlchemy rolls the innermost part back at once, and goes on when its block is over.

        What comes into the session until then waits, and goes with the part.
        """
        if not self.part.lost:
            self.part.lost, self.part.aborted = True, False
            self.part.pending.clear()

    def begin_part(self) -> None:
        self.flush()
        if self.part.lost:
            raise UnusableError
        self.begin()
        self.part = Part(around=self.part)

    def keep_part(self) -> None:
        if self.part.lost:
            self.drop_part()
            raise DoomedError  # the failure was swallowed inside, and nothing is left to keep
        try:
            self.flush()
            if self.part.aborted:
                raise UnusableError
        except UnusableError:
            self.drop_part()
            raise
        part, around = self.part, self.part.around
        assert around is not None
        around.rows += part.rows
        self.part = around

    def drop_part(self) -> None:
        part, around = self.part, self.part.around
        assert around is not None
        self.part = around
        self.dooms = [doom for doom in self.dooms if doom.asked or not doom.part.is_within(part)]
        for hooks in self.hooks.values():
            hooks[:] = [hook for hook in hooks if not hook.part.is_within(part)]
