"""By what the rows of a cached result are asked for, and told from one another."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import JSON, select, union
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, aliased, mapped_column

from flask_unitofwork.caching import FromCache
from tests.caching.shop import Product, Shop


class Base(MappedAsDataclass, DeclarativeBase):
    pass


class Leaflet(Base):
    """A dataclass compares its values, and so has no hash; neither has a dict."""

    __tablename__ = "leaflets"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[dict[str, str]] = mapped_column(JSON)


@pytest.fixture
def leaflets(shop: Shop) -> Shop:
    with shop.writing() as session:
        Base.metadata.create_all(session.connection())
        session.add_all([Leaflet(id=1, text={"a": "b"}), Leaflet(id=2, text={"a": "b"})])
    return shop


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        (select(Leaflet), 2),
        (select(Leaflet.text), 1),
        (select(Leaflet, Leaflet.text), 2),
        (select(aliased(Leaflet)), 2),
    ],
)
def test_unique_tells_rows_as_without_a_cache(leaflets: Shop, statement: Any, left: int) -> None:
    def view() -> int:
        return len(leaflets.uow.session.execute(statement.options(FromCache())).unique().all())

    assert leaflets.request(view) == left
    leaflets.forget()
    assert leaflets.request(view) == left
    assert leaflets.sent == []


product: Any = Product.__table__
again = aliased(Product, name="again")


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        (select(Product.name, Product.id), [Product.name, "id"]),
        (select(Product, Product.id), [Product, Product.id, "Product"]),
        (select(again, again.id.label("number")), [again, "number", "again"]),
        (select(product), [product.c.name, "price"]),
        (select(product.c.id.label("number")), ["number"]),
        (union(select(product.c.id), select(product.c.price)), ["id"]),
    ],
)
def test_a_row_is_asked_for_columns_as_without_a_cache(sqlite_shop: Shop, statement: Any, columns: list[Any]) -> None:
    def view(one: Any) -> list[Any]:
        mapping: Any = sqlite_shop.uow.session.execute(one).mappings().first()
        return [getattr(mapping[column], "id", mapping[column]) for column in columns]

    plain = sqlite_shop.request(lambda: view(statement))
    for _ in range(2):
        assert sqlite_shop.request(lambda: view(statement.options(FromCache()))) == plain
