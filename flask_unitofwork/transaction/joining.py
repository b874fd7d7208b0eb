"""Whether a block may be part of the transaction in progress, and what it changes in it."""

from __future__ import annotations

from ..exceptions import DemarcationError
from .options import WRITER_IN_READER, TransactionOptions
from .unit import Unit

__all__ = ["take_up"]


def take_up(unit: Unit, options: TransactionOptions) -> None:
    """Let the transaction of *unit* be as *options* say, as far as that can still be decided.

    A transaction has one isolation level and one time limit, which are decided before its first statement.

    Raises:
        DemarcationError: the transaction in progress is another one than *options* ask for.
    """
    if unit.read_only and options.read_only is False:
        raise DemarcationError(f"{WRITER_IN_READER}{unit.blocks.whereabouts}")
    changes: dict[str, object] = {}
    for name in ("isolation_level", "timeout"):
        wanted, current = getattr(options, name), getattr(unit.held.intent, name)
        if wanted is None or wanted == current:
            continue
        if current is not None:
            raise DemarcationError(
                f"This block asks for {name}={wanted!r}, but the transaction in progress has {name}={current!r}, and the"
                f" two would be one. Write {name} in one place, at the outermost block; or, for a transaction of its own,"
                f" uow.independent_transaction(){unit.blocks.whereabouts}"
            )
        if unit.held.connections and not (name == "isolation_level" and _has_it_anyway(unit, wanted)):
            raise DemarcationError(
                f"This block asks for {name}={wanted!r}, but the transaction in progress began without it, and it cannot"
                f" be changed after the first statement. Write {name} at the outermost block, or decorate the view:"
                f" @uow.transaction({name}={wanted!r}){unit.blocks.whereabouts}"
            )
        changes[name] = wanted
    if changes:
        # Whoever asks for one of these asks for a transaction.
        unit.held.intend(reads_in_autocommit=False, **changes)


def _has_it_anyway(unit: Unit, level: str) -> bool:
    return all(
        connection.get_execution_options().get("isolation_level", connection.default_isolation_level) == level
        for connection in unit.held.connections
    )
