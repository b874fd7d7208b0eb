"""The connections that readers use are everyone's: none remembers who had it before, and the engine is as it always was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event, func, insert, inspect, select, text

from flask_unitofwork import Session
from tests.stage import Base, Item, MakeStage, Stage

# The same connection for all, one after the other.
ONE_CONNECTION: Final = {"pool_size": 1, "max_overflow": 0}

item = Base.metadata.tables["item"]


def read(stage: Stage, session: Session) -> None:
    """Read, and see that no connection is kept."""
    session.scalars(select(Item)).all()
    assert stage.checked_out() == 0


def test_a_transaction_on_the_engine_is_one_while_a_session_reads(stage: Stage) -> None:
    engine = stage.engine
    with stage.uow.scope(stage.app, reads="autocommit") as session:
        read(stage, session)
        with engine.connect() as connection:
            connection.execute(select(item)).all()
            connection.execute(insert(item).values(name="rolled back"))
            connection.rollback()
            connection.execute(insert(item).values(name="never committed"))
        with pytest.raises(KeyError), engine.begin() as connection:
            connection.execute(text("CREATE TABLE shelf (id INTEGER)"))
            connection.execute(insert(item).values(name="failed"))
            raise KeyError
        with engine.begin() as connection:
            with connection.begin_nested() as savepoint:
                connection.execute(insert(item).values(name="in a savepoint"))
                savepoint.rollback()
            connection.execute(insert(item).values(name="committed"))
        read(stage, session)
    assert stage.names() == ["committed"]
    # MySQL and MariaDB commit by themselves before they make a table.
    assert ("shelf" in inspect(engine).get_table_names()) is (engine.dialect.name == "mysql")


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
@pytest.mark.parametrize("level", ["SERIALIZABLE", "READ UNCOMMITTED", "AUTOCOMMIT"])
def test_an_isolation_level_that_somebody_chose_is_forgotten(
    server: str, level: Any, make_stage: MakeStage, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{server}_url")
    stage = make_stage(url, UNITOFWORK_ENGINE_OPTIONS=ONE_CONNECTION)
    with stage.engine.connect() as connection:
        usual = connection.get_isolation_level()
    with stage.uow.scope(stage.app, reads="autocommit") as session:
        read(stage, session)
        session.connection(execution_options={"isolation_level": level})
        session.execute(insert(Item).values(name="chosen"))
        session.rollback()
        read(stage, session)
        with stage.engine.connect().execution_options(isolation_level=level) as connection:
            connection.execute(select(item)).all()
        session.execute(insert(Item).values(name="lost"))
        assert session.connection().get_isolation_level() == usual
        session.rollback()
    assert stage.names() == (["chosen"] if level == "AUTOCOMMIT" else [])


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_transaction_of_two_phases_is_forgotten(
    server: str, make_stage: MakeStage, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{server}_url")
    stage = make_stage(url, UNITOFWORK_ENGINE_OPTIONS=ONE_CONNECTION)
    with stage.engine.connect() as connection:
        transaction = connection.begin_twophase()
        connection.execute(insert(item).values(name="prepared"))
        transaction.prepare()
        transaction.commit()
    with stage.uow.scope(stage.app, reads="autocommit") as session:
        read(stage, session)
    assert stage.names() == ["prepared"]


@pytest.fixture
def tenants(postgresql_url: str, make_stage: MakeStage) -> Iterator[Stage]:
    """An app that tells the database at the beginning of each transaction whose it is."""

    def tell(_session: object, _transaction: object, connection: Connection) -> None:
        connection.execute(text("SET LOCAL app.tenant = 'seven'"))

    event.listen(Session, "after_begin", tell)
    yield make_stage(postgresql_url, UNITOFWORK_ENGINE_OPTIONS=ONE_CONNECTION)
    event.remove(Session, "after_begin", tell)


def test_what_is_set_when_a_transaction_begins_holds_for_every_read_and_for_nobody_else(tenants: Stage) -> None:
    tenant = select(func.current_setting("app.tenant", True))
    with tenants.uow.scope(tenants.app, reads="autocommit") as session:
        seen = [session.scalar(tenant), session.scalars(select(Item)).first(), session.scalar(tenant)]
    assert seen == ["seven", None, "seven"]
    with tenants.engine.connect() as connection:
        assert connection.scalar(tenant) in (None, "")
