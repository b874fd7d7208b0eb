"""Tables are made and dropped on the database that they belong to."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, inspect, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, mapped_column, registry

from flask_unitofwork.database import Engines
from flask_unitofwork.database.bind_keys import bind_key_in_statements, model_bind_key, table_bind_key
from flask_unitofwork.database.schema import create_all, drop_all
from flask_unitofwork.exceptions import UnknownBindError
from tests.database.conftest import MakeEngines


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "product"
    id: Mapped[int] = mapped_column(primary_key=True)


class Entry(Base):
    __tablename__ = "entry"
    __bind_key__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)


class Visit(Base):
    __tablename__ = "visit"
    __table_args__ = {"info": {"bind_key": "audit"}}  # noqa: RUF012  # the way that SQLAlchemy documents
    id: Mapped[int] = mapped_column(primary_key=True)


class Others(DeclarativeBase):
    """Models that one test needs."""


@pytest.fixture
def engines(make_engines: MakeEngines) -> Engines:
    return make_engines({"default": "sqlite://", "audit": "sqlite://"})


def tables(engine: Engine) -> list[str]:
    return sorted(inspect(engine).get_table_names())


def test_tables_are_made_and_dropped_where_they_belong(engines: Engines) -> None:
    create_all(Base.metadata, engines, models=[Product, Entry, Visit])
    assert tables(engines["default"]) == ["product"]
    assert tables(engines["audit"]) == ["entry", "visit"]

    create_all(Base.metadata, engines, models=[Product, Entry, Visit])
    drop_all(Base.metadata, engines, models=[Product, Entry, Visit])
    assert tables(engines["default"]) == tables(engines["audit"]) == []


def test_the_bind_key_of_a_metadata_is_that_of_its_tables(engines: Engines) -> None:
    metadata = MetaData(info={"bind_key": "audit"})
    Table("entry", metadata, Column("id", Integer))

    create_all(metadata, engines)

    assert tables(engines["audit"]) == ["entry"]


def test_an_unknown_bind_key_leaves_nothing_half_made(engines: Engines) -> None:
    metadata = MetaData()
    Table("product", metadata, Column("id", Integer))
    Table("entry", metadata, Column("id", Integer), info={"bind_key": "audits"})

    with pytest.raises(UnknownBindError, match="'audits'"):
        create_all(metadata, engines)

    assert tables(engines["default"]) == []


def test_a_model_says_where_it_lives_or_its_table_does() -> None:
    assert model_bind_key(inspect(Entry)) == "audit"
    assert model_bind_key(inspect(Visit)) == "audit"
    assert model_bind_key(inspect(Product)) is None


def test_a_model_says_it_of_its_table_for_statements_that_name_the_table() -> None:
    assert bind_key_in_statements(Base.metadata.tables["entry"]) == "audit"
    assert bind_key_in_statements(Base.metadata.tables["visit"]) == "audit"
    assert bind_key_in_statements(Base.metadata.tables["product"]) is None


def test_a_model_that_reads_several_tables_says_nothing_of_them() -> None:
    class Report:
        __bind_key__ = "reports"

    product, entry = Base.metadata.tables["product"], Base.metadata.tables["entry"]
    reports = registry()
    mapper: Mapper[Report] = reports.map_imperatively(
        Report, product.join(entry, text("true")), properties={"product_id": product.c.id, "entry_id": entry.c.id}
    )
    try:
        assert model_bind_key(mapper) == "reports"
        assert bind_key_in_statements(product) is None
        assert bind_key_in_statements(entry) == "audit"
    finally:
        reports.dispose()


def test_models_that_do_not_agree_say_nothing_of_their_table() -> None:
    class Account(Others):
        __tablename__ = "account"
        id: Mapped[int] = mapped_column(primary_key=True)

    class ReportedAccount(Others):
        __table__ = Others.metadata.tables["account"]
        __bind_key__ = "reports"

    assert bind_key_in_statements(Others.metadata.tables["account"]) is None
    assert model_bind_key(inspect(Account)) is None
    assert model_bind_key(inspect(ReportedAccount)) == "reports"


def test_a_model_may_be_given_its_database_after_it_was_mapped() -> None:
    class Late(Others):
        __tablename__ = "late"
        id: Mapped[int] = mapped_column(primary_key=True)

    Late.__bind_key__ = "audit"
    assert bind_key_in_statements(Others.metadata.tables["late"]) == "audit"


BEFORE_THE_EXTENSION = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Entry(Base):
    __tablename__ = "entry"
    __bind_key__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)

from flask_unitofwork.database.bind_keys import bind_key_in_statements

assert bind_key_in_statements(Entry.__table__) == "audit"
"""


def test_a_model_may_have_been_there_before_the_extension_was_imported() -> None:
    subprocess.run([sys.executable, "-c", BEFORE_THE_EXTENSION], check=True)


def test_what_is_no_table_lives_nowhere_in_particular() -> None:
    assert table_bind_key(select(Product).subquery()) is None
