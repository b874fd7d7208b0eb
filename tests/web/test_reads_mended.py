"""Read mode, and what must not be lost in it: each of these was, once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Integer, column, event, func, select, text

from flask_unitofwork import Session
from tests.stage import Item, MakeStage, Stage

PUT = "CREATE FUNCTION put(n text) RETURNS int LANGUAGE sql AS $$ INSERT INTO item (name) VALUES (n) RETURNING 1 $$"


def filled(stage: Stage) -> Stage:
    with stage.uow.scope(stage.app):
        stage.add("tea")
    return stage


def reader(stage: Stage) -> Any:
    return stage.uow.scope(stage.app, reads="autocommit")


def names(session: Session) -> list[str]:
    return list(session.scalars(select(Item.name)))


def test_the_driver_s_own_transactions_are_left_to_whoever_uses_the_driver(stage: Stage) -> None:
    filled(stage)
    with reader(stage) as session:
        names(session)
    raw = stage.engine.raw_connection()
    raw.cursor().execute("INSERT INTO item (name) VALUES ('raw')")
    raw.rollback()
    raw.close()
    with pytest.raises(LookupError), reader(stage) as session:
        names(session)
        session.connection().connection.cursor().execute("INSERT INTO item (name) VALUES ('raw')")
        raise LookupError
    assert stage.names() == ["tea"]


def test_what_is_added_while_rows_are_loaded_is_written(stage: Stage) -> None:
    filled(stage)
    with reader(stage) as session:

        def loaded(_target: Item, _context: object) -> None:
            session.add(Item(name="audit"))

        event.listen(Item, "load", loaded)
        try:
            session.scalar(select(Item).limit(1))
        finally:
            event.remove(Item, "load", loaded)
    assert stage.names() == ["tea", "audit"]


def test_what_is_changed_while_a_select_begins_is_written(stage: Stage) -> None:
    filled(stage)
    with reader(stage) as session:
        tea = session.get_one(Item, 1)
        event.listen(session, "do_orm_execute", lambda _state: setattr(tea, "name", "chai"))
        with session.no_autoflush:
            session.scalars(select(Item.id)).all()
    assert stage.names() == ["chai"]


@pytest.mark.parametrize(
    "statement",
    [
        select(func.put("x")),
        text("SELECT put('x')").columns(column("put", Integer)),
        select(text("put('x')")),
        select(Item).from_statement(text("SELECT put('x') AS id, 'x' AS name")),
    ],
    ids=["func", "text with columns", "select of text", "from statement"],
)
def test_a_function_that_writes_is_rolled_back(statement: Any, postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with stage.engine.begin() as connection:
        connection.execute(text(PUT))
    with pytest.raises(LookupError), reader(stage) as session:
        session.execute(statement).all()
        raise LookupError
    assert stage.names() == []


def test_a_setting_of_the_transaction_holds_for_the_next_statement(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with reader(stage) as session:
        session.execute(select(func.set_config("app.tenant", "ann", True)))
        assert session.scalar(select(func.current_setting("app.tenant"))) == "ann"
    with reader(stage) as session:
        assert session.scalar(select(func.current_setting("app.tenant", True))) in (None, "")


def test_readers_do_not_notice_a_migration(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = filled(make_stage(postgresql_url, UNITOFWORK_ENGINE_OPTIONS={"pool_size": 1, "max_overflow": 0}))
    for _ in range(8):  # so often that the statement is prepared
        with reader(stage) as session:
            names(session)
    with stage.outside(stage.engine) as other:
        other.execute(text("ALTER TABLE item ALTER COLUMN name TYPE text"))
        other.commit()
    for _ in range(3):
        with reader(stage) as session:
            assert names(session) == ["tea"]


@pytest.mark.parametrize(
    ("statement", "in_transaction"),
    [
        (select(func.count()).select_from(Item), False),
        (select(func.lower(Item.name)).where(Item.id.in_([1, 2])).limit(3), False),
        (select(func.coalesce(func.max(Item.id), 0)), False),
        (select(func.nobody_knows(Item.id)), True),
    ],
)
def test_usual_functions_are_reads(
    postgresql_url: str, make_stage: MakeStage, statement: Any, in_transaction: bool
) -> None:
    stage = make_stage(postgresql_url)
    with stage.engine.begin() as connection:
        connection.execute(text("CREATE FUNCTION nobody_knows(n int) RETURNS int LANGUAGE sql AS $$ SELECT n $$"))
    with reader(stage) as session:
        session.execute(statement).all()
        assert stage.checked_out() == in_transaction
