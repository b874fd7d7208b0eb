"""Rows of one table in several databases: `ShardedSession` in a unit of work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import BigInteger, ClauseElement, String, create_engine, event, func, select, text, update
from sqlalchemy.exc import ArgumentError, UnboundExecutionError
from sqlalchemy.ext.horizontal_shard import set_shard_id
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, ORMExecuteState, mapped_column
from sqlalchemy.orm.exc import UnmappedClassError

from flask_unitofwork import ConfigurationError, ShardedSession, UnitOfWork, UnknownBindError
from flask_unitofwork.testing import isolated
from tests.conftest import Outside


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"

    # Whoever distributes rows also distributes their keys.
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    continent: Mapped[str] = mapped_column(String(50))
    name: Mapped[str] = mapped_column(String(50))


class Currency(Base):
    __tablename__ = "currency"
    __bind_key__ = "default"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(3))


SHARD_OF = {"Europe": "north", "Asia": "north", "Africa": "south"}


def choose_shard(mapper: Mapper[Any] | None, instance: Any, clause: ClauseElement | None = None, /) -> str:
    return SHARD_OF.get(instance.continent) if isinstance(instance, Customer) else "north"  # type: ignore[return-value]


def choose_by_identity(mapper: Mapper[Any], primary_key: Any, /, **context: Any) -> Iterable[str]:
    return ["north", "south"]


def choose_for_statement(state: ORMExecuteState, /) -> Iterable[str]:
    wanted = state.execution_options.get("continent")
    return ["north", "south"] if wanted is None else [SHARD_OF[wanted]]


OPTIONS = {
    "class_": ShardedSession,
    "shards": ["north", "south"],
    "shard_chooser": choose_shard,
    "identity_chooser": choose_by_identity,
    "execute_chooser": choose_for_statement,
}


class World:
    """An app whose customers live in two databases, and its currencies in a third."""

    def __init__(self, urls: dict[str, str], outside: Outside, **options: Any) -> None:
        self.app = Flask("world")
        self.app.config.update(
            UNITOFWORK_DATABASES=urls,
            UNITOFWORK_SESSION_OPTIONS={**OPTIONS, **options},
            TESTING=True,
            PROPAGATE_EXCEPTIONS=False,
        )
        self.uow = UnitOfWork(self.app, metadata=Base.metadata)
        self._outside = outside
        with self.app.app_context():
            for engine in self.uow.engines.values():
                Base.metadata.create_all(engine)

    def names(self, bind: str) -> list[str]:
        """The customers in one database, as a connection sees them that knows nothing of the app."""
        with self.app.app_context(), self._outside(self.uow.get_engine(bind)) as connection:
            return list(connection.scalars(select(Customer.name).order_by(Customer.id)))

    def fill(self) -> None:
        with self.uow.scope(self.app) as session:
            session.add_all(
                [
                    Customer(id=1, continent="Europe", name="Ada"),
                    Customer(id=2, continent="Africa", name="Ama"),
                    Customer(id=3, continent="Asia", name="Aki"),
                ]
            )

    def sent(self) -> list[str]:
        """What is sent to any of its databases from now on."""
        sent: list[str] = []
        with self.app.app_context():
            for engine in self.uow.engines.values():
                event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
        return sent


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(database_url: str, another_url: Callable[[], str], outside: Outside) -> Iterator[MakeWorld]:
    made: list[World] = []

    def make(**options: Any) -> World:
        urls = {"default": database_url, "north": another_url(), "south": another_url()}
        made.append(World(urls, outside, **options))
        return made[-1]

    yield make
    for world in made:
        with world.app.app_context():
            world.uow.dispose()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    world = make_world()
    world.fill()
    return world


class TestObjects:
    def test_are_written_to_the_shard_that_the_chooser_names(self, world: World) -> None:
        assert [world.names("north"), world.names("south"), world.names("default")] == [["Ada", "Aki"], ["Ama"], []]

    def test_are_found_wherever_they_are_and_changed_there(self, world: World) -> None:
        with world.uow.scope(world.app) as session:
            customer = session.get_one(Customer, 2)
            assert session.get(Customer, 2) is customer
            customer.name = "Abena"
            session.delete(session.get_one(Customer, 3))
        assert [world.names("north"), world.names("south")] == [["Ada"], ["Abena"]]

    def test_that_have_a_bind_key_are_not_sharded(self, world: World, outside: Outside) -> None:
        with world.uow.scope(world.app) as session:
            session.add(Currency(code="GHS"))
        with world.uow.scope(world.app) as session:
            currency = session.scalars(select(Currency)).one()
            assert session.get_one(Currency, currency.id) is currency
            assert session.scalar(select(func.count()).select_from(Currency)) == 1
            default = world.uow.engine
        with outside(default) as connection:
            assert connection.scalars(text("SELECT code FROM currency")).all() == ["GHS"]


class TestStatements:
    def test_run_on_the_shards_that_the_chooser_names(self, world: World) -> None:
        with world.uow.scope(world.app) as session:
            assert sorted(session.scalars(select(Customer.name))) == ["Ada", "Aki", "Ama"]
            african = select(Customer.name).execution_options(continent="Africa")
            assert session.scalars(african).all() == ["Ama"]

    def test_go_to_a_shard_that_is_named(self, world: World) -> None:
        with world.uow.scope(world.app) as session:
            assert session.scalars(select(Customer.name).options(set_shard_id("south"))).all() == ["Ama"]
            north = session.execute(select(Customer.name), bind_arguments={"shard_id": "north"})
            assert sorted(north.scalars()) == ["Ada", "Aki"]
            assert session.connection({"shard_id": "south"}).scalar(text("SELECT count(*) FROM customer")) == 1
            assert session.get_bind(shard_id="south").engine is world.uow.get_engine("south")

    def test_update_all_shards(self, world: World) -> None:
        with world.uow.scope(world.app) as session:
            session.execute(update(Customer).values(continent="Pangaea"))
        with world.uow.scope(world.app) as session:
            assert set(session.scalars(select(Customer.continent))) == {"Pangaea"}

    def test_may_be_given_a_bind(self, world: World) -> None:
        with world.uow.scope(world.app) as session:
            south = world.uow.get_engine("south")
            assert session.get_bind(Customer, bind=south) is south


class TestRequests:
    def test_commit_all_shards_on_success_and_roll_all_back_on_failure(self, world: World) -> None:
        said: list[str] = []

        @world.app.post("/customers/<int:fails>")
        def create(fails: int) -> str:
            world.uow.on_commit(lambda: said.append("committed"))
            world.uow.on_rollback(lambda: said.append("rolled back"))
            first = 10 * (2 - fails)
            world.uow.session.add(Customer(id=first, continent="Europe", name="Eva"))
            world.uow.session.add(Customer(id=first + 1, continent="Africa", name="Esi"))
            world.uow.session.flush()
            return str(1 / (1 - fails))

        client = world.app.test_client()
        assert client.post("/customers/1").status_code == 500
        assert [world.names("north"), world.names("south")] == [["Ada", "Aki"], ["Ama"]]
        assert client.post("/customers/0").status_code == 200
        assert [world.names("north"), world.names("south")] == [["Ada", "Aki", "Eva"], ["Ama", "Esi"]]
        assert said == ["rolled back", "committed"]

    def test_that_only_read_leave_no_connection_in_use(self, world: World) -> None:
        @world.app.get("/customers")
        def index() -> list[str]:
            customers = world.uow.session.scalars(select(Customer)).all()
            assert world.uow.session.get_one(Customer, 2) in customers
            world.uow.session.refresh(customers[0])
            return sorted(one.name for one in customers)

        assert world.app.test_client().get("/customers").json == ["Ada", "Aki", "Ama"]
        with world.app.app_context():
            pools: list[Any] = [world.uow.get_engine(name).pool for name in ("north", "south")]
            assert [pool.checkedout() for pool in pools if hasattr(pool, "checkedout")] in ([0, 0], [])

    def test_have_savepoints_on_all_shards(self, world: World) -> None:
        with world.uow.scope(world.app) as session:
            session.scalars(select(Customer)).all()
            with pytest.raises(LookupError), world.uow.savepoint():
                session.add(Customer(id=4, continent="Africa", name="Afia"))
                session.flush()
                raise LookupError
            session.add(Customer(id=5, continent="Europe", name="Eva"))
        assert [world.names("north"), world.names("south")] == [["Ada", "Aki", "Eva"], ["Ama"]]

    def test_in_an_isolated_test_leave_nothing(self, world: World) -> None:
        with isolated(world.app):
            with world.uow.scope(world.app) as session:
                session.add(Customer(id=4, continent="Africa", name="Afia"))
            with world.uow.scope(world.app) as session:
                assert sorted(session.scalars(select(Customer.name))) == ["Ada", "Afia", "Aki", "Ama"]
        assert world.names("south") == ["Ama"]


class TestChoosersThatNameNoShard:
    """An error that names the chooser, before any SQL."""

    def test_for_an_object(self, make_world: MakeWorld) -> None:
        world = make_world()
        sent = world.sent()
        with pytest.raises(UnknownBindError) as caught, world.uow.scope(world.app) as session:
            session.add(Customer(id=1, continent="Atlantis", name="Ada"))
        assert str(caught.value) == (
            "The chooser choose_shard named no shard for Customer, so nobody can tell where that is."
            " The shards are 'north', 'south'."
        )
        assert sent == []

    def test_for_a_statement(self, make_world: MakeWorld) -> None:
        world = make_world(execute_chooser=lambda state: [])
        sent = world.sent()
        with world.uow.scope(world.app) as session:
            with pytest.raises(UnknownBindError, match=r"named no shard for a statement \(Select\)"):
                session.scalars(select(Customer))
        assert sent == []

    def test_but_another_database(self, make_world: MakeWorld) -> None:
        world = make_world(execute_chooser=lambda state: ["north", "west"])
        sent = world.sent()
        with world.uow.scope(world.app) as session:
            with pytest.raises(UnknownBindError, match=r"named the shard 'west', which is unknown, for a statement"):
                session.scalars(select(Customer))
        assert sent == []

    def test_for_a_key(self, make_world: MakeWorld) -> None:
        world = make_world(identity_chooser=lambda mapper, primary_key, **context: [])
        with world.uow.scope(world.app) as session:
            with pytest.raises(UnknownBindError, match="named no shard for Customer"):
                session.get(Customer, 1)

    def test_by_hand(self, make_world: MakeWorld) -> None:
        world = make_world()
        sent = world.sent()
        with world.uow.scope(world.app) as session:
            message = r"There is no shard 'west'. The shards are 'north', 'south'. Write one of these names"
            with pytest.raises(UnknownBindError, match=message):
                session.scalars(select(Customer).options(set_shard_id("west")))
            with pytest.raises(UnknownBindError, match=message):
                session.connection({"shard_id": "west"})
        assert sent == []

    def test_where_nothing_tells_the_shard(self, make_world: MakeWorld) -> None:
        world = make_world()
        with world.uow.scope(world.app) as session:
            with pytest.raises(UnboundExecutionError, match=r'Write bind_arguments=\{"shard_id": "…"\} with one of'):
                session.connection()
            with pytest.raises(UnmappedClassError):
                session.get_bind(Flask)


class TestConfiguration:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"shards": ["north", "west"]},
                r"UNITOFWORK_SESSION_OPTIONS\[\"shards\"\] has 'west', which is no database",
            ),
            (
                {"identity_chooser": None},
                "ShardedSession refuses these options: identity_chooser or id_chooser is required",
            ),
            ({"execute_chooser": None}, "ShardedSession refuses these options: execute_chooser or query_chooser is"),
        ],
    )
    def test_is_checked_at_init_app(self, outside: Outside, options: dict[str, Any], message: str) -> None:
        urls = {"default": "sqlite://", "north": "sqlite://", "south": "sqlite://"}
        with pytest.raises(ConfigurationError, match=message):
            World(urls, outside, **options)

    def test_without_shards_takes_all_databases(self, outside: Outside) -> None:
        app = Flask("world")
        options = {name: value for name, value in OPTIONS.items() if name != "shards"}
        app.config.update(
            UNITOFWORK_DATABASES={"default": "sqlite://", "north": "sqlite://"}, UNITOFWORK_SESSION_OPTIONS=options
        )
        uow = UnitOfWork(app)
        with app.app_context():
            assert uow.session.get_bind(shard_id="default") is uow.engine
            uow.dispose()


class TestOnItsOwn:
    def test_is_sqlalchemy_s(self, sqlite_url: str) -> None:
        engine = create_engine(sqlite_url)
        Base.metadata.create_all(engine)
        choosers = {name: value for name, value in OPTIONS.items() if "chooser" in name}
        with ShardedSession(shards={"north": engine, "south": engine}, **choosers) as session, session.begin():  # type: ignore[arg-type]
            session.add(Customer(id=1, continent="Africa", name="Ama"))
        session = ShardedSession(shards={"north": engine}, **choosers)  # type: ignore[arg-type]
        assert session.scalars(select(Customer.name).options(set_shard_id("north"))).all() == ["Ama"]
        session.close()
        engine.dispose()

    def test_cannot_use_names(self) -> None:
        choosers = {name: value for name, value in OPTIONS.items() if "chooser" in name}
        session = ShardedSession(shards=["north", "south"], **choosers)  # type: ignore[arg-type]
        with pytest.raises(UnboundExecutionError, match="'north' is the name of an app's database"):
            session.connection({"shard_id": "north"})

    def test_needs_choosers(self) -> None:
        with pytest.raises(ArgumentError, match="identity_chooser or id_chooser is required"):
            ShardedSession(choose_shard)
