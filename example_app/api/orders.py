"""Orders."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TypeGuard, cast

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from .. import orders
from ..extensions import uow
from ..models import Order, OrderLine
from ..money import CURRENCY
from ..orders import InvalidOrderError, OutOfStockError
from .blueprint import ID, api
from .listing import listing
from .problems import problem

__all__: list[str] = []

_WITH_LINES = (joinedload(Order.customer), selectinload(Order.lines).joinedload(OrderLine.product))


@api.get("/orders")
def list_orders() -> ResponseReturnValue:
    return listing(select(Order).options(*_WITH_LINES).order_by(Order.id.desc()), _represent)


@api.get(f"/orders/<{ID}:order_id>")
def show_order(order_id: int) -> ResponseReturnValue:
    return _represent(uow.get_or_404(Order, order_id, options=_WITH_LINES))


@api.post("/orders")
def place_order() -> ResponseReturnValue:
    """Place an order: ``{"customer_id": 1, "lines": [{"product_id": 7, "quantity": 2}]}``.

    A client that may send an order twice gives it an ``Idempotency-Key`` header, and it is placed once.
    """
    customer_id, quantities = _read(request.get_json())
    order = orders.place(customer_id, quantities, reference=request.headers.get("Idempotency-Key"))
    return _represent(order), 201, {"Location": url_for("api.show_order", order_id=order.id)}


@api.errorhandler(InvalidOrderError)
def invalid_order(error: InvalidOrderError) -> ResponseReturnValue:
    return problem(422, "Invalid order", "The order cannot be read. Nothing was ordered.", problems=error.problems)


@api.errorhandler(OutOfStockError)
def out_of_stock(error: OutOfStockError) -> ResponseReturnValue:
    shortages = [asdict(shortage) for shortage in error.shortages]
    return problem(409, "Too little stock", "There is too little stock. Nothing was ordered.", shortages=shortages)


def _read(body: object) -> tuple[int, dict[int, int]]:
    """The customer and the quantities that a body says, checked as far as types go."""
    if not isinstance(body, dict):
        raise InvalidOrderError({"lines": "Send an object with customer_id and lines."})
    fields = cast(dict[str, object], body)
    customer_id, lines = fields.get("customer_id"), fields.get("lines")
    if not _is_whole_number(customer_id):
        raise InvalidOrderError({"customer_id": "Send the customer's id, a whole number."})
    if not isinstance(lines, list):
        raise InvalidOrderError({"lines": "Send a list of objects with product_id and quantity."})
    quantities: dict[int, int] = {}
    for line in cast(list[object], lines):
        product_id, quantity = _read_line(line)
        if product_id in quantities:
            raise InvalidOrderError({"lines": f"Product {product_id} is there twice: send one line with the sum."})
        quantities[product_id] = quantity
    return customer_id, quantities


def _read_line(line: object) -> tuple[int, int]:
    fields = cast(dict[str, object], line) if isinstance(line, dict) else {}
    product_id, quantity = fields.get("product_id"), fields.get("quantity")
    if not (_is_whole_number(product_id) and _is_whole_number(quantity)):
        raise InvalidOrderError({"lines": "Send product_id and quantity of each line, whole numbers."})
    return product_id, quantity


def _is_whole_number(value: object) -> TypeGuard[int]:
    # JSON's true is an int to Python; a number past 32 bits is nobody's id and too much for the database's columns.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _represent(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "reference": order.reference,
        "customer": {"id": order.customer.id, "name": order.customer.name},
        "placed_at": order.placed_at.isoformat(),
        "lines": [
            {
                "product_id": line.product_id,
                "name": line.product.name,
                "quantity": line.quantity,
                "unit_price_cents": line.unit_price_cents,
                "total_cents": line.total_cents,
            }
            for line in order.lines
        ],
        "total_cents": order.total_cents,
        "currency": CURRENCY,
        "url": url_for("api.show_order", order_id=order.id),
    }
