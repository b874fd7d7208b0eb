"""Why a unit can only be rolled back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import SessionTransaction

from ..exceptions import DoomedError

__all__ = ["Doom"]


@dataclass(frozen=True, slots=True)
class Doom:
    """Why a unit can only be rolled back.

    Attributes:
        reason: in words, with the place in the user's code where there is one.
        asked: whether ``uow.doom()`` asked for it; otherwise an exception left an inner block.
        cause: that exception.
        savepoint: the innermost savepoint around the block that failed; its rollback lifts the doom.
    """

    reason: str
    asked: bool
    cause: BaseException | None = None
    savepoint: SessionTransaction | None = None

    def refuse(self) -> None:
        """Raise for whoever tries to commit.

        Raises:
            DoomedError: always.
        """
        raise DoomedError(
            f"This unit of work can only be rolled back, so it was not committed: {self.reason}."
            " If the failure may be survived, put that part into a block of its own: with uow.savepoint(): …"
        ) from self.cause
