"""What the type checkers of users must infer. Checked, never run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, assert_type

import sqlalchemy.orm
from flask import Flask, Response
from sqlalchemy import Engine, MetaData, Row, func, select, union
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from flask_unitofwork import KeysetPagination, Pagination, Query, Session, Unit, UnitOfWork

uow = UnitOfWork(metadata=MetaData())
T = TypeVar("T")


class Base(DeclarativeBase):
    query = uow.query_property()


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column()


class AsDataclass(MappedAsDataclass, DeclarativeBase):
    query = uow.query_property()


class Address(AsDataclass):
    __tablename__ = "addresses"

    id: Mapped[int] = mapped_column(primary_key=True)


class NewestFirst(sqlalchemy.orm.Query[T]):
    """A query class of an app's own."""


class Custom(DeclarativeBase):
    query = uow.query_property(NewestFirst["Note"])


class Note(Custom):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)


# -- the session and the unit

assert_type(uow.session, Session)
session: sqlalchemy.orm.Session = uow.session
assert_type(uow.session.get(User, 1), User | None)
assert_type(uow.current, Unit)
assert_type(uow.engine, Engine)
assert_type(uow.get_engine("orders"), Engine)
assert_type(uow.metadata, MetaData)

# -- queries

assert_type(User.query, Query[User])
assert_type(User.query.first(), User | None)
assert_type(User.query.filter(User.id > 1).order_by(User.name), Query[User])
assert_type(User.query.filter_by(id=1).all(), list[User])
assert_type(User.query.get_or_404(1), User)
assert_type(User.query.options().get_or_404(1, "no such user"), User)
assert_type(User.query.first_or_404(), User)
assert_type(User.query.one_or_404(), User)
assert_type(User.query.paginate(page=2), Pagination[User])
assert_type(Address.query, Query[Address])
assert_type(Address(id=1).query, Query[Address])
assert_type(Note.query, NewestFirst[Note])

# -- lookups

assert_type(uow.get_or_404(User, 1), User)
assert_type(uow.get_or_404(Address, (1,), description="gone", with_for_update=True), Address)
assert_type(uow.first_or_404(select(User)), User)
assert_type(uow.first_or_404(select(User.id)), int)
assert_type(uow.first_or_404(select(User.name)), str | None)
assert_type(uow.first_or_404(select(User, User.id)), Row[User, int])
assert_type(uow.first_or_404(select(User.id, User.name, func.count(User.id))), Row[int, str | None, int])
assert_type(uow.one_or_404(select(User).where(User.id == 1)), User)
assert_type(uow.one_or_404(select(User.id, User.name)), Row[int, str | None])

# -- pages

assert_type(uow.paginate(select(User)), Pagination[User])
assert_type(uow.paginate(select(User), count=False).items, list[User])
assert_type(uow.paginate(select(User.id)), Pagination[int])
assert_type(uow.paginate(select(User.id, User.name)), Pagination[Row[int, str | None]])
assert_type(uow.paginate(union(select(User.id), select(Address.id))), Pagination[int])
assert_type(uow.paginate(select(User)).total, int | None)
assert_type(uow.paginate(select(User)).next_num, int | None)
assert_type(list(uow.paginate(select(User))), list[User])
assert_type(list(uow.paginate(select(User)).iter_pages(left_edge=1)), list[int | None])
assert_type(uow.paginate_by_key(select(User).order_by(User.name)), KeysetPagination[User])
assert_type(uow.paginate_by_key(select(User.id, User.name)), KeysetPagination[Row[int, str | None]])
assert_type(uow.paginate_by_key(select(User)).next, str | None)
for user in uow.paginate_by_key(select(User), after="bookmark"):
    assert_type(user, User)

# -- demarcation: blocks and decorators


def blocks(app: Flask) -> int:
    with uow.transaction() as in_transaction:
        assert_type(in_transaction, Session)
    with uow.scope(app) as in_scope:
        assert_type(in_scope, Session)
    with uow.savepoint():
        pass
    with uow.read_only(timeout=1.5) as reading, uow.transaction_required() as required:
        assert_type(reading, Session)
        assert_type(required, Session)
    with uow.independent_transaction(isolation_level="SERIALIZABLE") as independent:
        assert_type(independent, Session)
    return 1  # no block swallows what is raised in it, so this line is reached


@uow.transaction()
def place(product: str, quantity: int = 1) -> list[int]:
    return [len(product), quantity]


@uow.scope()
def nightly(*names: str, dry: bool) -> None: ...


@uow.explicit_commit
def view(ident: int) -> Response:
    return Response(str(ident))


@uow.transaction()
async def place_later(product: str) -> int:
    return len(product)


@uow.durable
def close(day: str) -> int:
    return len(day)


@uow.durable(attempts=3, isolation_level="SERIALIZABLE")
async def close_later(day: str) -> int:
    return len(day)


@uow.read_only()
@uow.transaction_required()
@uow.independent_transaction(attempts=2)
def report(day: str, *, full: bool = False) -> list[str]:
    return [day] * full


@uow.on_commit
def tell() -> str:
    return "told"


placed: Callable[[str, int], list[int]] = place
assert_type(place("tea", quantity=2), list[int])
assert_type(nightly("a", "b", dry=True), None)
assert_type(close("today"), int)
closing: Callable[[str], Awaitable[int]] = close_later
assert_type(report("today", full=True), list[str])
assert_type(uow.current.attempt, int)
assert_type(view(1), Response)
later: Callable[[str], Awaitable[int]] = place_later
assert_type(tell(), str)
