"""Reading on MariaDB through a wire that counts: what the tests of PyMySQL's connections share.

A test module that imports the fixtures names them in its ``__all__``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, select

from flask_unitofwork.database.intent import INTENT, Intent
from tests.database.conftest import MakeEngines
from tests.servers.counting import CountingWire

__all__ = ["ONE_CONNECTION", "Connect", "connect", "engine", "item", "read", "wire", "words"]

# The same connection for all, one after the other.
ONE_CONNECTION: Final[dict[str, Any]] = {"pool_size": 1, "max_overflow": 0}

Connect = Callable[..., Engine]

item = Table("item", MetaData(), Column("id", Integer, primary_key=True))


@pytest.fixture
def wire(mariadb_url: str) -> Iterator[CountingWire]:
    wire = CountingWire(mariadb_url)
    yield wire
    wire.close()


@pytest.fixture
def connect(wire: CountingWire, make_engines: MakeEngines) -> Connect:
    """Makes an engine over the wire, which has connected and found a table."""

    def make(settings: dict[str, Any] | None = None, **options: Any) -> Engine:
        url = wire.url.render_as_string(hide_password=False)
        engine = make_engines({"default": {"url": url, **ONE_CONNECTION, **options}}, **(settings or {}))["default"]
        item.metadata.create_all(engine)
        wire.forget()
        return engine

    return make


@pytest.fixture
def engine(connect: Connect) -> Engine:
    return connect()


def read(engine: Engine) -> list[int]:
    """Read as a unit does that reads in autocommit."""
    with engine.connect() as connection:
        connection.info[INTENT] = Intent(reads_in_autocommit=True)
        return list(connection.scalars(select(item.c.id).order_by(item.c.id)))


def words(wire: CountingWire) -> list[str]:
    """The first word of each statement that was sent."""
    return [sent[5:].split()[0].decode() for sent in wire.sent]
