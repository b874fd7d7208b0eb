"""Read mode on MariaDB, where connections are in autocommit and the server begins no transaction by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from sqlalchemy import Integer, column, func, select, text
from sqlalchemy.exc import OperationalError

from tests.servers.counting import CountingWire
from tests.stage import Item, MakeStage, Stage

# The same connection for all, one after the other.
ONE_CONNECTION: Final = {"pool_size": 1, "max_overflow": 0}

PUT: Final = (
    "CREATE FUNCTION put(n TEXT) RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO item (name) VALUES (n); RETURN 1; END"
)
PUT_TWO: Final = (
    "CREATE PROCEDURE put_two()"
    " BEGIN INSERT INTO item (name) VALUES ('milk'); COMMIT; INSERT INTO item (name) VALUES ('cream'); END"
)


@pytest.fixture
def wire(mariadb_url: str) -> Iterator[CountingWire]:
    wire = CountingWire(mariadb_url)
    yield wire
    wire.close()


@pytest.fixture
def shop(wire: CountingWire, mariadb_url: str, make_stage: MakeStage) -> Stage:
    """An app with data, whose one connection is open and knows the database."""
    stage = make_stage(wire.url.render_as_string(hide_password=False), UNITOFWORK_ENGINE_OPTIONS=ONE_CONNECTION)
    with stage.outside(mariadb_url) as administrator:
        administrator.execute(text(PUT))
        administrator.execute(text(PUT_TWO))
    with stage.uow.scope(stage.app):
        stage.add("tea")
    wire.forget()
    return stage


def reader(stage: Stage) -> Any:
    return stage.uow.scope(stage.app, reads="autocommit")


def words(wire: CountingWire) -> list[str]:
    """The first word of each statement that was sent since the last look."""
    found = [sent[5:].split()[0].decode() for sent in wire.sent]
    wire.forget()
    return found


def names(stage: Stage) -> list[str]:
    return list(stage.uow.session.scalars(select(Item.name).order_by(Item.id)))


@pytest.mark.parametrize(
    "statement",
    [
        select(func.put("x")),
        text("SELECT put('x')").columns(column("put", Integer)),
        select(text("put('x')")),
        select(Item).from_statement(text("SELECT put('x') AS id, 'x' AS name")),
        text("SET @x = put('x')"),
        text("DO put('x')"),
    ],
    ids=["func", "text with columns", "select of text", "from statement", "set", "do"],
)
def test_a_function_that_writes_is_rolled_back(statement: Any, shop: Stage) -> None:
    with pytest.raises(LookupError), reader(shop) as session:
        session.execute(statement)
        assert shop.checked_out() == 1
        raise LookupError
    assert shop.names() == ["tea"]


def test_a_procedure_that_commits_and_goes_on_is_part_of_the_unit(shop: Stage, wire: CountingWire) -> None:
    with pytest.raises(LookupError), reader(shop) as session:
        session.execute(text("CALL put_two()"))
        assert names(shop) == ["tea", "milk", "cream"]
        raise LookupError
    words(wire)
    with reader(shop):
        assert names(shop) == ["tea", "milk"]
        assert shop.checked_out() == 0
    assert words(wire) == ["SELECT"]


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("SET @tenant = 'seven'", "SELECT @tenant", "seven"),
        ("SELECT GET_LOCK('shop', 0)", "SELECT IS_USED_LOCK('shop') = CONNECTION_ID()", 1),
        ("SHOW TABLES", "SELECT COUNT(*) FROM item", 1),
        ("LOCK TABLES item READ", "SELECT name FROM item", "tea"),
        ("SET TRANSACTION READ ONLY", "SELECT name FROM item", "tea"),
        ("CREATE TEMPORARY TABLE scratch AS SELECT 6 AS n", "SELECT n FROM scratch", 6),
        ("CREATE TABLE shelf AS SELECT 6 AS n", "SELECT n FROM shelf", 6),
    ],
)
def test_what_is_done_by_hand_holds_for_the_next_statement(shop: Stage, first: str, then: str, expected: Any) -> None:
    with reader(shop) as session:
        assert names(shop) == ["tea"]
        session.execute(text(first))
        assert shop.checked_out() == 1
        assert session.execute(text(then)).scalar() == expected
        assert shop.checked_out() == 1
        if "LOCK TABLES" in first:
            session.execute(text("UNLOCK TABLES"))
        session.rollback()
        assert names(shop) == ["tea"]
        assert shop.checked_out() == 0


def test_a_change_of_schema_in_the_middle_leaves_the_rest_in_a_transaction(shop: Stage) -> None:
    with pytest.raises(LookupError), reader(shop) as session:
        shop.add("milk")
        session.flush()
        session.execute(text("CREATE TABLE shelf (id INT)"))  # MariaDB commits before it
        assert names(shop) == ["tea", "milk"]
        shop.add("cream")
        session.flush()
        raise LookupError
    assert shop.names() == ["tea", "milk"]


def test_a_unit_that_only_reads_and_must_not_write_begins_as_such(shop: Stage, wire: CountingWire) -> None:
    shop.app.add_url_rule("/read", "read", shop.uow.read_only()(lambda: str(names(shop))))
    assert shop.client.get("/read").text == "['tea']"
    assert words(wire) == ["START", "SELECT", "COMMIT"]


def test_a_unit_that_must_not_write_is_refused_by_the_server(shop: Stage) -> None:
    @shop.app.get("/write")
    @shop.uow.read_only()
    def write() -> str:
        with pytest.raises(OperationalError, match="READ ONLY transaction"):
            shop.uow.session.execute(select(func.put("x"))).all()
        return "refused"

    assert shop.client.get("/write").text == "refused"
    assert shop.names() == ["tea"]


def test_a_post_is_a_transaction_from_its_first_statement_on(shop: Stage, wire: CountingWire) -> None:
    @shop.app.post("/write")
    def write() -> str:
        count = len(names(shop))
        shop.add(f"item {count}")
        return "written"

    assert shop.client.post("/write").status_code == 200
    assert words(wire) == ["BEGIN", "SELECT", "INSERT", "COMMIT"]


def test_a_select_that_fails_gives_its_connection_back(shop: Stage, wire: CountingWire) -> None:
    with shop.uow.scope(shop.app):
        shop.add("milk")
    with reader(shop) as session:
        with pytest.raises(OperationalError, match="returns more than 1 row"):
            session.execute(select(select(Item.id).scalar_subquery()))
        assert shop.checked_out() == 0
        words(wire)
        assert names(shop) == ["tea", "milk"]
    assert words(wire) == ["SELECT"]
