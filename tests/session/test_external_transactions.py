"""A session that joins a transaction which somebody else has begun on its connection."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError

from flask_unitofwork import Session, State
from tests.stage import Item, Stage, make_stage, stage

__all__ = ["make_stage", "stage"]

Mode = Literal["conditional_savepoint", "rollback_only", "control_fully", "create_savepoint"]
MODES: tuple[Mode, ...] = ("conditional_savepoint", "rollback_only", "control_fully", "create_savepoint")


@pytest.fixture
def connection(stage: Stage) -> Iterator[Connection]:
    with stage.engine.connect() as connection:
        yield connection


def names(connection: Connection) -> list[str]:
    """What the connection's own transaction sees."""
    return list(connection.scalars(select(Item.name).order_by(Item.id)))


@contextmanager
def unit_on(stage: Stage, connection: Connection, mode: Mode) -> Generator[Session]:
    """The session of a scope, which has joined what is in progress on *connection*."""
    with stage.app.app_context():
        session = stage.uow.registry(bind=connection, join_transaction_mode=mode)
        assert session is stage.uow.session
        yield session


class TestAUnit:
    @pytest.mark.parametrize("mode", ["conditional_savepoint", "rollback_only", "create_savepoint"])
    def test_that_commits_leaves_the_outer_transaction_to_whoever_began_it(
        self, stage: Stage, connection: Connection, mode: Mode
    ) -> None:
        said: list[str] = []
        outer = connection.begin()
        with unit_on(stage, connection, mode) as session:
            stage.uow.on_commit(lambda: said.append("committed"))
            session.add(Item(name="tea"))
            session.commit()
            assert stage.uow.current.state is State.COMMITTED
        assert said == ["committed"]
        assert outer.is_active
        assert names(connection) == ["tea"]
        outer.rollback()
        connection.close()
        assert stage.names() == []

    def test_that_controls_fully_commits_the_outer_transaction(self, stage: Stage, connection: Connection) -> None:
        outer = connection.begin()
        with unit_on(stage, connection, "control_fully") as session:
            session.add(Item(name="tea"))
            session.commit()
        assert not outer.is_active
        connection.close()
        assert stage.names() == ["tea"]

    @pytest.mark.parametrize("mode", ["conditional_savepoint", "rollback_only", "control_fully"])
    def test_that_rolls_back_rolls_the_outer_transaction_back(
        self, stage: Stage, connection: Connection, mode: Mode
    ) -> None:
        said: list[str] = []
        outer = connection.begin()
        connection.execute(insert(Item).values(name="before"))
        with unit_on(stage, connection, mode) as session:
            stage.uow.on_rollback(lambda: said.append("rolled back"))
            session.add(Item(name="tea"))
            session.flush()
            session.rollback()
            assert stage.uow.current.state is State.ROLLED_BACK
        assert said == ["rolled back"]
        assert not outer.is_active
        connection.close()
        assert stage.names() == []

    def test_that_creates_a_savepoint_rolls_back_to_it_alone(self, stage: Stage, connection: Connection) -> None:
        outer = connection.begin()
        connection.execute(insert(Item).values(name="before"))
        with unit_on(stage, connection, "create_savepoint") as session:
            session.add(Item(name="tea"))
            session.flush()
            session.rollback()
            assert outer.is_active
            assert names(connection) == ["before"]
        outer.commit()
        connection.close()
        assert stage.names() == ["before"]

    def test_is_in_a_savepoint_under_the_condition_that_one_is_open(self, stage: Stage, connection: Connection) -> None:
        outer = connection.begin()
        connection.execute(insert(Item).values(name="before"))
        connection.begin_nested()
        with unit_on(stage, connection, "conditional_savepoint") as session:
            session.add(Item(name="tea"))
            session.flush()
            session.rollback()
            session.add(Item(name="milk"))
            session.commit()
            assert names(connection) == ["before", "milk"]
        assert outer.is_active
        outer.rollback()
        connection.close()
        assert stage.names() == []

    @pytest.mark.parametrize("mode", MODES)
    def test_that_ends_without_a_word_is_rolled_back(self, stage: Stage, connection: Connection, mode: Mode) -> None:
        connection.begin()
        with unit_on(stage, connection, mode) as session:
            session.add(Item(name="tea"))
            session.flush()
        assert connection.closed is False
        connection.close()
        assert stage.names() == []

    @pytest.mark.parametrize("mode", ["conditional_savepoint", "rollback_only", "create_savepoint"])
    def test_has_blocks_and_savepoints_of_its_own(self, stage: Stage, connection: Connection, mode: Mode) -> None:
        outer = connection.begin()
        with unit_on(stage, connection, mode), stage.uow.transaction():
            stage.add("tea")
            with pytest.raises(IntegrityError), stage.uow.savepoint():
                stage.add("tea")
                stage.uow.session.flush()
            stage.add("milk")
        assert names(connection) == ["tea", "milk"]
        outer.rollback()
        connection.close()
        assert stage.names() == []


class TestTheRecipeForTests:
    """The seeds' recipe for test suites, with today's ``create_savepoint``: whatever the code does is undone."""

    @pytest.mark.parametrize("mode", ["create_savepoint", "conditional_savepoint"])
    def test_undoes_commits_and_rollbacks(self, stage: Stage, connection: Connection, mode: Mode) -> None:
        outer = connection.begin()
        if mode == "conditional_savepoint":
            connection.begin_nested()
        session = Session(bind=connection, join_transaction_mode=mode)
        session.add(Item(name="tea"))
        session.commit()
        session.add(Item(name="milk"))
        session.rollback()
        session.add(Item(name="tea"))
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        with session.begin_nested():
            session.add(Item(name="sugar"))
        session.commit()
        assert session.scalars(select(Item.name).order_by(Item.id)).all() == ["tea", "sugar"]
        session.close()
        outer.rollback()
        connection.close()
        assert stage.names() == []

    def test_sees_what_the_connection_has_written_before(self, stage: Stage, connection: Connection) -> None:
        outer = connection.begin()
        connection.execute(text("INSERT INTO item (id, name) VALUES (7, 'tea')"))
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            assert session.get_one(Item, 7).name == "tea"
        assert outer.is_active
        outer.rollback()

    def test_keeps_what_is_committed_outside(self, stage: Stage, connection: Connection) -> None:
        with connection.begin(), Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            session.add(Item(name="tea"))
            session.commit()
        connection.close()
        assert stage.names() == ["tea"]


def test_a_mode_that_does_not_exist_is_sqlalchemy_s_error(stage: Stage) -> None:
    with stage.app.app_context(), pytest.raises(Exception, match="join_transaction_mode"):
        stage.uow.registry(join_transaction_mode="whatever")
