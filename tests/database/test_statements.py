"""What a statement does, told from its text or from how it was made."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Executable,
    Integer,
    MetaData,
    Table,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateTable

from flask_unitofwork.database.statements import Effect, effect_of, effect_of_text

READS = [
    "",
    "   ;  ;",
    "SELECT 1",
    "select name from product where name = 'DELETE FROM product'",
    'SELECT "insert" FROM "update"',
    "SELECT `delete` FROM `drop`",
    "SELECT [insert into] FROM [update]",
    "-- DELETE FROM product\nSELECT 1",
    "/* DELETE FROM product */ SELECT 1",
    "/*+ hint */ SELECT 1",
    "SELECT 'it''s; DELETE FROM product'",
    "SELECT E'it\\'s; DELETE FROM product'",
    "SELECT 'C:\\'; SELECT 1",
    "SELECT $$; DELETE FROM product$$",
    "SELECT $body$ ; DELETE $$ FROM product $body$",
    "SELECT $1, %s, :name, ?",
    "(SELECT 1) UNION (SELECT 2)",
    "((SELECT 1))",
    "VALUES (1, 2)",
    "TABLE product",
    "WITH one AS (SELECT 1) SELECT * FROM one",
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "WITH one AS MATERIALIZED (SELECT 1), two AS NOT MATERIALIZED (SELECT 2) TABLE one",
    "SELECT updated_at, deleted FROM product",
    "SELECT replace(name, 'a', 'b') FROM product",
    "SELECT (INSERT(name, 1, 2, 'x')) FROM product",
    "SELECT substring(name FOR 3) FROM product",
    "SELECT max(name) FROM product; SELECT 2",
    "EXPLAIN DELETE FROM product",
    "EXPLAIN QUERY PLAN INSERT INTO product VALUES (1)",
    "EXPLAIN (FORMAT JSON) SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN (ANALYZE, BUFFERS) WITH one AS (SELECT 1) SELECT * FROM one",
    "DESCRIBE product",
    "DESC product",
    "SHOW TABLES",
    "SHOW statement_timeout",
    "FETCH FORWARD 10 FROM here",
    "COPY product TO STDOUT",
    "COPY (SELECT 1) TO STDOUT",
    "PRAGMA foreign_keys",
    "PRAGMA main.table_info('product')",
    "PRAGMA index_xinfo(product_name)",
    "PRAGMA foreign_key_check(product)",
    "PRAGMA foreign_key_list(product)",
]
WRITES = [
    "INSERT INTO product VALUES (1)",
    "insert or replace into product values (1)",
    "REPLACE INTO product VALUES (1)",
    "UPDATE product SET name = 'SELECT'",
    "DELETE FROM product",
    "MERGE INTO product USING other ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE product",
    "-- SELECT\nDELETE FROM product",
    "/* SELECT */ DELETE FROM product",
    "/*! DELETE FROM product */",
    "/*!50000 DELETE FROM product */",
    "/*M!100100 DELETE FROM product */",
    "CREATE TABLE product (name text)",
    "ALTER TABLE product ADD COLUMN name text",
    "DROP TABLE product",
    "GRANT SELECT ON product TO PUBLIC",
    "COMMENT ON TABLE product IS 'SELECT'",
    "REINDEX",
    "ANALYZE product",
    "WITH one AS (SELECT 1) INSERT INTO product SELECT * FROM one",
    "WITH one AS (SELECT 1) UPDATE product SET name = 'x'",
    "WITH gone AS (DELETE FROM product RETURNING *) SELECT * FROM gone",
    "WITH gone AS MATERIALIZED (UPDATE product SET a = 1 RETURNING *), two AS (SELECT 2) SELECT * FROM gone",
    "WITH one AS (SELECT 1)",
    "SELECT * INTO copy FROM product",
    "SELECT * FROM product INTO OUTFILE '/tmp/product'",
    "EXPLAIN ANALYZE DELETE FROM product",
    "EXPLAIN (ANALYZE, VERBOSE) INSERT INTO product VALUES (1)",
    "EXPLAIN (ANALYZE) WITH gone AS (DELETE FROM product RETURNING *) SELECT * FROM gone",
    "COPY product FROM STDIN",
    "COPY (DELETE FROM product RETURNING *) TO STDOUT",
    "CALL restock()",
    "DO $$ BEGIN PERFORM 1; END $$",
    "EXECUTE restock",
    "NOTIFY stock",
    "REFRESH MATERIALIZED VIEW sales",
    "SELECT 1; DELETE FROM product",
    "BEGIN; DELETE FROM product; COMMIT",
    "SELECT 'C:\\'; DELETE FROM product; SELECT ''",
    "something that nobody knows",
]
LOCKS = [
    "SELECT * FROM product FOR UPDATE",
    "SELECT * FROM product FOR NO KEY UPDATE SKIP LOCKED",
    "SELECT * FROM product FOR KEY SHARE",
    "SELECT * FROM product for share",
    "SELECT * FROM product LOCK IN SHARE MODE",
    "WITH one AS (SELECT 1) SELECT * FROM product FOR UPDATE",
    "SELECT * FROM (SELECT * FROM product FOR UPDATE) AS locked",
    "LOCK TABLE product IN SHARE MODE",
]
CONTROLS = [
    "BEGIN",
    "BEGIN IMMEDIATE",
    "START TRANSACTION READ ONLY",
    "COMMIT",
    "END",
    "ROLLBACK TO SAVEPOINT here",
    "RELEASE here",
    "ABORT",
    "XA END 'here'",
    "PREPARE TRANSACTION 'here'",
    "SET LOCAL statement_timeout = 1000",
    "RESET ALL",
    "USE shop",
    "DECLARE here CURSOR FOR SELECT 1",
    "CLOSE here",
    "DISCARD ALL",
    "DEALLOCATE ALL",
    "LISTEN stock",
    "UNLISTEN *",
    "SELECT 1; COMMIT",
]
MAINTENANCE = [
    "VACUUM",
    "vacuum into 'copy.db'",
    "ATTACH 'other.db' AS other",
    "DETACH other",
    "PRAGMA user_version = 3",
    "PRAGMA journal_mode(WAL)",
]
TEXTS = [
    *((statement, Effect.READ) for statement in READS),
    *((statement, Effect.WRITE) for statement in WRITES),
    *((statement, Effect.LOCK) for statement in LOCKS),
    *((statement, Effect.CONTROL) for statement in CONTROLS),
    *((statement, Effect.MAINTENANCE) for statement in MAINTENANCE),
    ("SAVEPOINT here", Effect.SAVEPOINT),
]


@pytest.mark.parametrize(("statement", "effect"), TEXTS)
def test_the_text_tells_what_a_statement_does(statement: str, effect: Effect) -> None:
    assert effect_of_text(statement) is effect


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'it\\'s; DELETE FROM product'",
        'SELECT "it\\"s; DELETE FROM product"',
        "SELECT 'C:\\\\'",
    ],
)
def test_a_backslash_escapes_in_mysqls_strings(statement: str) -> None:
    assert effect_of_text(statement, backslash_escapes=True) is Effect.READ


# -- how it was made -------------------------------------------------------------------------------------------------

PRODUCT = Table("product", MetaData(), Column("id", Integer, primary_key=True))


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def engine() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        PRODUCT.create(connection)
        Base.metadata.create_all(connection)
    return engine


@pytest.fixture
def effects(engine: Engine) -> list[Effect]:
    """What is done from now on."""
    seen: list[Effect] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(
        _connection: object, _cursor: object, statement: str, _values: object, context: object, _many: object
    ) -> None:
        seen.append(effect_of(statement, context))  # type: ignore[arg-type]  # what the event gives is a context

    return seen


@pytest.mark.parametrize(
    ("statement", "effect"),
    [
        (select(PRODUCT), Effect.READ),
        (select(PRODUCT).where(PRODUCT.c.id.in_([1, 2, 3])), Effect.READ),
        (select(PRODUCT).with_for_update(), Effect.LOCK),
        (select(Customer).with_for_update(), Effect.LOCK),
        (insert(PRODUCT), Effect.WRITE),
        (update(PRODUCT).values(id=2).where(PRODUCT.c.id == 1), Effect.WRITE),
        (delete(PRODUCT), Effect.WRITE),
        (insert(PRODUCT).from_select(["id"], select(PRODUCT)), Effect.WRITE),
        (text("SELECT 1"), Effect.READ),
        (text("DELETE FROM product"), Effect.WRITE),
        (CreateTable(PRODUCT, if_not_exists=True), Effect.WRITE),
        (text("PRAGMA user_version"), Effect.READ),
    ],
)
def test_how_it_was_made_tells_what_a_statement_does(
    statement: Executable, effect: Effect, engine: Engine, effects: list[Effect]
) -> None:
    with engine.connect() as connection:
        connection.execute(statement)

    assert effects == [effect]


def test_the_orm_tells_too(engine: Engine, effects: list[Effect]) -> None:
    with Session(engine) as session:
        session.add(Customer(id=1))
        session.flush()
        session.get(Customer, 1, with_for_update=True, populate_existing=True)
        session.scalars(select(Customer)).all()
        session.connection().exec_driver_sql("DELETE FROM customer")

    assert effects == [Effect.WRITE, Effect.LOCK, Effect.READ, Effect.WRITE]
