"""Orders and audit trail, through HTTP."""

from __future__ import annotations

import html
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, event

from example_app.extensions import uow

pytestmark = pytest.mark.uow_isolated


@pytest.fixture
def shop(standing_shop: Flask) -> Flask:
    return standing_shop


def test_orders_are_listed_newest_first_on_pages(visitor: FlaskClient) -> None:
    first, second = (re.findall(r">Order (\d+)</a>", visitor.get(f"/orders?page={page}").text) for page in (1, 2))
    numbers = [int(number) for number in [*first, *second]]
    assert numbers == sorted(numbers, reverse=True)
    assert (len(first), len(second)) == (15, 3)


def test_the_list_of_orders_tells_customer_and_total(visitor: FlaskClient) -> None:
    row = visitor.get("/orders").text.split("<tr>")[2]
    assert "Jamila Osei" not in row
    assert "Kasper O’Neill" in html.unescape(row)
    assert "€ 7.70" in row


def test_the_audit_trail_is_read_from_the_newest_entry_to_the_oldest(visitor: FlaskClient) -> None:
    entries: list[str] = []
    address: str | None = "/audit"
    while address is not None:
        page = visitor.get(address).text
        entries += re.findall(r"<strong>(.*?)</strong>(?: · <a [^>]*>(?:.*?)</a>)?</p>", page)
        older = re.search(r'rel="next" href="(.*?)"', page)
        address = html.unescape(older[1]) if older else None
    assert entries == ["order placed"] * 18 + ["shop opened"]


def test_a_bookmark_that_leads_nowhere_is_not_found(visitor: FlaskClient, subtests: pytest.Subtests) -> None:
    for bookmark in ("x", "💶", "i:x", "\x00", "9" * 400):
        with subtests.test(bookmark=bookmark):
            assert visitor.get("/audit", query_string={"after": bookmark}).status_code == 404


def statements(shop: Flask, address: str) -> int:
    """How many statements a page costs."""
    with shop.app_context():
        engine = uow.engine
    seen: list[str] = []

    def note(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert shop.test_client().get(address).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(seen)


def test_a_long_list_costs_no_more_statements_than_a_short_one(shop: Flask, subtests: pytest.Subtests) -> None:
    for address in ("/api/orders", "/api/products", "/api/customers", "/api/audit"):
        with subtests.test(address=address):
            assert statements(shop, f"{address}?per_page=10") == statements(shop, f"{address}?per_page=2")


def test_no_page_costs_more_than_a_few_statements(shop: Flask, subtests: pytest.Subtests) -> None:
    for address in ("/", "/?q=tea", "/products/1", "/basket", "/orders", "/orders/1", "/audit"):
        with subtests.test(address=address):
            assert statements(shop, address) <= 3
