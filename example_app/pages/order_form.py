"""The order form: what was typed, and what it means."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Final, Self

from werkzeug.datastructures import MultiDict

from .. import basket
from ..orders import MAX_LINES, MAX_QUANTITY, InvalidOrderError

__all__ = ["OrderForm", "read_quantity"]

_QUANTITY: Final = "quantity-"
_MOST_DIGITS: Final = 9  # such a number fits every database's integer column


def read_quantity(typed: str, *, least: int = 1) -> tuple[int, str]:
    """A quantity as a number, and what is wrong with it: an empty string if nothing is."""
    number = _whole_number(typed)
    if number is None or not least <= number <= MAX_QUANTITY:
        return 0, f"Write a whole number from {least} to {MAX_QUANTITY}."
    return number, ""


def _whole_number(typed: str) -> int | None:
    # Stricter than int(), which also reads "1_0" and other scripts' digits.
    text = typed.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


@dataclass(frozen=True, slots=True)
class OrderForm:
    """The fields of the order form, as text.

    Attributes:
        customer_id: the chosen customer; empty where none is.
        quantities: by product id.
        reference: travels with the form, so that sending it twice orders once.
    """

    customer_id: str = ""
    quantities: dict[int, str] = field(default_factory=dict)
    reference: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of_basket(cls) -> Self:
        """A fresh form for what the basket holds."""
        return cls(quantities={product_id: str(quantity) for product_id, quantity in basket.contents().items()})

    @classmethod
    def of_request(cls, form: MultiDict[str, str]) -> Self:
        """The form as it was sent. Fields that this form does not have are ignored."""
        ids = {name: _whole_number(name.removeprefix(_QUANTITY)) for name in form if name.startswith(_QUANTITY)}
        return cls(
            customer_id=form.get("customer_id", ""),
            quantities={product_id: form[name] for name, product_id in ids.items() if product_id is not None},
            reference=form.get("reference", ""),
        )

    def read_quantities(self) -> dict[int, int]:
        """How many of which product; those of which there are 0 left out.

        Raises:
            InvalidOrderError: a quantity is not a number that can be ordered, or there are too many products.
        """
        if len(self.quantities) > MAX_LINES:
            raise InvalidOrderError({"lines": f"Order at most {MAX_LINES} different products at once."})
        read = {product_id: read_quantity(typed, least=0) for product_id, typed in self.quantities.items()}
        problems = {f"{_QUANTITY}{product_id}": problem for product_id, (_, problem) in read.items() if problem}
        if problems:
            raise InvalidOrderError(problems)
        return {product_id: number for product_id, (number, _) in read.items() if number}

    def read_customer(self) -> int:
        """The chosen customer's id.

        Raises:
            InvalidOrderError: none is chosen.
        """
        number = _whole_number(self.customer_id)
        if number is None:
            raise InvalidOrderError({"customer_id": "Choose who orders."})
        return number
