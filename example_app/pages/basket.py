"""The basket, which is the order form."""

from __future__ import annotations

from collections.abc import Mapping

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from .. import basket
from ..catalogue import products_by_id
from ..extensions import uow
from ..models import Customer
from ..orders import InvalidOrderError
from .blueprint import pages
from .order_form import OrderForm

__all__: list[str] = []


@pages.get("/basket")
def show_basket() -> ResponseReturnValue:
    return _order_form(OrderForm.of_basket())


@pages.post("/basket")
def change_basket() -> ResponseReturnValue:
    if "remove" in request.form:
        basket.remove(request.form.get("remove", 0, type=int))
    else:
        basket.replace(OrderForm.of_request(request.form).read_quantities())
    return redirect(url_for(".show_basket"), 303)


@pages.errorhandler(InvalidOrderError)
def invalid_order(error: InvalidOrderError) -> ResponseReturnValue:
    """The form once more: as it was sent, with what is wrong beside each field."""
    return _order_form(OrderForm.of_request(request.form), error.problems), 422


def _order_form(form: OrderForm, problems: Mapping[str, str] | None = None) -> str:
    products = products_by_id(form.quantities)
    quantities = basket.contents()
    return render_template(
        "basket.html",
        form=form,
        problems=problems or {},
        products=products,
        total_cents=sum(product.price_cents * quantities.get(product.id, 0) for product in products),
        customers=uow.session.scalars(select(Customer).order_by(Customer.name, Customer.id)).all(),
    )
