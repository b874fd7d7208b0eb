"""The Corner Shop with its example data, on a database of the test's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import URL, Connection, Engine, func, select, update
from werkzeug.test import TestResponse

from example_app import create_app, example_data
from example_app.extensions import uow
from example_app.models import AuditEntry, Base, Customer, Order, OrderLine, Product
from tests.conftest import DATABASES, Server
from tests.servers.postgresql import PostgreSQL

Outside = Callable[[Engine], AbstractContextManager[Connection]]


@dataclass(frozen=True)
class Books:
    """What is really in the database, seen through a connection that the shop knows nothing of."""

    connect: Callable[[], AbstractContextManager[Connection]]

    def count(self, model: type[Base]) -> int:
        with self.connect() as connection:
            return connection.scalars(select(func.count()).select_from(model.__table__)).one()

    def product_id(self, name: str) -> int:
        with self.connect() as connection:
            return connection.scalars(select(Product.id).where(Product.name == name)).one()

    def customer_id(self, name: str) -> int:
        with self.connect() as connection:
            return connection.scalars(select(Customer.id).where(Customer.name == name)).one()

    def stock(self, name: str) -> int:
        with self.connect() as connection:
            return connection.scalars(select(Product.stock).where(Product.name == name)).one()

    def put_in_stock(self, name: str, stock: int) -> None:
        with self.connect() as connection:
            connection.execute(update(Product).where(Product.name == name).values(stock=stock))
            connection.commit()

    def lines(self, order_id: int) -> list[tuple[str, int, int]]:
        """Name, quantity and price of each line of an order."""
        with self.connect() as connection:
            rows = connection.execute(
                select(Product.name, OrderLine.quantity, OrderLine.unit_price_cents)
                .join(Product, OrderLine.product_id == Product.id)
                .where(OrderLine.order_id == order_id)
                .order_by(Product.name)
            )
            return [(row.name, row.quantity, row.unit_price_cents) for row in rows]

    def audited(self, order_id: int) -> list[str]:
        """What the audit trail says of an order."""
        with self.connect() as connection:
            return list(connection.scalars(select(AuditEntry.detail).where(AuditEntry.order_id == order_id)))

    def all_counts(self) -> dict[str, int]:
        """How many rows each table has, and the sum of all stock: what a failed order must not change."""
        with self.connect() as connection:
            stock = connection.scalars(select(func.sum(Product.stock))).one()
        return {model.__tablename__: self.count(model) for model in (Order, OrderLine, AuditEntry)} | {
            "stock": int(stock)
        }


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """The shop's instance folder."""
    return tmp_path / "instance"


def open_shop(url: str, instance: Path) -> Flask:
    """A shop with example data."""
    shop = create_app({"TESTING": True, "UNITOFWORK_DATABASES": url}, instance_path=instance)
    with shop.app_context():
        uow.create_all()
    fill(shop)
    return shop


def fill(shop: Flask) -> None:
    """Put the example data into the shop; the letters about that are cleared away."""
    with uow.scope(shop):
        example_data.fill()
    for letter in letters(Path(shop.instance_path)):
        letter.unlink()


@pytest.fixture
def shop(database_url: str, instance: Path) -> Flask:
    """The shop, once on each database. (A fixture named `app` would get a request context from pytest-flask.)"""
    return open_shop(database_url, instance)


# -- a shop for all tests that are rolled back: what they look at with `books` is the seed, which is there for real --


@pytest.fixture(scope="session", params=DATABASES)
def standing_shop(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_server: PostgreSQL,  # before the workers' databases, so that they are dropped before it stops
    uow_worker_url: Callable[[URL | str], str],
) -> Flask:
    """One shop on each database. Tests marked `uow_isolated` let it be their `shop`."""
    url: URL | str = "sqlite://" if request.param == "sqlite-memory" else "sqlite:///shop.db"
    if request.param in {"postgresql", "mariadb"}:
        mariadb = request.param == "mariadb"
        server: Server = request.getfixturevalue("mariadb_server") if mariadb else postgresql_server
        url = server.borrow().set(database="shop_of_tests")
    config = {"TESTING": True, "UNITOFWORK_DATABASES": uow_worker_url(url)}
    return create_app(config, instance_path=tmp_path_factory.mktemp("instance"))


@pytest.fixture
def uow_app(standing_shop: Flask) -> Flask:
    return standing_shop


@pytest.fixture(scope="session")
def uow_seed() -> Callable[[Flask], None]:
    return fill


@pytest.fixture
def visitor(shop: Flask) -> FlaskClient:
    return shop.test_client()


@pytest.fixture
def books(shop: Flask, outside: Outside) -> Books:
    with shop.app_context():
        engine = uow.engine
    return Books(lambda: outside(engine))


def letters(instance: Path) -> list[Path]:
    """The confirmations in the outbox."""
    return sorted((instance / "outbox").glob("*.eml"))


def order_number(response: TestResponse) -> int:
    """The id of the order that a redirect leads to."""
    assert response.status_code == 303, response.text
    found = re.fullmatch(r"/orders/(\d+)", response.location)
    assert found is not None, response.location
    return int(found[1])
