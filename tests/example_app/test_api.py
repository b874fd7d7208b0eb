"""The JSON API: what the pages do, for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.example_app.conftest import Books, letters

NONSENSE: Final[list[tuple[object, str]]] = [
    ([], "lines"),
    ("order", "lines"),
    ({}, "customer_id"),
    ({"customer_id": "1", "lines": []}, "customer_id"),
    ({"customer_id": True, "lines": []}, "customer_id"),
    ({"customer_id": 10**40, "lines": []}, "customer_id"),
    ({"customer_id": 1}, "lines"),
    ({"customer_id": 1, "lines": []}, "lines"),
    ({"customer_id": 1, "lines": [1]}, "lines"),
    ({"customer_id": 1, "lines": [{"product_id": 1}]}, "lines"),
    ({"customer_id": 1, "lines": [{"product_id": 1, "quantity": 1.5}]}, "lines"),
    ({"customer_id": 1, "lines": [{"product_id": 1, "quantity": -1}]}, "lines"),
    ({"customer_id": 1, "lines": [{"product_id": 1, "quantity": 1}] * 2}, "lines"),
    ({"customer_id": 1, "lines": [{"product_id": 1, "quantity": 0}]}, "quantity-1"),
    ({"customer_id": 1, "lines": [{"product_id": 1, "quantity": 100}]}, "quantity-1"),
    ({"customer_id": 1, "lines": [{"product_id": 2**31 - 1, "quantity": 1}]}, "quantity-2147483647"),
    ({"customer_id": 2**31 - 1, "lines": [{"product_id": 1, "quantity": 1}]}, "customer_id"),
    ({"customer_id": 1, "lines": [{"product_id": id_, "quantity": 1} for id_ in range(1, 22)]}, "lines"),
]
"""Bodies that are no order, and the field that each is refused for."""


def body(books: Books, quantities: dict[str, int]) -> dict[str, Any]:
    """An order, quantities by the products' names."""
    lines = [{"product_id": books.product_id(name), "quantity": quantity} for name, quantity in quantities.items()]
    return {"customer_id": books.customer_id("Ada Okafor"), "lines": lines}


def problem(response: TestResponse, status: int) -> dict[str, Any]:
    """The problem details of a refused request."""
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    details: dict[str, Any] = response.get_json()
    assert details["status"] == status
    return details


def test_products_are_listed_on_pages(visitor: FlaskClient) -> None:
    page = visitor.get("/api/products?per_page=10&page=2").get_json()
    assert (page["page"], page["pages"], page["per_page"], page["total"]) == (2, 8, 10, 74)
    assert len(page["items"]) == 10


def test_a_page_of_products_has_at_most_a_hundred(visitor: FlaskClient) -> None:
    page = visitor.get("/api/products?per_page=100000").get_json()
    assert (page["per_page"], len(page["items"])) == (100, 74)


def test_products_are_found_by_their_words(visitor: FlaskClient) -> None:
    assert [item["name"] for item in visitor.get("/api/products?q=tea").get_json()["items"]] == [
        "Breakfast tea",
        "Green tea",
    ]


def test_a_product_tells_price_in_cents_and_stock(visitor: FlaskClient, books: Books) -> None:
    product_id = books.product_id("Almond tart")
    product = visitor.get(f"/api/products/{product_id}").get_json()
    assert product == {
        "id": product_id,
        "name": "Almond tart",
        "category": "Bakery",
        "description": "A small tart with a thin base and too many almonds.",
        "price_cents": 480,
        "stock": 3,
        "url": f"/api/products/{product_id}",
    }


def test_customers_are_listed(visitor: FlaskClient) -> None:
    page = visitor.get("/api/customers").get_json()
    assert page["total"] == 12
    assert page["items"][0]["name"] == "Ada Okafor"


def test_an_order_is_placed_as_a_whole(visitor: FlaskClient, books: Books, instance: Path) -> None:
    stock = books.stock("Baguette")
    response = visitor.post("/api/orders", json=body(books, {"Baguette": 3}))
    placed = response.get_json()
    assert response.status_code == 201
    assert response.location == f"/api/orders/{placed['id']}"
    assert placed["total_cents"] == 480
    assert books.stock("Baguette") == stock - 3
    assert books.lines(placed["id"]) == [("Baguette", 3, 160)]
    assert len(books.audited(placed["id"])) == 1
    assert len(letters(instance)) == 1


def test_an_order_reads_as_it_was_answered(visitor: FlaskClient, books: Books) -> None:
    placed = visitor.post("/api/orders", json=body(books, {"Baguette": 3, "Whole milk": 1})).get_json()
    assert visitor.get(placed["url"]).get_json() == placed
    assert visitor.get("/api/orders?per_page=1").get_json()["items"] == [placed]


def test_an_order_with_a_known_key_is_not_placed_again(visitor: FlaskClient, books: Books) -> None:
    send = {"json": body(books, {"Almond tart": 2}), "headers": {"Idempotency-Key": "once"}}
    first, second = visitor.post("/api/orders", **send), visitor.post("/api/orders", **send)
    assert first.get_json() == second.get_json()
    assert books.stock("Almond tart") == 1


def test_orders_without_a_key_are_orders_of_their_own(visitor: FlaskClient, books: Books) -> None:
    first, second = (visitor.post("/api/orders", json=body(books, {"Baguette": 1})).get_json() for _ in range(2))
    assert first["id"] != second["id"]


def test_too_little_stock_is_a_409_that_leaves_nothing_behind(
    visitor: FlaskClient, books: Books, instance: Path
) -> None:
    before = books.all_counts()
    response = visitor.post("/api/orders", json=body(books, {"Baguette": 1, "Almond tart": 4}))
    assert problem(response, 409)["shortages"] == [
        {"product_id": books.product_id("Almond tart"), "name": "Almond tart", "wanted": 4, "in_stock": 3}
    ]
    assert books.all_counts() == before
    assert letters(instance) == []


def test_an_order_that_makes_no_sense_is_explained(
    visitor: FlaskClient, books: Books, subtests: pytest.Subtests
) -> None:
    before = books.all_counts()
    for sent, field in NONSENSE:
        with subtests.test(sent=sent):
            assert field in problem(visitor.post("/api/orders", json=sent), 422)["problems"]
    assert books.all_counts() == before


def test_a_body_that_is_no_json_is_refused(visitor: FlaskClient) -> None:
    problem(visitor.post("/api/orders", data="{", content_type="application/json"), 400)
    problem(visitor.post("/api/orders", data="a=b"), 415)
    problem(visitor.post("/api/orders", data=b" " * 70_000, content_type="application/json"), 413)


def test_what_does_not_exist_is_a_404_in_json(visitor: FlaskClient, subtests: pytest.Subtests) -> None:
    for address in ("/api/", "/api/nothing", "/api/products/999999", "/api/orders/999999", "/api/products?page=99"):
        with subtests.test(address=address):
            assert problem(visitor.get(address), 404)["title"] == "Not Found"


def test_a_method_that_is_not_there_is_a_405_in_json(visitor: FlaskClient) -> None:
    problem(visitor.delete("/api/orders/1"), 405)


def test_the_audit_trail_is_read_with_bookmarks(visitor: FlaskClient) -> None:
    actions: list[str] = []
    bookmark = None
    while True:
        page = visitor.get("/api/audit", query_string={"per_page": "7"} | ({"after": bookmark} if bookmark else {}))
        actions += [entry["action"] for entry in page.get_json()["items"]]
        bookmark = page.get_json()["next"]
        if bookmark is None:
            break
    assert actions == ["order placed"] * 18 + ["shop opened"]
