"""One unit of work: a session, its hooks, and whether it can still be committed.

Note: one unit, many transactions
    A scope has one unit and one session from its first use to its end. Where the code commits or rolls back on its
    way (``session.commit()``), the unit is over and, with the next work, active again: hooks, dooms and the
    state start afresh, the session and the objects in it stay, as SQLAlchemy users expect.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.orm import SessionTransaction

from ..database.failed import has_failed
from ..database.written import forget_writes
from ..exceptions import DemarcationError
from ..session import Session
from .doom import Doom
from .held_session import HeldSession
from .hooks import Hooks, run_hooks
from .lifecycle import Lifecycle, State
from .savepoints import is_within
from .uncommitted import describe_uncommitted

__all__ = ["Unit"]


_INSTEAD: Final = {
    "commit": "leave the block: it commits when it ends without an exception",
    "rollback": 'raise an exception, or write uow.doom("why") and leave the block',
}


class Unit:
    """One unit of work. `uow.current` is the one in progress.

    Args:
        make_session: called once, when the session is first needed.
        hook_scope: gives each hook a unit of its own.
        managed: tells whether the scope commits by itself at its end, so that inner blocks join it.
        writes: whether the unit is expected to write (see `Attachment`).
        read_only: whether writes are refused.
        attempt: which run of the same work this is, from 1.
        outer: the unit that this one was opened inside of, if any.
    """

    def __init__(
        self,
        make_session: Callable[[], Session],
        hook_scope: Callable[[], AbstractContextManager[object]],
        *,
        managed: Callable[[], bool] = bool,
        writes: bool = False,
        read_only: bool = False,
        attempt: int = 1,
        outer: Unit | None = None,
    ) -> None:
        self._held = HeldSession(make_session, writes=writes, read_only=read_only)
        self._hook_scope = hook_scope
        self._managed = managed
        self.attempt = attempt
        self.outer = outer
        self._depth = 0
        self._doom: Doom | None = None
        self._hooks: Hooks | None = None
        self._lifecycle = Lifecycle()

    def __repr__(self) -> str:
        return f"<Unit {self.state.value}, attempt {self.attempt}{', read-only' if self.read_only else ''}>"

    # -- what users see ------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The unit's session; it is made when first asked for."""
        return self._held.get(self)

    @property
    def has_session(self) -> bool:
        """Whether the session was ever asked for."""
        return self._held.session is not None

    @property
    def state(self) -> State:
        """Where the unit stands."""
        return self._lifecycle.state

    @property
    def doomed(self) -> bool:
        """Whether it can only be rolled back."""
        return self._doom is not None

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self._held.read_only

    # -- its session ---------------------------------------------------------------------------------------------

    def adopt(self, session: Session) -> None:
        """Make *session* the unit's own.

        Raises:
            DemarcationError: it has one already.
        """
        self._held.adopt(session, self)

    def expect_writes(self) -> None:
        """From the next transaction on, the unit means to write."""
        self._held.intend(writes=True)

    def forbid_writes(self) -> None:
        """From the next transaction on, a statement that writes raises ReadOnlyError."""
        self._held.intend(read_only=True)

    def close(self) -> None:
        """Give everything back. What is not committed is rolled back."""
        try:
            self._held.close()
        finally:
            # It refers to the scope's context, which refers to the unit: a cycle would outlive every request.
            self._managed = bool

    def discard(self) -> None:
        """Close without a rollback: the connections are in an unknown state and must not be used again."""
        self._held.discard()

    def forget_session(self) -> None:
        """Close the session; the next use makes a new one."""
        self._held.forget()

    # -- blocks --------------------------------------------------------------------------------------------------

    @property
    def in_block(self) -> bool:
        """Whether a transaction() or savepoint() block is open."""
        return self._depth > 0

    @property
    def commits_at_its_end(self) -> bool:
        """Whether somebody further out will settle the unit, so that a block joins rather than begins."""
        return self.in_block or self._managed()

    def enter_block(self) -> None:
        """A block has been opened."""
        self._depth += 1

    def leave_block(self) -> None:
        """The innermost block is over."""
        self._depth = max(0, self._depth - 1)

    # -- dooming -------------------------------------------------------------------------------------------------

    @property
    def doom_reason(self) -> Doom | None:
        """Why the unit is doomed, or None."""
        return self._doom

    def doom(
        self,
        reason: str,
        *,
        asked: bool = True,
        cause: BaseException | None = None,
        savepoint: SessionTransaction | None = None,
    ) -> None:
        """See to it that the unit is rolled back, whatever comes.

        Args:
            reason: in words; it is part of the error if somebody tries to commit.
            asked: whether the user asked for it, rather than an exception that left an inner block.
            cause: that exception.
            savepoint: the innermost savepoint around what failed; its rollback lifts the doom.
        """
        # The first failure explains best; but somebody who asks for the rollback has dealt with any failure.
        if self._doom is None or (asked and not self._doom.asked):
            self._doom = Doom(reason, asked, cause, savepoint)
        self._lifecycle.begin()
        if self._lifecycle.state is State.ACTIVE:
            self._lifecycle.move(State.DOOMED)

    # -- hooks ---------------------------------------------------------------------------------------------------

    @property
    def hooks(self) -> Hooks:
        """The hooks that wait for the unit's outcome."""
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    @property
    def savepoint(self) -> SessionTransaction | None:
        """The innermost savepoint in progress."""
        session = self._held.session
        return None if session is None else session.get_nested_transaction()

    @property
    def hooks_without_transaction(self) -> list[str]:
        """The names of the after-commit hooks that wait for a commit, where no transaction is open."""
        if self._hooks is None or self._held.in_transaction:
            return []
        return [hook.name for hook in self._hooks.after_commit]

    # -- outcome -------------------------------------------------------------------------------------------------

    @property
    def uncommitted_work(self) -> list[str]:
        """What a rollback now would lose, such as ``["2 new Order"]``; empty if nothing."""
        session = self._held.session
        return [] if session is None else describe_uncommitted(session, self._held.connections)

    def commit(self, *, expire: bool = True) -> None:
        """Flush, commit, and run the after-commit hooks.

        Args:
            expire: whether objects are expired, as SQLAlchemy does by default. A closing commit need not.

        Raises:
            DoomedError: the unit can only be rolled back.
            sqlalchemy.exc.SQLAlchemyError: the flush or the commit failed. The caller must roll back.
        """
        if not self._held.in_transaction:
            # Nothing has begun; but what waits for a commit (hooks) has it now, and may begin something.
            self.before_commit()
        session = self._held.session
        if session is None or not session.in_transaction():
            self.transaction_ended(committed=True)
            return
        expires = session.expire_on_commit
        session.expire_on_commit = expires and expire
        try:
            session.commit()
        finally:
            session.expire_on_commit = expires

    def rollback(self) -> None:
        """Roll back, drop the after-commit hooks, and run the after-rollback hooks. Blocks that were left open are over."""
        self._depth = 0
        session = self._held.session
        if session is None:
            self.transaction_ended(committed=False)
        else:
            session.rollback()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to commit or to roll back: no transaction, no hook, no doom."""
        return not self._held.in_transaction and self._doom is None and not self._hooks

    # -- what the session reports (SessionOwner) -----------------------------------------------------------------

    def check_demarcation(self, operation: str) -> None:
        """Refuse commit() and rollback() inside a block."""
        if self._depth:
            raise DemarcationError(
                f"session.{operation}() inside a transaction() or savepoint() block: the block decides about that,"
                f" for all of the code in it. Instead of session.{operation}(), {_INSTEAD[operation]}."
            )

    def transaction_begun(self) -> None:
        self._lifecycle.begin()
        self._held.tell_intent()

    def connection_begun(self, connection: Connection) -> None:
        forget_writes(connection)
        self._held.connections.append(connection)

    def before_commit(self) -> None:
        self.check_demarcation("commit")
        self._run_before_commit_hooks()
        if any(has_failed(connection) for connection in self._held.connections):
            # Its COMMIT would be a rollback that reports success.
            self.doom("a statement failed in it, and the database has given up the transaction", asked=False)
        if self._doom is not None:
            self._doom.refuse()
        self._lifecycle.begin()
        if self._lifecycle.state is not State.COMMITTING:  # it is, where an earlier attempt to flush failed
            self._lifecycle.move(State.COMMITTING)

    def _run_before_commit_hooks(self) -> None:
        # A hook may register another: go on until none is left. Blocks in a hook join what is being committed.
        self.enter_block()
        try:
            while self._hooks is not None and self._hooks.before_commit and self._doom is None:
                self._hooks.before_commit.pop(0).function()
        except BaseException as error:
            self.doom(f"a before_commit hook raised {type(error).__name__}", asked=False, cause=error)
            raise
        finally:
            self.leave_block()

    def savepoint_rolled_back(self, savepoint: SessionTransaction) -> None:
        if self._hooks is not None:
            self._hooks.drop_within(savepoint)
        if self._doom is not None and is_within(self._doom.savepoint, savepoint):
            self._doom = None
            self._lifecycle.move(State.ACTIVE)

    def transaction_ended(self, *, committed: bool) -> None:
        self._held.connections.clear()
        self._doom = None
        self._lifecycle.begin()
        if not committed:
            self._lifecycle.move(State.ROLLING_BACK)
        elif self._lifecycle.state is State.ACTIVE:
            # `with session.begin():` ended over an open savepoint: SQLAlchemy announced no commit that we could tell.
            self._lifecycle.move(State.COMMITTING)
        self._lifecycle.move(State.COMMITTED if committed else State.ROLLED_BACK)
        if self._hooks is not None:
            due = self._hooks.take(committed=committed)
            run_hooks(due, self._hook_scope, after="commit" if committed else "rollback")
