"""Apps on two databases that commit together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest

from tests.conftest import Outside, Server
from tests.two_phase.ledger import Ledger

PAIRS: Final = ("postgresql+postgresql", "mariadb+postgresql", "postgresql+mariadb", "mariadb+mariadb")

MakeLedger = Callable[..., Ledger]


@contextmanager
def _borrowed(request: pytest.FixtureRequest, kind: str) -> Generator[str]:
    server: Server = request.getfixturevalue(f"{kind}_server")
    url = server.borrow()
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        server.give_back(url)


@pytest.fixture(params=PAIRS)
def urls(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Two databases: one that a unit uses first, and so decides, and another."""
    first, second = request.param.split("+")
    with ExitStack() as borrowed:
        yield {
            "default": borrowed.enter_context(_borrowed(request, first)),
            "audit": borrowed.enter_context(_borrowed(request, second)),
        }


@pytest.fixture
def make_ledger(urls: dict[str, str], outside: Outside) -> Iterator[MakeLedger]:
    made: list[Ledger] = []

    def make(**config: Any) -> Ledger:
        made.append(Ledger(urls, outside, **config))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> Ledger:
    return make_ledger()
