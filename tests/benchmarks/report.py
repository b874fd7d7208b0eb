"""The figures as text, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from .figures import Figure, Figures

__all__ = ["as_json", "as_text"]


def as_text(figures: Sequence[Figures], conditions: dict[str, str]) -> str:
    """One table: a line for each contestant under each measure; ratios are to the hand-written scoped_session."""
    wide = max(len(title) for one in figures for title in one.cells)
    lines = [f"{name}: {value}" for name, value in conditions.items()]
    for one in figures:
        widths = {column: max(15, len(column)) for column in one.columns}
        lines += ["", one.title, " " * wide + "".join(f"  {column:>{widths[column]}}" for column in one.columns)]
        for title, row in one.cells.items():
            cells = [f"  {_cell(row.get(column), one.decimals):>{widths[column]}}" for column in one.columns]
            lines.append(f"{title:{wide}}{''.join(cells)}".rstrip())
        lines += [f"({note})" for note in one.notes]
    return "\n".join(lines)


def _cell(figure: Figure | None, decimals: int) -> str:
    if figure is None:
        return ""
    ratio = "" if figure.ratio is None else f" {figure.ratio:6.2f} ×"
    return f"{figure.value:.{decimals}f}{ratio}"


def as_json(figures: Sequence[Figures], conditions: dict[str, str]) -> str:
    """All that `as_text` says, unrounded."""
    return json.dumps({"conditions": conditions, "figures": [asdict(one) for one in figures]}, indent=2)
