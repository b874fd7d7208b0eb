"""A function whose work is committed when it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..exceptions import DemarcationError, OutsideScopeError
from .demarcation import DurableBlock, Succeeds
from .options import TransactionOptions
from .unit import Unit

__all__ = ["Durable"]

F = TypeVar("F", bound=Callable[..., Any])


class Durable:
    """Decorates functions whose work is committed when they return.

    Args:
        current: gives the unit in progress.
        succeeds: which exceptions count as success.
        options: what each asks of its transaction.

    Raises:
        DemarcationError: it would be read-only, and have nothing to commit.
        OutsideScopeError: at a call, where there is no app context.
    """

    def __init__(self, current: Callable[[], Unit], succeeds: Succeeds, options: TransactionOptions) -> None:
        if options.read_only:
            raise DemarcationError(
                "durable and read_only contradict each other: there would be nothing to commit. Write @uow.read_only()."
            )

        def unit_in_progress() -> Unit:
            try:
                return current()
            except OutsideScopeError:
                raise OutsideScopeError(
                    "A durable function was called where there is no app context, and so no unit of work that it could"
                    " commit. Write with app.app_context(): … around the call. A uow.scope() block will not do: it commits"
                    " by itself, at its end."
                ) from None

        self._block = DurableBlock(unit_in_progress, succeeds, options)

    def __call__(self, function: F) -> F:
        """Run *function* as a transaction of its own, each time it is called."""
        return cast(F, self._block(function))
