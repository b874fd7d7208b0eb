"""Read mode, and what must not be lost in it: each of these was, once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Integer, column, event, func, insert, lambda_stmt, literal, quoted_name, select, text

from flask_unitofwork import DemarcationError, Session
from tests.stage import Item, MakeStage, Stage

PUT = "CREATE FUNCTION {}(n text) RETURNS int LANGUAGE sql AS $$ INSERT INTO item (name) VALUES (n) RETURNING 1 $$"
BY_HAND = "SELECT id FROM item"


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
        select(getattr(func, quoted_name("Put", quote=True))("x")),
        select(func.app.count(literal("x"))),
        text("SELECT put('x')").columns(column("put", Integer)),
        select(text("put('x')")),
        select(Item).from_statement(text("SELECT put('x') AS id, 'x' AS name")),
    ],
    ids=["func", "func in quotes", "func in a schema", "text with columns", "select of text", "from statement"],
)
def test_a_function_that_writes_is_rolled_back(statement: Any, postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with stage.engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA app"))
        for name in ("put", '"Put"', "app.count"):
            connection.execute(text(PUT.format(name)))
    with pytest.raises(LookupError), reader(stage) as session:
        session.execute(statement).all()
        raise LookupError
    assert stage.names() == []


@pytest.mark.parametrize(
    "statement",
    [
        text(BY_HAND),
        text(BY_HAND).columns(Item.id),
        select(Item).from_statement(text(BY_HAND)),
        select(Item).from_statement(text(BY_HAND).columns(Item.id)),
        lambda_stmt(lambda: text("SELECT id FROM item")),
    ],
    ids=["text", "text with columns", "from text", "from text with columns", "lambda"],
)
def test_what_is_written_by_hand_begins_a_transaction_in_whatever_form(stage: Stage, statement: Any) -> None:
    filled(stage)
    with reader(stage) as session:
        session.execute(statement).all()
        assert session.in_transaction()


def test_what_a_listener_writes_by_the_driver_is_rolled_back(stage: Stage) -> None:
    def look(session: Session, *_: object) -> None:
        names(session)

    def write(_mapper: object, connection: Connection, _target: object) -> None:
        driver: Any = connection.connection.driver_connection
        driver.cursor().execute("INSERT INTO item (name) VALUES ('raw')")

    event.listen(Item, "before_insert", write)
    try:
        with pytest.raises(LookupError), reader(stage) as session:
            event.listen(session, "before_flush", look)
            session.add(Item(name="tea"))
            session.flush()
            raise LookupError
    finally:
        event.remove(Item, "before_insert", write)
    assert stage.names() == []


def test_a_write_that_finds_the_readers_connection_lost_is_tried_again(server_url: str, make_stage: MakeStage) -> None:
    stage, lent, runs = make_stage(server_url, UNITOFWORK_ATTEMPTS=3), list[Any](), list[int]()
    event.listen(stage.engine, "checkout", lambda connection, *_: lent.append(connection))

    @stage.app.get("/")
    def view() -> str:
        names(stage.uow.session)
        runs.append(stage.uow.current.attempt)
        if len(runs) == 1:
            lent[-1].close()
        stage.uow.session.execute(insert(Item).values(name="tea"))
        return "done"

    assert stage.client.get("/").status_code == 200
    assert runs == [1, 2]
    assert stage.names() == ["tea"]


def test_what_a_function_may_have_written_is_not_released(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with stage.engine.begin() as connection:
        connection.execute(text(PUT.format("put")))
    with reader(stage) as session:
        session.execute(select(func.put("x"))).all()
        with pytest.raises(DemarcationError, match=r"might lose work: a query has called a function"):
            session.release()
        session.commit()
        names(session)
        session.release()
    assert stage.names() == ["x"]


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
