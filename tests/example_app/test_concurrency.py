"""Many customers at one moment, through a threaded WSGI server, on every database."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from flask import Flask

from example_app.models import Order
from tests.example_app.conftest import Books, letters
from tests.example_app.serving import in_threads, served


def body(books: Books, *names: str) -> dict[str, Any]:
    """One of each."""
    lines = [{"product_id": books.product_id(name), "quantity": 1} for name in names]
    return {"customer_id": books.customer_id("Ada Okafor"), "lines": lines}


def test_sixteen_customers_buy_the_last_five(shop: Flask, books: Books, instance: Path) -> None:
    books.put_in_stock("Baguette", 5)
    before = books.count(Order)
    with served(shop) as address:
        answers = in_threads(address, [body(books, "Baguette")] * 16)
    assert Counter(status for status, _ in answers) == {201: 5, 409: 11}
    assert books.stock("Baguette") == 0
    assert books.count(Order) == before + 5
    assert len(letters(instance)) == 5


def test_orders_that_name_the_same_products_in_another_order_do_not_block_each_other(shop: Flask, books: Books) -> None:
    books.put_in_stock("Baguette", 50)
    books.put_in_stock("Whole milk", 50)
    there, back = body(books, "Baguette", "Whole milk"), body(books, "Whole milk", "Baguette")
    with served(shop) as address:
        answers = in_threads(address, [there, back] * 8)
    assert Counter(status for status, _ in answers) == {201: 16}
    assert (books.stock("Baguette"), books.stock("Whole milk")) == (34, 34)


def test_an_order_that_is_sent_eight_times_at_once_is_placed_once(shop: Flask, books: Books, instance: Path) -> None:
    books.put_in_stock("Baguette", 1)
    with served(shop) as address:
        answers = in_threads(address, [body(books, "Baguette")] * 8, {"Idempotency-Key": "once"})
    assert Counter(status for status, _ in answers) == {201: 8}
    assert len({answer["id"] for _, answer in answers}) == 1
    assert books.stock("Baguette") == 0
    assert len(letters(instance)) == 1


def test_people_who_look_around_are_not_disturbed_by_people_who_order(shop: Flask, books: Books) -> None:
    books.put_in_stock("Baguette", 16)
    visitor = shop.test_client()
    with served(shop) as address:
        answers = in_threads(address, [body(books, "Baguette")] * 16)
        assert visitor.get("/").status_code == 200
        assert visitor.get("/audit").status_code == 200
    assert Counter(status for status, _ in answers) == {201: 16}
