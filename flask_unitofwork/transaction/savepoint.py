"""Part of a transaction that may fail while the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

from sqlalchemy.orm import SessionTransaction

from ..exceptions import DemarcationError, DoomedError
from ..session import Session
from .blocks import OVERLAP, OpenBlock
from .demarcation import Succeeds
from .places import place_here
from .unit import Unit

__all__ = ["Savepoint"]


class Savepoint:
    """Part of the work that may fail while the rest goes on. A context manager only.

    Args:
        current: gives the unit in progress.
        succeeds: which exceptions count as success.
    """

    def __init__(self, current: Callable[[], Unit], succeeds: Succeeds) -> None:
        self._current = current
        self._succeeds = succeeds
        self._unit: Unit | None = None
        self._nested: SessionTransaction | None = None
        self._open: OpenBlock | None = None

    def __call__(self, _function: object) -> NoReturn:
        """Refuse to decorate.

        Raises:
            DemarcationError: always. A savepoint is part of what its caller does; whose function this is decides
                nothing about that.
        """
        raise DemarcationError(
            "savepoint() is a context manager only: which part of the work may fail is for the caller to say."
            " Write with uow.savepoint(): … around the call."
        )

    def __enter__(self) -> Session:
        if self._unit is not None:
            raise DemarcationError("This savepoint() block is already in use. Write uow.savepoint() at each with.")
        unit = self._current()
        self._nested = unit.session.begin_nested().__enter__()
        self._unit = unit
        self._open = unit.blocks.enter("savepoint", place_here())
        return unit.session

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        unit, nested = self._unit, self._nested
        self._unit = self._nested = None
        assert unit is not None
        assert nested is not None
        if not unit.blocks.leave(self._open):
            unit.doom(OVERLAP, asked=False)
        if exc is not None and self._succeeds(exc):
            exc_type = exc = tb = None
        was_lost = not nested.is_active
        if was_lost:
            nested.rollback()  # the flush that failed has done so already, but told nobody
        nested.__exit__(exc_type, exc, tb)
        if was_lost and exc is None:
            raise DoomedError(
                "A flush in this savepoint() block failed, which has taken back all of the block's work, and the failure"
                " was swallowed inside the block. Catch it outside: try: with uow.savepoint(): … except IntegrityError: …"
            )
