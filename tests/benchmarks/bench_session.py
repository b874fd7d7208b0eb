"""What our Session costs beside SQLAlchemy's, on one engine: getting, flushing, and looking at what will be flushed.

The goal is a ratio of at most 1.03: it adds nothing to the paths that each object takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy.orm
from flask import Flask
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_unitofwork import Session, UnitOfWork

from .rounds import compare, table

OBJECTS: Final = 1000

OpenSession = Callable[[], AbstractContextManager[sqlalchemy.orm.Session]]


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "product"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    price: Mapped[int]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Flask, UnitOfWork]]:
    flask, uow = Flask(__name__), UnitOfWork(metadata=Base.metadata)
    flask.config["UNITOFWORK_DATABASES"] = f"sqlite:///{tmp_path}/shop.db"
    uow.init_app(flask)
    with flask.app_context():
        uow.create_all()
        uow.session.add_all(new_products())
        uow.session.commit()
    yield flask, uow
    with flask.app_context():
        uow.dispose()


@pytest.fixture
def sessions(shop: tuple[Flask, UnitOfWork]) -> dict[str, OpenSession]:
    """How each contestant opens a session; the first is the one that the others are compared with."""
    flask, uow = shop
    with flask.app_context():
        engine = uow.engine
    return {
        "sqlalchemy.orm.Session": partial(sqlalchemy.orm.Session, engine),
        "flask_unitofwork.Session": partial(Session, engine),
        "the session of a scope": partial(uow.scope, flask),
    }


def new_products() -> list[Product]:
    return [Product(id=number, name=f"product {number}", price=number) for number in range(1, OBJECTS + 1)]


def more_products() -> list[Product]:
    return [Product(name="more", price=number) for number in range(OBJECTS)]


def get(open_session: OpenSession) -> None:
    """Get each product: a SELECT each."""
    with open_session() as session:
        for number in range(1, OBJECTS + 1):
            session.get(Product, number)


def get_again(open_session: OpenSession) -> None:
    """Get each product from those that the session has."""
    with open_session() as session:
        products = session.query(Product).all()
        for _ in range(10):
            for number in range(1, OBJECTS + 1):
                session.get(Product, number)
        del products


def flush(open_session: OpenSession) -> None:
    with open_session() as session:
        session.add_all(more_products())
        session.flush()
        session.rollback()


@pytest.mark.parametrize(
    ("title", "work", "rounds"),
    [
        ("1 000 times get, each a SELECT", get, 15),
        ("10 000 times get of what the session has", get_again, 40),
        ("A flush of 1 000 new objects", flush, 40),
    ],
)
def test_session(
    sessions: dict[str, OpenSession],
    title: str,
    work: Callable[[OpenSession], None],
    rounds: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    contestants = {name: partial(work, open_session) for name, open_session in sessions.items()}
    results = compare(contestants, rounds=rounds, calls=1)
    with capsys.disabled():
        print("\n" + table(title, results))


def test_looking(shop: tuple[Flask, UnitOfWork], capsys: pytest.CaptureFixture[str]) -> None:
    """A look at what a flush of ten objects would do, beside that flush."""
    flask, uow = shop
    with flask.app_context():
        session = uow.session
        products = [Product(name="more", price=number) for number in range(10)]
        session.add_all(products)

        def flush_ten() -> None:
            session.flush()
            session.rollback()
            session.add_all(products)

        contestants: dict[str, Callable[[], object]] = {
            "flush of 10 new objects": flush_ten,
            "uow.pending_changes() of them": uow.pending_changes,
            "uow.inspect() of one of them": lambda: uow.inspect(products[0]),
        }
        results = compare(contestants, rounds=100, calls=10)
        session.rollback()
    with capsys.disabled():
        print("\n" + table("Looking at what is about to be written", results))
