"""Which classes are mapped to the tables of a MetaData."""

from __future__ import annotations

import gc

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry

from flask_unitofwork.database.mappers import all_registries
from flask_unitofwork.models import mapped_classes


def test_they_are_found_however_they_were_mapped() -> None:
    shared = MetaData()

    class Base(DeclarativeBase):
        metadata = shared

    class Zebra(Base):
        __tablename__ = "zebras"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Foal(Zebra):
        __tablename__ = "foals"
        id: Mapped[int] = mapped_column(ForeignKey(Zebra.id), primary_key=True)

    class Ape:
        pass

    other_registry = registry(metadata=shared)
    other_registry.map_imperatively(Ape, Table("apes", shared, Column("id", Integer, primary_key=True)))

    assert mapped_classes(shared) == [Ape, Foal, Zebra]


def test_those_of_another_metadata_are_not_among_them() -> None:
    class Base(DeclarativeBase):
        pass

    class Yak(Base):
        __tablename__ = "yaks"
        id: Mapped[int] = mapped_column(primary_key=True)

    assert mapped_classes(MetaData()) == []
    assert mapped_classes(Base.metadata) == [Yak]


def test_a_class_that_is_gone_is_not_kept_alive() -> None:
    metadata = MetaData()

    def map_one() -> None:
        class Gnu:
            pass

        registry(metadata=metadata).map_imperatively(
            Gnu, Table("gnus", metadata, Column("id", Integer, primary_key=True))
        )
        assert mapped_classes(metadata) == [Gnu]

    map_one()
    gc.collect()
    assert mapped_classes(metadata) == []


def test_sqlalchemy_still_tells_its_registries() -> None:
    fresh = registry()

    assert fresh in all_registries()
