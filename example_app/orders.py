"""Placing an order: the one thing in the shop that must happen completely or not at all.

Note: who gets the last loaf
    Two customers who want the last loaf both read "1 left" unless one waits for the other. ``SELECT … FOR UPDATE``
    makes the second wait until the first's unit is over, and then read what it left. The rows are locked in the order
    of their ids, whatever the order's lines say: with "bread, milk" here and "milk, bread" there, each would hold
    what the other waits for. SQLite has no row locks and ignores FOR UPDATE; there, flask_unitofwork begins the
    unit of a POST with BEGIN IMMEDIATE, which makes writers wait for each other before they read.

    The lock is the first statement of the unit. On MariaDB a plain SELECT before it would fix the snapshot of the
    transaction, and the stock read under the lock may then be newer than that snapshot, which MariaDB refuses.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from . import outbox
from .clock import now
from .extensions import uow
from .models import MAX_REFERENCE, AuditEntry, Customer, Order, OrderLine, Product
from .money import price

__all__ = ["MAX_LINES", "MAX_QUANTITY", "InvalidOrderError", "OutOfStockError", "Shortage", "place"]

MAX_LINES: Final = 20
MAX_QUANTITY: Final = 99


class InvalidOrderError(Exception):
    """An order that cannot be understood, however much stock there is.

    Attributes:
        problems: what is wrong, by field: ``customer_id``, ``lines``, ``reference`` or ``quantity-<product id>``.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in problems.items()))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class Shortage:
    """A product of which there is too little. Plain values: they outlive the session that read them."""

    product_id: int
    name: str
    wanted: int
    in_stock: int


class OutOfStockError(Exception):
    """There is too little of at least one product. Nothing was sold."""

    def __init__(self, shortages: list[Shortage]) -> None:
        super().__init__("; ".join(f"{each.name}: {each.wanted} wanted, {each.in_stock} left" for each in shortages))
        self.shortages = shortages


@uow.transaction()
def place(
    customer_id: int, quantities: Mapping[int, int], *, reference: str | None = None, at: datetime | None = None
) -> Order:
    """Sell: take the goods from the shelves, write the order, its lines and the audit trail, as one unit.

    Args:
        customer_id: who orders.
        quantities: how many of which product, by product id.
        reference: names this order among all. An order sent twice with the same reference, by an impatient double
            click or a client that tries again, is placed once; both get the same order.
        at: when it was placed; now if not given.

    Returns:
        The order, with its id.

    Raises:
        InvalidOrderError: the customer, a product or a quantity does not exist.
        OutOfStockError: too little stock.
    """
    problems = _problems(quantities, reference)
    if problems:
        raise InvalidOrderError(problems)
    products = _locked(quantities)  # first of all statements: see the note "who gets the last loaf"
    if reference is not None and (earlier := Order.query.filter_by(reference=reference).one_or_none()) is not None:
        return earlier
    customer = uow.session.get(Customer, customer_id)
    if customer is None:
        problems["customer_id"] = "There is no such customer."
    problems |= {f"quantity-{id_}": "There is no such product." for id_ in quantities if id_ not in products}
    if customer is None or problems:
        raise InvalidOrderError(problems)
    shortages = [
        Shortage(product.id, product.name, quantities[product.id], product.stock)
        for product in products.values()
        if product.stock < quantities[product.id]
    ]
    if shortages:
        raise OutOfStockError(shortages)

    order = Order(reference=reference or uuid.uuid4().hex, customer=customer, placed_at=at or now())
    for product in products.values():
        product.stock -= quantities[product.id]
        order.lines.append(
            OrderLine(product=product, quantity=quantities[product.id], unit_price_cents=product.price_cents)
        )
    uow.session.add(order)
    uow.session.flush()
    order_id = order.id
    detail = ", ".join(f"{line.quantity} × {line.product.name} ({line.product.stock} left)" for line in order.lines)
    uow.session.add(
        AuditEntry(
            at=order.placed_at,
            action="order placed",
            order_id=order_id,
            detail=f"{customer.name}, {price(order.total_cents)}: {detail}"[:1000],
        )
    )
    # Only an order that exists is confirmed: should the commit fail, the customer hears nothing of it.
    uow.on_commit(lambda: outbox.confirm(order_id))
    return order


def _problems(quantities: Mapping[int, int], reference: str | None) -> dict[str, str]:
    """What can be said against an order without asking the database."""
    problems = {
        f"quantity-{id_}": f"Order between 1 and {MAX_QUANTITY}."
        for id_, quantity in quantities.items()
        if not 1 <= quantity <= MAX_QUANTITY
    }
    if not quantities:
        problems["lines"] = "Order at least one product."
    elif len(quantities) > MAX_LINES:
        problems["lines"] = f"Order at most {MAX_LINES} different products at once."
    if reference is not None and not (
        1 <= len(reference) <= MAX_REFERENCE and reference.isascii() and reference.isprintable()
    ):
        problems["reference"] = f"A reference is 1 to {MAX_REFERENCE} printable ASCII characters."
    return problems


def _locked(quantities: Mapping[int, int]) -> dict[int, Product]:
    """The products, locked and freshly read, by id."""
    statement = select(Product).where(Product.id.in_(quantities)).order_by(Product.id).with_for_update()
    # populate_existing: a product that the session has seen before shows the stock of now, not of then.
    found = uow.session.scalars(statement, execution_options={"populate_existing": True})
    return {product.id: product for product in found}
