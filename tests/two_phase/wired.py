"""Wires to the databases of a ledger, and what is sent to them in two phases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.servers.wire import Wire
from tests.two_phase.ledger import Ledger

__all__ = ["COMMIT", "PREPARE", "through", "wires"]

PREPARE: Final = {"postgresql": "PREPARE TRANSACTION", "mysql": "XA PREPARE"}
COMMIT: Final = {"postgresql": "COMMIT PREPARED", "mysql": "XA COMMIT"}


@pytest.fixture
def wires(ledger: Ledger) -> Iterator[dict[str, Wire]]:
    with ExitStack() as ended:
        wires = {bind: Wire(url) for bind, url in ledger.urls.items()}
        for wire in wires.values():
            ended.callback(wire.close)
        yield wires


def through(wires: dict[str, Wire]) -> dict[str, str]:
    """The URLs at the near end of the wires."""
    return {bind: wire.url.render_as_string(hide_password=False) for bind, wire in wires.items()}
