"""What units of work promise, in plain Python and without any database: sections 6 and 7 of the design.

A `Model` performs programs (``programs.py``). Where the package does anything else, one of the two is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy.exc import IntegrityError

from flask_unitofwork import DemarcationError, DoomedError
from tests.transaction.model_unit import Registered, Unit
from tests.transaction.programs import Body, Clashing, FailureError, Moment, Redirect, UnusableError, kind_of, play

__all__ = ["Model"]


class Model:
    """Performs programs on a table that is a list.

    Args:
        aborts: whether a failed statement is the end of the transaction, as it is on PostgreSQL.
    """

    def __init__(self, *, aborts: bool) -> None:
        self._aborts = aborts
        self._units: list[Unit] = []
        self.table: list[str] = []
        self.log: list[tuple[str, ...]] = []

    # -- where programs are performed ------------------------------------------------------------------------------

    def in_scope(self, body: Body) -> None:
        with self._scope():
            play(body, self, "0")

    def in_context(self, body: Body) -> None:
        with self.opened(Unit(managed=False)):
            play(body, self, "0")

    @contextmanager
    def opened(self, unit: Unit) -> Generator[Unit]:
        self._units.append(unit)
        try:
            yield unit
        finally:
            if unit.begun:  # nobody committed it
                self.roll_back(unit)
            self._units.remove(unit)

    @contextmanager
    def _scope(self) -> Generator[None]:
        with self.opened(Unit(managed=True)) as unit:
            with self._settling(unit):
                yield

    @contextmanager
    def _settling(self, unit: Unit) -> Generator[None]:
        try:
            yield
        except Redirect:
            self.settle(unit)
            raise
        except BaseException:
            self.roll_back(unit)
            raise
        else:
            self.settle(unit)

    # -- how units end ---------------------------------------------------------------------------------------------

    def settle(self, unit: Unit) -> None:
        """The work ended well: commit, unless that cannot be."""
        try:
            self._before_commit(unit)
        except BaseException:
            self.roll_back(unit)
            raise
        try:
            self._check_outcome(unit)
        except (DoomedError, UnusableError):
            asked = unit.asked_for_rollback
            self.roll_back(unit)
            if not asked:
                raise
        else:
            self._conclude(unit)

    def roll_back(self, unit: Unit) -> None:
        unit.blocks = 0
        self._run_hooks(unit.end("rolled back", "on_rollback"))

    def _before_commit(self, unit: Unit) -> None:
        if unit.whole.lost:
            return  # nothing that a hook could do would be kept
        unit.blocks += 1
        hooks = unit.hooks["before_commit"]
        try:
            while hooks and not unit.dooms:
                hooks.pop(0).function()
        except BaseException:
            unit.doom(asked=False)
            raise
        finally:
            unit.blocks -= 1

    def _check_outcome(self, unit: Unit) -> None:
        if unit.whole.aborted:
            unit.doom(asked=False)
        if unit.dooms:
            raise DoomedError
        if unit.whole.lost:
            raise UnusableError

    def _conclude(self, unit: Unit) -> None:
        unit.flush()
        self.table += unit.whole.rows
        self._run_hooks(unit.end("committed", "on_commit"))

    def _run_hooks(self, hooks: list[Registered]) -> None:
        to_raise: list[Exception] = []
        for hook in hooks:
            try:
                with self._scope():
                    hook.function()
            except Exception as error:  # noqa: BLE001  a failing hook keeps no other from running
                self.log.append(("a hook failed", kind_of(error)))
                if not hook.robust:
                    to_raise.append(error)
        if to_raise:
            raise to_raise[0]

    # -- what a program can do -------------------------------------------------------------------------------------

    @property
    def _unit(self) -> Unit:
        return self._units[-1]

    def block(self, kind: str) -> AbstractContextManager[None]:
        blocks = {
            "transaction": self._transaction,
            "transaction_required": self._transaction_required,
            "durable": self._durable,
            "savepoint": self._savepoint,
            "scope": self._scope,
            "independent_transaction": self._scope,
        }
        return blocks[kind]()

    def call(self, kind: str, function: Callable[[], None]) -> None:
        with self.block(kind):
            function()

    @contextmanager
    def _transaction_required(self) -> Generator[None]:
        if not self._unit.in_transaction:
            raise DemarcationError
        with self._transaction():
            yield

    @contextmanager
    def _durable(self) -> Generator[None]:
        unit = self._unit
        if unit.in_transaction:
            raise DemarcationError
        answer = None
        try:
            with self._transaction():
                yield
        except Redirect as error:
            answer = error
        if unit.state == "rolled back":
            raise DoomedError from answer  # what was asked for is not what a durable function promises
        if answer is not None:
            raise answer

    @contextmanager
    def _transaction(self) -> Generator[None]:
        unit = self._unit
        if not unit.in_transaction:
            with self._settling(unit), self._inside(unit):
                yield
            return
        part = unit.part
        try:
            with self._inside(unit):
                yield
        except Redirect:
            raise
        except BaseException:
            unit.doom(asked=False, part=part)
            raise

    @contextmanager
    def _savepoint(self) -> Generator[None]:
        unit = self._unit
        unit.begin_part()
        try:
            with self._inside(unit):
                yield
        except Redirect:
            unit.keep_part()
            raise
        except BaseException:
            unit.drop_part()
            raise
        else:
            unit.keep_part()

    @contextmanager
    def _inside(self, unit: Unit) -> Generator[None]:
        unit.blocks += 1
        try:
            yield
        finally:
            unit.blocks -= 1

    def add(self, name: str) -> None:
        self._unit.begin()
        self._unit.part.pending.append(name)

    def insert(self, name: str) -> None:
        self._unit.execute()
        self._unit.part.rows.append(name)

    def flush(self) -> None:
        self._unit.flush()

    def clash(self, how: Clashing) -> None:
        unit = self._unit
        if how == "statement":
            unit.execute()
            unit.part.aborted = self._aborts
        else:
            unit.begin()
            unit.part.pending.append("taken")
            if unit.part.unusable:
                unit.flush()
            unit.lose()
        raise IntegrityError("INSERT", None, FailureError())

    def names(self) -> list[str]:
        unit = self._unit
        unit.execute()
        rows, part = list(self.table), unit.part
        while part is not unit.whole:
            rows += part.rows
            assert part.around is not None
            part = part.around
        return sorted(rows + part.rows)

    def doom(self) -> None:
        self._unit.doom(asked=True)

    def commit(self) -> None:
        unit = self._unit
        if unit.blocks:
            raise DemarcationError
        if unit.dooms:
            raise DoomedError
        unit.begin()
        self._before_commit(unit)
        self._check_outcome(unit)
        self._conclude(unit)

    def rollback(self) -> None:
        if self._unit.blocks:
            raise DemarcationError
        self.roll_back(self._unit)

    def hook(self, moment: Moment, function: Callable[[], None], *, robust: bool) -> None:
        self._unit.hooks[moment].append(Registered(function, robust or moment != "on_commit", self._unit.part))

    def state(self) -> str:
        return self._unit.state
