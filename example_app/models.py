"""What the shop remembers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from .clock import UtcDateTime, now
from .extensions import metadata, uow

__all__ = ["MAX_REFERENCE", "AuditEntry", "Base", "Customer", "Order", "OrderLine", "Product"]


MAX_REFERENCE: Final = 64


class Base(DeclarativeBase):
    """A plain SQLAlchemy base. ``Product.query`` and the like are the current unit's."""

    metadata = metadata
    query = uow.query_property()


class Product(Base):
    """Something on the shelf."""

    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price_cents >= 0", name="price_not_negative"),
        # The database's own word on what `orders.place` sees to: a shelf never holds less than nothing.
        CheckConstraint("stock >= 0", name="stock_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    category: Mapped[str] = mapped_column(String(40), index=True)
    description: Mapped[str] = mapped_column(String(500))
    price_cents: Mapped[int]
    stock: Mapped[int]


class Customer(Base):
    """Somebody who may order."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(254), unique=True)


class Order(Base):
    """What a customer bought, at the prices of that moment."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    # Chosen by whoever orders, the same when they send the order again: see `orders.place`.
    reference: Mapped[str] = mapped_column(String(MAX_REFERENCE), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)

    customer: Mapped[Customer] = relationship()
    lines: Mapped[list[OrderLine]] = relationship(
        back_populates="order", cascade="all, delete-orphan", order_by="OrderLine.id"
    )

    @property
    def total_cents(self) -> int:
        """The sum of the lines."""
        return sum(line.total_cents for line in self.lines)


class OrderLine(Base):
    """One product of an order."""

    __tablename__ = "order_lines"
    __table_args__ = (
        UniqueConstraint("order_id", "product_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey(Order.id))
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id), index=True)
    quantity: Mapped[int]
    # A copy, not a reference: tomorrow's price must not change yesterday's order.
    unit_price_cents: Mapped[int]

    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product] = relationship()

    @property
    def total_cents(self) -> int:
        """Quantity times price."""
        return self.quantity * self.unit_price_cents


class AuditEntry(Base):
    """One line of the audit trail: written in the unit of what it tells, so that neither is there without the other."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    action: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(String(1000))
    order_id: Mapped[int | None] = mapped_column(ForeignKey(Order.id), index=True)
