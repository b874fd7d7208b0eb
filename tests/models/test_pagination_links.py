"""The links to other pages."""

from __future__ import annotations

import pytest

from flask_unitofwork.models import Pagination


def page_of(page: int, total: int) -> Pagination[str]:
    """A page of many, with one row a page."""
    return Pagination(items=["row"], page=page, per_page=1, total=total, has_next=page < total)


@pytest.mark.parametrize(
    ("page", "total", "links"),
    [
        (1, 1, [1]),
        (1, 3, [1, 2, 3]),
        (7, 20, [1, 2, None, 5, 6, 7, 8, 9, 10, 11, None, 19, 20]),
        (1, 20, [1, 2, 3, 4, 5, None, 19, 20]),
        (20, 20, [1, 2, None, 18, 19, 20]),
        (5, 10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_the_links_show_the_edges_and_the_neighbours(page: int, total: int, links: list[int | None]) -> None:
    assert list(page_of(page, total).iter_pages()) == links


@pytest.mark.parametrize(
    ("edges", "links"),
    [
        ({"left_edge": 0, "right_edge": 0, "left_current": 1, "right_current": 1}, [None, 4, 5, 6, None]),
        ({"left_edge": 1, "right_edge": 1, "left_current": 0, "right_current": 0}, [1, None, 5, None, 9]),
        ({"left_edge": 99, "right_edge": 99, "left_current": 0, "right_current": 0}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_the_links_can_be_more_or_fewer(edges: dict[str, int], links: list[int | None]) -> None:
    assert list(page_of(5, 9).iter_pages(**edges)) == links


def test_a_million_pages_have_no_more_links_than_twenty() -> None:
    assert len(list(page_of(500_000, 1_000_000).iter_pages())) == 13
