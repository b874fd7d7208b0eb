"""An app that writes each booking in one database and its trace in another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from flask import Flask
from sqlalchemy import String, event, make_url, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tenacity import Retrying, stop_after_delay, wait_fixed

from flask_unitofwork import UnitOfWork
from flask_unitofwork.database.branch_names import BranchName, database_token
from tests.conftest import Outside

__all__ = ["Base", "Booking", "Ledger", "Trace", "configured"]


class Base(DeclarativeBase):
    pass


class Booking(Base):
    __tablename__ = "booking"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


class Trace(Base):
    __tablename__ = "trace"
    __bind_key__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


def configured(urls: dict[str, str], **config: Any) -> tuple[Flask, UnitOfWork]:
    """The app and its unit of work."""
    app = Flask("ledger")
    app.config.update(UNITOFWORK_DATABASES=urls, UNITOFWORK_TWO_PHASE=True, PROPAGATE_EXCEPTIONS=False, **config)
    return app, UnitOfWork(app, metadata=Base.metadata)


class Ledger:
    """The app, and a look at its databases from connections that know nothing of it."""

    def __init__(self, urls: dict[str, str], outside: Outside, **config: Any) -> None:
        self.urls = urls
        self.app, self.uow = configured(urls, **config)
        self._outside = outside
        with self.app.app_context():
            self.uow.create_all()

    def close(self) -> None:
        with self.app.app_context():
            self.uow.dispose()
        for bind, name in self._prepared():
            _at_last(partial(self._roll_back, bind, name))

    def _roll_back(self, bind: str, name: str) -> None:
        with self._outside(self.urls[bind]) as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").rollback_prepared(name, recover=True)

    def book(self, name: str) -> None:
        """Write in both databases, first in the deciding one, in the session in progress."""
        session = self.uow.session
        session.add(Booking(name=name))
        session.flush()
        session.add(Trace(name=name))
        session.flush()

    def bookings(self) -> list[str]:
        return self._names("default", Booking)

    def traces(self) -> list[str]:
        return self._names("audit", Trace)

    def unit_in_progress(self) -> BranchName:
        """How the branch of the session in progress is named, in the database that decides."""
        transaction: Any = self.uow.session.connection({"mapper": Booking}).get_transaction()
        name = BranchName.parse(str(transaction.xid))
        assert name is not None
        return name

    def records(self) -> int:
        """How many units the deciding database has recorded."""
        with self._outside(self.urls["default"]) as connection:
            return connection.scalar(text("SELECT count(*) FROM unitofwork_commits")) or 0

    def prepared(self) -> list[str]:
        """The names of the transactions that are prepared in the app's databases, whoever has prepared them."""
        return sorted(name for _, name in self._prepared())

    def _prepared(self) -> list[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for bind, url in self.urls.items():
            with self._outside(url) as connection:
                if connection.dialect.name == "postgresql":
                    here = text("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
                    found.update((bind, name) for name in connection.scalars(here))
                else:
                    # The whole server's. Tests that run at the same time have databases of other names.
                    token = database_token(bind, make_url(url))
                    names = [bytes(row[3]).decode() for row in connection.exec_driver_sql("XA RECOVER")]
                    found.update((bind, name) for name in names if name.endswith(f":{token}"))
        return list(found)

    def sent(self, bind: Literal["default", "audit"] = "default") -> list[str]:
        """What is sent to one of the databases from now on, as SQLAlchemy sees it."""
        sent: list[str] = []
        with self.app.app_context():
            engine = self.uow.get_engine(bind)
        event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
        for name in ("begin_twophase", "prepare_twophase", "commit_twophase", "rollback_twophase"):
            event.listen(engine, name, lambda *_, name=name: sent.append(name))
        return sent

    def _names(self, bind: str, model: type[Booking | Trace]) -> list[str]:
        with self._outside(self.urls[bind]) as connection:
            return list(connection.scalars(select(model.name).order_by(model.id)))


def _at_last(act: Callable[[], None]) -> None:
    """Do it as soon as it can be done: MariaDB waits until it has noticed that a process is gone."""
    Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.1))(act)
