"""One unit of work: a session, its hooks, and whether it can still be committed.

Note: one unit, many transactions
    A scope has one unit and one session from its first use to its end. Where the code commits or rolls back on its
    way (``session.commit()``), the unit is over and, with the next work, active again: hooks, dooms and the
    state start afresh, the session and the objects in it stay, as SQLAlchemy users expect.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeGuard

from sqlalchemy import Connection
from sqlalchemy.orm import SessionTransaction

from ..database.commits import forget_commits, has_committed
from ..database.failed import has_failed
from ..database.intent import NO_INTENT, Intent
from ..database.written import forget_writes, has_committed_by_itself, has_done_more_than_read
from ..exceptions import DoomedError, OutsideScopeError
from ..session import Session, is_clean
from .aftermath import state_without_commit
from .blocks import OpenBlocks
from .doom import Doom
from .held_session import HeldSession
from .hooks import Hooks, HookScope, run_hooks
from .letting_go import check_release, report_closing
from .lifecycle import State
from .outcome import Outcome
from .reading import Reading
from .reasons import in_words, rolled_back_by_hand
from .repeating import repeating_units
from .signals import announce, unit_committed, unit_rolled_back
from .uncommitted import describe_uncommitted

__all__ = ["Unit"]

logger = logging.getLogger("flask_unitofwork")


class Unit:
    """One unit of work. `uow.current` is the one in progress.

    Args:
        make_session: called once, when the session is first needed.
        hook_scope: gives each hook a unit of its own.
        run_hooks: runs the hooks, with the arguments of the function of that name.
        managed: tells whether the scope commits by itself at its end, so that inner blocks join it.
        in_scope: tells whether the thread in progress is in the unit's scope; None if nobody asks.
        intent: what the unit's transactions are for.
        repeats: whether what is around the unit runs it again where the database asks for that.
        outer: the unit that this one was opened inside of, if any.
        sender: who signals about the unit come from: the app.

    Attributes:
        held: its session, the session's connections, and what its transactions are for.
        blocks: those that are open.
        reading: the ``read_only()`` blocks inside a transaction that may write.
        attempt: which run of the same work this is, from 1.
        attempts: how many runs there may be, where the work in progress is such that it may run again.
        has_committed: something has been committed in this attempt, so that it must not be run again.
    """

    def __init__(
        self,
        make_session: Callable[[], Session],
        hook_scope: HookScope,
        *,
        run_hooks: Callable[..., None] = run_hooks,
        managed: Callable[[], bool] = bool,
        in_scope: Callable[[], bool] | None = None,
        intent: Intent = NO_INTENT,
        repeats: bool = False,
        outer: Unit | None = None,
        sender: object = None,
    ) -> None:
        self.held = HeldSession(make_session, intent, one_thread=in_scope is not None)
        self._in_scope = in_scope
        self._hook_scope = hook_scope
        self._run_hooks = run_hooks
        self._managed = managed
        self._outcome = Outcome()
        self._by_hand = False
        self._because: BaseException | str | None = None
        self.blocks = OpenBlocks()
        self.reading = Reading()
        self.repeats = repeats
        self.outer = outer
        self.sender = sender
        self.attempt = self.attempts = 1
        self.has_committed = False

    def __repr__(self) -> str:
        return f"<Unit {self.state.value}, attempt {self.attempt}{', read-only' if self.read_only else ''}>"

    # -- what users see ------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The unit's session; it is made when first asked for."""
        return self.held.get(self)

    @property
    def has_session(self) -> bool:
        """Whether the session was ever asked for."""
        return self.held.session is not None

    @property
    def state(self) -> State:
        """Where the unit stands."""
        return self._outcome.state

    @property
    def doomed(self) -> bool:
        """Whether it can only be rolled back."""
        return self._outcome.doom is not None

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self.held.intent.read_only or bool(self.reading)

    @property
    def reason(self) -> str | None:
        """Why it is rolled back, in words, while receivers of `unit_rolled_back` are told; None at any other time."""
        return None if self._because is None else in_words(self._because)

    # -- its session ---------------------------------------------------------------------------------------------

    def adopt(self, session: Session) -> None:
        """Make *session* the unit's own.

        Raises:
            DemarcationError: it has one already.
        """
        self.held.adopt(session, self)

    def close(self) -> None:
        """Give everything back. What is not committed is rolled back."""
        self._because = "its scope ended, and nobody had committed it"
        try:
            self.held.close()
        finally:
            self._because = None
            # It refers to the scope's context, which refers to the unit: a cycle would outlive every request.
            self._managed, self._in_scope = bool, None

    def discard(self) -> None:
        """Close without a rollback: the connections are in an unknown state and must not be used again."""
        self.held.discard()

    def forget_session(self) -> None:
        """Close the session; the next use makes a new one."""
        self.held.forget()

    # -- attempts ------------------------------------------------------------------------------------------------

    def begin_attempt(self, number: int, *, of: int = 1) -> None:
        """The work begins, for the first time or once more; there may be so many runs *of* it."""
        self.attempt, self.attempts = number, of
        self.has_committed = False

    def note_commit_inside(self) -> None:
        """A unit inside of this one has committed, and what is committed must not be done twice."""
        unit: Unit | None = self
        while unit is not None:
            unit.has_committed = True
            unit = unit.outer
        for repeating in repeating_units():
            repeating.has_committed = True

    # -- blocks --------------------------------------------------------------------------------------------------

    @property
    def commits_at_its_end(self) -> bool:
        """Whether somebody further out will settle the unit, so that a block joins rather than begins."""
        return bool(self.blocks) or self._managed() or self._by_hand

    # -- dooming -------------------------------------------------------------------------------------------------

    def was_refused_as_asked(self, error: BaseException) -> TypeGuard[DoomedError]:
        """Whether *error* is the refusal to commit, and ``uow.doom()`` asked for that."""
        doom = self._outcome.doom
        return error is self._outcome.refusal and doom is not None and doom.asked

    def doom(
        self,
        reason: str,
        *,
        asked: bool = True,
        cause: BaseException | None = None,
        savepoint: SessionTransaction | None = None,
    ) -> None:
        """See to it that the unit is rolled back, whatever comes. The arguments are those of `Doom`."""
        self._outcome.condemn(Doom(reason, asked, cause, savepoint))

    # -- hooks ---------------------------------------------------------------------------------------------------

    @property
    def hooks(self) -> Hooks:
        """The hooks that wait for the unit's outcome."""
        return self._outcome.hooks

    @property
    def savepoint(self) -> SessionTransaction | None:
        """The innermost savepoint in progress."""
        session = self.held.session
        return None if session is None else session.get_nested_transaction()

    @property
    def hooks_without_transaction(self) -> list[str]:
        """The names of the after-commit hooks that wait for a commit, where no transaction is open."""
        return [] if self.held.in_transaction else [hook.name for hook in self._outcome.waiting]

    # -- outcome -------------------------------------------------------------------------------------------------

    @property
    def uncommitted_work(self) -> list[str]:
        """What a rollback now would lose, such as ``["2 new Order"]``; empty if nothing."""
        session = self.held.session
        # What waits to be written has begun what SQLAlchemy takes for a transaction.
        if session is None or not session.in_transaction():
            return []
        return describe_uncommitted(session, self.held.connections)

    @property
    def at_stake(self) -> list[str]:
        """What a rollback now would lose that nobody would do again: work, settings and locks, hooks, a doom."""
        stake = self.uncommitted_work
        if not stake and any(map(has_done_more_than_read, self.held.connections)):
            stake.append("locks or settings")
        if self._outcome.is_open:
            stake.append("hooks or a doom")
        return stake

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to commit or to roll back: no transaction, no hook, no doom."""
        return not self.held.in_transaction and not self._outcome.is_open

    def commit(self, *, expire: bool = True) -> None:
        """Flush, commit, and run the after-commit hooks.

        Args:
            expire: whether objects are expired, as SQLAlchemy does by default. A closing commit need not.

        Raises:
            DoomedError: the unit can only be rolled back.
            UnknownCommitError: the connection was lost before the database answered.
            sqlalchemy.exc.SQLAlchemyError: the flush or the commit failed. The caller must roll back.
        """
        session = self.held.session
        if self.is_idle and not self.blocks and (session is None or is_clean(session)):
            # It has read, or done nothing at all: nobody waits to be told, and nothing is sent.
            self._outcome.commit()
            self._outcome.end(State.COMMITTED)
            self.held.ended()
            self._by_hand = False
            return
        begun = self.held.in_transaction
        if not begun:
            # Nothing has begun; but what waits for a commit (hooks) has it now, and may begin something.
            self.before_commit()
            begun = self.held.in_transaction
        session = self.held.session
        if session is None or (not begun and is_clean(session)):
            self.transaction_ended(committed=True, begun=False)
            return
        expires = session.expire_on_commit
        session.expire_on_commit = expires and expire
        try:
            session.commit()
        finally:
            session.expire_on_commit = expires

    def rollback(self, because: BaseException | str | None = None) -> None:
        """Roll back, drop the after-commit hooks, and run the after-rollback hooks. Blocks that were left open are over.

        Args:
            because: what made it necessary, for those who ask for the `reason`.
        """
        self.blocks.end()
        self._because = because
        try:
            self._roll_back()
        finally:
            self._because = None  # an exception knows its frames, and they the unit

    def _roll_back(self) -> None:
        if any(map(has_committed_by_itself, self.held.connections)):
            logger.error(
                "The database has committed a part of what is rolled back here: it does so at a change of schema."
            )
            self.note_commit_inside()
        session = self.held.session
        if session is None:
            self.transaction_ended(committed=False, begun=False)
        else:
            session.rollback()

    # -- what the session reports (SessionOwner) -----------------------------------------------------------------

    def check_thread(self) -> None:
        if self._in_scope is not None and not self._in_scope():
            raise OutsideScopeError(
                "A session was used by a thread that it does not belong to. Two threads in one session see each other's"
                " half-done work, and lose it. In the thread, write: with uow.scope(app) as session: …, and give it ids"
                " instead of objects."
            )

    def check_demarcation(self, operation: str) -> None:
        """Refuse commit() and rollback() inside a block, and any commit of what is doomed."""
        self.blocks.check(operation)
        if operation == "commit":
            # Before SQLAlchemy looks: where a flush failed it would complain of that, and not of what was done about it.
            self._outcome.check_doom()

    def begun_by_hand(self) -> None:
        self._by_hand = True

    def check_release(self) -> None:
        self.blocks.check("release")
        check_release(
            savepoint=self.savepoint is not None,
            by_hand=self._by_hand,
            lost=self.uncommitted_work,
            connections=self.held.connections,
        )

    def closing(self) -> None:
        if self._because is None:  # else it is the unit that closes it, and says why
            report_closing(self.uncommitted_work)

    def transaction_begun(self) -> None:
        self._outcome.begin()

    def connection_begun(self, connection: Connection) -> None:
        # What may have to be done again must be known to be undone: only a transaction's fate can be asked.
        alone = not (self.repeats or self.attempts > 1 or repeating_units())
        self.held.begun(connection, self._connections_around(), alone=alone)
        forget_writes(connection)
        forget_commits(connection)

    def _announce(self, state: State, doom: Doom | None) -> None:
        """Tell what has become of the unit, which *doom* had doomed, if anything had."""
        if state is State.COMMITTED:
            announce(unit_committed, self.sender, unit=self)
        elif unit_rolled_back.receivers:
            before = self._because
            self._because = doom.reason if doom is not None else before or rolled_back_by_hand()
            announce(unit_rolled_back, self.sender, unit=self)
            self._because = before

    def _connections_around(self) -> list[Connection]:
        connections: list[Connection] = []
        unit = self.outer
        while unit is not None:
            connections += unit.held.connections
            unit = unit.outer
        return connections

    def savepoint_begun(self, connection: Connection) -> None:
        self.reading.joined(connection)

    def before_commit(self) -> None:
        self.check_demarcation("commit")
        if self._outcome.waits_for_commit:
            # Blocks in a hook join what is being committed.
            hooks = self.blocks.enter("before_commit", None)
            try:
                self._outcome.run_before_commit_hooks()
            finally:
                self.blocks.leave(hooks)
        for connection in self.held.connections:
            if has_failed(connection):
                # Its COMMIT would be a rollback that reports success.
                self.doom("a statement failed in it, and the database has given up the transaction", asked=False)
        self._outcome.commit()

    def savepoint_rolled_back(self, savepoint: SessionTransaction) -> None:
        self._outcome.savepoint_rolled_back(savepoint)

    def transaction_ended(self, *, committed: bool, begun: bool = True) -> None:
        connections = list(self.held.connections)
        self.held.ended()
        self._by_hand = False
        if (committed and connections and not self.read_only) or any(map(has_committed, connections)):
            self.note_commit_inside()
        state = State.COMMITTED if committed else state_without_commit(connections)
        doom = self._outcome.doom
        hooks = self._outcome.end(state)
        if (begun or hooks) and state is not State.UNKNOWN:
            self._announce(state, doom)
        has_committed_work = self.has_committed or (committed and bool(hooks))
        self.has_committed = has_committed_work  # what runs now must not run twice
        self._run_hooks(hooks, self._hook_scope, after="commit" if committed else "rollback")
        self.has_committed = has_committed_work  # what the hooks commit is theirs
        if self.blocks and not committed:
            self.doom("its transaction was ended inside a block, by session.close() or the like", asked=False)
