"""What looks like a driver's connection in an isolated test, to who uses the driver and not SQLAlchemy."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from pymysql import cursors
from pymysql.err import InterfaceError
from sqlalchemy import make_url, select

from flask_unitofwork import IsolationError
from flask_unitofwork.testing import isolated
from tests.stage import Item, MakeStage, Stage

NAMES = select(Item.name).order_by(Item.id)


def test_cursors_of_pymysql_find_their_rows(mariadb_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(mariadb_url)
    with isolated(stage.app), closing(stage.engine.raw_connection()) as proxied:
        connection: Any = proxied.driver_connection
        with connection.cursor() as cursor:
            assert cursor.executemany("INSERT INTO item (name) VALUES (%s)", [("tea",), ("milk",)]) == 2
            assert cursor.lastrowid > 0
            assert connection.insert_id() == cursor.lastrowid
        for kind in (cursors.Cursor, cursors.DictCursor, cursors.SSCursor, cursors.SSDictCursor):
            with connection.cursor(kind) as cursor:
                cursor.execute("SELECT name FROM item ORDER BY id")
                rows = [row["name"] if isinstance(row, dict) else row[0] for row in cursor.fetchall()]
                assert rows == ["tea", "milk"]
        with connection.cursor() as cursor:
            assert cursor.execute("UPDATE item SET name = CONCAT(name, '!')") == 2
            assert connection.affected_rows() == 2
        connection.rollback()
        with connection.cursor() as cursor:
            assert cursor.execute("SELECT name FROM item") == 0
    assert stage.names() == []


def test_a_connection_of_pymysql_that_is_closed_leaves_the_test_s_open(mariadb_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(mariadb_url)
    with isolated(stage.app):
        with stage.uow.scope(stage.app):
            stage.add("tea")
        proxied = stage.engine.raw_connection()
        connection: Any = proxied.driver_connection
        proxied.detach()
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO item (name) VALUES ('never committed')")
        connection.close()
        assert not connection.open
        with pytest.raises(InterfaceError), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        del connection, cursor, proxied
        with stage.uow.scope(stage.app) as session:
            assert list(session.scalars(NAMES)) == ["tea"]
    assert stage.names() == []


def test_psycopg2_is_refused_which_knows_only_connections_of_its_own(
    postgresql_url: str, make_stage: MakeStage
) -> None:
    url = make_url(postgresql_url).set(drivername="postgresql+psycopg2")
    stage = make_stage(url.render_as_string(hide_password=False))
    with pytest.raises(IsolationError, match=r"its driver is 'psycopg2', and it is known how to share .* psycopg"):
        with isolated(stage.app):
            pass


def test_connections_of_psycopg_commit_and_roll_back(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with isolated(stage.app), closing(stage.engine.raw_connection()) as proxied:
        connection: Any = proxied.driver_connection
        for name, ending in (("tea", connection.commit), ("lost", connection.rollback)):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO item (name) VALUES (%s)", (name,))
                assert cursor.rowcount == 1
            ending()
        with connection.cursor("server_side") as cursor:
            cursor.execute("SELECT name FROM item")
            assert cursor.fetchall() == [("tea",)]
        connection.commit()
        assert connection.info.transaction_status == 0
        connection.tpc_begin("mine")
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO item (name) VALUES ('prepared')")
        connection.tpc_prepare()
        assert [str(one) for one in connection.tpc_recover()] == ["mine"]
        connection.tpc_commit()
        assert connection.tpc_recover() == []
        with stage.uow.scope(stage.app) as session:
            assert list(session.scalars(NAMES)) == ["tea", "prepared"]
    assert stage.names() == []


def test_connections_of_sqlite3_commit_and_roll_back(sqlite_stage: Stage) -> None:
    with isolated(sqlite_stage.app), closing(sqlite_stage.engine.raw_connection()) as proxied:
        connection: Any = proxied.driver_connection
        for name, ending in (("tea", connection.commit), ("lost", connection.rollback)):
            connection.execute("INSERT INTO item (name) VALUES (?)", (name,))
            ending()
        assert connection.execute("SELECT name FROM item").fetchall() == [("tea",)]
        assert not connection.in_transaction
    assert sqlite_stage.names() == []
