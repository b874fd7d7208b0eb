"""Runs the documentation with the tests: the blocks of its pages and the README, and the examples in docstrings."""

from __future__ import annotations

import os
from doctest import ELLIPSIS
from typing import Any

import pytest
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.integration.pytest import pytest_integration as collect_examples
from sybil.parsers.rest import DocTestParser

from tests.docs.blocks import Page, code_blocks, set_up, tear_down


def pages(**where: Any) -> Sybil:
    """Pages whose code blocks are run."""
    return Sybil(parsers=[code_blocks], document_types={".md": Page}, setup=set_up, teardown=tear_down, **where)


pytest_collect_file = collect_examples(
    # Those about the session are run by tests/docs/test_session_pages.py, on each database.
    pages(path="docs", pattern="*.md", exclude="session/*.md"),
    pages(filenames={"README.md"}),
    Sybil(parsers=[DocTestParser(ELLIPSIS)], path="flask_unitofwork", pattern="*.py"),
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a page's blocks together and in order, whatever shuffles the tests: they build on one another."""
    examples = [item for item in items if isinstance(item, SybilItem)]
    examples.sort(key=lambda item: (item.path, item.example.start))
    items[:] = [*(item for item in items if not isinstance(item, SybilItem)), *examples]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One worker more than there are processors: half of a run is waiting, for databases, threads and processes."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # as somebody wishes
    return (os.cpu_count() or 1) + 1
