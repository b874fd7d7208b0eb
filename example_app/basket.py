"""What a visitor means to order: kept in their signed session cookie, so that looking around writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import session

from .orders import MAX_LINES, MAX_QUANTITY

__all__ = ["add", "clear", "contents", "remove", "replace", "size"]

_KEY: Final = "basket"


def contents() -> dict[int, int]:
    """How many of which product, by product id."""
    # JSON, which the cookie holds, knows only strings as keys.
    return {int(product_id): quantity for product_id, quantity in session.get(_KEY, {}).items()}


def size() -> int:
    """How many things are in the basket."""
    return sum(contents().values())


def add(product_id: int, quantity: int) -> bool:
    """Put something in, as far as one order may go.

    Returns:
        False if the basket holds as many different products as an order may have, or as many of this one.
    """
    quantities = contents()
    total = quantities.get(product_id, 0) + quantity
    if total > MAX_QUANTITY or len(quantities | {product_id: total}) > MAX_LINES:
        return False
    replace(quantities | {product_id: total})
    return True


def remove(product_id: int) -> None:
    """Take a product out; nothing happens if it is not in."""
    replace({id_: quantity for id_, quantity in contents().items() if id_ != product_id})


def replace(quantities: Mapping[int, int]) -> None:
    """Let the basket hold this and nothing else."""
    session[_KEY] = {str(product_id): quantity for product_id, quantity in quantities.items()}


def clear() -> None:
    """Empty it."""
    session.pop(_KEY, None)
