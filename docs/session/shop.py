"""The shop that the pages about the session work on: its models, its app, and a look at what is sent to the database."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from flask import Flask
from sqlalchemy import Connection, Engine, ForeignKey, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_unitofwork import UnitOfWork

__all__ = ["Base", "Customer", "Order", "OrderLine", "Product", "create_app", "database", "sent", "uow"]


class Base(DeclarativeBase):
    """What the shop's models have in common."""


class Customer(Base):
    """Somebody who may order."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)

    orders: Mapped[list[Order]] = relationship(back_populates="customer", order_by="Order.id")


class Product(Base):
    """Something on the shelf."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    price_cents: Mapped[int]
    stock: Mapped[int] = mapped_column(default=0)


class Order(Base):
    """What a customer bought. Its lines are its own: they go with it."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))

    customer: Mapped[Customer] = relationship(back_populates="orders")
    lines: Mapped[list[OrderLine]] = relationship(
        back_populates="order", cascade="all, delete-orphan", order_by="OrderLine.id"
    )


class OrderLine(Base):
    """One product of an order."""

    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey(Order.id))
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id))
    quantity: Mapped[int]

    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product] = relationship()


uow = UnitOfWork(metadata=Base.metadata)


def database(name: str = "shop") -> str:
    """The URL of one of the shop's databases: what the environment says, or an SQLite file."""
    return os.environ.get(f"{name.upper()}_DATABASE", f"sqlite:///{name}.db")


def create_app(**settings: Any) -> Flask:
    """An app on the shop's database, or with other *settings*."""
    app = Flask("shop")
    app.config.update({"TESTING": True, "UNITOFWORK_DATABASES": database(), **settings})
    # A page is read slowly, in one request: a real one should be told if it holds its connection for long.
    app.config.setdefault("UNITOFWORK_HELD_CONNECTION_LIMIT", 0)
    uow.init_app(app)
    return app


_TABLES: Final = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)", re.IGNORECASE)


@contextmanager
def sent() -> Generator[list[str]]:
    """What is sent to the database meanwhile: of each statement its verb and its tables, in alphabetical order.

    Yields:
        such as ``["SELECT products", "UPDATE orders"]``.
    """
    statements: list[str] = []

    def listen(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        verb = statement.split(maxsplit=1)[0]
        statements.append(" ".join([verb, *sorted(set(_TABLES.findall(statement)))]))

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
