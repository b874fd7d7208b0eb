"""The ``{layers}`` directive: a drawing of the package's layers, from the contract that import-linter checks.

The drawing cannot go stale: the rows are those of the contract in ``pyproject.toml``, the boxes are the modules that
exist, their sentences are the modules' own, and "imports" is what the import graph says.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grimp
from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["Box", "LayersDirective", "draw", "read_layers", "setup"]

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = "flask_unitofwork"

_WIDTH: Final = 760
_ROW: Final = 50
_GAP: Final = 12


@dataclass(frozen=True, slots=True)
class Box:
    """One module of a layer.

    Attributes:
        name: relative to the package, such as ``web``.
        sentence: the first sentence of its docstring.
        imports: the modules of lower layers that it imports, by name, from the import graph.
        flask: whether it may import Flask.
    """

    name: str
    sentence: str
    imports: tuple[str, ...]
    flask: bool


def read_layers() -> list[list[Box]]:
    """The layers that exist, highest first, each a row of siblings."""
    config: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {contract["id"]: contract for contract in config["tool"]["importlinter"]["contracts"]}
    flaskless = set(contracts["no-flask"]["source_modules"])
    names = [
        [name.strip(" ()") for name in layer.replace(":", "|").split("|")] for layer in contracts["layers"]["layers"]
    ]
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    everyone = [name for layer in names for name in layer]
    rows: list[list[Box]] = []
    for layer in names:
        row = [
            Box(
                name=name,
                sentence=_first_sentence(f"{PACKAGE}.{name}"),
                imports=tuple(other for other in everyone if other != name and _imports(graph, name, other)),
                flask=f"{PACKAGE}.{name}" not in flaskless,
            )
            for name in layer
            if f"{PACKAGE}.{name}" in graph.modules
        ]
        if row:
            rows.append(row)
    return rows


def _imports(graph: grimp.ImportGraph, importer: str, imported: str) -> bool:
    ours, theirs = f"{PACKAGE}.{importer}", f"{PACKAGE}.{imported}"
    return theirs in graph.modules and graph.direct_import_exists(importer=ours, imported=theirs, as_packages=True)


def _first_sentence(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(source.read_text())) or ""
    return docstring.split("\n", 1)[0].replace("`", "")


def draw(rows: list[list[Box]]) -> str:
    """An SVG of *rows*. Its colours are the page's, so it is readable in the light and in the dark."""
    parts: list[str] = []
    top = 0
    line_drawn = False
    for row in rows:
        if not line_drawn and not any(box.flask for box in row):
            line_drawn = True
            parts.append(
                f'<line class="border" x1="0" y1="{top + 6}" x2="{_WIDTH}" y2="{top + 6}"/>'
                f'<text class="border" x="{_WIDTH}" y="{top + 24}" text-anchor="end">no Flask from here down</text>'
            )
            top += 34
        width = (_WIDTH - _GAP * (len(row) - 1)) / len(row)
        for place, box in enumerate(row):
            left = place * (width + _GAP)
            parts.append(_box(box, left, top, width))
        top += _ROW
    names = ", ".join(box.name for row in rows for box in row)
    return (
        f'<svg class="layers" viewBox="0 0 {_WIDTH} {top - _GAP}" role="img" aria-label="Layers, highest first: {names}">'
        + "".join(parts)
        + "</svg>"
    )


def _box(box: Box, left: float, top: float, width: float) -> str:
    height = _ROW - _GAP
    return (
        f"<g><title>{escape(box.sentence)}</title>"
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="5"/>'
        f'<text class="name" x="{left + width / 2}" y="{top + height / 2 + 5}" text-anchor="middle">{box.name}</text></g>'
    )


class LayersDirective(Directive):
    """The drawing, and below it a table of what each module is for and imports."""

    def run(self) -> list[nodes.Node]:
        """The nodes that stand in the page."""
        rows = read_layers()
        table = nodes.table("", classes=["layers"])
        group = nodes.tgroup("", cols=3)
        table += group
        group += [nodes.colspec("", colwidth=width) for width in (15, 55, 30)]
        head, body = nodes.thead(), nodes.tbody()
        group += [head, body]
        head += _row(["module", "what it is", "imports"])
        for box in (box for row in rows for box in row):
            body += _row([box.name, box.sentence, ", ".join(box.imports) or "nothing"])
        return [nodes.raw("", draw(rows), format="html"), table]


def _row(cells: list[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("layers", LayersDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
