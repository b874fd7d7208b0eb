"""Who uses PyMySQL's connections finds what PyMySQL does: random scripts have the same outcome on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pymysql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, make_url, text

from tests.database.conftest import MakeEngines

ONE_CONNECTION: Final[dict[str, Any]] = {"pool_size": 1, "max_overflow": 0}

SCHEMA: Final = (
    "CREATE TABLE item (id INT PRIMARY KEY)",
    "CREATE PROCEDURE put_twice(n INT) BEGIN INSERT INTO item VALUES (n); COMMIT; INSERT INTO item VALUES (n + 10); END",
    "CREATE PROCEDURE put_fail(n INT) BEGIN START TRANSACTION; INSERT INTO item VALUES (n); SIGNAL SQLSTATE '45000'; END",
    "CREATE FUNCTION put(n INT) RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO item VALUES (n); RETURN n; END",
)

STATEMENTS: Final = (
    "SELECT id FROM item ORDER BY id",
    "DELETE FROM item",
    "UPDATE item SET id = id + 1 ORDER BY id DESC",
    "UPDATE item SET id = 1",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "RELEASE SAVEPOINT a",
    "COMMIT",
    "ROLLBACK",
    "BEGIN",
    "/* by hand */ START TRANSACTION READ ONLY",
    "SET autocommit = 0",
    "SET @@session.autocommit = 1",
    "CREATE TABLE IF NOT EXISTS shelf (id INT)",
    "CREATE TEMPORARY TABLE IF NOT EXISTS scratch AS SELECT put(99)",
    "TRUNCATE item",
    "SHOW TABLES",
    "PREPARE put FROM 'INSERT INTO item VALUES (5)'",
    "EXECUTE put",
    "no statement at all",
)
WITH_NUMBER: Final = (
    "INSERT INTO item VALUES ({0})",
    "REPLACE INTO item VALUES ({0}), ({0})",
    "CALL put_twice({0})",
    "CALL put_fail({0})",
    "BEGIN NOT ATOMIC INSERT INTO item VALUES ({0}); END",
    "SET @n = put({0})",
    "SELECT put({0})",
    "DO put({0})",
    "SET STATEMENT max_statement_time = 9 FOR INSERT INTO item VALUES ({0})",
    "/*! INSERT INTO item VALUES ({0}) */",
)
METHODS: Final = ("commit", "rollback", "begin", "autocommit on", "autocommit off")

steps = st.one_of(
    st.sampled_from(STATEMENTS),
    st.builds(str.format, st.sampled_from(WITH_NUMBER), st.integers(1, 4)),
    st.sampled_from(METHODS),
)


class Lane:
    """A database, and a connection from a pool on which a script runs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._outside = pymysql.connect(
            host=engine.url.host or "",
            port=engine.url.port or 0,
            user=engine.url.username,
            password=engine.url.password or "",
            database=engine.url.database,
            autocommit=True,
        )
        with self._outside.cursor() as cursor:
            for statement in SCHEMA:
                cursor.execute(statement)

    def close(self) -> None:
        self.engine.dispose()
        self._outside.close()

    def seen(self) -> list[Any]:
        """What is committed."""
        with self._outside.cursor() as cursor:
            cursor.execute("SELECT id FROM item ORDER BY id")
            return list(cursor.fetchall())

    def run(self, script: list[str]) -> list[Any]:
        """What comes of each step of *script*, what others see then, and what they see when it is over."""
        self.engine.dispose()
        with self._outside.cursor() as cursor:
            cursor.execute("TRUNCATE item")
        raw = self.engine.raw_connection()
        outcomes = [(self._do(raw, step), self.seen()) for step in script]
        raw.close()
        with self.engine.connect() as connection:  # whoever is next finds nothing that is left over
            found = connection.execute(text("SELECT id FROM item ORDER BY id")).all()
        return [*outcomes, found, self.seen()]

    def _do(self, raw: Any, step: str) -> Any:
        driver = raw.driver_connection
        calls: dict[str, Callable[[], object]] = {
            "commit": raw.commit,
            "rollback": raw.rollback,
            "begin": driver.begin,
            "autocommit on": lambda: driver.autocommit(True),
            "autocommit off": lambda: driver.autocommit(False),
        }
        try:
            if step in calls:
                return calls[step]()
            with raw.cursor() as cursor:
                cursor.execute(step)
                return cursor.fetchall()
        except pymysql.err.Error as error:
            return error.args[0]


@pytest.fixture
def lanes(mariadb_server: Any, make_engines: MakeEngines) -> Iterator[tuple[Lane, Lane]]:
    urls = [mariadb_server.borrow(), mariadb_server.borrow()]
    ours = make_engines({"default": {"url": urls[0].render_as_string(hide_password=False), **ONE_CONNECTION}})
    plain = create_engine(make_url(urls[1]), **ONE_CONNECTION)
    made = Lane(ours["default"]), Lane(plain)
    yield made
    for lane in made:
        lane.close()
    for url in urls:
        mariadb_server.give_back(url)


PUT: Final = "INSERT INTO item VALUES (1)"


@example(script=[PUT, "SET @@session.autocommit = 1"])
@example(script=["SET @@session.autocommit = 1", PUT, "SET autocommit = 0", "DELETE FROM item"])
@example(script=[PUT, "autocommit on", "DELETE FROM item"])
@example(script=["/* by hand */ START TRANSACTION READ ONLY", "autocommit on", PUT])
@example(script=["begin", "commit", PUT])
@example(script=[PUT, "no statement at all", "ROLLBACK", PUT])
@example(script=["CALL put_twice(1)", "rollback", "CALL put_fail(2)", "INSERT INTO item VALUES (3)"])
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(steps, min_size=1, max_size=8))
def test_a_script_on_the_drivers_connection_does_what_it_does_on_pymysqls_own(
    lanes: tuple[Lane, Lane], script: list[str]
) -> None:
    ours, plain = lanes
    assert ours.run(script) == plain.run(script)
