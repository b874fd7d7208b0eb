"""Ways to keep one test from the next, as they are found in projects: each a context manager around the test."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from flask import Flask
from sqlalchemy import URL, Connection, ForeignKey, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

from flask_unitofwork import UnitOfWork
from flask_unitofwork.web import APP_STATE, AppState

__all__ = ["NONE", "OURS", "TABLES", "WAYS", "Place", "Way"]

TABLES: Final = 30
NONE: Final = "no isolation"
OURS: Final = "flask_unitofwork"


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "row_0"

    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[str]


for number in range(1, TABLES):
    name = f"Row{number}"
    # Each refers to the one before, as the tables of a real app do.
    type(
        name,
        (Base,),
        {
            "__tablename__": f"row_{number}",
            "__module__": __name__,
            "__annotations__": {"id": Mapped[int], "before_id": Mapped[int | None], "words": Mapped[str]},
            "id": mapped_column(primary_key=True),
            "before_id": mapped_column(ForeignKey(f"row_{number - 1}.id"), index=True),
            "words": mapped_column(index=True),
        },
    )


@dataclass(frozen=True)
class Place:
    """An app, and a database that is its own."""

    app: Flask
    url: URL
    template: str

    @classmethod
    def made(cls, url: URL) -> Place:
        """An app on a new database beside that of *url*, and its tables."""
        with _server(url) as server:
            template = f"{url.database}_template"
            server.execute(text(f"CREATE DATABASE {url.database}"))
        app = Flask("one_test")
        app.config.update(UNITOFWORK_DATABASES=url, TESTING=True)
        uow = UnitOfWork(app, metadata=Base.metadata)

        @app.post("/rows")
        def add() -> str:
            uow.session.add(Row(words="a few words"))
            return "added"

        with app.app_context():
            uow.create_all()
            uow.dispose()
        with _server(url) as server:
            server.execute(text(f"CREATE DATABASE {template} TEMPLATE {url.database}"))
        return cls(app, url, template)

    @property
    def state(self) -> AppState:
        """What the app was initialised with."""
        state: AppState = self.app.extensions[APP_STATE]
        return state


Way = Callable[[Place], AbstractContextManager[object]]


@contextmanager
def _server(url: URL) -> Generator[Connection]:
    engine = create_engine(url.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


class OneConnection:
    """Gives all sessions the same connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __getitem__(self, name: str) -> Connection:
        return self._connection


@contextmanager
def _rollback_only(place: Place) -> Generator[None]:
    """Sessions join one transaction, their commits do nothing, and a rollback in the app ends the test's own work."""
    router, sessions = place.state.router, place.state.sessions
    with place.state.engines["default"].connect() as connection:
        transaction = connection.begin()
        before, router.source = router.source, OneConnection(connection)
        sessions.configure(join_transaction_mode="rollback_only")
        try:
            yield
        finally:
            router.source = before
            sessions.configure(join_transaction_mode="conditional_savepoint")
            transaction.rollback()


@contextmanager
def _delete(place: Place) -> Generator[None]:
    yield
    with place.state.engines["default"].begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


@contextmanager
def _truncate(place: Place) -> Generator[None]:
    yield
    with place.state.engines["default"].begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(Base.metadata.tables)} RESTART IDENTITY"))


@contextmanager
def _create_and_drop(place: Place) -> Generator[None]:
    engine = place.state.engines["default"]
    Base.metadata.create_all(engine)
    yield
    Base.metadata.drop_all(engine)


@contextmanager
def _template(place: Place) -> Generator[None]:
    with _server(place.url) as server:
        server.execute(text(f"DROP DATABASE {place.url.database}"))
        server.execute(text(f"CREATE DATABASE {place.url.database} TEMPLATE {place.template}"))
    yield
    place.state.engines.dispose()


WAYS: Final[Mapping[str, Way]] = MappingProxyType(
    {
        NONE: nullcontext,
        OURS: nullcontext,  # the plugin does it, as in any project
        "join, rollback only": _rollback_only,
        "DELETE from each table": _delete,
        "TRUNCATE all tables": _truncate,
        "create_all, drop_all": _create_and_drop,
        "copy of a template database": _template,
    }
)
