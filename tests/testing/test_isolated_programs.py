"""An isolated test observes what it would observe without isolation, and leaves nothing behind."""

from __future__ import annotations

from typing import Final

import pytest
from sqlalchemy import select

from flask_unitofwork import UnitOfWork
from flask_unitofwork.testing import isolated
from tests.stage import MakeStage

from .isolated_programs import PROGRAMS, Base

# Their threads get what they wait for. What others wait for they do not get, so they need not wait for long.
WAIT_FOR_ONE_ANOTHER: Final = frozenset({"threads_see_what_was_committed"})


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_what_it_does_in_production(name: str, database_url: str, make_stage: MakeStage) -> None:
    # Each run has views of its own, so it has an app of its own.
    stages = [
        make_stage(
            database_url,
            uow=UnitOfWork(metadata=Base.metadata),
            UNITOFWORK_LOCK_TIMEOUT=5 if name in WAIT_FOR_ONE_ANOTHER else 0.05,
        )
        for _ in range(2)
    ]
    with isolated(stages[0].app):
        in_the_test = list(PROGRAMS[name](stages[0]))
    with stages[0].engine.connect() as connection:
        left = [table.name for table in Base.metadata.sorted_tables if connection.execute(select(table)).all()]
    assert left == []
    assert in_the_test == list(PROGRAMS[name](stages[1]))
