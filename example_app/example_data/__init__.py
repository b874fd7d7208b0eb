"""The shop's first stock: made up, the same each time."""

from __future__ import annotations

from .filling import fill, is_empty

__all__ = ["fill", "is_empty"]
