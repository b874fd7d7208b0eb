"""Runs a page of docs/session as its reader would: as the view of a POST request, on a database with fresh tables.

A section is *proved* when something was compared in it: an example with a result, an ``assert``, an expected exception.
Where a section has the comment ``% on: postgresql``, it is run on that database only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from doctest import Example as Doctest
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

from myst_parser.mdit_to_docutils.base import default_slugify
from sybil import Example

from tests.docs.blocks import Page, code_blocks

__all__ = ["PAGES", "Section", "run", "sections_of"]

PAGES: Final = Path(__file__).parents[2] / "docs" / "session"

_HEADING: Final = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_ONLY_ON: Final = re.compile(r"^% on: (\w+)$", re.MULTILINE)
_COMPARES: Final = re.compile(r"\bassert\b|\braises\(")


@dataclass
class Section:
    """A heading of a page, and what is below it up to the next one.

    Attributes:
        anchor: what a link to it ends with.
        start: where it begins in the page's text.
        only_on: the database that it is about; None for all.
        code: what was run of it.
        proved: something was compared.
    """

    anchor: str
    start: int
    only_on: str | None = None
    code: list[str] = field(default_factory=list[str])
    proved: bool = False


def sections_of(text: str) -> list[Section]:
    """The sections of a page, in order."""
    # Comments in code look like headings; blanks keep the positions.
    prose = _FENCED.sub(lambda fenced: re.sub(r"[^\n]", " ", fenced[0]), text)
    sections = [Section(default_slugify(heading[1]), heading.start()) for heading in _HEADING.finditer(prose)]
    ends = [section.start for section in sections[1:]] + [len(text)]
    for section, end in zip(sections, ends, strict=True):
        only = _ONLY_ON.search(prose, section.start, end)
        section.only_on = only and only[1]
    return sections


def run(name: str, database: str) -> list[Section]:
    """Run the examples of the page *name*.

    Args:
        name: such as ``flushing.md``.
        database: the kind of the database that the environment names: ``sqlite`` or ``postgresql``.

    Returns:
        the page's sections, with what was run of each.

    Raises:
        sybil.example.SybilFailure: an example showed something else than the page says.
    """
    page = Page.parse(str(PAGES / name), code_blocks)
    assert isinstance(page, Page)
    sections = sections_of(page.text)

    def view() -> str:
        for section, example in _examples(page, sections):
            if section.only_on in (None, database):
                example.evaluate()
                _note(section, example)
        return "all as the page says"

    shop = _fresh_shop()
    sys.modules[page.module.__name__] = page.module
    try:
        app = shop.create_app()
        with shop.uow.scope(app):
            shop.uow.create_all()
        app.add_url_rule("/", view_func=view, methods=["POST"])
        try:
            assert app.test_client().post("/").text == "all as the page says"
        finally:
            for known in list(shop.uow._apps):
                with known.app_context():
                    shop.uow.dispose()
    finally:
        del sys.modules["shop"], sys.modules[page.module.__name__]
    return sections


def _examples(page: Page, sections: list[Section]) -> Iterator[tuple[Section, Example]]:
    for example in page.examples():
        yield [section for section in sections if section.start <= example.region.start][-1], example


def _note(section: Section, example: Example) -> None:
    parsed: str | Doctest = example.parsed
    if isinstance(parsed, Doctest):
        section.code.append(parsed.source)
        section.proved |= bool(parsed.want)
    else:
        section.code.append(parsed)
        section.proved |= _COMPARES.search(parsed) is not None


def _fresh_shop() -> ModuleType:
    """The module that the pages import as ``shop``, with models and an extension of its own."""
    spec = spec_from_file_location("shop", PAGES / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    shop = sys.modules["shop"] = module_from_spec(spec)
    spec.loader.exec_module(shop)
    return shop
