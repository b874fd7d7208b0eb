"""``session.get()``: the answers and the SQL of SQLAlchemy's own, whatever the class and the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

import pytest
from sqlalchemy import Engine, ForeignKey, String, TypeDecorator, event, orm
from sqlalchemy.exc import InvalidRequestError, NoInspectionAvailable, NoResultFound, SAWarning
from sqlalchemy.orm import DeclarativeBase, Mapped, composite, mapped_column, relationship

from flask_unitofwork import Session, UnitOfWork
from tests.stage import MakeStage, Stage

Reads = Literal["autocommit", "transaction"]

CODE: Final = UUID("9f0f2a36-3c8d-4d0c-9a6e-0a3a5a3d7c11")


class Base(DeclarativeBase):
    pass


class Animal(Base):
    __tablename__ = "animal"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(10))
    toys: Mapped[list[Toy]] = relationship(lazy="joined", order_by="Toy.id")
    __mapper_args__: Any = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012


class Cat(Animal):
    __mapper_args__: Any = {"polymorphic_identity": "cat"}  # noqa: RUF012


class Dog(Animal):
    __tablename__ = "dog"

    id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)
    bark: Mapped[str] = mapped_column(String(10))
    __mapper_args__: Any = {"polymorphic_identity": "dog"}  # noqa: RUF012


class Toy(Base):
    __tablename__ = "toy"

    id: Mapped[int] = mapped_column(primary_key=True)
    animal_id: Mapped[int] = mapped_column(ForeignKey("animal.id"))


class Country(Base):
    __tablename__ = "country"

    code: Mapped[str] = mapped_column(String(2), primary_key=True)


class Token(Base):
    __tablename__ = "token"

    code: Mapped[UUID] = mapped_column(primary_key=True)


class Upper(TypeDecorator[str]):
    """Is written in small letters and read in capitals."""

    impl = String(10)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> Any:
        del dialect
        return value.lower()

    def process_result_value(self, value: Any, dialect: object) -> Any:
        del dialect
        return value.upper()


class Label(Base):
    __tablename__ = "label"

    text: Mapped[str] = mapped_column(Upper, primary_key=True)


class Seat(Base):
    __tablename__ = "seat"

    row: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


@dataclass(frozen=True)
class Amount:
    cents: int


class Coin(Base):
    __tablename__ = "coin"

    amount: Mapped[Amount] = composite(mapped_column("cents", primary_key=True))


class Fresh(Base):
    """Is read anew each time."""

    __tablename__ = "fresh"

    id: Mapped[int] = mapped_column(primary_key=True)
    __mapper_args__: Any = {"always_refresh": True}  # noqa: RUF012


@pytest.fixture
def zoo(database_url: str, make_stage: MakeStage) -> Stage:
    stage = make_stage(database_url, uow=UnitOfWork(metadata=Base.metadata))
    with stage.uow.scope(stage.app) as session:
        session.add_all([
            Cat(id=1, name="Tom", toys=[Toy(id=1), Toy(id=2)]),
            Dog(id=2, name="Rex", bark="wuff"),
            Country(code="no"),
            Token(code=CODE),
            Label(text="TEA"),
            Seat(row=3, number=4),
            Coin(amount=Amount(50)),
            Fresh(id=1),
        ])  # fmt: skip
    return stage


@pytest.fixture
def sent(zoo: Stage) -> Iterator[list[tuple[str, Any]]]:
    """The statements that reach the database, with their values."""
    statements: list[tuple[str, Any]] = []
    engine = zoo.engine

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def described(found: object) -> object:
    """What there is to compare objects of two sessions by."""
    if found is None:
        return None
    toys = len(found.toys) if isinstance(found, Animal) else 0
    return type(found), tuple(orm.object_mapper(found).primary_key_from_instance(found)), toys


KEYS: Final = [
    (Animal, 1),
    (Animal, 2),
    (Animal, 3),
    (Cat, 1),
    (Cat, 2),
    (Dog, 2),
    (Dog, 1),
    (Country, "no"),
    (Country, "xx"),
    (Token, CODE),
    (Label, "TEA"),
    (Seat, (3, 4)),
    (Seat, {"row": 3, "number": 4}),
    (Coin, Amount(50)),
    (Fresh, 1),
]


@pytest.mark.parametrize("reads", ["autocommit", "transaction"])
def test_it_finds_what_sqlalchemy_finds_with_the_same_statements(
    zoo: Stage, sent: list[tuple[str, Any]], reads: Reads
) -> None:
    for entity, ident in KEYS:
        sent.clear()
        with orm.Session(zoo.engine) as session:
            expected = [described(session.get(entity, ident)) for _ in range(2)]
        theirs = sent[:]
        sent.clear()
        with zoo.uow.scope(zoo.app, reads=reads) as session:
            found = [described(session.get(entity, ident)) for _ in range(2)]
        assert (entity, ident, found, sent) == (entity, ident, expected, theirs)


def found_or_refused(session: orm.Session, entity: type[object], ident: object) -> object:
    try:
        return described(session.get_one(entity, ident))
    except NoResultFound as error:
        return str(error)


@pytest.mark.parametrize("reads", ["autocommit", "transaction"])
def test_what_must_be_there_is_looked_up_in_the_same_way(zoo: Stage, sent: list[tuple[str, Any]], reads: Reads) -> None:
    for entity, ident in KEYS:
        sent.clear()
        with orm.Session(zoo.engine) as session:
            expected = [found_or_refused(session, entity, ident) for _ in range(2)]
        theirs = sent[:]
        sent.clear()
        with zoo.uow.scope(zoo.app, reads=reads) as session:
            found = [found_or_refused(session, entity, ident) for _ in range(2)]
        assert (entity, ident, found, sent) == (entity, ident, expected, theirs)


@pytest.mark.parametrize("reads", ["autocommit", "transaction"])
def test_what_is_loaded_is_given_without_a_statement(zoo: Stage, sent: list[tuple[str, Any]], reads: Reads) -> None:
    with zoo.uow.scope(zoo.app, reads=reads) as session:
        tom = session.get(Cat, 1)
        sent.clear()
        assert session.get(Cat, 1) is tom
        assert session.get(Animal, 1) is tom
        assert session.get(Dog, 1) is None
        assert sent == []


def test_what_is_expired_is_read_anew_and_is_none_where_its_row_is_gone(zoo: Stage) -> None:
    with zoo.uow.scope(zoo.app, reads="autocommit") as session:
        country = session.get(Country, "no")
        session.expire_all()
        assert session.get(Country, "no") is country
        session.expire_all()
        with zoo.uow.independent_transaction() as other:
            other.delete(other.get_one(Country, "no"))
        assert session.get(Country, "no") is None


def test_what_waits_to_be_written_is_found(zoo: Stage) -> None:
    with zoo.uow.scope(zoo.app) as session:
        session.add(Country(code="is"))
        iceland = session.get(Country, "is")
        assert iceland is not None
        assert iceland.code == "is"


def test_what_is_marked_for_deletion_is_gone(zoo: Stage) -> None:
    with zoo.uow.scope(zoo.app) as session:
        session.delete(session.get_one(Country, "no"))
        session.flush()
        assert session.get(Country, "no") is None


def test_none_is_no_key(zoo: Stage) -> None:
    with zoo.uow.scope(zoo.app) as session, pytest.warns(SAWarning, match="fully NULL primary key"):
        assert session.get(Country, None) is None


def test_too_few_values_are_an_error(zoo: Stage) -> None:
    with zoo.uow.scope(zoo.app) as session, pytest.raises(InvalidRequestError, match="Incorrect number of values"):
        session.get(Seat, 3)


def test_what_is_no_mapped_class_is_sqlalchemy_s_error(zoo: Stage) -> None:
    with zoo.uow.scope(zoo.app) as session, pytest.raises(NoInspectionAvailable):
        session.get(int, 1)


def test_options_are_obeyed(zoo: Stage, sent: list[tuple[str, Any]]) -> None:
    with zoo.uow.scope(zoo.app) as session:
        session.get(Country, "no")
        sent.clear()
        session.get(Country, "no", populate_existing=True)
        assert len(sent) == 1
        tom = session.get_one(Cat, 1, options=[orm.lazyload(Animal.toys)])
        assert "toys" not in tom.__dict__


def test_a_class_that_is_mapped_anew_is_looked_up_as_it_is_now(zoo: Stage) -> None:
    class Renamed:
        pass

    for table, ident in ((Country.__table__, "no"), (Token.__table__, CODE)):
        registry = orm.registry()
        registry.map_imperatively(Renamed, table)
        with zoo.uow.scope(zoo.app) as session:
            found = session.get(Renamed, ident)
            assert found is not None
            assert found.code == ident  # type: ignore[attr-defined]
        registry.dispose()


def test_listeners_and_criteria_are_asked(zoo: Stage) -> None:
    with zoo.uow.scope(zoo.app) as session:

        @event.listens_for(session, "do_orm_execute")
        def only_norway(state: orm.ORMExecuteState) -> None:
            if state.is_select:
                state.statement = state.statement.options(
                    orm.with_loader_criteria(Country, Country.code == "no"),
                )

        session.add(Country(code="is"))
        session.flush()
        session.expunge_all()
        assert session.get(Country, "no") is not None
        assert session.get(Country, "is") is None


def test_a_session_without_an_app_is_sqlalchemy_s(zoo: Stage) -> None:
    engine: Engine = zoo.engine
    with Session(engine) as session:
        assert described(session.get(Animal, 1)) == (Cat, (1,), 2)
