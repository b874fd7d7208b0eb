"""What users choose for PyMySQL's connections is theirs, and how transactions begin on them as well."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest
from pymysql.constants import CLIENT
from pymysql.cursors import SSCursor
from sqlalchemy import Engine, event, insert, select, text

from tests.conftest import Outside
from tests.database.conftest import MakeEngines
from tests.database.pymysql_reading import ONE_CONNECTION, Connect, connect, engine, item, read, wire, words
from tests.servers.counting import CountingWire

__all__ = ["connect", "engine", "wire"]


def test_autocommit_for_one_connection_is_the_servers(
    engine: Engine, mariadb_url: str, outside: Outside, wire: CountingWire
) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(item).values(id=1))
        with outside(mariadb_url) as other:
            assert other.scalars(select(item.c.id)).all() == [1]
        assert words(wire) == ["INSERT"]
    with engine.connect() as connection:
        connection.execute(insert(item).values(id=2))
    assert read(engine) == [1]


def test_an_isolation_level_for_one_connection_is_that_of_its_transaction(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"
        assert connection.execute(select(item)).all() == []
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "REPEATABLE READ"
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        assert connection.execute(select(item)).all() == []


def test_a_setting_for_the_next_transaction_does_not_outlive_a_rollback(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
    with engine.begin() as connection:
        connection.execute(insert(item).values(id=1))
    assert read(engine) == [1]


def test_transactions_of_two_phases_are_the_servers(engine: Engine, outside: Outside, wire: CountingWire) -> None:
    with engine.connect() as connection:
        for number, end in ((1, "commit"), (2, "rollback")):
            transaction = connection.begin_twophase()
            connection.execute(insert(item).values(id=number))
            transaction.prepare()
            getattr(transaction, end)()
    assert not any(word in {"BEGIN", "COMMIT"} for word in words(wire))
    assert read(engine) == [1]


def test_the_cursors_that_somebody_chose_are_used(connect: Connect, wire: CountingWire) -> None:
    class Own(pymysql.cursors.Cursor):
        """It is the user's."""

    engine = connect(connect_args={"cursorclass": Own})
    raw = engine.raw_connection()
    assert isinstance(raw.cursor(), Own)
    raw.close()
    read(engine)
    assert words(wire) == ["SELECT"]


def test_cursors_that_fetch_each_row_when_it_is_asked_for_read_in_a_transaction(
    connect: Connect, wire: CountingWire
) -> None:
    engine = connect(connect_args={"cursorclass": SSCursor})
    read(engine)
    assert words(wire) == ["BEGIN", "SELECT", "ROLLBACK"]


def test_what_a_listener_does_to_the_arguments_counts(
    mariadb_url: str, make_engines: MakeEngines, outside: Outside
) -> None:
    engine = make_engines({"default": {"url": mariadb_url, **ONE_CONNECTION}})["default"]

    @event.listens_for(engine, "do_connect")
    def choose(_dialect: object, _record: object, _args: object, arguments: dict[str, Any]) -> None:
        arguments["init_command"] = "SET @mine = 6"
        arguments["autocommit"] = True

    item.metadata.create_all(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT @mine")) == 6
        connection.execute(insert(item).values(id=1))
    with outside(engine) as connection:
        assert connection.scalars(select(item.c.id)).all() == [1]


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {"connect_args": {"autocommit": False}}),
        ({}, {"isolation_level": "READ COMMITTED"}),
        ({}, {"module": pymysql}),
        ({"two_phase": True}, {}),
    ],
    ids=["autocommit", "isolation level", "module", "two phases"],
)
def test_who_has_chosen_how_transactions_begin_reads_in_them(
    connect: Connect, wire: CountingWire, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    engine = connect(settings, **options)
    read(engine)
    assert "ROLLBACK" in words(wire)


def test_who_makes_the_connections_reads_as_they_are(wire: CountingWire, connect: Connect) -> None:
    def make() -> Any:
        return pymysql.connect(host=wire.url.host, port=wire.url.port or 0, user="root", database=wire.url.database)

    engine = connect(creator=make)
    read(engine)
    assert "ROLLBACK" in words(wire)


def test_a_ping_before_each_use_is_one(connect: Connect, wire: CountingWire) -> None:
    engine = connect(pool_pre_ping=True)
    read(engine)
    assert [sent[4:5] for sent in wire.sent] == [b"\x0e", b"\x03"]  # COM_PING, COM_QUERY


def test_several_statements_in_one_text_are_in_the_servers_transactions(connect: Connect) -> None:
    engine = connect(connect_args={"client_flag": CLIENT.MULTI_STATEMENTS})
    raw = engine.raw_connection()
    raw.cursor().execute("INSERT INTO item VALUES (1); COMMIT; INSERT INTO item VALUES (2)")
    raw.close()
    assert read(engine) == [1]


def test_a_pool_that_resets_nothing_commits_nothing(connect: Connect) -> None:
    engine = connect(pool_reset_on_return=None)
    raw = engine.raw_connection()
    raw.cursor().execute("BEGIN NOT ATOMIC INSERT INTO item VALUES (1); END")
    raw.close()
    assert read(engine) == []
