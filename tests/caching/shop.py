"""A shop whose queries are cached: its models, its app, and a look at what reaches the database."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from dogpile.cache import CacheRegion, make_region
from flask import Flask
from sqlalchemy import Connection, Engine, ForeignKey, Select, String, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship

from flask_unitofwork import UnitOfWork
from flask_unitofwork.caching import FromCache

__all__ = ["Base", "Customer", "Line", "Order", "Product", "Shop", "Special", "elsewhere", "memory"]


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    orders: Mapped[list[Order]] = relationship(back_populates="customer", order_by="Order.id")


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    customer: Mapped[Customer] = relationship(back_populates="orders")
    lines: Mapped[list[Line]] = relationship(back_populates="order", order_by="Line.id", passive_deletes=True)


class Product(Base):
    __tablename__ = "products"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "plain"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10), default="plain")
    name: Mapped[str] = mapped_column(String(50))
    price: Mapped[int] = mapped_column(default=100)


class Special(Product):
    """A product with a table more."""

    __tablename__ = "specials"
    __mapper_args__ = {"polymorphic_identity": "special"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey(Product.id), primary_key=True)
    reason: Mapped[str] = mapped_column(String(50))


class Line(Base):
    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey(Order.id, ondelete="CASCADE"))
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id))
    quantity: Mapped[int] = mapped_column(default=1)
    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product] = relationship()


class Counted(Base):
    """A customer, with how many orders there are: nothing in a query of it shows that table."""

    __table__ = Customer.__table__
    orders = column_property(
        select(func.count(Order.id)).where(Order.customer_id == Customer.id).correlate(Customer).scalar_subquery()
    )


def memory(**options: Any) -> CacheRegion:
    """A region in this process."""
    return make_region().configure("dogpile.cache.memory", **options)


class Shop:
    """The app, and what reaches its database.

    Args:
        url: of its database.
        region: its cache region; one of its own if None.
        create: make tables and fill them. Otherwise that was done already.
        watched: note what is sent. Then no write is sent without a transaction, as what listens might write, too.
        **config: the app's settings.

    Attributes:
        app: the app.
        uow: its UnitOfWork.
        region: its cache region.
        sent: the SELECTs that have been sent since `forget`.
    """

    def __init__(
        self, url: Any, *, region: CacheRegion | None = None, create: bool = True, watched: bool = True, **config: Any
    ) -> None:
        self.region = region or memory()
        self.uow = UnitOfWork(metadata=Base.metadata)
        self.app = Flask("shop")
        self.app.config.update(UNITOFWORK_DATABASES=url, PROPAGATE_EXCEPTIONS=True)
        self.app.config.setdefault("UNITOFWORK_CACHE_REGIONS", {"default": self.region})
        self.app.config.update(config)
        self.uow.init_app(self.app)
        self.sent: list[str] = []
        with self.app.app_context():
            if create:
                self.uow.create_all()
            for engine in self.uow.engines.values() if watched else ():
                event.listen(engine, "before_cursor_execute", self._note)
        if create:
            self.fill()

        @self.app.route("/", methods=["GET", "POST"])
        def view() -> Any:
            return self._view()

    def fill(self) -> None:
        with self.uow.scope(self.app) as session:
            ann, bob = Customer(name="Ann"), Customer(name="Bob")
            tea, coffee = Product(name="tea"), Product(name="coffee")
            session.add_all([ann, bob, tea, coffee])
            session.flush()
            order = Order(customer=ann)
            session.add_all([order, Special(name="salt", reason="old"), Line(order=order, product=tea)])

    def request(self, view: Callable[[], Any], method: str = "GET") -> Any:
        """What *view* returns in a request."""
        returned: list[Any] = []

        def call() -> str:
            returned.append(view())
            return "done"

        self._view = call
        response = self.app.test_client().open("/", method=method)
        assert response.status_code == 200, response.text
        return returned[-1]

    def get(self, statement: Any, **options: Any) -> Any:
        """The scalars of *statement* from the cache, in a request that reads."""

        def view() -> Any:
            return self.uow.session.scalars(statement.options(FromCache(**options))).unique().all()

        return self.request(view)

    def names(self, statement: Any = None, **options: Any) -> list[str]:
        """The names of products, or of what *statement* selects, from the cache."""
        statement = select(Product.name).order_by(Product.id) if statement is None else statement
        return [getattr(one, "name", one) for one in self.get(statement, **options)]

    def asks(self, statement: Select[Any], **options: Any) -> bool:
        """Whether the database is asked for *statement*."""
        self.forget()
        self.get(statement, **options)
        return bool(self.sent)

    def forget(self) -> None:
        self.sent.clear()

    @contextmanager
    def writing(self) -> Generator[Any]:
        """A scope with its session, committed when it ends."""
        with self.uow.scope(self.app) as session:
            yield session

    def rename(self, name: str = "green tea", *, product: int = 1) -> None:
        with self.writing() as session:
            session.get_one(Product, product).name = name

    def engine(self) -> Engine:
        with self.app.app_context():
            return self.uow.engine

    def close(self) -> None:
        with self.app.app_context():
            self.uow.dispose()

    def _note(self, _connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.lstrip("( \n").startswith(("SELECT", "WITH")):
            self.sent.append(statement)


@contextmanager
def elsewhere() -> Generator[ThreadPoolExecutor]:
    """Another thread."""
    with ThreadPoolExecutor(1) as threads:
        yield threads
