"""Connections that are lost in the second phase, and what becomes of the unit of work."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from flask_unitofwork import State, Unit, UnknownCommitError
from flask_unitofwork.database import two_phase
from tests.conftest import Outside
from tests.servers.wire import Cut, Wire
from tests.two_phase.ledger import Ledger
from tests.two_phase.wired import COMMIT, PREPARE, through, wires

__all__ = ["wires"]


class Wired:
    """The ledger through wires, and what its hooks said."""

    def __init__(self, ledger: Ledger, wires: dict[str, Wire], outside: Outside) -> None:
        self.ledger = ledger
        self.wires = wires
        self._app = Ledger(through(wires), outside)
        self.said: list[str] = []
        self.unit: Unit | None = None

    def when(self, bind: str, texts: dict[str, str], cut: Cut, *, refuse: bool = False) -> None:
        """Cut the wire to one database when it is sent one of *texts*; then nobody gets through to it, if so said."""
        wire = self.wires[bind]
        wire.when_sent(texts[wire.url.get_backend_name()], cut, then=wire.refuse if refuse else None)

    def book(self, name: str) -> None:
        uow = self._app.uow
        with uow.scope(self._app.app):
            self.unit = uow.current
            uow.on_commit(partial(self.said.append, "committed"))
            uow.on_rollback(partial(self.said.append, "rolled back"))
            self._app.book(name)

    def recover(self) -> str:
        """Run the command, past the wires, until it has finished everything."""
        run = self.ledger.app.test_cli_runner().invoke
        retrying = Retrying(
            retry=retry_if_result(lambda result: result.exit_code != 0), stop=stop_after_delay(60), wait=wait_fixed(0.1)
        )
        return str(retrying(lambda: run(args=["uow", "recover", "--older-than", "0"])).output)

    def close(self) -> None:
        for wire in self.wires.values():
            wire.allow()
        self._app.close()


@pytest.fixture
def wired(ledger: Ledger, wires: dict[str, Wire], outside: Outside, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    monkeypatch.setattr(two_phase, "PATIENCE_SECONDS", 2.0)
    wired = Wired(ledger, wires, outside)
    yield wired
    wired.close()


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.WITHIN, Cut.AFTER])
class TestTheDecidingDatabase:
    def test_is_asked_on_another_connection_and_nobody_notices(self, wired: Wired, cut: Cut) -> None:
        wired.when("default", COMMIT, cut)
        wired.book("rent")
        assert wired.unit is not None
        assert wired.unit.state is State.COMMITTED
        assert wired.said == ["committed"]
        assert wired.ledger.bookings() == wired.ledger.traces() == ["rent"]
        assert wired.ledger.prepared() == []
        wired.book("tax")
        assert wired.ledger.bookings() == wired.ledger.traces() == ["rent", "tax"]

    def test_that_cannot_be_asked_leaves_all_prepared_until_somebody_recovers(self, wired: Wired, cut: Cut) -> None:
        wired.when("default", COMMIT, cut, refuse=True)
        message = (
            r"The connection to the database 'default' was lost .* until `flask uow recover` finds out and finishes it"
        )
        with pytest.raises(UnknownCommitError, match=message):
            wired.book("rent")
        assert wired.unit is not None
        assert wired.unit.state is State.UNKNOWN
        assert wired.said == []
        assert wired.ledger.traces() == []
        wired.recover()
        committed = ["rent"] if cut is Cut.AFTER else []
        assert wired.ledger.bookings() == wired.ledger.traces() == committed
        assert wired.ledger.prepared() == []


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
class TestAnotherDatabase:
    def test_is_told_again_on_another_connection(self, wired: Wired, cut: Cut) -> None:
        wired.when("audit", COMMIT, cut)
        wired.book("rent")
        assert wired.said == ["committed"]
        assert wired.ledger.bookings() == wired.ledger.traces() == ["rent"]
        assert wired.ledger.prepared() == []

    def test_that_cannot_be_told_is_left_to_recover_and_the_unit_is_committed(
        self, wired: Wired, cut: Cut, caplog: pytest.LogCaptureFixture
    ) -> None:
        wired.when("audit", COMMIT, cut, refuse=True)
        wired.book("rent")
        assert wired.unit is not None
        assert wired.unit.state is State.COMMITTED
        assert wired.said == ["committed"]
        assert "the database 'audit' cannot be reached to commit its part" in caplog.text
        assert wired.ledger.bookings() == ["rent"]
        wired.recover()
        assert wired.ledger.traces() == ["rent"]
        assert wired.ledger.prepared() == []


@pytest.mark.parametrize("bind", ["default", "audit"])
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_database_that_is_lost_while_it_prepares_has_all_rolled_back(wired: Wired, bind: str, cut: Cut) -> None:
    wired.when(bind, PREPARE, cut)
    with pytest.raises(DBAPIError) as caught:
        wired.book("rent")
    assert caught.value.connection_invalidated
    assert wired.unit is not None
    assert wired.unit.state is State.ROLLED_BACK
    assert wired.said == ["rolled back"]
    # The one whose answer was lost is prepared, perhaps; no other is.
    assert len(wired.ledger.prepared()) <= 1
    wired.recover()
    assert wired.ledger.bookings() == wired.ledger.traces() == wired.ledger.prepared() == []
    wired.book("tax")
    assert wired.ledger.bookings() == wired.ledger.traces() == ["tax"]


def test_what_is_prepared_and_rolled_back_by_somebody_else_is_an_error_and_all_is_rolled_back(ledger: Ledger) -> None:
    if "mysql" in ledger.urls["default"]:
        return  # nobody else can, as long as the connection is open
    with ledger.app.app_context():
        ledger.book("rent")
        ledger.uow.session.prepare()
        result = ledger.app.test_cli_runner().invoke(args=["uow", "recover", "--older-than", "0"])
        assert "rolled back" in result.output or "FAILED" in result.output
        with pytest.raises(DBAPIError):
            ledger.uow.session.commit()
        ledger.uow.session.rollback()
        assert ledger.uow.current.state is State.ROLLED_BACK
    assert ledger.bookings() == ledger.traces() == ledger.prepared() == []
