"""The JSON API, one module a noun."""

from __future__ import annotations

from . import audit, customers, orders, problems, products
from .blueprint import api

__all__ = ["api", "audit", "customers", "orders", "problems", "products"]
