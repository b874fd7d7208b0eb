"""The blocks of a unit that are open: they decide about commit and rollback, not the code in them."""

from __future__ import annotations

from typing import Final

from ..exceptions import DemarcationError
from .places import Place

__all__ = ["OpenBlocks"]

_INSTEAD: Final = {
    "commit": "leave the block: it commits when it ends without an exception",
    "release": "do the slow work before or after the block",
    "rollback": 'raise an exception, or write uow.doom("why") and leave the block',
}


class OpenBlocks:
    """The blocks that are open, outermost first."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: list[tuple[str, Place | None]] = []

    def __bool__(self) -> bool:
        return bool(self._blocks)

    @property
    def whereabouts(self) -> str:
        """Where they began, as the end of an error's message."""
        return "".join(f" ({kind}() began at {place})" for kind, place in self._blocks if place is not None) or "."

    def enter(self, kind: str, place: Place | None) -> None:
        """A block of this *kind* begins at *place*."""
        self._blocks.append((kind, place))

    def leave(self) -> None:
        """The innermost block is over."""
        if self._blocks:  # a rollback ends them all
            self._blocks.pop()

    def end(self) -> None:
        """All are over."""
        self._blocks.clear()

    def check(self, operation: str) -> None:
        """Refuse *operation* ("commit" or "rollback") of the session inside a block.

        Raises:
            DemarcationError: with what to write instead.
        """
        if self._blocks:
            raise DemarcationError(
                f"session.{operation}() inside a {self._blocks[-1][0]}() block: the block decides about that, for all of"
                f" the code in it. Instead of session.{operation}(), {_INSTEAD[operation]}{self.whereabouts}"
            )
