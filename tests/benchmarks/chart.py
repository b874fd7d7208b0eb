"""The ratios as a picture: a panel for each measure that has some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Picture

from .figures import Figures

__all__ = ["draw"]

INCHES_WIDE: Final = 14
INCHES_A_PANEL: Final = 3.2
DOTS_AN_INCH: Final = 110


def draw(figures: Sequence[Figures], path: Path) -> bool:
    """Write the picture to *path*; False if there is nothing to draw."""
    panels = [one for one in figures if any(cell.ratio for row in one.cells.values() for cell in row.values())]
    if not panels:
        return False
    picture = Picture(figsize=(INCHES_WIDE, INCHES_A_PANEL * len(panels) + 0.8), layout="constrained")
    # Without pyplot: no windows, no state, no choice of backend.
    FigureCanvasAgg(picture)
    all_axes = picture.subplots(len(panels), squeeze=False)[:, 0]
    for axes, one in zip(all_axes, panels, strict=True):
        _panel(axes, one)
    handles, labels = all_axes[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    picture.savefig(path, dpi=DOTS_AN_INCH)
    return True


def _panel(axes: Axes, one: Figures) -> None:
    columns = one.columns
    width = 0.85 / len(one.cells)
    for number, (title, row) in enumerate(one.cells.items()):
        places = [place + width * number for place in range(len(columns))]
        axes.bar(places, [row[column].ratio or 0.0 for column in columns], width, label=title, color=f"C{number}")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks([place + width * (len(one.cells) - 1) / 2 for place in range(len(columns))], columns)
    axes.set_title(f"{one.title}: ratio to the scoped_session by hand", loc="left", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
