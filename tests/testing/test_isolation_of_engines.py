"""What an isolated test does with an app's engines and their pools: they are what they were, and lead elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine, event, insert, select, text
from sqlalchemy.pool import NullPool
from tenacity import Retrying, stop_after_delay, wait_fixed

from flask_unitofwork import IsolationError
from flask_unitofwork.testing import isolated
from tests.conftest import Outside
from tests.stage import Item, MakeStage, Stage


def test_a_pool_has_the_class_the_size_and_the_listeners_of_the_engine_s_own(
    postgresql_url: str, make_stage: MakeStage
) -> None:
    stage = make_stage(postgresql_url, UNITOFWORK_ENGINE_OPTIONS={"pool_size": 3, "max_overflow": 0})
    told: list[str] = []
    for name in ("checkout", "checkin"):
        event.listen(stage.engine, name, lambda *_, name=name: told.append(name))
    own: Any = stage.engine.pool
    with isolated(stage.app):
        pool: Any = stage.engine.pool
        assert pool is not own
        assert (type(pool), pool.size()) == (type(own), 3)
        stage.engine.connect().close()  # whose listeners are also told of the test's connection
        told.clear()
        with stage.engine.connect():
            assert (pool.checkedout(), told) == (1, ["checkout"])
        assert told == ["checkout", "checkin"]
    assert stage.engine.pool is own


def test_connections_of_a_pool_are_all_the_test_s_one(stage: Stage) -> None:
    with isolated(stage.app):
        with stage.engine.connect() as one, stage.engine.connect() as other:
            one.execute(insert(Item).values(name="tea"))
            assert other.scalars(select(Item.name)).all() == ["tea"]
        with stage.engine.connect() as later:
            assert later.scalars(select(Item.name)).all() == []
    assert stage.names() == []


def test_a_pool_is_kept_for_the_next_test_until_its_listeners_change(stage: Stage) -> None:
    pools: list[object] = []
    told: list[str] = []
    for turn in range(3):
        if turn == 2:
            event.listen(stage.engine, "checkout", lambda *_: told.append("checkout"))
        with isolated(stage.app), stage.uow.scope(stage.app):
            pools.append(stage.engine.pool)
            stage.add("tea")
    assert pools[0] is pools[1] is not pools[2]
    assert told
    assert stage.names() == []


def test_what_an_app_sets_on_its_connections_is_set_in_the_test(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    stage.engine.dispose()

    @event.listens_for(stage.engine, "connect")
    def set_tenant(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET application_name = 'the tenant''s'")
        connection.commit()

    with isolated(stage.app), stage.engine.connect() as connection:
        assert connection.scalar(text("SHOW application_name")) == "the tenant's"


def test_a_listener_may_look_up_types_by_psycopg(postgresql_url: str, make_stage: MakeStage) -> None:
    from psycopg.types import TypeInfo

    stage = make_stage(postgresql_url)
    found: list[bool] = []

    @event.listens_for(stage.engine, "connect")
    def look_up(connection: Any, _record: object) -> None:
        found.append(TypeInfo.fetch(connection, "money") is not None)
        found.append(TypeInfo.fetch(connection, "no_such_type") is not None)

    with isolated(stage.app), stage.uow.scope(stage.app):
        stage.add("tea")
        stage.uow.session.flush()
        with stage.engine.connect() as connection:
            assert connection.scalars(select(Item.name)).all() == ["tea"]
            kept: Any = connection.connection.driver_connection
            with pytest.raises(IsolationError, match=r"cannot follow psycopg's transaction\(\)"):
                TypeInfo.fetch(kept, "money")
    assert found == [True, False] * (len(found) // 2)
    assert len(found) > 2
    assert stage.names() == []


@pytest.mark.parametrize("disposes", ["in the test", "after it"])
def test_no_connection_is_left_open_by_an_engine_that_is_disposed_of(
    stage: Stage, outside: Outside, disposes: str
) -> None:
    if stage.engine.dialect.name == "sqlite":
        return  # who is connected cannot be asked
    with isolated(stage.app):
        with stage.uow.scope(stage.app):
            stage.add("tea")
        if disposes == "in the test":
            stage.engine.dispose()
            with stage.uow.scope(stage.app) as session:
                assert session.scalars(select(Item.name)).all() == ["tea"]
    if disposes == "after it":
        stage.engine.dispose()
    for attempt in Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.05), reraise=True):
        with attempt:  # the server takes its time to notice
            assert connected(stage) == 0


def connected(stage: Stage) -> int:
    """How many others are connected to the database of *stage*, as its server says."""
    question = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        if stage.engine.dialect.name == "postgresql"
        else "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    )
    engine = create_engine(stage.engine.url, poolclass=NullPool)
    with engine.connect() as connection:
        return connection.scalar(text(question)) or 0
