"""What a measure found."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Figure", "Figures"]


@dataclass(frozen=True)
class Figure:
    """One number.

    Attributes:
        value: in the unit that the title names.
        ratio: to that of the reference, where it makes sense.
    """

    value: float
    ratio: float | None = None


@dataclass(frozen=True)
class Figures:
    """One measure's numbers.

    Attributes:
        title: what was measured, and its unit.
        cells: contestant → column → figure, by their titles.
        notes: what a reader has to know about this run of it.
        decimals: how many of them mean something.
    """

    title: str
    cells: dict[str, dict[str, Figure]]
    notes: tuple[str, ...] = field(default=())
    decimals: int = 0

    @property
    def columns(self) -> list[str]:
        """The titles of the columns that anybody has a figure in."""
        return list(dict.fromkeys(column for row in self.cells.values() for column in row))
