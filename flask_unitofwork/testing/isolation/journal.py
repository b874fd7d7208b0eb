"""What stands on a test's connection: savepoints, and what was changed since. No I/O.

Note: why a journal
    The connection has one stack of savepoints, and the transactions that share it need not end in the order in which they
    began. To roll one back is to go back to its savepoint, which takes with it what others have changed since. So that is
    written down, and done once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import get_ident
from time import monotonic
from typing import NamedTuple

__all__ = ["Change", "Journal", "Mark", "Transaction"]


@dataclass(eq=False, slots=True)
class Transaction:
    """A transaction as its user sees it: one of several on the test's connection.

    Attributes:
        thread: the thread that began it.
        is_part: it is no transaction, but a part of the test that is rolled back whatever else is done in it.
        is_over: it was committed or rolled back.
        failed: a statement in it failed, and PostgreSQL would run no other until it is rolled back.
        read_only: the database refuses writes.
        settings: what was set in it, where each statement in it is undone at once.
        last_used: when a statement in it last began, by ``time.monotonic``.
        last_steps: what is done right before it is committed or prepared.
    """

    thread: int = field(default_factory=get_ident)
    is_part: bool = False
    is_over: bool = False
    failed: bool = False
    read_only: bool = False
    last_used: float = field(default_factory=monotonic)
    settings: list[str] = field(default_factory=list[str])
    last_steps: dict[str, Callable[[], None]] = field(default_factory=dict[str, Callable[[], None]])


class Mark(NamedTuple):
    """A savepoint on the test's connection.

    Attributes:
        name: what the database knows it by.
        owner: the transaction that goes back to it; None where nobody's work began there, and anybody's may.
        label: the name that its user gave it; None where it stands for the beginning of the transaction.
    """

    name: str
    owner: Transaction | None = None
    label: str | None = None


class Change(NamedTuple):
    """A statement that has changed something, after the savepoint of another transaction.

    Attributes:
        owner: the transaction that it is in, over or not; None where it was committed by itself.
        statement: its text.
        before: gives the rows that it makes the numbers that they had, if it is called before `repeat`.
        repeat: does the same once more.
    """

    owner: Transaction | None
    statement: str
    before: Callable[[], None]
    repeat: Callable[[], object]


class Journal:
    """The savepoints of a test's connection in their order, and between them what would have to be repeated."""

    def __init__(self) -> None:
        self._entries: list[Mark | Change] = []
        self._is_clean = False

    @property
    def place_to_return(self) -> Mark | None:
        """The last savepoint, if nothing has been changed since: to go back to it loses nothing."""
        last = self._entries[-1] if self._entries and self._is_clean else None
        return last if isinstance(last, Mark) else None

    def marks(self, owner: Transaction | None) -> list[Mark]:
        """The savepoints of *owner*, outermost first."""
        if owner is None:
            return []
        return [entry for entry in self._entries if entry.owner is owner and isinstance(entry, Mark)]

    def others(self, owner: Transaction | None) -> list[Transaction]:
        """The transactions beside *owner* that could go back to a savepoint."""
        return [
            one
            for entry in self._entries
            if (one := entry.owner) is not None and one is not owner and isinstance(entry, Mark) and not one.is_part
        ]

    def is_innermost(self, mark: Mark) -> bool:
        """Whether no other transaction has a savepoint after *mark*."""
        after = self._entries[self._entries.index(mark) + 1 :]
        return all(isinstance(entry, Change) or entry.owner in {None, mark.owner} for entry in after)

    def set(self, mark: Mark) -> None:
        """*mark* has been set, and nothing was changed since."""
        self._entries.append(mark)
        self._is_clean = True

    def take(self, owner: Transaction) -> bool:
        """Let the last savepoint be the beginning of *owner*, if it is nobody's and nothing was changed since."""
        free = self.place_to_return
        if free is None or free.owner is not None:
            return False
        self._entries[-1] = Mark(free.name, owner)
        return True

    def changed(self, change: Change | None = None) -> None:
        """Something was changed; *change* if it may have to be done once more."""
        self._is_clean = False
        if change is not None:
            self._entries.append(change)

    def cut(self, mark: Mark, *, keep: bool) -> list[Mark | Change]:
        """The connection goes back to *mark*.

        Args:
            mark: the savepoint.
            keep: it remains its owner's; otherwise it is nobody's.

        Returns:
            What of others is lost with that, in order.
        """
        place = self._entries.index(mark)
        lost = self._entries[place + 1 :]
        self._entries[place:] = [mark if keep else Mark(mark.name)]
        self._is_clean = True
        return [
            entry
            for entry in lost
            if entry.owner is not mark.owner and not (isinstance(entry, Mark) and entry.owner is None)
        ]

    def end(self, part: Transaction) -> Mark:
        """The connection goes back to the beginning of *part*, with all that was done since; it returns that."""
        (mark,) = self.marks(part)
        self._entries[self._entries.index(mark) :] = [Mark(mark.name)]
        self._is_clean = True
        return mark

    def drop(self, mark: Mark) -> None:
        """*mark* and the owner's savepoints after it have been released, and what is nobody's there."""
        place = self._entries.index(mark)
        self._entries[place:] = [
            entry
            for entry in self._entries[place:]
            if isinstance(entry, Change) or entry.owner not in {None, mark.owner}
        ]
        self._is_clean = False
        if not any(isinstance(entry, Mark) and entry.owner is not None for entry in self._entries):
            self._entries.clear()  # nobody can go back any more

    def forget(self, mark: Mark) -> None:
        """Nobody goes back to *mark* any more, or to its owner's savepoints after it; but those of others stand on it."""
        place = self._entries.index(mark)
        self._entries[place:] = [
            Mark(entry.name) if isinstance(entry, Mark) and entry.owner is mark.owner else entry
            for entry in self._entries[place:]
        ]
