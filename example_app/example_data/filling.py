"""Fills an empty shop from the files in this folder."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import select

from .. import orders
from ..clock import now
from ..extensions import uow
from ..models import AuditEntry, Customer, Product

__all__ = ["fill", "is_empty"]

_FOLDER: Final = Path(__file__).parent

# Who bought what, how many hours ago: a place in the list of customers, then places in the list of products.
_ORDERS: Final = (
    (310, 0, {0: 1, 12: 1, 65: 1}),
    (285, 3, {22: 1, 10: 2}),
    (262, 7, {53: 2, 57: 3, 58: 1}),
    (240, 1, {2: 2}),
    (214, 10, {36: 1, 38: 1, 39: 1, 14: 1}),
    (190, 5, {67: 2, 72: 1}),
    (167, 2, {44: 1, 49: 2, 50: 1}),
    (143, 8, {3: 4, 25: 1}),
    (120, 0, {0: 1, 13: 2}),
    (98, 11, {60: 2, 61: 1, 12: 1, 14: 1}),
    (75, 4, {27: 6}),
    (52, 9, {31: 1, 32: 1, 34: 1}),
    (30, 6, {15: 1, 16: 1, 1: 1}),
    (27, 2, {20: 1, 64: 1}),
    (8, 3, {22: 1}),
    (5, 7, {37: 2, 17: 2, 43: 1}),
    (2, 1, {68: 3, 5: 2}),
    (1, 10, {47: 1, 46: 1}),
)


def is_empty() -> bool:
    """Whether the shop has no products at all."""
    return uow.session.scalar(select(Product.id).limit(1)) is None


def fill() -> None:
    """Put products on the shelves, and let customers order some. All of it is one unit: there is no half-filled shop."""
    began = now()
    products = [
        Product(
            category=row["category"],
            name=row["name"],
            description=row["description"],
            price_cents=int(row["price_cents"]),
            stock=int(row["stock"]),
        )
        for row in _rows("products.csv")
    ]
    customers = [Customer(name=row["name"], email=row["email"]) for row in _rows("customers.csv")]
    opening = AuditEntry(
        at=began - timedelta(days=14),
        action="shop opened",
        detail=f"{len(products)} products on the shelves, {len(customers)} customers",
    )
    uow.session.add_all([*products, *customers, opening])
    uow.session.flush()
    for hours, customer, lines in _ORDERS:
        quantities = {products[place].id: quantity for place, quantity in lines.items()}
        orders.place(customers[customer].id, quantities, at=began - timedelta(hours=hours))


def _rows(name: str) -> list[dict[str, str]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
