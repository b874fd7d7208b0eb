"""Runs a page of docs/session as its reader would: as the view of a request, on a database with fresh tables.

A section is *proved* when something was compared in it: an example with a result, an ``assert``, an expected exception.
Where a section has the comment ``% only: postgresql``, it is run on that database only; with ``% only: POST``, in a
request of that method, as it tells of what is otherwise in read mode.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from doctest import Example as Doctest
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

from flask import Flask
from myst_parser.mdit_to_docutils.base import default_slugify
from sybil import Example

from tests.docs.blocks import Page, code_blocks

__all__ = ["PAGES", "Section", "run", "sections_of"]

PAGES: Final = Path(__file__).parents[2] / "docs" / "session"

_HEADING: Final = re.compile(r"^(#{1,3}) (.+)$", re.MULTILINE)
_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_ONLY: Final = re.compile(r"^% only: (\w+)$", re.MULTILINE)
_COMPARES: Final = re.compile(r"\bassert\b|\braises\(")


@dataclass
class Section:
    """A heading of a page, and what is below it up to the next one that is not below itself.

    Attributes:
        anchor: what a link to it ends with.
        start: where it begins in the page's text.
        end: where it ends there.
        only: the database or the method that it is about; None for all.
        code: what was run of it, and what it was compared with.
        proved: something was compared.
    """

    anchor: str
    start: int
    end: int
    only: str | None = None
    code: list[str] = field(default_factory=list[str])
    proved: bool = False


def sections_of(text: str) -> list[Section]:
    """The sections of a page, in order."""
    # Comments in code look like headings; blanks keep the positions.
    prose = _FENCED.sub(lambda fenced: re.sub(r"[^\n]", " ", fenced[0]), text)
    headings = list(_HEADING.finditer(prose))
    sections: list[Section] = []
    for place, heading in enumerate(headings):
        after = (other.start() for other in headings[place + 1 :] if len(other[1]) <= len(heading[1]))
        section = Section(default_slugify(heading[2]), heading.start(), next(after, len(text)))
        # What a whole page is run on is not for one of its sections to say.
        only = None if place == 0 else _ONLY.search(prose, section.start, section.end)
        section.only = only and only[1]
        sections.append(section)
    return sections


def run(name: str, database: str, method: str) -> list[Section]:
    """Run the examples of the page *name*.

    Args:
        name: such as ``flushing``.
        database: the kind of the database that the environment names: ``sqlite`` or ``postgresql``.
        method: of the request whose view the examples are: ``POST``, or ``GET`` for read mode.

    Returns:
        the page's sections, with what was run of each.

    Raises:
        sybil.example.SybilFailure: an example showed something else than the page says.
    """
    page = Page.parse(str(PAGES / f"{name}.md"), code_blocks)
    assert isinstance(page, Page)
    sections = sections_of(page.text)

    def view() -> str:
        for example in page.examples():
            around = [section for section in sections if section.start <= example.region.start < section.end]
            if all(section.only in (None, database, method) for section in around):
                example.evaluate()
                for section in around:
                    _note(section, example)
        return "all as the page says"

    shop = _fresh_shop()
    sys.modules[page.module.__name__] = page.module
    try:
        app = shop.create_app()
        with shop.uow.scope(app):
            shop.uow.create_all()
        app.add_url_rule("/", view_func=view, methods=[method])
        try:
            assert app.test_client().open("/", method=method).text == "all as the page says"
        finally:
            for one in {app, *(value for value in page.namespace.values() if isinstance(value, Flask))}:
                with one.app_context():
                    one.extensions["unitofwork"].dispose()
    finally:
        del sys.modules["shop"], sys.modules[page.module.__name__]
    return sections


def _note(section: Section, example: Example) -> None:
    parsed: str | Doctest = example.parsed
    if isinstance(parsed, Doctest):
        section.code += [parsed.source, parsed.want]
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
