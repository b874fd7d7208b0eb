"""A shop with orders and their lines, for tests of what tests ask of an app."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from sqlalchemy import Engine, ForeignKey, String, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from flask_unitofwork import UnitOfWork
from flask_unitofwork.testing import isolated


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "shop_order"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(String(50), unique=True)
    note: Mapped[str] = mapped_column(String(50), default="", deferred=True)
    lines: Mapped[list[Line]] = relationship(back_populates="order", cascade="all, delete-orphan")


class Line(Base):
    __tablename__ = "shop_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("shop_order.id"))
    product: Mapped[str] = mapped_column(String(50))
    order: Mapped[Order] = relationship(back_populates="lines")


class Visit(Base):
    """In a database of its own."""

    __tablename__ = "shop_visit"
    __bind_key__ = "visits"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(String(50))


LINES_IN_A_TEMPLATE = """{% for order in orders %}
{{ order.lines | length }}
{% endfor %}"""


@dataclass
class Shop:
    """The app and its unit of work."""

    app: Flask
    uow: UnitOfWork

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def uow_engine(self) -> Engine:
        with self.app.app_context():
            return self.uow.engine

    def place(self, *customers: str, lines: int = 2) -> None:
        with self.uow.scope(self.app) as session:
            for customer in customers:
                session.add(Order(customer=customer, lines=[Line(product=f"tea {n}") for n in range(lines)]))

    def customers(self) -> list[str]:
        with self.uow.scope(self.app) as session:
            return list(session.scalars(select(Order.customer).order_by(Order.customer)))


def add_views(app: Flask, uow: UnitOfWork) -> None:
    @app.get("/orders")
    def orders() -> list[str]:
        return [order.customer for order in uow.session.scalars(select(Order))]

    @app.get("/lines")
    def lines() -> list[int]:
        return [len(order.lines) for order in uow.session.scalars(select(Order).order_by(Order.id))]

    @app.get("/lines/eager")
    def eager() -> list[int]:
        orders = uow.session.scalars(select(Order).options(selectinload(Order.lines)))
        return [len(order.lines) for order in orders]

    @app.get("/lines/page")
    def page() -> str:
        return render_template_string(LINES_IN_A_TEMPLATE, orders=uow.session.scalars(select(Order)).all())

    @app.get("/notes")
    def notes() -> list[str]:
        return [order.note for order in uow.session.scalars(select(Order))]

    @app.post("/orders/<customer>")
    def place(customer: str) -> tuple[str, int]:
        uow.session.add(Order(customer=customer, lines=[Line(product="tea")]))
        return "placed", 201

    @app.get("/count")
    def count() -> str:
        uow.session.add(Visit(path="/count"))
        return str(uow.session.scalar(select(func.count()).select_from(Order)))


ShopAt = Callable[[str, str], Shop]
"""Makes the shop at a URL, isolated or not."""


@pytest.fixture(params=["isolated", "real"])
def treatment(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def shop(database_url: str, another_url: Callable[[], str], treatment: str) -> Iterator[Shop]:
    """The shop on each database, with and without isolation."""
    with made_shop(database_url, another_url(), treatment) as made:
        yield made


@pytest.fixture
def sqlite_shop(sqlite_url: str, treatment: str) -> Iterator[Shop]:
    """The shop on SQLite, with and without isolation."""
    with made_shop(sqlite_url, "sqlite://", treatment) as made:
        yield made


@pytest.fixture
def shop_at() -> Iterator[ShopAt]:
    with ExitStack() as end:
        yield lambda url, treatment: end.enter_context(made_shop(url, "sqlite://", treatment))


@contextmanager
def made_shop(url: str, visits: str, treatment: str, **config: Any) -> Generator[Shop]:
    uow = UnitOfWork(metadata=Base.metadata)
    flask = Flask(__name__)
    flask.config.update(PROPAGATE_EXCEPTIONS=False, UNITOFWORK_DATABASES={"default": url, "visits": visits}, **config)
    uow.init_app(flask)
    add_views(flask, uow)
    with flask.app_context():
        uow.create_all()
    with isolated(flask) if treatment == "isolated" else nullcontext():
        yield Shop(flask, uow)
    with flask.app_context():
        uow.dispose()
