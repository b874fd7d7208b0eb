"""What a decorated function says of its own transactions, for those who look at it from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ..exceptions import DemarcationError
from .options import TransactionOptions
from .places import name_of

__all__ = ["Declaration", "declaration_of", "declare"]

_DECLARATION: Final = "_unitofwork_declaration"

# Blocks that are the transaction of whoever calls them.
_JOINING: Final = frozenset({"transaction", "transaction_required", "read_only"})

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Declaration:
    """The blocks around a function.

    Attributes:
        kind: the name of the outermost, such as ``"transaction"``.
        options: what they ask for.
    """

    kind: str
    options: TransactionOptions


def declare(function: F, declaration: Declaration, *, around: Callable[..., Any]) -> F:
    """Let *function* say that it runs *around* in a block.

    Raises:
        DemarcationError: *around* is in a block already, and that one can never be inside of this one.
    """
    inner = declaration_of(around)
    if inner is not None and inner.kind == "durable":
        raise DemarcationError(
            f"{name_of(around)} is durable, so it cannot run inside of @uow.{declaration.kind}: when it returns, its"
            " work is to be committed. Write one of the two."
        )
    if inner is not None and inner.kind in _JOINING:
        inner.options.check_inside(declaration.options)
        declaration = Declaration(declaration.kind, declaration.options.around(inner.options))
    setattr(function, _DECLARATION, declaration)
    return function


def declaration_of(function: object) -> Declaration | None:
    """What *function* says, or None. Other decorators pass it on, if they are written with ``functools.wraps``."""
    return getattr(function, _DECLARATION, None)
