"""Results of statements that run on several shards are kept shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import BigInteger, ClauseElement, String, event, func, select
from sqlalchemy.ext.horizontal_shard import set_shard_id
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, ORMExecuteState, mapped_column

from flask_unitofwork import ShardedSession, UnitOfWork
from flask_unitofwork.caching import FromCache
from tests.caching.shop import memory


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    shard: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(50))


def choose_shard(mapper: Mapper[Any] | None, instance: Any, clause: ClauseElement | None = None, /) -> str:
    return str(instance.shard)


def choose_by_identity(mapper: Mapper[Any], primary_key: Any, /, **context: Any) -> Iterable[str]:
    return ["north", "south"]


def choose_for_statement(state: ORMExecuteState, /) -> Iterable[str]:
    return ["north", "south"]


CUSTOMERS = select(Customer).order_by(Customer.id)


class World:
    """An app with two shards, and what reaches each of them."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.app = Flask("world")
        self.app.config.update(
            UNITOFWORK_DATABASES=urls,
            UNITOFWORK_CACHE_REGIONS={"default": memory()},
            UNITOFWORK_SESSION_OPTIONS={
                "class_": ShardedSession,
                "shards": ["north", "south"],
                "shard_chooser": choose_shard,
                "identity_chooser": choose_by_identity,
                "execute_chooser": choose_for_statement,
            },
        )
        self.uow = UnitOfWork(self.app, metadata=Base.metadata)
        self.asked: list[str] = []
        with self.app.app_context():
            for name, engine in self.uow.engines.items():
                Base.metadata.create_all(engine)
                event.listen(engine, "before_cursor_execute", self._note(name))
        with self.uow.scope(self.app) as session:
            session.add_all([Customer(id=1, shard="north", name="Ann"), Customer(id=2, shard="south", name="Bob")])
        self.asked.clear()

    def names(self, statement: Any = CUSTOMERS) -> list[str]:
        with self.uow.scope(self.app, reads="autocommit") as session:
            return sorted(one.name for one in session.scalars(statement.options(FromCache())))

    def _note(self, name: str) -> Callable[..., None]:
        return lambda *_: self.asked.append(name)


@pytest.fixture
def world(database_url: str, another_url: Callable[[], str]) -> Iterator[World]:
    world = World({"default": database_url, "north": another_url(), "south": another_url()})
    yield world
    with world.app.app_context():
        world.uow.dispose()


def test_they_are_put_together_from_the_cache(world: World) -> None:
    assert world.names() == ["Ann", "Bob"]
    assert world.asked == ["north", "south"]
    world.asked.clear()
    assert world.names() == ["Ann", "Bob"]
    assert world.asked == []


def test_those_of_one_shard_are_no_other_s(world: World) -> None:
    for _ in range(2):
        assert world.names(CUSTOMERS.options(set_shard_id("north"))) == ["Ann"]
        assert world.names(CUSTOMERS.options(set_shard_id("south"))) == ["Bob"]
    assert world.asked == ["north", "south"]
    assert world.names() == ["Ann", "Bob"]


def test_objects_know_their_shard(world: World) -> None:
    world.names()
    with world.uow.scope(world.app) as session:
        ann, bob = session.scalars(CUSTOMERS.options(FromCache())).all()
        ann.name, bob.name = "Anna", "Rob"
    assert world.names() == ["Anna", "Rob"]
    with world.uow.scope(world.app) as session:
        south = session.scalars(select(func.max(Customer.name)).options(set_shard_id("south"))).one()
    assert south == "Rob"


def test_a_write_on_one_shard_makes_all_of_the_table_s_results_stale(world: World) -> None:
    world.names()
    with world.uow.scope(world.app) as session:
        session.add(Customer(id=3, shard="south", name="Cleo"))
    assert world.names() == ["Ann", "Bob", "Cleo"]
