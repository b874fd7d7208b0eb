"""What users import, and whether the reference tells them all of it."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import flask_unitofwork

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(flask_unitofwork.__path__, prefix=f"{flask_unitofwork.__name__}.")
)


def test_the_reference_documents_exactly_the_public_names() -> None:
    pages = "\n".join(page.read_text() for page in REFERENCE.glob("*.md"))
    documented = re.findall(r"^\.\. auto(?:class|data|exception|function):: (\w+)(?:\(\))?$", pages, re.MULTILINE)
    assert sorted(documented) == flask_unitofwork.__all__


@pytest.mark.parametrize("name", ["flask_unitofwork", *MODULES])
def test_a_module_has_each_of_its_public_names(name: str) -> None:
    module = import_module(name)
    public: list[str] = getattr(module, "__all__", [])
    assert [one for one in public if not hasattr(module, one)] == []


@pytest.mark.parametrize("name", ["flask_unitofwork", *MODULES])
def test_a_module_says_what_it_is(name: str) -> None:
    assert import_module(name).__doc__
