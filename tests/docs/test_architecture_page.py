"""The drawing of the layers, compared with the folder and with the contract that it claims to show."""

from __future__ import annotations

import pytest

from docs._ext.layers import PACKAGE, ROOT, Box, draw, read_layers

NO_LAYER = {"__init__", "__pycache__"}


@pytest.fixture(scope="module")
def rows() -> list[list[Box]]:
    return read_layers()


def test_every_module_of_the_package_is_drawn(rows: list[list[Box]]) -> None:
    there = {path.stem for path in (ROOT / PACKAGE).iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {box.name for row in rows for box in row} == there - NO_LAYER


def test_every_import_points_down(rows: list[list[Box]]) -> None:
    height = {box.name: -row_number for row_number, row in enumerate(rows) for box in row}
    upward = [
        (box.name, imported)
        for row in rows
        for box in row
        for imported in box.imports
        if height[imported] >= height[box.name]
    ]
    assert upward == []


def test_the_drawing_names_each_module_and_marks_where_flask_ends(rows: list[list[Box]]) -> None:
    drawing = draw(rows)
    for row in rows:
        for box in row:
            assert f">{box.name}</text>" in drawing
    assert (
        drawing.index(">web</text>") < drawing.index("no Flask from here down") < drawing.index(">transaction</text>")
    )


def test_every_module_says_in_one_sentence_what_it_is(rows: list[list[Box]]) -> None:
    assert [box.name for row in rows for box in row if not box.sentence.endswith(".")] == []
