"""Money is whole cents, an int: sums are exact in Python and in every database."""

from __future__ import annotations

from typing import Final

__all__ = ["CURRENCY", "price"]

CURRENCY: Final = "EUR"


def price(cents: int) -> str:
    """An amount as people read it.

    Args:
        cents: the amount in cents, 0 or more.

    Example:
        >>> price(123_405)
        '€ 1,234.05'
    """
    return f"€ {cents // 100:,}.{cents % 100:02}"
