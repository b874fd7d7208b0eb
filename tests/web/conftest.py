"""Tests here play on the stage of `tests.stage`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.counting import CountingWire
from tests.stage import make_stage, sqlite_stage, stage

__all__ = ["make_stage", "server_url", "sqlite_stage", "stage", "wire"]


@pytest.fixture(params=["postgresql", "mariadb"])
def server_url(request: pytest.FixtureRequest) -> str:
    """A database that is reached over a wire."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def wire(server_url: str) -> Iterator[CountingWire]:
    """A wire there that counts round trips."""
    wire = CountingWire(server_url)
    yield wire
    wire.close()
