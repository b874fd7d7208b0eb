"""The pages about the session: their examples hold, and their first table leaves nothing out and claims nothing unproved."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import make_url

from tests.docs.session_pages import PAGES, run

EXAMPLES = sorted(page.name for page in PAGES.glob("*.md") if page.name != "index.md")
DATABASE = re.compile(r'\bdatabase\("(\w+)"\)')


@pytest.fixture
def databases(database_url, another_url, monkeypatch):
    """Give the shop its databases; those that a page names beside the first are made when it is run."""

    def give(page: str) -> str:
        monkeypatch.setenv("SHOP_DATABASE", database_url)
        for name in set(DATABASE.findall((PAGES / page).read_text())):
            monkeypatch.setenv(f"{name.upper()}_DATABASE", another_url())
        return make_url(database_url).get_backend_name()

    return give


@pytest.mark.parametrize("database_server", ["sqlite-file", "postgresql"], indirect=True)
@pytest.mark.parametrize("page", EXAMPLES)
def test_the_examples_of_a_page_hold_and_prove_its_rows(page, databases):
    run(page, databases(page))
