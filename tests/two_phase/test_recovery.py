"""Processes that are killed between the two phases, and `flask uow recover`."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
from click.testing import Result
from sqlalchemy import insert, make_url, update
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from flask_unitofwork import DemarcationError
from flask_unitofwork.database.branch_names import BranchName, database_token, new_unit
from flask_unitofwork.database.commit_records import COMMIT_RECORDS
from tests.conftest import Outside
from tests.servers.wire import Wire
from tests.two_phase.ledger import Ledger, configured
from tests.two_phase.wired import COMMIT, PREPARE, through, wires

__all__ = ["wires"]

ROOT = Path(__file__).parents[2]
SECONDS = 60


class Victim:
    """A process that books through wires, and is killed in the midst of it."""

    def __init__(self, wires: dict[str, Wire]) -> None:
        self._wires = wires
        self._process: subprocess.Popen[bytes] | None = None
        self._started = Event()

    def kill_when(self, texts: dict[str, str], *, at: int = 0, binds: tuple[str, ...] = ("default", "audit")) -> None:
        """Kill it when it sends one of *texts*, which its database then does not get: the first one, or that number."""
        count = iter(range(len(binds)))
        for bind in binds:
            wire = self._wires[bind]
            kind = wire.url.get_backend_name()
            wire.when_sent(texts[kind], then=lambda: self._die() if next(count) == at else None)

    def _die(self) -> None:
        assert self._started.wait(SECONDS)
        assert self._process is not None
        self._process.kill()
        self._process.wait(SECONDS)
        for wire in self._wires.values():
            wire.cut_now()

    def book(self, name: str) -> None:
        urls = through(self._wires)
        command = [sys.executable, "-m", "tests.two_phase.booking", urls["default"], urls["audit"], name]
        self._process = subprocess.Popen(command, cwd=ROOT)
        self._started.set()
        assert self._process.wait(SECONDS) == -signal.SIGKILL


@pytest.fixture
def victim(wires: dict[str, Wire]) -> Victim:
    return Victim(wires)


def recover(ledger: Ledger, *arguments: str) -> Result:
    return ledger.app.test_cli_runner().invoke(args=["uow", "recover", *arguments])


def recover_at_last(ledger: Ledger) -> Result:
    """Recover, as soon as the servers have noticed that the process is gone. MariaDB waits for that."""
    retrying = Retrying(
        retry=retry_if_result(lambda result: result.exit_code != 0),
        stop=stop_after_delay(SECONDS),
        wait=wait_fixed(0.1),
    )
    result: Result = retrying(lambda: recover(ledger, "--older-than", "0"))
    return result


def assert_all_goes_on(ledger: Ledger, *names: str) -> None:
    """Both databases have the bookings of *names*, nothing is left, and nothing holds a lock."""
    assert ledger.prepared() == []
    assert ledger.bookings() == ledger.traces() == list(names)
    with ledger.uow.scope(ledger.app):
        ledger.book("afterwards")
    assert ledger.bookings() == ledger.traces() == [*names, "afterwards"]
    assert recover(ledger, "--older-than", "0").output == "Nothing is left prepared.\n"


class TestAProcessThatIsKilled:
    def test_when_one_database_has_prepared_has_its_work_rolled_back(self, ledger: Ledger, victim: Victim) -> None:
        victim.kill_when(PREPARE, at=1)
        victim.book("rent")
        assert len(ledger.prepared()) == 1
        assert "would be rolled back" in recover(ledger, "--dry-run", "--older-than", "0").output
        assert len(ledger.prepared()) == 1
        assert "  rolled back\n" in recover_at_last(ledger).output
        assert_all_goes_on(ledger)

    def test_when_all_have_prepared_has_its_work_rolled_back(self, ledger: Ledger, victim: Victim) -> None:
        victim.kill_when(COMMIT)
        victim.book("rent")
        assert len(ledger.prepared()) == 2
        assert "would be rolled back" in recover(ledger, "--dry-run", "--older-than", "0").output
        assert len(ledger.prepared()) == 2
        assert ledger.bookings() == ledger.traces() == []
        assert "  rolled back\n" in recover_at_last(ledger).output
        assert_all_goes_on(ledger)

    def test_when_one_has_committed_has_its_work_committed(self, ledger: Ledger, victim: Victim) -> None:
        victim.kill_when(COMMIT, binds=("audit",))
        victim.book("rent")
        assert (ledger.bookings(), ledger.traces()) == (["rent"], [])
        assert len(ledger.prepared()) == 1
        assert "would be committed" in recover(ledger, "--dry-run", "--older-than", "0").output
        assert len(ledger.prepared()) == 1
        assert "  committed\n" in recover_at_last(ledger).output
        assert_all_goes_on(ledger, "rent")


class TestRecover:
    def test_leaves_to_its_process_what_is_younger_than_a_minute(self, ledger: Ledger) -> None:
        with ledger.app.app_context():
            ledger.book("rent")
            ledger.uow.session.prepare()
            result = recover(ledger)
            assert result.exit_code == 0
            assert "left to its process: younger than 60 s (--older-than)" in result.output
            assert len(ledger.prepared()) == 2
            ledger.uow.session.commit()
        assert ledger.bookings() == ledger.traces() == ["rent"]

    def test_never_touches_what_others_have_prepared(self, ledger: Ledger, outside: Outside) -> None:
        for bind, url in ledger.urls.items():
            ours = database_token(bind, make_url(url))
            elsewhere = database_token(bind, make_url(url).set(database="staging"))
            names = [
                BranchName("shop", new_unit(), ours, ours),  # of another app
                BranchName("ledger", new_unit(), elsewhere, ours),  # of an app of this name, whose decider is elsewhere
                f"by hand:{ours}",
            ]
            for number, name in enumerate(map(str, names)):
                prepare_by_hand(outside, url, name, f"{bind} {number}")
        theirs = ledger.prepared()
        assert len(theirs) == 6
        result = recover(ledger, "--older-than", "0")
        assert ledger.prepared() == theirs
        obstacle = "left as it is: the app has no database"
        assert (result.exit_code, result.output.count(obstacle)) == (1, 2)

    def test_says_that_nothing_is_left(self, ledger: Ledger) -> None:
        result = recover(ledger)
        assert (result.output, result.exit_code) == ("Nothing is left prepared.\n", 0)

    def test_keeps_a_process_that_was_only_slow_from_committing(self, ledger: Ledger) -> None:
        with ledger.app.app_context():
            ledger.book("rent")
            with ledger.uow.engine.connect() as connection:
                # What the command does where nothing of the unit is prepared yet in the database that decides.
                unit = ledger.unit_in_progress().record
                connection.execute(insert(COMMIT_RECORDS).values(unit=unit, committed=False, branches=""))
                connection.commit()
            with pytest.raises(
                DemarcationError, match="was slow to commit, and `flask uow recover` has rolled it back"
            ):
                ledger.uow.session.commit()
            ledger.uow.session.rollback()
        assert ledger.bookings() == ledger.traces() == ledger.prepared() == []

    def test_forgets_old_decisions_of_finished_units(self, ledger: Ledger) -> None:
        with ledger.uow.scope(ledger.app):
            ledger.book("rent")
        assert ledger.records() == 1
        assert recover(ledger).output == "Nothing is left prepared.\n"
        assert ledger.records() == 1
        with ledger.app.app_context(), ledger.uow.engine.begin() as connection:
            # The time is the first four bytes of the unit's token.
            connection.execute(update(COMMIT_RECORDS).values(unit="ledger:AAAAAAAAAAAAAAAA"))
        assert "Deleted 1 old decisions" in recover(ledger).output
        assert ledger.records() == 0

    def test_tells_which_database_cannot_be_reached(self, ledger: Ledger, wires: dict[str, Wire]) -> None:
        wires["audit"].refuse()
        app, uow = configured(through(wires))
        result = app.test_cli_runner().invoke(args=["uow", "recover"])
        assert result.exit_code == 1
        assert result.output.startswith("audit: FAILED: ")
        with app.app_context():
            uow.dispose()


def prepare_by_hand(outside: Outside, url: str, name: str, unit: str) -> None:
    """Prepare a transaction called *name*, and leave it."""
    with outside(url) as connection:
        transaction = connection.begin_twophase(name)
        connection.execute(insert(COMMIT_RECORDS).values(unit=unit, committed=False, branches=""))
        transaction.prepare()
        connection.invalidate()  # a connection that is closed rolls back first
