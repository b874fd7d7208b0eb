"""Products."""

from __future__ import annotations

from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue

from ..catalogue import products_matching
from ..extensions import uow
from ..models import Product
from .blueprint import ID, api
from .listing import listing

__all__: list[str] = []


@api.get("/products")
def list_products() -> ResponseReturnValue:
    return listing(products_matching(request.args.get("q", "")), _represent)


@api.get(f"/products/<{ID}:product_id>")
def show_product(product_id: int) -> ResponseReturnValue:
    return _represent(uow.get_or_404(Product, product_id))


def _represent(product: Product) -> dict[str, Any]:
    return {
        "id": product.id,
        "name": product.name,
        "category": product.category,
        "description": product.description,
        "price_cents": product.price_cents,
        "stock": product.stock,
        "url": url_for("api.show_product", product_id=product.id),
    }
