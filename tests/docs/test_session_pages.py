"""The pages about the session: their examples hold, and their table leaves nothing out and claims nothing unproved."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import make_url

from tests.docs.session_pages import PAGES, run, sections_of
from tests.docs.session_table import entries, rows

EXAMPLES = sorted(page.stem for page in PAGES.glob("*.md") if page.name != "index.md")
ROWS = rows((PAGES / "index.md").read_text())
DATABASE = re.compile(r'\bdatabase\("(\w+)"\)')


@pytest.fixture
def databases(
    database_url: str, another_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Name the shop's databases in the environment, those that a page asks for by name among them."""

    def name_them(page: str) -> str:
        monkeypatch.setenv("SHOP_DATABASE", database_url)
        for name in set(DATABASE.findall((PAGES / f"{page}.md").read_text())):
            monkeypatch.setenv(f"{name.upper()}_DATABASE", another_url())
        return make_url(database_url).get_backend_name()

    return name_them


@pytest.mark.parametrize("database_server", ["sqlite-file", "postgresql"], indirect=True)
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("page", EXAMPLES)
def test_the_examples_of_a_page_hold_and_prove_its_rows(
    page: str, method: str, databases: Callable[[str], str]
) -> None:
    database = databases(page)
    sections = {section.anchor: section for section in run(page, database, method)}
    unproved: list[tuple[str, str, str]] = []
    for row in ROWS:
        section = sections[row.anchor] if row.page == f"{page}.md" else None
        if section is None or section.only not in (None, database, method):
            continue
        if not section.proved:
            unproved.append((row.entry, row.anchor, "nothing is compared there"))
        unproved += [
            (row.entry, row.anchor, f"{name} is not used there")
            for name in sorted(row.names)
            if not re.search(rf"\b{re.escape(name)}\b", "\n".join(section.code))
        ]
    assert unproved == []


def test_the_table_has_a_row_for_each_heading_and_each_entry() -> None:
    assert [(row.group, row.entry) for row in ROWS] == entries()


def test_each_row_names_a_section_that_there_is_and_its_examples() -> None:
    for row in ROWS:
        anchors = [section.anchor for section in sections_of((PAGES / row.page).read_text())]
        assert anchors.count(row.anchor) == 1, f"{row.entry}: {row.page}#{row.anchor}"
        assert row.proof == f"{row.page.removesuffix('.md')}#{row.anchor}"


def test_each_page_is_listed() -> None:
    listed = (PAGES / "index.md").read_text().rpartition(":hidden:")[2].rstrip("`\n").split()
    assert sorted(listed) == EXAMPLES
