"""A shop whose orders, lines, labels and parcels stand to one another in most of the ways there are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column, relationship


class Base(DeclarativeBase):
    pass


order_label = Table(
    "order_label",
    Base.metadata,
    Column("order_id", ForeignKey("order.id"), primary_key=True),
    Column("label_id", ForeignKey("label.id"), primary_key=True),
)


class Address(Base):
    """One customer's, and of no use to anybody else."""

    __tablename__ = "address"

    id: Mapped[int] = mapped_column(primary_key=True)
    town: Mapped[str | None] = mapped_column(String(50))


class Customer(Base):
    """Its orders are left behind when it goes: their customer becomes NULL. Its address goes with it."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    address_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))
    address: Mapped[Address | None] = relationship(cascade="all, delete-orphan", single_parent=True)
    orders: Mapped[list[Order]] = relationship(back_populates="customer")


class Order(Base):
    """Its lines live and die with it."""

    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(String(20), default="new")
    note: Mapped[str | None] = deferred(mapped_column(String(50)))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer | None] = relationship(back_populates="orders")
    lines: Mapped[list[Line]] = relationship(back_populates="order", cascade="all, delete-orphan")
    labels: Mapped[list[Label]] = relationship(secondary=order_label, back_populates="orders")


class Line(Base):
    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    quantity: Mapped[int] = mapped_column(default=1)
    order: Mapped[Order] = relationship(back_populates="lines")
    remarks: Mapped[list[Remark]] = relationship(cascade="all, delete-orphan")


class Remark(Base):
    __tablename__ = "remark"

    id: Mapped[int] = mapped_column(primary_key=True)
    line_id: Mapped[int | None] = mapped_column(ForeignKey("line.id"))


class Label(Base):
    __tablename__ = "label"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(20))
    orders: Mapped[list[Order]] = relationship(secondary=order_label, back_populates="labels")


class Parcel(Base):
    """A table of its own for each kind of parcel."""

    __tablename__ = "parcel"
    __mapper_args__: Any = {"polymorphic_on": "kind", "polymorphic_identity": "parcel"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    weight: Mapped[int] = mapped_column(default=0)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"))
    order: Mapped[Order | None] = relationship()


class Express(Parcel):
    __tablename__ = "express"
    __mapper_args__: Any = {"polymorphic_identity": "express"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("parcel.id"), primary_key=True)
    hours: Mapped[int] = mapped_column(Integer, default=24)


class Account(Base):
    """Counts its versions."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column()
    __mapper_args__: Any = {"version_id_col": version}  # noqa: RUF012


class Shelf(Base):
    """Shelves in shelves: rows of one table that depend on one another."""

    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("shelf.id"))
    parent: Mapped[Shelf | None] = relationship(back_populates="children", remote_side="Shelf.id")
    children: Mapped[list[Shelf]] = relationship(back_populates="parent")
    favourite_id: Mapped[int | None] = mapped_column(ForeignKey("item.id", use_alter=True, name="fk_favourite"))
    favourite: Mapped[Item | None] = relationship(foreign_keys=favourite_id, post_update=True)


class Item(Base):
    """Stands on a shelf, which has one of its items as its favourite."""

    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey("shelf.id"))
    shelf: Mapped[Shelf | None] = relationship(foreign_keys=shelf_id)
