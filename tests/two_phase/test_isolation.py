"""Isolated tests of apps that commit in two phases: they observe what is true, and leave nothing prepared."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from flask_unitofwork import IsolationError
from flask_unitofwork.testing import isolated, isolated_example
from flask_unitofwork.testing.outcomes import watched_outcomes
from tests.two_phase.conftest import MakeLedger
from tests.two_phase.isolated_programs import PROGRAMS, engine_of, seen
from tests.two_phase.ledger import Ledger, Trace


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_what_it_does_in_production(name: str, make_ledger: MakeLedger) -> None:
    # Each run has views of its own, so it has an app of its own.
    first, second = make_ledger(), make_ledger()
    with isolated(first.app):
        in_the_test = list(PROGRAMS[name](first))
    assert first.bookings() == first.traces() == first.prepared() == []
    assert first.records() == 0
    assert in_the_test == list(PROGRAMS[name](second))


@pytest.mark.parametrize("status", [201, 409])
def test_the_outcome_of_a_request_is_asserted(ledger: Ledger, status: int) -> None:
    @ledger.app.post("/")
    def view() -> tuple[str, int]:
        ledger.book("rent")
        return "", status

    with isolated(ledger.app), watched_outcomes(ledger.app) as outcomes:
        ledger.app.test_client().post("/")
        if status == 201:
            outcomes.assert_committed()
        else:
            outcomes.assert_rolled_back()


def test_what_a_test_leaves_prepared_is_gone_with_it(ledger: Ledger) -> None:
    with isolated(ledger.app):
        context = ledger.app.app_context()
        context.push()
        ledger.book("rent")
        ledger.uow.session.prepare()
    context.pop()
    assert ledger.bookings() == ledger.traces() == ledger.prepared() == []
    with isolated(ledger.app):
        assert seen(ledger)[:4] == [[], 0, [], 0]


def test_what_an_example_leaves_prepared_is_gone_with_it(ledger: Ledger) -> None:
    with isolated(ledger.app):
        for _ in range(2):
            with isolated_example(ledger.app):
                with engine_of(ledger, "audit").connect() as connection:
                    transaction = connection.begin_twophase("mine")
                    connection.execute(Trace.__table__.insert().values(name="rent"))  # type: ignore[attr-defined]
                    transaction.prepare()
                    connection.invalidate()
            with engine_of(ledger, "audit").connect() as connection:
                assert connection.recover_twophase() == []
                assert connection.scalars(select(Trace.name)).all() == []


def test_a_name_that_cannot_be_read_is_refused(ledger: Ledger) -> None:
    engine = engine_of(ledger, "audit")
    statement = "COMMIT PREPARED $$mine$$" if engine.dialect.name == "postgresql" else "XA START X'6d'"
    with isolated(ledger.app), engine.connect() as connection:
        with pytest.raises(IsolationError, match="An isolated test cannot follow this statement"):
            connection.exec_driver_sql(statement)
    assert ledger.prepared() == []
