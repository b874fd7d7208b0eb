"""The shelves, through HTTP."""

from __future__ import annotations

import html
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.example_app.conftest import Books

pytestmark = pytest.mark.uow_isolated


@pytest.fixture
def shop(standing_shop: Flask) -> Flask:
    return standing_shop


def names(page: str) -> list[str]:
    """The products on a page, in its order."""
    return [html.unescape(name) for name in re.findall(r'<h2><a href="/products/\d+">(.*?)</a>', page)]


def test_the_first_page_shows_the_first_products_by_name(visitor: FlaskClient) -> None:
    page = visitor.get("/")
    assert page.status_code == 200
    assert names(page.text)[:3] == ["Almond tart", "Apple juice", "Apples"]
    assert "74 products, page 1 of 7" in page.text


def test_the_pages_together_show_each_product_once(visitor: FlaskClient) -> None:
    shown = [name for number in range(1, 8) for name in names(visitor.get(f"/?page={number}").text)]
    assert len(shown) == len(set(shown)) == 74


def test_the_last_page_has_no_next_page(visitor: FlaskClient) -> None:
    page = visitor.get("/?page=7").text
    assert 'rel="prev"' in page
    assert 'rel="next"' not in page


def test_a_page_that_does_not_exist_is_not_found(visitor: FlaskClient, subtests: pytest.Subtests) -> None:
    for number in ("0", "-1", "8", "x", "1e3", "9" * 30):
        with subtests.test(number=number):
            page = visitor.get(f"/?page={number}")
            assert page.status_code == 404
            assert "<h1>Not Found</h1>" in page.text


def test_a_search_finds_names_and_categories_in_any_case(visitor: FlaskClient) -> None:
    assert names(visitor.get("/?q=TEA").text) == ["Breakfast tea", "Green tea"]
    assert "Sourdough loaf" in names(visitor.get("/?q=bakery").text)
    assert names(visitor.get("/?q=dairy+butter").text) == ["Salted butter"]


def test_a_search_keeps_its_words_on_the_next_page(visitor: FlaskClient) -> None:
    assert 'href="/?page=2&amp;q=fruit"' in visitor.get("/?q=fruit").text


def test_a_search_for_anything_else_finds_nothing_and_breaks_nothing(
    visitor: FlaskClient, subtests: pytest.Subtests
) -> None:
    for words in ("%", "_", "\\", "'", '"; --', "no such thing", "<script>", "💶" * 60):
        with subtests.test(words=words):
            page = visitor.get("/", query_string={"q": words})
            assert page.status_code == 200
            assert names(page.text) == []
            assert "Nothing on our shelves matches" in page.text
            assert "<script>" not in page.text


def test_characters_that_cannot_be_printed_are_no_words(visitor: FlaskClient) -> None:
    assert names(visitor.get("/", query_string={"q": "\x00 t\x00ea \x7f"}).text) == ["Breakfast tea", "Green tea"]


def test_a_product_page_tells_price_and_stock(visitor: FlaskClient, books: Books) -> None:
    page = visitor.get(f"/products/{books.product_id('Almond tart')}").text
    assert "<h1>Almond tart</h1>" in page
    assert "€ 4.80" in page
    assert "Only 3 left" in page


def test_a_product_that_is_sold_out_cannot_be_put_into_the_basket(visitor: FlaskClient, books: Books) -> None:
    page = visitor.get(f"/products/{books.product_id('Root beer')}").text
    assert "Sold out" in page
    assert "Add to basket" not in page


def test_a_product_that_does_not_exist_is_not_found(visitor: FlaskClient, subtests: pytest.Subtests) -> None:
    for product_id in ("0", "999999", "2147483648", "9" * 30, "-1", "x"):
        with subtests.test(product_id=product_id):
            assert visitor.get(f"/products/{product_id}").status_code == 404
            assert visitor.post(f"/products/{product_id}/basket", data={"quantity": "1"}).status_code == 404
