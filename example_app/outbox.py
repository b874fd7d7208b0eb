"""Letters to customers. They are put into the instance folder's ``outbox/``, where a mail program could take them."""

from __future__ import annotations

import logging
from email.message import EmailMessage
from pathlib import Path

from flask import current_app, render_template

from .extensions import uow
from .models import Order

__all__ = ["confirm"]

logger = logging.getLogger(__name__)


def confirm(order_id: int) -> None:
    """Write to the customer that their order has been placed.

    Meant for ``uow.on_commit``: it reads the order as the database has it now, in a session of its own.
    """
    order = uow.session.get_one(Order, order_id)
    letter = EmailMessage()
    letter["From"] = "Corner Shop <shop@corner-shop.example>"
    letter["To"] = order.customer.email
    letter["Subject"] = f"Your order {order.id}"
    letter.set_content(render_template("letters/confirmation.txt", order=order))
    folder = Path(current_app.instance_path) / "outbox"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"order-{order.id}.eml").write_bytes(bytes(letter))
    logger.info("Order %s is confirmed.", order.id)
