"""What is on the shelves, and how it is found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Select, or_, select

from .extensions import uow
from .models import Product

__all__ = ["products_by_id", "products_matching", "search_words"]

_MOST_WORDS = 8


def search_words(text: str) -> list[str]:
    """The words to look for in what somebody typed. Unprintable characters are dropped: PostgreSQL refuses NUL."""
    return "".join(character for character in text if character.isprintable()).split()[:_MOST_WORDS]


def products_matching(text: str = "") -> Select[Product]:
    """The products in whose name or category every word of *text* occurs, by name. All of them for an empty text."""
    statement = select(Product).order_by(Product.name, Product.id)
    for word in search_words(text):
        # autoescape: a "%" that somebody types is a percent sign, not a wildcard.
        found = (column.icontains(word, autoescape=True) for column in (Product.name, Product.category))
        statement = statement.where(or_(*found))
    return statement


def products_by_id(ids: Iterable[int]) -> Sequence[Product]:
    """The products with these ids, by name. Ids of no product are passed over."""
    return uow.session.scalars(select(Product).where(Product.id.in_(ids)).order_by(Product.name, Product.id)).all()
