"""Orders: placing one, one, all."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from .. import basket, orders
from ..extensions import uow
from ..models import Order, OrderLine
from ..orders import OutOfStockError
from .blueprint import ID, pages
from .order_form import OrderForm

__all__: list[str] = []


@pages.get("/orders")
def list_orders() -> ResponseReturnValue:
    newest_first = (
        select(Order).options(joinedload(Order.customer), selectinload(Order.lines)).order_by(Order.id.desc())
    )
    return render_template("orders.html", page=uow.paginate(newest_first, per_page=15))


@pages.get(f"/orders/<{ID}:order_id>")
def show_order(order_id: int) -> ResponseReturnValue:
    order = Order.query.options(
        joinedload(Order.customer), selectinload(Order.lines).joinedload(OrderLine.product)
    ).get_or_404(order_id)
    return render_template("order.html", order=order)


@pages.post("/orders")
def place_order() -> ResponseReturnValue:
    form = OrderForm.of_request(request.form)
    quantities = form.read_quantities()
    basket.replace(quantities)  # what was typed last is in the basket, should the order fail
    order = orders.place(form.read_customer(), quantities, reference=form.reference)
    order_id = order.id

    def is_placed() -> None:
        basket.clear()
        flash(f"Order {order_id} is placed. Thank you!")

    # After the commit: until then the order may still fail, and the basket must not be gone with it.
    uow.on_commit(is_placed)
    return redirect(url_for(".show_order", order_id=order_id), 303)


@pages.errorhandler(OutOfStockError)
def out_of_stock(error: OutOfStockError) -> ResponseReturnValue:
    return render_template("out_of_stock.html", shortages=error.shortages), 409
