"""What makes a result stale: a commit, by the tables that it wrote; never before it, and never what is rolled back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, literal, select, text, update
from sqlalchemy.exc import IntegrityError

from flask_unitofwork import CacheError, DemarcationError, Session, UnknownCommitError
from flask_unitofwork.caching import FromCache, invalidates
from tests.caching.conftest import MakeShop
from tests.caching.shop import Customer, Line, Order, Product, Shop, Special, memory
from tests.database.committing import in_haste
from tests.servers.wire import Cut, Wire

__all__ = ["in_haste"]

PRODUCTS = select(Product.name).order_by(Product.id)
CUSTOMERS = select(Customer.name).order_by(Customer.id)
LINES = select(Line.id).order_by(Line.id)

products: Any = Product.__table__
orders: Any = Order.__table__
customers: Any = Customer.__table__


def raw(session: Session, statement: str) -> None:
    session.connection().exec_driver_sql(statement)


# Everything that writes the table of products.
WRITES: dict[str, Callable[[Session], Any]] = {
    "a flush of a new object": lambda session: session.add(Product(name="rice")),
    "a flush of a changed object": lambda session: setattr(session.get_one(Product, 1), "name", "green tea"),
    "a flush of a deleted object": lambda session: session.delete(session.get_one(Product, 2)),
    "a flush of many objects": lambda session: session.add_all([Product(name=str(one)) for one in range(9)]),
    "insert()": lambda session: session.execute(insert(Product).values(name="rice")),
    "insert() of many": lambda session: session.execute(insert(Product), [{"name": "rice"}, {"name": "figs"}]),
    "insert() from a SELECT": lambda session: session.execute(
        insert(products).from_select(["name", "kind", "price"], select(Customer.name, literal("plain"), literal(7)))
    ),
    "update()": lambda session: session.execute(update(Product).where(Product.id == 1).values(name="green tea")),
    "update() by primary key": lambda session: session.execute(update(Product), [{"id": 1, "name": "green tea"}]),
    "delete()": lambda session: session.execute(delete(Product).where(Product.id == 2)),
    "insert() into the table": lambda session: session.execute(
        products.insert().values(name="rice", kind="plain", price=1)
    ),
    "update() of the table": lambda session: session.execute(products.update().values(name="green tea")),
    "on the connection": lambda session: session.connection().execute(products.update().values(name="green tea")),
    "by the legacy Query": lambda session: session.query(Product).filter_by(id=1).update({"name": "green tea"}),
    "bulk_save_objects": lambda session: session.bulk_save_objects([Product(name="rice")]),
    "bulk_insert_mappings": lambda session: session.bulk_insert_mappings(Product, [{"name": "rice"}]),
    "bulk_update_mappings": lambda session: session.bulk_update_mappings(Product, [{"id": 1, "name": "green tea"}]),
    "text()": lambda session: session.execute(text("UPDATE products SET name = 'green tea'")),
    "text() that says what it writes": lambda session: session.execute(
        text("UPDATE products SET name = 'green tea'"), execution_options=invalidates(Product)
    ),
    "the driver's SQL": lambda session: raw(session, "UPDATE products SET name = 'green tea'"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
class TestAWrite:
    def test_counts_when_it_is_committed_and_not_before(self, shop: Shop, write: Callable[[Session], Any]) -> None:
        before = shop.names()
        with shop.writing() as session:
            write(session)
            session.flush()
            if shop.engine().dialect.name != "sqlite":  # its one writer keeps readers of a journal waiting
                assert shop.names() == before
            shop.forget()
        assert shop.asks(PRODUCTS)
        assert shop.names() != before

    def test_counts_for_nothing_when_it_is_rolled_back(self, shop: Shop, write: Callable[[Session], Any]) -> None:
        before = shop.names()
        with shop.writing() as session:
            write(session)
            session.flush()
            session.rollback()
        assert not shop.asks(PRODUCTS)
        assert shop.names() == before

    def test_leaves_other_tables_alone_where_it_tells_its_own(
        self, sqlite_shop: Shop, write: Callable[[Session], Any], request: pytest.FixtureRequest
    ) -> None:
        sqlite_shop.get(CUSTOMERS)
        with sqlite_shop.writing() as session:
            write(session)
        tells = request.node.callspec.id not in ("text()", "the driver's SQL")
        assert sqlite_shop.asks(CUSTOMERS) is not tells


class TestAWriteInACTE:
    def test_counts_though_it_looks_like_a_select(self, postgresql_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(postgresql_url)
        shop.names()
        shop.get(CUSTOMERS)
        with shop.writing() as session:
            changed = update(products).values(name="green tea").returning(products.c.id).cte("changed")
            session.scalars(select(changed.c.id)).all()
        assert not shop.asks(CUSTOMERS)
        assert shop.asks(PRODUCTS)


class TestAStatementThatWritesSeveralTables:
    def test_counts_for_each_of_them_on_mariadb(self, mariadb_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(mariadb_url)
        shop.get(CUSTOMERS)
        with shop.writing() as session:
            session.execute(
                orders.update().where(orders.c.customer_id == customers.c.id).values({customers.c.name: "Anna"})
            )
        assert shop.names(CUSTOMERS) == ["Anna", "Bob"]


class TestAForeignKeyThatDeletes:
    def test_counts_as_a_write_of_the_tables_that_it_deletes_from(self, shop: Shop) -> None:
        assert shop.get(LINES) == [1]
        with shop.writing() as session:
            session.execute(delete(Order))
        assert shop.get(LINES) == []

    def test_counts_for_nothing_where_nothing_is_deleted(self, sqlite_shop: Shop) -> None:
        sqlite_shop.get(LINES)
        with sqlite_shop.writing() as session:
            session.execute(update(Order).values(customer_id=2))
            session.add(Order(customer_id=1))
        assert not sqlite_shop.asks(LINES)


class TestText:
    def test_may_say_that_it_writes_nothing_that_is_cached(self, sqlite_shop: Shop) -> None:
        sqlite_shop.names()
        with sqlite_shop.writing() as session:
            session.execute(text("UPDATE orders SET customer_id = 2"), execution_options=invalidates())
        assert not sqlite_shop.asks(PRODUCTS)

    def test_that_only_reads_counts_for_nothing(self, sqlite_shop: Shop) -> None:
        sqlite_shop.names()
        with sqlite_shop.writing() as session:
            session.execute(text("SELECT name FROM products")).all()
            session.add(Customer(name="Cleo"))
        assert not sqlite_shop.asks(PRODUCTS)

    @pytest.mark.parametrize("table", [Product, products, "products", "PRODUCTS"])
    def test_names_tables_in_each_way(self, sqlite_shop: Shop, table: Any) -> None:
        sqlite_shop.names()
        with sqlite_shop.writing() as session:
            session.execute(text("DELETE FROM order_lines").execution_options(**invalidates(table)))
        assert sqlite_shop.asks(PRODUCTS)

    def test_means_all_tables_of_a_class(self, sqlite_shop: Shop) -> None:
        sqlite_shop.names()
        with sqlite_shop.writing() as session:
            session.execute(text("DELETE FROM order_lines"), execution_options=invalidates(Special))
        assert sqlite_shop.asks(PRODUCTS)

    @pytest.mark.parametrize("table", [Product.name, 7, "", None, object])
    def test_names_nothing_else(self, table: Any) -> None:
        with pytest.raises(CacheError, match="Tables are named by a mapped class, a table or a table's name"):
            invalidates(table)


class TestASavepoint:
    def test_that_is_rolled_back_counts_for_nothing_and_what_is_around_it_does(self, shop: Shop) -> None:
        shop.names()
        shop.get(CUSTOMERS)
        with shop.writing() as session:
            session.add(Customer(name="Cleo"))
            session.flush()
            with pytest.raises(ZeroDivisionError), shop.uow.savepoint():
                session.add(Product(name="rice"))
                session.flush()
                raise ZeroDivisionError
        assert not shop.asks(PRODUCTS)
        assert shop.asks(CUSTOMERS)

    def test_that_is_released_counts(self, shop: Shop) -> None:
        shop.names()
        with shop.writing() as session:
            with session.begin_nested():
                with session.begin_nested():
                    session.add(Product(name="rice"))
        assert shop.names()[-1] == "rice"

    def test_that_is_released_into_one_that_is_rolled_back_counts_for_nothing(self, shop: Shop) -> None:
        shop.names()
        with shop.writing() as session:
            outer = session.begin_nested()
            with session.begin_nested():
                session.add(Product(name="rice"))
            outer.rollback()
            session.add(Customer(name="Cleo"))
        assert not shop.asks(PRODUCTS)

    def test_whose_flush_fails_counts_for_nothing(self, shop: Shop) -> None:
        shop.names()
        with shop.writing() as session:
            with pytest.raises(IntegrityError), shop.uow.savepoint():
                session.add(Product(id=1, name="tea again"))
            session.add(Customer(name="Cleo"))
        assert not shop.asks(PRODUCTS)

    def test_that_is_rolled_back_lets_its_tables_be_cached_again(self, shop: Shop) -> None:
        with shop.writing() as session:
            savepoint = session.begin_nested()
            session.add(Product(name="rice"))
            session.flush()
            savepoint.rollback()
            statement = PRODUCTS.options(FromCache())
            session.scalars(statement).all()
            session.scalars(statement).all()
            assert len([one for one in shop.sent if "products" in one]) <= 2


class TestAUnit:
    def test_that_fails_counts_for_nothing(self, shop: Shop) -> None:
        shop.names()
        with pytest.raises(ZeroDivisionError), shop.writing() as session:
            session.add(Product(name="rice"))
            session.flush()
            raise ZeroDivisionError
        assert not shop.asks(PRODUCTS)

    def test_that_is_doomed_counts_for_nothing(self, shop: Shop) -> None:
        shop.names()
        with shop.writing() as session:
            session.add(Product(name="rice"))
            session.flush()
            shop.uow.doom("in this test")
        assert not shop.asks(PRODUCTS)

    def test_whose_commit_fails_counts_for_nothing(self, postgresql_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(postgresql_url)
        with shop.writing() as session:
            session.execute(text("ALTER TABLE products ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED"))
        shop.names()
        with pytest.raises(IntegrityError), shop.writing() as session:
            session.add_all([Product(name="rice"), Customer(name="Cleo")])
            session.flush()
            session.add(Product(name="rice"))
        assert not shop.asks(PRODUCTS)

    def test_that_commits_on_its_way_counts_each_time(self, shop: Shop) -> None:
        with shop.writing() as session:
            for name in ["rice", "figs"]:
                session.add(Product(name=name))
                session.commit()
                assert shop.names()[-1] == name

    def test_reads_what_is_new_in_its_hooks(self, shop: Shop) -> None:
        shop.names()
        seen: list[Any] = []

        def hook() -> None:
            seen.append(shop.uow.session.scalars(PRODUCTS.options(FromCache())).all()[0])

        with shop.writing():
            shop.uow.on_commit(hook)
            shop.uow.session.get_one(Product, 1).name = "green tea"
        assert seen == ["green tea"]

    def test_that_is_one_statement_counts(self, database_url: str, make_shop: MakeShop) -> None:
        """It is sent without a transaction where the database allows that."""
        shop = make_shop(database_url, watched=False)
        shop.names()

        def view() -> None:
            shop.uow.session.add(Product(name="rice"))

        shop.request(view, "POST")
        assert shop.names()[-1] == "rice"

    def test_that_begins_as_a_reader_counts(self, shop: Shop) -> None:
        shop.names()

        def view() -> None:
            shop.uow.session.get_one(Product, 1).name = "green tea"

        shop.request(view, "GET")
        assert shop.names()[0] == "green tea"

    def test_inside_of_one_that_is_rolled_back_counts(self, shop: Shop) -> None:
        shop.names()
        shop.get(CUSTOMERS)
        with pytest.raises(ZeroDivisionError), shop.writing():
            with shop.uow.independent_transaction() as inner:
                inner.get_one(Product, 1).name = "green tea"
            assert shop.names()[0] == "green tea"
            shop.uow.session.add(Customer(name="Cleo"))
            shop.uow.session.flush()
            raise ZeroDivisionError
        assert not shop.asks(CUSTOMERS)

    def test_leaves_nothing_behind_for_the_next_one_on_its_connection(self, sqlite_shop: Shop) -> None:
        sqlite_shop.names()
        with sqlite_shop.writing() as session:
            session.add(Product(name="rice"))
            session.flush()
            session.rollback()
            session.add(Customer(name="Cleo"))
        assert not sqlite_shop.asks(PRODUCTS)


class TestInvalidateTables:
    def test_counts_at_once_outside_of_a_transaction(self, sqlite_shop: Shop) -> None:
        sqlite_shop.names()
        sqlite_shop.get(CUSTOMERS)
        with sqlite_shop.app.app_context():
            sqlite_shop.uow.invalidate_tables(Product)
        assert sqlite_shop.asks(PRODUCTS)
        assert not sqlite_shop.asks(CUSTOMERS)

    @pytest.mark.parametrize("commits", [True, False])
    def test_counts_after_the_commit_of_the_transaction_in_progress(self, shop: Shop, commits: bool) -> None:
        shop.names()
        with shop.writing() as session:
            session.execute(select(func.count()).select_from(Customer))
            session.connection().execute(text("SELECT 1"))
            shop.uow.invalidate_tables("products")
            assert not shop.asks(PRODUCTS)
            if not commits:
                session.rollback()
        assert shop.asks(PRODUCTS) is commits

    def test_means_everything_without_tables(self, sqlite_shop: Shop) -> None:
        sqlite_shop.names()
        with sqlite_shop.app.app_context():
            sqlite_shop.uow.invalidate_tables()
        assert sqlite_shop.asks(PRODUCTS)

    def test_refuses_what_is_no_table(self, sqlite_shop: Shop) -> None:
        with sqlite_shop.app.app_context(), pytest.raises(CacheError, match="Tables are named by"):
            sqlite_shop.uow.invalidate_tables(Product.name)

    def test_is_of_no_use_without_a_cache(self, sqlite_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(sqlite_url, UNITOFWORK_CACHE_REGIONS={})
        with shop.app.app_context(), pytest.raises(CacheError, match="This app caches nothing"):
            shop.uow.invalidate_tables(Product)


class TestTheSchema:
    @pytest.mark.parametrize("change", ["create_all", "drop_all", "dispose"])
    def test_is_changed_and_nothing_is_valid(self, sqlite_shop: Shop, change: str) -> None:
        sqlite_shop.names()
        with sqlite_shop.app.app_context():
            if change == "drop_all":
                sqlite_shop.uow.drop_all()
                sqlite_shop.uow.create_all()
                assert sqlite_shop.names() == []
            else:
                getattr(sqlite_shop.uow, change)()
                assert sqlite_shop.asks(PRODUCTS)

    def test_is_changed_in_mariadb_which_commits_by_itself(self, mariadb_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(mariadb_url)
        shop.names()
        with shop.writing() as session:
            session.add(Product(name="rice"))
            session.flush()
            session.execute(text("CREATE TABLE notes (id INTEGER)"))
            session.rollback()
        assert shop.names()[-1] == "rice"


class TestACommitThatNobodyKnowsOf:
    @pytest.mark.usefixtures("in_haste")
    @pytest.mark.parametrize("alone", [False, True])
    def test_counts(self, postgresql_url: str, make_shop: MakeShop, alone: bool) -> None:
        wire = Wire(postgresql_url)
        region = memory()
        # Another process, with the same cache: the first one cannot reach the database.
        shop = make_shop(postgresql_url, region=region)
        cut = make_shop(wire.url.render_as_string(hide_password=False), region=region, create=False, watched=False)
        shop.names()
        try:
            wire.when_sent("INSERT" if alone else "COMMIT", Cut.AFTER, then=wire.refuse)

            def view() -> None:
                cut.uow.session.add(Product(name="rice"))
                if not alone:
                    cut.uow.session.flush()

            with pytest.raises(UnknownCommitError):
                cut.request(view, "POST")
            assert wire.all_happened
        finally:
            wire.allow()
            wire.close()
        assert shop.names()[-1] == "rice"


def test_a_refused_commit_counts_for_nothing(sqlite_shop: Shop) -> None:
    sqlite_shop.names()
    with sqlite_shop.writing() as session:
        session.add(Product(name="rice"))
        session.flush()
        with sqlite_shop.uow.transaction(), pytest.raises(DemarcationError):
            session.commit()
        session.rollback()
    assert not sqlite_shop.asks(PRODUCTS)
