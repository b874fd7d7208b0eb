"""Whatever a program does, what becomes of its work is what the design promises.

Each program is performed twice, by the package on a database and by a model, and both must agree on the rows that are
there afterwards, on what ran and in which order, and on the error or the status at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, select

from tests.conftest import Outside
from tests.stage import Item, MakeStage
from tests.transaction.model_request import WebModel
from tests.transaction.performing import Performer
from tests.transaction.programs import Body, Request, kind_of
from tests.transaction.random_programs import bodies, requests

# SQLAlchemy's words about programs that go on after a failed flush.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Session's state has been changed on a non-active transaction"),
    pytest.mark.filterwarnings("ignore:transaction already deassociated from connection"),
]


@dataclass
class Trial:
    """Compares the package on one database with the model."""

    performer: Performer
    table: Connection
    aborts: bool

    def compare(self, place: str, program: Any) -> None:
        model = WebModel(aborts=self.aborts)
        expected = _end(getattr(model, place), program)
        with self.performer.performance() as performance:
            actual = _end(getattr(self.performer, place), program)
        names = self.table.scalars(select(Item.name).where(Item.name.startswith(performance.prefix)))
        rows = sorted(name.removeprefix(performance.prefix) for name in names)
        assert actual == expected
        assert rows == sorted(model.table)
        assert performance.log == model.log
        assert self.performer.checked_out() == 0


def _end(perform: Callable[[Any], object], program: Any) -> object:
    """What *program* ends with: an answer's status, or the kind of an error."""
    try:
        return perform(program)
    except Exception as error:  # noqa: BLE001  the kind of error is what is compared
        return kind_of(error)


@pytest.fixture
def sqlite(make_stage: MakeStage, outside: Outside) -> Iterator[Trial]:
    stage = make_stage("sqlite://")
    with outside(stage.engine) as connection:
        yield Trial(Performer(stage), connection.execution_options(isolation_level="AUTOCOMMIT"), aborts=False)


@pytest.fixture
def postgresql(postgresql_url: str, make_stage: MakeStage, outside: Outside) -> Iterator[Trial]:
    stage = make_stage(postgresql_url)
    with outside(stage.engine) as connection:
        yield Trial(Performer(stage), connection.execution_options(isolation_level="AUTOCOMMIT"), aborts=True)


def many(examples: int) -> settings:
    # One database for all programs of a test: each has its own rows in it.
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestOnSQLite:
    @many(300)
    @given(bodies(independent=False))
    def test_in_a_scope(self, sqlite: Trial, program: Body) -> None:
        sqlite.compare("in_scope", program)

    @many(300)
    @given(bodies(independent=False))
    def test_in_an_app_context(self, sqlite: Trial, program: Body) -> None:
        sqlite.compare("in_context", program)

    @many(300)
    @given(requests(independent=False))
    def test_in_a_request(self, sqlite: Trial, request_: Request) -> None:
        sqlite.compare("in_request", request_)


class TestOnPostgreSQL:
    @many(60)
    @given(bodies(independent=True))
    def test_in_a_scope(self, postgresql: Trial, program: Body) -> None:
        postgresql.compare("in_scope", program)

    @many(60)
    @given(bodies(independent=True))
    def test_in_an_app_context(self, postgresql: Trial, program: Body) -> None:
        postgresql.compare("in_context", program)

    @many(60)
    @given(requests(independent=True))
    def test_in_a_request(self, postgresql: Trial, request_: Request) -> None:
        postgresql.compare("in_request", request_)
