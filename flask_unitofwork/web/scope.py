"""Units of work of their own: in a thread, a job, a script, or inside another unit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import ClassVar, Final, Self

from flask import Flask
from flask.ctx import AppContext

from ..database.intent import Intent
from ..exceptions import DemarcationError, OutsideScopeError
from ..session import Session
from ..transaction import Block, TransactionOptions, Unit, settle
from .context import InnerScope, current_context, inner_scope
from .policy import is_answer
from .units import Units

__all__ = ["IndependentTransaction", "Scope"]

logger = logging.getLogger("flask_unitofwork")

_CLOSED_GENERATOR: Final = (
    "A generator was closed inside a scope() block, so the block's work is rolled back: %s. While such a generator is"
    " suspended, its scope is the current one for whoever iterates over it."
)


class Scope(Block):
    """A scope with a session of its own. It is committed when the block ends well, and always closed.

    Where an app context of the right app is in progress it is used, so that ``g`` and ``current_app`` stay; where there
    is none, one is pushed for the time of the block.

    Args:
        units: where units come from.
        apps: the apps that the UnitOfWork knows; a single one need not be named.
        app: the app to work for; by default the current one.
        options: what it asks of its transaction.
        reads: whether it reads in autocommit until something else than a read runs.
    """

    kind: ClassVar[str] = "scope"

    def __init__(
        self,
        units: Units,
        apps: Callable[[], Iterable[Flask]],
        app: Flask | None,
        options: TransactionOptions,
        *,
        reads: bool = False,
    ) -> None:
        super().__init__(options)
        self._reads = reads
        self._units = units
        self._apps = apps
        self._app = app
        self._pushed: AppContext | None = None
        self._unit: Unit | None = None
        self._inner: InnerScope | None = None

    def again(self) -> Self:
        return type(self)(self._units, self._apps, self._app, self.options, reads=self._reads)

    def __enter__(self) -> Session:
        if self._unit is not None:
            raise DemarcationError(f"This {self.kind}() block is already in use. Write uow.{self.kind}() at each with.")
        self.check_use()
        context = self._context()
        try:
            unit = self._make_unit(context)
            session = unit.session
            unit.held.route(self.options.bind)
        except BaseException:
            self._pop(None)
            raise
        self.begin_attempt(unit)
        self._unit = unit
        self._inner = InnerScope(context, unit, inner_scope.get())
        inner_scope.set(self._inner)
        return session

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        unit, self._unit = self._unit, None
        assert unit is not None
        try:
            try:
                if isinstance(exc, GeneratorExit) and unit.uncommitted_work:
                    logger.warning(_CLOSED_GENERATOR, ", ".join(unit.uncommitted_work))
                settle(unit, exc, is_answer)
            finally:
                unit.close()
        finally:
            self._leave()
            self._pop(exc)

    def _make_unit(self, context: AppContext) -> Unit:
        outer = self._units.around() if self._pushed is None else None
        options = self.options
        intent = Intent(
            writes=not options.read_only and not self._reads and _is_alone(outer),
            reads_in_autocommit=self._reads,
            read_only=bool(options.read_only),
            isolation_level=options.isolation_level,
            timeout=options.timeout,
        )
        return self._units.make(context, managed=lambda: True, intent=intent, outer=outer)

    def _context(self) -> AppContext:
        context = current_context()
        app = self._app
        if context is not None and (app is None or context.app is app):
            return context
        self._pushed = (self._only_app() if app is None else app).app_context()
        self._pushed.push()
        return self._pushed

    def _only_app(self) -> Flask:
        apps = list(self._apps())
        if len(apps) == 1:
            return apps[0]
        raise OutsideScopeError(
            f"scope() cannot tell which app it is for: there is no app context here, and this UnitOfWork knows"
            f" {len(apps)} apps. Write: with uow.scope(app): …"
        )

    def _leave(self) -> None:
        inner, self._inner = self._inner, None
        assert inner is not None
        inner.ended = True
        if inner_scope.get() is inner:  # it isn't in another thread or task, or when a generator ends out of turn
            inner_scope.set(inner.around)

    def _pop(self, exc: BaseException | None) -> None:
        pushed, self._pushed = self._pushed, None
        if pushed is not None:
            pushed.pop(exc)


class IndependentTransaction(Scope):
    """A transaction beside the one in progress: with its own session and connection, committed whatever becomes of it."""

    kind: ClassVar[str] = "independent_transaction"

    def _only_app(self) -> Flask:
        raise OutsideScopeError(
            "independent_transaction() stands beside a unit of work, and there is none here: no request, no app context."
            " In a thread, a job or a script, write: with uow.scope(app): …"
        )


def _is_alone(outer: Unit | None) -> bool:
    """Whether no unit around holds a transaction.

    Where one does, asking for the turn to write at the first statement would wait for ourselves on a database with one
    writer. Then only a statement that writes asks.
    """
    while outer is not None:
        if not outer.is_idle:
            return False
        outer = outer.outer
    return True
