"""The basket, through HTTP."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.example_app.conftest import Books

pytestmark = pytest.mark.uow_isolated


@pytest.fixture
def shop(standing_shop: Flask) -> Flask:
    return standing_shop


def add(visitor: FlaskClient, books: Books, name: str, quantity: str) -> int:
    """Put something into the basket; the status says whether it is in."""
    return visitor.post(f"/products/{books.product_id(name)}/basket", data={"quantity": quantity}).status_code


def contents(visitor: FlaskClient) -> dict[int, str]:
    """What the basket's page shows: quantities by product id."""
    page = visitor.get("/basket").text
    return {int(id_): value for id_, value in re.findall(r'<input id="quantity-(\d+)"[^>]* value="(.*?)"', page)}


def test_a_new_visitor_has_an_empty_basket(visitor: FlaskClient) -> None:
    assert "There is nothing in it yet" in visitor.get("/basket").text


def test_a_product_can_be_put_into_the_basket_more_than_once(visitor: FlaskClient, books: Books) -> None:
    add(visitor, books, "Baguette", "2")
    add(visitor, books, "Baguette", "3")
    add(visitor, books, "Whole milk", "1")
    assert contents(visitor) == {books.product_id("Baguette"): "5", books.product_id("Whole milk"): "1"}
    assert "Total: <strong>€ 9.50</strong>" in visitor.get("/basket").text


def test_the_menu_counts_what_is_in_the_basket(visitor: FlaskClient, books: Books) -> None:
    assert 'class="count"' not in visitor.get("/").text
    add(visitor, books, "Baguette", "2")
    assert '<span class="count">2' in visitor.get("/").text


def test_a_quantity_that_makes_no_sense_is_explained(
    visitor: FlaskClient, books: Books, subtests: pytest.Subtests
) -> None:
    address = f"/products/{books.product_id('Baguette')}/basket"
    for quantity in ("0", "100", "-1", "x", "", "<b>"):
        with subtests.test(quantity=quantity):
            page = visitor.post(address, data={"quantity": quantity})
            assert page.status_code == 422
            assert "Write a whole number from 1 to 99." in page.text
            assert "<b>" not in page.text
            assert contents(visitor) == {}


def test_the_basket_takes_no_more_of_a_product_than_an_order_may_have(visitor: FlaskClient, books: Books) -> None:
    assert add(visitor, books, "Baguette", "99") == 303
    assert add(visitor, books, "Baguette", "1") == 422
    assert contents(visitor) == {books.product_id("Baguette"): "99"}


def test_the_basket_can_be_changed(visitor: FlaskClient, books: Books) -> None:
    add(visitor, books, "Baguette", "2")
    add(visitor, books, "Whole milk", "1")
    bread, milk = books.product_id("Baguette"), books.product_id("Whole milk")
    changed = visitor.post("/basket", data={f"quantity-{bread}": "7", f"quantity-{milk}": "0"})
    assert changed.status_code == 303
    assert contents(visitor) == {bread: "7"}


def test_a_change_that_makes_no_sense_changes_nothing(visitor: FlaskClient, books: Books) -> None:
    add(visitor, books, "Baguette", "2")
    bread = books.product_id("Baguette")
    page = visitor.post("/basket", data={f"quantity-{bread}": "many"})
    assert page.status_code == 422
    assert "Write a whole number from 0 to 99." in page.text
    assert contents(visitor) == {bread: "2"}


def test_a_product_can_be_taken_out(visitor: FlaskClient, books: Books) -> None:
    add(visitor, books, "Baguette", "2")
    add(visitor, books, "Whole milk", "1")
    visitor.post("/basket", data={"remove": str(books.product_id("Baguette"))})
    assert contents(visitor) == {books.product_id("Whole milk"): "1"}


def test_fields_of_no_product_are_passed_over(visitor: FlaskClient, subtests: pytest.Subtests) -> None:
    for form in ({"remove": "x"}, {"remove": "999"}, {"quantity-x": "1"}, {"quantity-999999": "1"}):
        with subtests.test(form=form):
            assert visitor.post("/basket", data=form).status_code == 303
            assert contents(visitor) == {}


def test_a_basket_with_a_forged_signature_is_an_empty_one(visitor: FlaskClient, books: Books) -> None:
    add(visitor, books, "Baguette", "2")
    cookie = visitor.get_cookie("corner_shop")
    assert cookie is not None
    visitor.set_cookie("corner_shop", cookie.value[:-3] + "abc")
    assert contents(visitor) == {}
