"""Placing an order on the pages: all of it, or nothing."""

from __future__ import annotations

import email
import email.policy
import re
from pathlib import Path

import markupsafe
import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from example_app.extensions import uow
from tests.example_app.conftest import Books, letters, order_number


def order(books: Books, quantities: dict[str, object], **fields: str) -> dict[str, str]:
    """The fields of an order form: quantities by the products' names."""
    form = {f"quantity-{books.product_id(name)}": str(quantity) for name, quantity in quantities.items()}
    return {"customer_id": str(books.customer_id("Ada Okafor")), "reference": "a-form"} | form | fields


def put_into_basket(visitor: FlaskClient, books: Books, name: str, quantity: int = 1) -> None:
    address = f"/products/{books.product_id(name)}/basket"
    assert visitor.post(address, data={"quantity": str(quantity)}).status_code == 303


def test_an_order_takes_stock_and_writes_order_lines_and_audit_entry(visitor: FlaskClient, books: Books) -> None:
    stock = books.stock("Baguette")
    placed = order_number(visitor.post("/orders", data=order(books, {"Baguette": 3, "Ground coffee": 1})))
    assert books.stock("Baguette") == stock - 3
    assert books.lines(placed) == [("Baguette", 3, 160), ("Ground coffee", 1, 620)]
    assert books.audited(placed) == [
        f"Ada Okafor, € 11.00: 3 × Baguette ({stock - 3} left), 1 × Ground coffee (17 left)",
    ]


def test_an_order_has_a_page_and_is_first_in_the_list(visitor: FlaskClient, books: Books) -> None:
    placed = order_number(visitor.post("/orders", data=order(books, {"Baguette": 2})))
    page = visitor.get(f"/orders/{placed}").text
    assert f"Order {placed} is placed. Thank you!" in page
    assert "Ada Okafor" in page
    assert "€ 3.20" in page
    assert re.findall(r">Order (\d+)</a>", visitor.get("/orders").text)[0] == str(placed)
    assert f">Order {placed}</a>" in visitor.get("/audit").text


def test_an_order_is_confirmed_by_a_letter(visitor: FlaskClient, books: Books, instance: Path) -> None:
    placed = order_number(visitor.post("/orders", data=order(books, {"Baguette": 2})))
    (written,) = letters(instance)
    letter = email.message_from_bytes(written.read_bytes(), policy=email.policy.default)
    assert letter["To"] == "ada.okafor@example.com"
    assert letter["Subject"] == f"Your order {placed}"
    assert "2 x Baguette: € 3.20" in letter.get_content()


def test_an_order_empties_the_basket(visitor: FlaskClient, books: Books) -> None:
    put_into_basket(visitor, books, "Baguette")
    visitor.post("/orders", data=order(books, {"Baguette": 1}))
    assert "There is nothing in it yet" in visitor.get("/basket").text


def test_too_little_stock_is_a_409_page_that_leaves_nothing_behind(
    visitor: FlaskClient, books: Books, instance: Path
) -> None:
    before = books.all_counts()
    page = visitor.post("/orders", data=order(books, {"Baguette": 1, "Almond tart": 4, "Root beer": 1}))
    assert page.status_code == 409
    assert "We don’t have that many" in page.text
    assert "Almond tart</a>: you wanted 4, only 3 are left" in page.text
    assert "Root beer</a>: you wanted 1, none is left" in page.text
    assert ">Baguette</a>" not in page.text
    assert books.all_counts() == before
    assert letters(instance) == []


def test_after_a_409_the_basket_still_holds_what_was_wanted(visitor: FlaskClient, books: Books) -> None:
    visitor.post("/orders", data=order(books, {"Almond tart": 4}))
    assert re.search(r'<input id="quantity-\d+"[^>]* value="4"', visitor.get("/basket").text)


def test_exactly_the_rest_of_the_stock_can_be_ordered(visitor: FlaskClient, books: Books) -> None:
    order_number(visitor.post("/orders", data=order(books, {"Almond tart": 3})))
    assert books.stock("Almond tart") == 0


def test_an_order_whose_commit_fails_leaves_nothing_behind(
    shop: Flask, visitor: FlaskClient, books: Books, instance: Path
) -> None:
    def cut_the_power() -> None:
        raise RuntimeError("the power is out")

    @shop.before_request
    def order_in_bad_weather() -> None:
        if request.path == "/orders" and request.method == "POST":
            uow.before_commit(cut_the_power)

    shop.config["PROPAGATE_EXCEPTIONS"] = False
    put_into_basket(visitor, books, "Baguette", 2)
    before = books.all_counts()
    page = visitor.post("/orders", data=order(books, {"Baguette": 2}))
    assert page.status_code == 500
    assert "nothing was changed" in page.text
    assert books.all_counts() == before
    assert letters(instance) == []
    basket = visitor.get("/basket").text
    assert ">Baguette</a>" in basket
    assert "is placed" not in basket


def test_a_form_that_is_sent_twice_orders_once(visitor: FlaskClient, books: Books, instance: Path) -> None:
    form = order(books, {"Almond tart": 3}, reference="the-same")
    first = order_number(visitor.post("/orders", data=form))
    assert order_number(visitor.post("/orders", data=form)) == first
    assert books.stock("Almond tart") == 0
    assert len(letters(instance)) == 1


def test_a_quantity_that_cannot_be_ordered_is_explained_beside_its_field(
    visitor: FlaskClient, books: Books, subtests: pytest.Subtests
) -> None:
    before = books.all_counts()
    milk = books.product_id("Whole milk")
    for quantity in ("-1", "100", "1.5", "1e1", "x", "1_0", "", "٣", "9" * 400, '"><b>'):
        with subtests.test(quantity=quantity):
            page = visitor.post("/orders", data=order(books, {"Baguette": 1, "Whole milk": quantity}))
            assert page.status_code == 422
            assert "<title>Error: Basket" in page.text
            assert f'id="quantity-{milk}-problem">Write a whole number from 0 to 99.</p>' in page.text
            assert f'aria-describedby="quantity-{milk}-problem"' in page.text
            assert f'value="{markupsafe.escape(quantity)}"' in page.text
    assert books.all_counts() == before


def test_an_order_needs_a_customer(visitor: FlaskClient, books: Books, subtests: pytest.Subtests) -> None:
    before = books.all_counts()
    for customer_id, problem in (
        ("", "Choose who orders."),
        ("x", "Choose who orders."),
        ("99999999999", "Choose who orders."),
        ("999999", "There is no such customer."),
    ):
        with subtests.test(customer_id=customer_id):
            page = visitor.post("/orders", data=order(books, {"Baguette": 1}, customer_id=customer_id))
            assert page.status_code == 422
            assert f'<p class="problem" id="customer_id-problem">{problem}</p>' in page.text
    assert books.all_counts() == before


def test_an_order_of_nothing_is_refused(visitor: FlaskClient, books: Books) -> None:
    page = visitor.post("/orders", data=order(books, {"Baguette": 0}))
    assert page.status_code == 422
    assert "Order at least one product." in page.text


def test_an_order_of_too_many_products_is_refused(visitor: FlaskClient, books: Books) -> None:
    form = order(books, {}) | {f"quantity-{number}": "1" for number in range(1, 22)}
    page = visitor.post("/orders", data=form)
    assert page.status_code == 422
    assert "Order at most 20 different products at once." in page.text


def test_an_order_of_a_product_that_does_not_exist_is_refused(visitor: FlaskClient, books: Books) -> None:
    page = visitor.post("/orders", data=order(books, {"Baguette": 1}, **{"quantity-999999": "1"}))
    assert page.status_code == 422
    assert "There is no such product." in page.text


def test_an_order_needs_a_reference_that_can_be_kept(
    visitor: FlaskClient, books: Books, subtests: pytest.Subtests
) -> None:
    for reference in ("", "x" * 65, "line\nbreak", "ü"):
        with subtests.test(reference=reference):
            page = visitor.post("/orders", data=order(books, {"Baguette": 1}, reference=reference))
            assert page.status_code == 422
            assert "A reference is 1 to 64 printable ASCII characters." in page.text


def test_an_order_that_does_not_exist_is_not_found(visitor: FlaskClient, subtests: pytest.Subtests) -> None:
    for order_id in ("0", "999999", "9" * 30, "x"):
        with subtests.test(order_id=order_id):
            assert visitor.get(f"/orders/{order_id}").status_code == 404
