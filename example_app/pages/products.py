"""The shelves, and one product."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .. import basket
from ..catalogue import products_matching
from ..extensions import uow
from ..models import Product
from .blueprint import ID, pages
from .order_form import read_quantity

__all__: list[str] = []


@pages.get("/")
def list_products() -> ResponseReturnValue:
    words = request.args.get("q", "").strip()
    page = uow.paginate(products_matching(words), per_page=12)
    return render_template("products.html", page=page, words=words)


@pages.get(f"/products/<{ID}:product_id>")
def show_product(product_id: int) -> ResponseReturnValue:
    return render_template("product.html", product=Product.query.get_or_404(product_id), quantity="1")


@pages.post(f"/products/<{ID}:product_id>/basket")
def add_to_basket(product_id: int) -> ResponseReturnValue:
    product = Product.query.get_or_404(product_id)
    typed = request.form.get("quantity", "")
    quantity, problem = read_quantity(typed)
    if not problem and not basket.add(product.id, quantity):
        problem = "Your basket is full: it cannot take that many."
    if problem:
        return render_template("product.html", product=product, quantity=typed, problem=problem), 422
    flash(f"Added to your basket: {quantity} × {product.name}.")
    return redirect(url_for(".show_basket"), 303)
