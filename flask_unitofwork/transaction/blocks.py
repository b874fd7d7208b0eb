"""The blocks of a unit that are open: they decide about commit and rollback, not the code in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..exceptions import DemarcationError
from .places import Place

__all__ = ["OVERLAP", "OpenBlock", "OpenBlocks"]

_INSTEAD: Final = {
    "commit": "leave the block: it commits when it ends without an exception",
    "prepare": "leave the block: it prepares what needs it when it commits",
    "release": "do the slow work before or after the block",
    "rollback": 'raise an exception, or write uow.doom("why") and leave the block',
}


OVERLAP: Final = (
    "blocks have ended in another order than they began, as they do where two tasks or generators share one unit."
    " Give each a scope of its own: with uow.scope(): …"
)


@dataclass(frozen=True, slots=True, eq=False)
class OpenBlock:
    """A block that is open: its kind, and where it began."""

    kind: str
    place: Place | None


class OpenBlocks:
    """The blocks that are open, outermost first."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: list[OpenBlock] = []

    def __bool__(self) -> bool:
        return bool(self._blocks)

    @property
    def whereabouts(self) -> str:
        """Where they began, as the end of an error's message."""
        return "".join(f" ({one.kind}() began at {one.place})" for one in self._blocks if one.place is not None) or "."

    def enter(self, kind: str, place: Place | None) -> OpenBlock:
        """A block of this *kind* begins at *place*."""
        block = OpenBlock(kind, place)
        self._blocks.append(block)
        return block

    def leave(self, block: OpenBlock | None) -> bool:
        """*block* is over. False if others inside of it are not: two tasks use one unit at the same time."""
        if not any(one is block for one in self._blocks):
            return True  # a rollback has ended them all
        innermost = self._blocks[-1] is block
        self._blocks[:] = [one for one in self._blocks if one is not block]
        return innermost

    def end(self) -> None:
        """All are over."""
        self._blocks.clear()

    def check(self, operation: str) -> None:
        """Refuse *operation* ("commit", "rollback" …) of the session inside a block.

        Raises:
            DemarcationError: with what to write instead.
        """
        if self._blocks:
            raise DemarcationError(
                f"session.{operation}() inside a {self._blocks[-1].kind}() block: the block decides about that, for all of"
                f" the code in it. Instead of session.{operation}(), {_INSTEAD[operation]}{self.whereabouts}"
            )
