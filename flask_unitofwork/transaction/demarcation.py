"""Where a transaction begins and ends, named by the caller's intent.

Note: what a success is
    A block fails when an exception leaves it. One kind does not count: an exception that *is* the answer, such as a
    redirect that was raised. The web layer says which those are (`Succeeds`), as it does for whole requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, Self

from sqlalchemy.orm import SessionTransaction

from ..database.intent import Intent
from ..exceptions import DemarcationError, DoomedError, UnknownCommitError
from ..session import Session
from .block import Block
from .blocks import OVERLAP, OpenBlock
from .joining import take_up
from .options import TransactionOptions
from .places import place_in
from .unit import Unit

__all__ = ["DurableBlock", "ReadOnly", "RequiredTransaction", "Succeeds", "Transaction", "settle"]

logger = logging.getLogger("flask_unitofwork")

Succeeds = Callable[[BaseException], bool]
"""Whether an exception that leaves a block is an answer rather than a failure."""


class Transaction(Block):
    """Joins the transaction in progress, else begins one. The outermost block commits or rolls back.

    Args:
        current: gives the unit in progress.
        succeeds: which exceptions count as success.
        options: what it asks of its transaction.
    """

    kind: ClassVar[str] = "transaction"

    def __init__(self, current: Callable[[], Unit], succeeds: Succeeds, options: TransactionOptions) -> None:
        super().__init__(options)
        self._current = current
        self._succeeds = succeeds
        self._unit: Unit | None = None
        self._outermost = False
        self._apart = False
        self._savepoint: SessionTransaction | None = None
        self._reading: SessionTransaction | None = None
        self._open: OpenBlock | None = None
        self._before: tuple[Intent, str | None] | None = None

    def again(self) -> Self:
        return type(self)(self._current, self._succeeds, self.options)

    def may_repeat(self) -> bool:
        if not super().may_repeat():
            return False
        unit = self._current()
        if unit.commits_at_its_end or unit.repeats:
            return False
        at_stake = unit.at_stake
        if at_stake:
            logger.warning(
                "A function that may run %d times runs once: it has begun in the middle of something (%s), which a"
                " rollback would undo.",
                self.options.attempts,
                ", ".join(at_stake),
            )
        return not at_stake

    def check_place(self, unit: Unit) -> None:
        """Refuse to begin in *unit* as it stands, if this kind of block must not.

        Raises:
            DemarcationError: with what to write instead.
        """

    def __enter__(self) -> Session:
        if self._unit is not None:
            raise DemarcationError(f"This {self.kind}() block is already in use. Write uow.{self.kind}() at each with.")
        self.check_use()
        unit = self._current()
        self.check_place(unit)
        session, intent = unit.session, unit.held.intent
        self._outermost = not unit.commits_at_its_end
        if self._outermost:
            self._check_beginning(unit)
        if self.options.bind is not None:
            session.flush()  # what was added before the block does not belong where the block says
        self._apart = self._reads_apart(unit)
        self._before = intent, unit.held.route(self.options.bind)
        self._savepoint = unit.savepoint
        try:
            take_up(unit, self.options)
            if self.options.read_only:
                self._begin_reading(unit)
        except BaseException:
            self._restore(unit)
            raise
        self._unit = unit
        if self._outermost and not unit.repeats:
            self.begin_attempt(unit)
        self._open = unit.blocks.enter(self.kind, self.place)
        if self.options.read_only is False:
            unit.held.expect_writes()
        return session

    def _reads_apart(self, unit: Unit) -> bool:
        """Whether the block, though a part of *unit*, is a transaction by itself: it only reads, and none has begun yet.

        Then the database refuses writes in all of it, nobody waits for a turn to write, and reads are in autocommit again
        afterwards.
        """
        return (
            bool(self.options.read_only)
            and not (self._outermost or unit.blocks or unit.read_only)
            and unit.held.intent.reads_in_autocommit
            and not unit.session.in_transaction()
        )

    def _check_beginning(self, unit: Unit) -> None:
        """The block is to begin a transaction, though SQLAlchemy's session may have begun one by itself."""
        options = self.options
        if options.read_only and unit.uncommitted_work:
            raise DemarcationError(
                "read_only() begins here, and would end with a commit of what was written before it:"
                f" {', '.join(unit.uncommitted_work)}. Write session.commit() or session.rollback() first."
            )
        decides = options.isolation_level or options.timeout or options.read_only
        if decides and unit.held.connections and not unit.at_stake and unit.savepoint is None:
            unit.session.release()  # it has only read, and nothing is lost with that

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        unit, self._unit = self._unit, None
        assert unit is not None
        try:
            self._finish(unit, exc)
        except BaseException as error:
            exc = error
            raise
        finally:
            if not unit.blocks.leave(self._open):
                unit.doom(OVERLAP, asked=False, savepoint=self._savepoint)
            try:
                self._settle(unit, exc)
            finally:
                self._restore(unit)

    def _finish(self, unit: Unit, exc: BaseException | None) -> None:
        """The part of the work that is the block's own ends; it may fail now."""
        if self._reading is not None:
            self._end_reading(unit, exc)
        elif self._apart and exc is None:
            unit.session.flush()  # what was added in the block is refused, rather than written after it
        elif self.options.bind is not None and exc is None:
            unit.session.flush()  # what was added in the block belongs where the block says

    def _settle(self, unit: Unit, exc: BaseException | None) -> None:
        if self._outermost:
            try:
                if settle(unit, exc, self._succeeds) is not None:
                    self.refused(unit)
            except UnknownCommitError as error:
                error.add_note(f"It is the commit of the {self.kind}() block at {self.place}.")
                raise
        elif exc is not None and not self._succeeds(exc):
            place = place_in(exc.__traceback__) or self._decorates or "an unknown place"
            reason = f"{type(exc).__name__} left a {self.kind}() block at {place}"
            unit.doom(reason, asked=False, cause=exc, savepoint=self._savepoint)

    def refused(self, unit: Unit) -> None:
        """The block ended well, and ``uow.doom()`` had *unit* rolled back: for most blocks that is all right."""

    def _restore(self, unit: Unit) -> None:
        """What the block asked for was for the block; a transaction that goes on keeps what it began with."""
        assert self._before is not None
        intent, bind = self._before
        unit.held.route(bind)
        if self._apart:
            unit.held.give_back()
        if self._outermost or self._apart:
            unit.held.intend_as(intent)
            unit.attempts = 1  # what follows is not what may run again

    def _begin_reading(self, unit: Unit) -> None:
        if unit.read_only:
            return
        if self._apart or (self._outermost and not unit.held.connections):
            unit.held.intend(writes=False, read_only=True, reads_in_autocommit=False)
            return
        savepoint = unit.session.begin_nested()
        unit.reading.begin()
        self._reading = savepoint.__enter__()

    def _end_reading(self, unit: Unit, exc: BaseException | None) -> None:
        savepoint, self._reading = self._reading, None
        assert savepoint is not None
        if exc is not None and self._succeeds(exc):
            exc = None
        try:
            savepoint.__exit__(None if exc is None else type(exc), exc, None if exc is None else exc.__traceback__)
        finally:
            unit.reading.end()


class RequiredTransaction(Transaction):
    """Joins the transaction in progress, and never begins one."""

    kind: ClassVar[str] = "transaction_required"

    def check_place(self, unit: Unit) -> None:
        if not unit.commits_at_its_end:
            raise DemarcationError(
                f"A transaction is required here ({self.place}), and none is in progress: what this code does would be"
                " committed, or lost, apart from the work it belongs to. Write with uow.transaction(): … around the call."
            )


class ReadOnly(Transaction):
    """A transaction in which nothing can be written, or a part of one."""

    kind: ClassVar[str] = "read_only"


class DurableBlock(Transaction):
    """A transaction that is nobody's part: when it ends well, its work is committed."""

    kind: ClassVar[str] = "durable"

    def check_place(self, unit: Unit) -> None:
        if unit.commits_at_its_end:
            raise DemarcationError(
                "A durable function was called inside a transaction, so its work would not be committed when it returns,"
                " but with the rest, or never. Call it where no transaction is in progress (a request under commit on"
                " success is one: mark its view with @uow.explicit_commit); or decorate the function with"
                f" @uow.transaction() if it may be part of another{unit.blocks.whereabouts}"
            )

    def refused(self, unit: Unit) -> None:  # noqa: ARG002
        raise DoomedError(
            "A durable function cannot return: uow.doom() has had its work rolled back, and whoever called it counts on a"
            " commit. Raise an exception instead of dooming the unit, or decorate the function with @uow.transaction()."
        )


def settle(unit: Unit, exc: BaseException | None, succeeds: Succeeds) -> DoomedError | None:
    """End *unit* at the end of its outermost block: commit it, or roll it back where *exc* is a failure.

    A unit that ``uow.doom()`` doomed is rolled back without an error: that is what was asked.

    Returns:
        The refusal of the commit, where it was asked for; otherwise None.

    Raises:
        DoomedError: the block ended well, but the failure of an inner block was swallowed.
        UnknownCommitError: the connection was lost before the database answered.
        sqlalchemy.exc.SQLAlchemyError: the commit failed; the unit has been rolled back.
    """
    if exc is not None and not succeeds(exc):
        unit.rollback(exc)
        return None
    try:
        unit.commit()
    except BaseException as error:
        if unit.is_idle:
            raise  # a hook failed after the commit, which stands
        if unit.was_refused_as_asked(error):
            unit.rollback(error)
            return error
        unit.rollback(error)
        if succeeds(error):
            raise DoomedError("A before_commit hook raised an answer, but nothing was committed.") from error
        raise
    return None
