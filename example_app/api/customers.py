"""Customers: read only, for whoever wants to order in their name."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy import select

from ..models import Customer
from .blueprint import api
from .listing import listing

__all__: list[str] = []


@api.get("/customers")
def list_customers() -> ResponseReturnValue:
    return listing(select(Customer).order_by(Customer.name, Customer.id), _represent)


def _represent(customer: Customer) -> dict[str, Any]:
    return {"id": customer.id, "name": customer.name, "email": customer.email}
