"""The pages that people see, one module a noun."""

from __future__ import annotations

from . import audit, basket, icon, orders, products
from .blueprint import pages

__all__ = ["audit", "basket", "icon", "orders", "pages", "products"]
