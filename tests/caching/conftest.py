"""A shop whose queries are cached, on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.caching.shop import Shop

MakeShop = Callable[..., Shop]


@pytest.fixture
def make_shop() -> Iterator[MakeShop]:
    made: list[Shop] = []

    def make(url: Any, **config: Any) -> Shop:
        made.append(Shop(url, **config))
        return made[-1]

    yield make
    for shop in made:
        shop.close()


@pytest.fixture
def shop(database_url: str, make_shop: MakeShop) -> Shop:
    """The shop on each database in turn."""
    return make_shop(database_url)


@pytest.fixture(params=["sqlite_url", "postgresql_url", "mariadb_url"])
def shared_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database that several processes may use, for each kind in turn."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(params=["postgresql_url", "mariadb_url"])
def busy_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database that several may write at a time, for each kind in turn."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def sqlite_shop(sqlite_url: str, make_shop: MakeShop) -> Shop:
    """The shop on an SQLite file, for what does not depend on the database."""
    return make_shop(sqlite_url)
