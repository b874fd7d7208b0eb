"""What an isolated test cannot do, or could not be rolled back after: the error says what happened and what to write."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from flask_unitofwork import IsolationError, NotInitializedError
from flask_unitofwork.testing import isolated
from flask_unitofwork.testing.apps import state_of_app
from tests.stage import Item, MakeStage, Stage


def test_an_app_without_the_extension_is_told_what_to_write() -> None:
    with pytest.raises(NotInitializedError, match=r"'plain' has no UnitOfWork.*Write uow\.init_app\(app\)"):
        with isolated(Flask("plain")):
            pass


def test_an_isolated_app_is_not_isolated_again(stage: Stage) -> None:
    with isolated(stage.app):
        with pytest.raises(IsolationError, match=r"is isolated already.*isolated_example\(app\)"), isolated(stage.app):
            pass
        with stage.uow.scope(stage.app):
            stage.add("still isolated")
    assert stage.names() == []


def test_a_driver_that_cannot_be_shared_is_refused_before_the_test(
    sqlite_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_stage.engine.dialect, "driver", "other")
    with pytest.raises(IsolationError, match=r"'default' cannot be isolated: its driver is 'other'.*uow_real_commits"):
        with isolated(sqlite_stage.app):
            pass


def test_tables_without_transactions_are_named(mariadb_url: str, make_stage: MakeStage) -> None:
    engine = create_engine(mariadb_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE old (id INTEGER) ENGINE = MyISAM"))
    stage = make_stage(mariadb_url)
    with isolated(stage.app), pytest.raises(IsolationError, match=r"old \(MyISAM\).*ALTER TABLE old ENGINE = InnoDB"):
        stage.engine.connect()
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE old ENGINE = InnoDB"))
    with isolated(stage.app), stage.uow.scope(stage.app):
        stage.add("tea")
    assert stage.names() == []


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE more (id INTEGER)", "/* now */ TRUNCATE item", "ALTER TABLE item ADD COLUMN n INTEGER"]
)
def test_mariadb_does_not_change_its_schema_in_a_test(statement: str, mariadb_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(mariadb_url)
    with isolated(stage.app):
        with stage.engine.begin() as connection:
            connection.execute(insert(Item).values(name="tea"))
        with stage.engine.connect() as connection:
            with pytest.raises(IsolationError, match="commit before they run this statement") as told:
                connection.exec_driver_sql(statement)
            assert statement in str(told.value)
            connection.execute(text("CREATE TEMPORARY TABLE more (id INTEGER)"))
    assert stage.names() == []


def test_other_databases_change_their_schema_and_have_it_back(stage: Stage) -> None:
    if stage.engine.dialect.name == "mysql":
        return
    with isolated(stage.app):
        with stage.engine.begin() as connection:
            connection.execute(text("CREATE TABLE more (id INTEGER)"))
        with stage.engine.begin() as connection:
            connection.execute(text("INSERT INTO more VALUES (1)"))
    with stage.engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text("SELECT * FROM more"))


def test_a_procedure_that_commits_is_named(mariadb_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(mariadb_url)
    with stage.engine.begin() as connection:
        connection.execute(text("CREATE PROCEDURE settle() BEGIN COMMIT; END"))
    with isolated(stage.app):
        with stage.engine.connect() as connection:
            with pytest.raises(IsolationError, match=r"has ended the transaction.*CALL settle.*uow_real_commits"):
                connection.execute(text("CALL settle()"))
        with pytest.raises(IsolationError, match="CALL settle"), stage.uow.scope(stage.app) as session:
            session.scalars(select(Item)).all()


def test_a_conflict_that_ends_the_transaction_is_named(sqlite_stage: Stage) -> None:
    with isolated(sqlite_stage.app):
        with pytest.raises(IsolationError, match=r"has ended the transaction.*INSERT OR ROLLBACK"):
            with sqlite_stage.engine.begin() as connection:
                for _ in range(2):
                    connection.execute(text("INSERT OR ROLLBACK INTO item (name) VALUES ('tea')"))
    assert sqlite_stage.names() == []


@pytest.mark.parametrize("script", ["INSERT INTO item (name) VALUES ('tea'); COMMIT", "SELECT 1; ROLLBACK; SELECT 2;"])
def test_a_commit_among_other_statements_is_refused(script: str, postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with isolated(stage.app), stage.engine.connect() as connection:
        with pytest.raises(IsolationError, match="in the middle of these statements"):
            connection.exec_driver_sql(script)
    assert stage.names() == []


def test_a_commit_as_a_statement_is_a_commit(stage: Stage) -> None:
    with isolated(stage.app):
        with stage.engine.connect() as connection:
            connection.execute(insert(Item).values(name="tea"))
            connection.exec_driver_sql("COMMIT")
        with stage.uow.scope(stage.app) as session:
            assert session.scalars(select(Item.name)).all() == ["tea"]
    assert stage.names() == []


def test_a_connection_kept_from_another_test_is_refused(stage: Stage) -> None:
    with isolated(stage.app):
        kept = stage.engine.connect()
        kept.execute(insert(Item).values(name="tea"))
    with pytest.raises(IsolationError, match="used after the test"):
        kept.execute(select(Item))
    kept.close()
    assert stage.names() == []


@pytest.mark.parametrize("in_transaction", [True, False])
def test_a_session_kept_from_another_test_is_refused(stage: Stage, *, in_transaction: bool) -> None:
    with isolated(stage.app):
        session = state_of_app(stage.app).make_session()
        session.add(item := Item(name="tea"))
        session.flush()
        if not in_transaction:
            session.commit()
    with isolated(stage.app):
        with pytest.raises(IsolationError, match=r"of another test|used after the test"):
            session.scalars(select(Item)).all()
        session.close()
        assert session.scalars(select(Item)).all() == []
        session.close()
    assert item not in session
    assert stage.names() == []


def test_without_an_error_a_session_of_a_context_that_outlives_the_test_is_closed(stage: Stage) -> None:
    context = stage.app.app_context()
    context.push()
    with isolated(stage.app):
        stage.add("tea")
        stage.uow.session.flush()
    context.pop()
    assert stage.names() == []


def test_repeating_what_stood_on_what_is_gone_is_refused(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with isolated(stage.app), stage.app.app_context():
        session: Any = stage.uow.session
        session.add(Item(name="tea"))
        session.flush()
        with stage.uow.independent_transaction() as independent:
            # In production it would not see the item.
            independent.execute(
                text("INSERT INTO item (name) SELECT 'more ' || name || 1 / count(*) OVER () FROM item")
            )
            independent.execute(
                text("SELECT setval('item_id_seq', 4711 / (SELECT count(*) FROM item WHERE name = 'tea'))")
            )
        with pytest.raises(IsolationError, match=r"could not be repeated.*In production it would not have seen"):
            session.rollback()
    assert stage.names() == []
