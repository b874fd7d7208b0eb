"""A transaction over several databases: its branches, one in each, and what is decided about them. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum
from typing import Final, Self
from weakref import ReferenceType, ref

from sqlalchemy import Connection, Engine

from .branch_names import BranchName, new_unit
from .intent import INTENT, NO_INTENT
from .written import has_done_more_than_read

__all__ = ["Branch", "GlobalTransaction", "Verdict", "about_to_join"]


class Verdict(Enum):
    """What is known of a transaction over several databases."""

    OPEN = "open"
    """Nothing is committed, and what is prepared may be rolled back."""
    COMMITTED = "committed"
    """The deciding database has committed, so all others will."""
    UNKNOWN = "unknown"
    """The answer of the deciding database was lost: what is prepared stays so."""


class Branch(str):
    """The part of a transaction in one database. SQLAlchemy hands it back, as its name, to whatever it does with it.

    Attributes:
        name: its name.
        whole: the transaction.
        engine: that of its database.
        commit: commits what is prepared.
        is_prepared: whether its database has prepared it.
        is_over: whether it is committed.
    """

    __slots__ = ("_connection", "commit", "engine", "is_over", "is_prepared", "name", "whole")

    def __new__(
        cls,
        name: BranchName,
        whole: GlobalTransaction,  # noqa: ARG004  all arguments are __init__'s
        engine: Engine,  # noqa: ARG004
        commit: Callable[[Branch], None],  # noqa: ARG004
    ) -> Self:
        return super().__new__(cls, str(name))

    def __init__(
        self, name: BranchName, whole: GlobalTransaction, engine: Engine, commit: Callable[[Branch], None]
    ) -> None:
        self.name: Final = name
        self.whole: Final = whole
        self.engine: Final = engine
        self.commit: Final = commit
        self.is_prepared = False
        self.is_over = False
        self._connection: ReferenceType[Connection] | None = None

    def begin_on(self, connection: Connection) -> None:
        """It begins on *connection*."""
        self._connection = ref(connection)

    @property
    def connection(self) -> Connection:
        """The connection that it began on."""
        connection = None if self._connection is None else self._connection()
        assert connection is not None, "whoever commits has the connections"
        return connection


class GlobalTransaction:
    """A transaction over several databases.

    Attributes:
        branches: in the order in which they began. The first one decides.
        verdict: what is known of it.
        is_asked_to_prepare: the code has written ``session.prepare()``.
    """

    __slots__ = ("_participants", "_unit", "branches", "is_asked_to_prepare", "verdict")

    def __init__(self) -> None:
        self._unit = new_unit()
        self._participants: frozenset[Branch] | None = None
        self.branches: list[Branch] = []
        self.verdict = Verdict.OPEN
        self.is_asked_to_prepare = False

    def has_branch_on(self, bind: Engine | Connection) -> bool:
        """Whether a branch has begun in the database of *bind*."""
        return any(branch.engine is bind.engine for branch in self.branches)

    def join(self, application: str, database: str, engine: Engine, commit: Callable[[Branch], None]) -> Branch:
        """The branch in *database*, on *engine*, which begins now. Both names are tokens."""
        decider = self.branches[0].name.database if self.branches else database
        branch = Branch(BranchName(application, self._unit, decider, database), self, engine, commit)
        self.branches.append(branch)
        return branch

    @property
    def decider(self) -> Branch:
        """The branch whose commit decides."""
        return self.branches[0]

    @property
    def participants(self) -> frozenset[Branch]:
        """The branches that are prepared: none where two phases would be of no use. Settled when this is first asked.

        One database alone commits or does not; and what has only been read has nothing to lose.
        """
        if self._participants is None:
            self._participants = frozenset(self._choose_participants())
        return self._participants

    def _choose_participants(self) -> list[Branch]:
        if any(branch.connection.info.get(INTENT, NO_INTENT).read_only for branch in self.branches):
            return []
        if self.is_asked_to_prepare:
            return self.branches
        writers = [branch for branch in self.branches if has_done_more_than_read(branch.connection)]
        return [] if len(writers) < 2 else list(dict.fromkeys([self.decider, *writers]))


about_to_join: Final[ContextVar[GlobalTransaction | None]] = ContextVar("flask_unitofwork.about_to_join", default=None)
"""The transaction of whoever has chosen an engine, and is about to connect to it."""
